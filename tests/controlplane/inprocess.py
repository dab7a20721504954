"""The real API in the test's own process: real store on disk, real registry, no network.

Works on virtual time (the store then waits for the disk on the loop). Objects that every cluster
has from its first start are there.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from base.clock import Clock, LoopClock
from controlplane import bootstrap
from controlplane.auth.user import AUTHENTICATED_GROUP, MASTERS_GROUP, User
from controlplane.process import authorizer_over, system_user
from controlplane.registry import bodies
from controlplane.registry.api import Api
from controlplane.registry.backing import Backing
from controlplane.registry.event_leases import EventLeases
from controlplane.registry.local_client import LocalClient
from controlplane.registry.operations import Operations
from controlplane.registry.options import Call, DeleteOptions, ListOptions
from controlplane.registry.registry import Registry
from controlplane.registry.service_addresses import ServiceAddresses
from controlplane.registry.stored import Stored
from controlplane.store import Store
from controlplane.store.embedded import open_embedded
from kubeapi.resources import find

ADMIN = User("kubernetes-admin", (MASTERS_GROUP, AUTHENTICATED_GROUP))


@dataclass
class InProcess:
    """The API and short ways to use it; `gvr` is such as "v1/pods" or "apps/v1/deployments"."""

    api: Api
    clock: Clock

    @property
    def operations(self) -> Operations:
        return Operations(self.api)

    def client(self, user: str | User = ADMIN) -> LocalClient:
        """A client that acts as `user` (a controller's or component's user name)."""
        return LocalClient(self.api, system_user(user) if isinstance(user, str) else user)

    def call(
        self, verb: str, gvr: str, name: str = "", subresource: str = "", namespace: str = "default"
    ) -> Call:
        *group, version, resource = gvr.split("/")
        info = find("".join(group), version, resource)
        assert info is not None, gvr
        namespace = namespace if info.namespaced else ""
        return Call(ADMIN, verb, info, namespace, name, subresource)

    async def create(self, gvr: str, obj: dict[str, Any], **where: str) -> dict[str, Any]:
        call = self.call("create", gvr, **where)
        stored = await self.api.create(call, bodies.decode_object(call, _body(call, obj)))
        return {} if stored is None else _shown(call, stored)

    async def get(self, gvr: str, name: str, **where: str) -> dict[str, Any]:
        call = self.call("get", gvr, name, **where)
        return _shown(call, await self.api.get(call))

    async def list(self, gvr: str, **options: Any) -> list[dict[str, Any]]:
        namespace = options.pop("namespace", "")
        call = self.call("list", gvr, namespace=namespace)
        page = await self.api.list(call, ListOptions(**options))
        return [_shown(call, stored) for stored in page.items]

    async def update(self, gvr: str, obj: dict[str, Any], **where: str) -> dict[str, Any]:
        call = self.call("update", gvr, obj["metadata"]["name"], **where)
        data = _body(call, obj)
        return _shown(call, await self.api.update(call, lambda: bodies.decode_object(call, data)))

    async def patch(
        self,
        gvr: str,
        name: str,
        patch: Any,
        content_type: str = "application/merge-patch+json",
        **where: str,
    ) -> dict[str, Any]:
        call = self.call("patch", gvr, name, **where)
        change = bodies.patcher(call, msgspec.json.encode(patch), content_type)
        return _shown(call, await self.api.patch(call, change))

    async def delete(
        self, gvr: str, name: str, namespace: str = "default", **options: Any
    ) -> tuple[dict[str, Any], bool]:
        call = self.call("delete", gvr, name, namespace=namespace)
        stored, gone = await self.api.delete(call, DeleteOptions(**options))
        return _shown(call, stored), gone


def _body(call: Call, obj: dict[str, Any]) -> bytes:
    gvk = bodies.body_class(call).GVK
    kind, api_version = gvk[2], f"{gvk[0]}/{gvk[1]}" if gvk[0] else gvk[1]
    return msgspec.json.encode({"kind": kind, "apiVersion": api_version} | obj)


def _shown(call: Call, stored: Stored) -> dict[str, Any]:
    return bodies.present_dict(call.info, stored)


@asynccontextmanager
async def running_api(
    directory: Path, *, clock: Clock | None = None, seed: int = 1
) -> AsyncIterator[InProcess]:
    """Open the API over a store in `directory`; a second time finds what the first left."""
    clock = clock or LoopClock()
    rng = random.Random(seed)
    store = await open_embedded(directory, clock, rng)
    try:
        async with api_over(store, clock, rng) as api:
            yield api
    finally:
        await store.close()


@asynccontextmanager
async def api_over(store: Store, clock: Clock, rng: random.Random) -> AsyncIterator[InProcess]:
    """The API over a store that is open and stays so."""
    registry = Registry(store, EventLeases(store, clock, 3600))
    await registry.open()
    try:
        addresses = ServiceAddresses(registry, rng, "10.96.0.0/16")
        addresses.start()
        api = Api(Backing(registry, authorizer_over(registry), addresses, clock, rng))
        await bootstrap.ensure_objects(api)
        yield InProcess(api, clock)
    finally:
        registry.close()
