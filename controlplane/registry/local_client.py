"""The client protocol inside the control plane's own process.

Controllers and the scheduler read the cache's own structs and write through `Api` under their
identity: serialisation and TLS are skipped, authorization and admission are not.
"""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from controlplane.auth.user import User
from controlplane.registry import bodies
from controlplane.registry.api import Api
from controlplane.registry.options import Call, DeleteOptions, ListOptions
from controlplane.registry.stored import Stored
from controlplane.registry.watchers import WatchEnded
from kubeapi import codec
from kubeapi.client import Listed, PatchType, WatchEvent
from kubeapi.resources import ResourceInfo, resource_of
from kubeapi.types import core_v1

T = TypeVar("T")


class LocalClient:
    """A `kubeapi.client.Client` that acts as `user`."""

    def __init__(self, api: Api, user: User) -> None:
        self._api = api
        self._user = user

    def _call(
        self, verb: str, info: ResourceInfo, namespace: str, name: str = "", subresource: str = ""
    ) -> Call:
        return Call(self._user, verb, info, namespace, name, subresource, field_validation="Ignore")

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        info = resource_of(kind)
        return _typed(info, await self._api.get(self._call("get", info, namespace, name)), kind)

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listed[T]:
        info = resource_of(kind)
        page = await self._api.list(
            self._call("list", info, namespace), ListOptions(label_selector, field_selector)
        )
        return Listed([_typed(info, s, kind) for s in page.items], str(page.revision))

    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent[T]]:
        info = resource_of(kind)
        options = ListOptions(label_selector, field_selector, resource_version=resource_version)
        watcher = self._api.watch(self._call("watch", info, namespace), options)
        try:
            while True:
                for event_type, stored, _ in await watcher.next_batch():
                    yield WatchEvent(event_type, _typed(info, stored, kind))
        except WatchEnded:
            return
        finally:
            watcher.close()

    async def create(self, obj: T, *, subresource: str = "", name: str = "") -> T:
        info, namespace = _place(obj, subresource)
        call = self._call("create", info, namespace, name, subresource)
        stored = await self._api.create(call, bodies.decode_object(call, codec.encode(obj)))
        return obj if stored is None else _typed(info, stored, type(obj))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        info, namespace = _place(obj, subresource)
        name = obj.metadata.name or ""  # type: ignore[attr-defined]
        call = self._call("update", info, namespace, name, subresource)
        data = codec.encode(obj)
        stored = await self._api.update(call, lambda: bodies.decode_object(call, data))
        return _typed(info, stored, type(obj))

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
        info = resource_of(kind)
        call = self._call("patch", info, namespace, name, subresource)
        change = bodies.patcher(call, msgspec.json.encode(patch), patch_type)
        return _typed(info, await self._api.patch(call, change), kind)

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
        call = self._call("delete", resource_of(kind), namespace, name)
        options = DeleteOptions(uid, resource_version, grace_period_s, propagation_policy)
        await self._api.delete(call, options)


def _place(obj: Any, subresource: str) -> tuple[ResourceInfo, str]:
    """(resource, namespace) of an object, or of the pod of which it is a part."""
    kind = core_v1.Pod if subresource in ("binding", "eviction") else type(obj)
    return resource_of(kind), obj.metadata.namespace or ""


def _typed(info: ResourceInfo, stored: Stored, kind: type[T]) -> T:
    if isinstance(stored.obj, kind):
        return stored.obj
    return codec.decode_stored(bodies.present(info, stored), kind)
