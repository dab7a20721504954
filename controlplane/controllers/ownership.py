"""Who controls an object: controller references, adoption of orphans, release of strangers.

Source: client-go, `controller_ref_manager.go`; API conventions, "Owner references".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.types import meta_v1

T = TypeVar("T")


def controller_of(obj: Any) -> meta_v1.OwnerReference | None:
    """The owner that controls `obj`; there is at most one."""
    for owner in obj.metadata.ownerReferences or ():
        if owner.controller:
            return owner  # type: ignore[no-any-return]
    return None


def controller_uid(obj: Any) -> str:
    """The uid of the controlling owner, or ""."""
    owner = controller_of(obj)
    return (owner.uid or "") if owner else ""


def controller_reference(owner: Any) -> meta_v1.OwnerReference:
    """The reference with which `owner` controls what it creates."""
    group, version, kind = type(owner).GVK
    return meta_v1.OwnerReference(
        apiVersion=f"{group}/{version}" if group else version,
        kind=kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        blockOwnerDeletion=True,
    )


@dataclass
class Claims(Generic[T]):
    """What is the owner's already, what it may adopt, and what it must release."""

    owned: list[T] = field(default_factory=list)
    adopt: list[T] = field(default_factory=list)
    release: list[T] = field(default_factory=list)


def decide_claims(owner: Any, candidates: Iterable[T], matches: Callable[[T], bool]) -> Claims[T]:
    """Sort `candidates` of the owner's namespace; those that another owner controls are nobody's
    here, and an owner that is being deleted neither adopts nor releases."""
    claims: Claims[T] = Claims()
    deleting = owner.metadata.deletionTimestamp is not None
    for candidate in candidates:
        meta: Any = candidate.metadata  # type: ignore[attr-defined]
        uid = controller_uid(candidate)
        if uid and uid != owner.metadata.uid:
            continue
        if uid and matches(candidate):
            claims.owned.append(candidate)
        elif uid and not deleting:
            claims.release.append(candidate)
        elif not uid and not deleting and not meta.deletionTimestamp and matches(candidate):
            claims.adopt.append(candidate)
    return claims


class Claimer(Generic[T]):
    """Carries out claims: patches guarded by the object's uid, after a look at the live owner."""

    def __init__(self, client: Client, kind: type[T], owner_kind: type[Any]) -> None:
        self._client = client
        self._kind = kind
        self._owner_kind = owner_kind

    async def claim(
        self, owner: Any, candidates: Iterable[T], matches: Callable[[T], bool]
    ) -> list[T]:
        """Adopt and release; returns what `owner` controls afterwards."""
        claims = decide_claims(owner, candidates, matches)
        for obj in claims.release:
            await self._release(owner, obj)
        if claims.adopt and await self._may_adopt(owner):
            for obj in claims.adopt:
                adopted = await self._adopt(owner, obj)
                if adopted is not None:
                    claims.owned.append(adopted)
        return claims.owned

    async def _may_adopt(self, owner: Any) -> bool:
        """The cache may be behind: an owner that was deleted or replaced must adopt nothing."""
        meta = owner.metadata
        try:
            live: Any = await self._client.get(self._owner_kind, meta.name, meta.namespace)
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return live.metadata.uid == meta.uid and live.metadata.deletionTimestamp is None

    async def _adopt(self, owner: Any, obj: Any) -> T | None:
        reference = controller_reference(owner)
        fields = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
        patch = {
            "metadata": {
                "ownerReferences": [{name: getattr(reference, name) for name in fields}],
                "uid": obj.metadata.uid,
            }
        }
        return await self._patch(obj, patch)

    async def _release(self, owner: Any, obj: Any) -> None:
        remove = {"$patch": "delete", "uid": owner.metadata.uid}
        patch = {"metadata": {"ownerReferences": [remove], "uid": obj.metadata.uid}}
        await self._patch(obj, patch)

    async def _patch(self, obj: Any, patch: dict[str, Any]) -> T | None:
        """None where the object is gone (404) or is another by now (422: the uid differs)."""
        meta = obj.metadata
        try:
            return await self._client.patch(
                self._kind,
                meta.name,
                patch,
                namespace=meta.namespace,
                patch_type=PatchType.STRATEGIC,
            )
        except StatusError as error:
            if error.code in (404, 409, 422):
                return None
            raise
