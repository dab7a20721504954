"""The verbs over bytes, for doors that carry JSON: what `proto/resources.proto` says.

Everything is done by `Api`; this only decodes what comes in and encodes what goes out.
"""

from collections.abc import AsyncIterator

from controlplane.auth.user import User
from controlplane.registry import bodies
from controlplane.registry.api import Api
from controlplane.registry.delete_options import delete_options
from controlplane.registry.options import Call, ListOptions
from controlplane.registry.watchers import WatchEnded
from kubeapi.resources import ResourceInfo

SUCCESS = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'


class Operations:
    """Each method raises StatusError; `info` names the resource in the version that is spoken."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def get(
        self, user: User, info: ResourceInfo, namespace: str, name: str, subresource: str = ""
    ) -> bytes:
        call = Call(user, "get", info, namespace, name, subresource)
        return bodies.present(info, await self._api.get(call))

    async def list(
        self,
        user: User,
        info: ResourceInfo,
        namespace: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> tuple[list[bytes], str]:
        call = Call(user, "list", info, namespace)
        options = ListOptions(label_selector, field_selector)
        page = await self._api.list(call, options)
        return [bodies.present(info, stored) for stored in page.items], str(page.revision)

    async def watch(
        self,
        user: User,
        info: ResourceInfo,
        namespace: str,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[tuple[str, bytes]]:
        call = Call(user, "watch", info, namespace)
        options = ListOptions(label_selector, field_selector, resource_version=resource_version)
        watcher = self._api.watch(call, options)
        try:
            while True:
                for event_type, stored, _ in await watcher.next_batch():
                    yield event_type, bodies.present(info, stored)
        except WatchEnded:
            return
        finally:
            watcher.close()

    async def create(
        self,
        user: User,
        info: ResourceInfo,
        namespace: str,
        body: bytes,
        *,
        subresource: str = "",
        name: str = "",
    ) -> bytes:
        call = Call(user, "create", info, namespace, name, subresource)
        stored = await self._api.create(call, bodies.decode_object(call, body))
        return SUCCESS if stored is None else bodies.present(info, stored)

    async def update(
        self,
        user: User,
        info: ResourceInfo,
        namespace: str,
        name: str,
        body: bytes,
        *,
        subresource: str = "",
    ) -> bytes:
        call = Call(user, "update", info, namespace, name, subresource)
        stored = await self._api.update(call, lambda: bodies.decode_object(call, body))
        return bodies.present(info, stored)

    async def patch(
        self,
        user: User,
        info: ResourceInfo,
        namespace: str,
        name: str,
        body: bytes,
        content_type: str,
        *,
        subresource: str = "",
    ) -> bytes:
        call = Call(user, "patch", info, namespace, name, subresource)
        stored = await self._api.patch(call, bodies.patcher(call, body, content_type))
        return bodies.present(info, stored)

    async def delete(
        self, user: User, info: ResourceInfo, namespace: str, name: str, options: bytes = b""
    ) -> bytes:
        call = Call(user, "delete", info, namespace, name)
        stored, _ = await self._api.delete(call, delete_options(options))
        return bodies.present(info, stored)
