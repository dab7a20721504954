"""The client protocol: how controllers, the scheduler, agents and proxies reach the API.

Two implementations keep it: one in the control plane's own process (no serialisation, nothing
else skipped) and `kubeapi.grpc_client` over the wire. Kinds are the classes of `kubeapi.types`;
every failure of the API is a `kubeapi.errors.StatusError`.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class PatchType(StrEnum):
    """Content types of a patch body."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Listed(Generic[T]):
    """Objects as of `resource_version`; a watch from there misses nothing."""

    items: Sequence[T]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True)
class WatchEvent(Generic[T]):
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK (only its resourceVersion is set)."""

    type: str
    object: T


class Client(Protocol):
    """Verbs of the Kubernetes API over typed objects.

    `namespace` is "" for cluster-scoped kinds, and for `list` and `watch` over all namespaces.
    """

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T: ...

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listed[T]: ...

    def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent[T]]:
        """Events after `resource_version`. Ends when the server ends it; 410 is a StatusError."""
        ...

    async def create(self, obj: T, *, subresource: str = "", name: str = "") -> T:
        """Create `obj`; with `subresource` ("binding", "eviction", "token") of object `name`."""
        ...

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """Replace the stored object; 409 when `metadata.resourceVersion` is set and stale."""
        ...

    async def patch(
        self,
        kind: type[T],
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        patch_type: PatchType = PatchType.STRATEGIC,
        subresource: str = "",
    ) -> T:
        """Apply `patch` (a JSON-able value) to the stored object."""
        ...

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_s: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        """Delete the object; `uid` and `resource_version` are preconditions (409)."""
        ...
