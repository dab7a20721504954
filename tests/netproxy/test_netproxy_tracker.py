"""The tracker over real informers and a client in memory: always equal to the pure whole."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from kubeapi.client import Listed, WatchEvent
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1, discovery_v1
from netproxy.model import RuleSet, build_rules
from netproxy.tracker import Tracker
from tests.netproxy.netproxy_objects import BASE, NODE, service, slice_of


class MemoryApi:
    """List and watch over dicts, as the API server tells them."""

    def __init__(self) -> None:
        self.objects: dict[type[Any], dict[str, Any]] = {}
        self.watches: dict[type[Any], list[asyncio.Queue[WatchEvent[Any]]]] = {}
        self.revision = 1

    async def list(self, kind: type[Any], namespace: str = "", **_: Any) -> Listed[Any]:
        return Listed([*self.objects.get(kind, {}).values()], str(self.revision))

    async def watch(self, kind: type[Any], namespace: str = "", **_: Any) -> AsyncIterator[Any]:
        queue: asyncio.Queue[WatchEvent[Any]] = asyncio.Queue()
        self.watches.setdefault(kind, []).append(queue)
        while True:
            yield await queue.get()

    def put(self, obj: Any) -> None:
        self.revision += 1
        metadata = msgspec.structs.replace(obj.metadata, resourceVersion=str(self.revision))
        obj = msgspec.structs.replace(obj, metadata=metadata)
        kept = self.objects.setdefault(type(obj), {})
        event = "MODIFIED" if object_key(obj) in kept else "ADDED"
        kept[object_key(obj)] = obj
        self._tell(WatchEvent(event, obj))

    def delete(self, kind: type[Any], key: str) -> None:
        self.revision += 1
        self._tell(WatchEvent("DELETED", self.objects[kind].pop(key)))

    def _tell(self, event: WatchEvent[Any]) -> None:
        for queue in self.watches.get(type(event.object), ()):
            queue.put_nowait(event)

    def whole(self) -> RuleSet:
        services = self.objects.get(core_v1.Service, {}).values()
        slices = self.objects.get(discovery_v1.EndpointSlice, {}).values()
        return build_rules(services, slices, NODE, BASE)


@asynccontextmanager
async def tracking(api: MemoryApi) -> AsyncIterator[tuple[Tracker, list[int]]]:
    wakes: list[int] = []
    informers = SharedInformers(api, random.Random(1))  # type: ignore[arg-type]
    tracker = Tracker(informers, NODE, BASE, lambda: wakes.append(1))
    informers.start()
    await informers.wait_synced()
    try:
        yield tracker, wakes
    finally:
        await informers.stop()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_there_at_the_start() -> None:
    api = MemoryApi()
    api.put(service("web"))
    api.put(slice_of("web", "10.0.0.1"))
    async with tracking(api) as (tracker, wakes):
        assert tracker.rules() == api.whole() != BASE
        assert wakes


async def test_every_change_is_followed() -> None:
    api = MemoryApi()
    async with tracking(api) as (tracker, wakes):
        for change in (
            lambda: api.put(service("web")),
            lambda: api.put(slice_of("web", "10.0.0.1")),
            lambda: api.put(slice_of("web", "10.0.0.2", suffix="2")),
            lambda: api.put(service("web", ports="81")),
            lambda: api.put(slice_of("web", "10.0.0.9")),
            lambda: api.delete(discovery_v1.EndpointSlice, "default/web-1"),
            lambda: api.put(service("web", type="ExternalName")),
            lambda: api.put(service("web")),
            lambda: api.delete(core_v1.Service, "default/web"),
            lambda: api.put(service("web")),
        ):
            wakes.clear()
            before = tracker.rules()
            change()
            await settle()
            assert wakes
            assert tracker.rules() == api.whole() != before


async def test_a_slice_that_changes_its_service() -> None:
    api = MemoryApi()
    api.put(service("a", vip="10.96.0.1"))
    api.put(service("b", vip="10.96.0.2"))
    api.put(slice_of("a", "10.0.0.1"))
    async with tracking(api) as (tracker, _):
        moved = slice_of("a", "10.0.0.1", labels={"kubernetes.io/service-name": "b"})
        api.put(moved)
        await settle()
        assert tracker.rules() == api.whole()
        assert [len(p.used_endpoints) for p in tracker.rules().services] == [0, 1]


async def test_random_changes_never_lead_elsewhere() -> None:
    rng = random.Random(7)
    api = MemoryApi()
    async with tracking(api) as (tracker, _):
        for _ in range(300):
            name = rng.choice("abcd")
            kind = rng.choice([core_v1.Service, discovery_v1.EndpointSlice])
            key = f"default/{name}" + ("" if kind is core_v1.Service else "-1")
            if key in api.objects.get(kind, {}) and rng.random() < 0.4:
                api.delete(kind, key)
            elif kind is core_v1.Service:
                api.put(service(name, vip=f"10.96.0.{ord(name)}", ports=rng.choice(["80", "81"])))
            else:
                api.put(slice_of(name, rng.choice(["", "10.0.0.1", "10.0.0.2,10.0.0.3!R"])))
            if rng.random() < 0.5:
                await settle()
                assert tracker.rules() == api.whole()


async def test_a_pod_of_an_unrelated_slice_wakes_nobody() -> None:
    api = MemoryApi()
    async with tracking(api) as (tracker, wakes):
        wakes.clear()
        api.put(slice_of("x", "10.0.0.1", labels={"service.kubernetes.io/headless": ""}))
        await settle()
        assert not wakes
        assert tracker.rules() == BASE
