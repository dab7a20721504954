"""Two control planes on one store: who leads acts, who led can write nothing any more.

On virtual time; the election is the one that is held on a remote store.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from base.clock import LoopClock
from controlplane.controllers.manager import Manager
from controlplane.controllers.supervise import keep_running
from controlplane.leading import Leading, Part, fenced
from controlplane.process import system_user
from controlplane.registry.api import Api
from controlplane.registry.local_client import LocalClient
from controlplane.store import Compare, Leadership, Op, StoreError, TxnResult
from controlplane.store.election import Election
from controlplane.store.embedded import EmbeddedStore, open_embedded
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1
from tests.controlplane.inprocess import ADMIN, InProcess, api_over

TTL_S = 15


class SharedStore(EmbeddedStore):
    """One control plane's way to the store that it shares with another. While it is cut, what it
    sends arrives later."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__(store.node, LoopClock())
        self.connected = asyncio.Event()
        self.connected.set()

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        await self.connected.wait()
        return await super().txn(compares, success, failure)

    async def lease_keepalive(self, lease_id: int) -> int:
        await self.connected.wait()
        return await super().lease_keepalive(lease_id)

    async def lead(self, name: str, identity: str) -> Leadership:
        rng = random.Random(1)
        return await Election(self, name, identity, LoopClock(), rng, TTL_S).win()


class Plane:
    """A control plane: its API, and what it runs while it leads."""

    def __init__(self, name: str, store: SharedStore, api: InProcess) -> None:
        self.name = name
        self.store = store
        self.api = api
        self.leads = False
        self.leading_api: Api | None = None
        leading = Leading(store, api.api, name, self._parts)
        run = keep_running("leader", leading.run, LoopClock(), random.Random(1))
        self.task = asyncio.create_task(run)

    def _parts(self, api: Api) -> Sequence[Part]:
        self.leading_api = api

        def client_for(user: str) -> LocalClient:
            return LocalClient(api, system_user(user))

        manager = Manager(
            client_for, LoopClock(), random.Random(1),
            cluster_cidr="10.244.0.0/16", root_ca_pem="pem",
        )  # fmt: skip
        return self, manager

    async def start(self) -> None:
        self.leads = True

    async def stop(self) -> None:
        self.leads = False

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def two_planes(directory: Path) -> AsyncIterator[tuple[Plane, Plane]]:
    rng = random.Random(1)
    store = await open_embedded(directory / "store", LoopClock(), rng)
    stores = SharedStore(store), SharedStore(store)
    async with (
        api_over(stores[0], LoopClock(), rng) as one,
        api_over(stores[1], LoopClock(), rng) as two,
    ):
        first = Plane("one", stores[0], one)
        await asyncio.sleep(1)
        second = Plane("two", stores[1], two)
        await asyncio.sleep(1)
        try:
            yield first, second
        finally:
            stores[0].connected.set()
            await first.end()
            await second.end()
    await store.close()


def replicaset(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }


async def test_one_leads_and_both_serve(tmp_path: Path) -> None:
    async with two_planes(tmp_path) as (first, second):
        assert (first.leads, second.leads) == (True, False)
        await second.api.create("apps/v1/replicasets", replicaset("web", 3))
        await asyncio.sleep(5)
        assert len(await first.api.list("v1/pods")) == 3
        assert len(await second.api.list("v1/pods")) == 3
        assert (first.leads, second.leads) == (True, False)


async def test_who_ends_hands_over_at_once(tmp_path: Path) -> None:
    async with two_planes(tmp_path) as (first, second):
        await first.end()
        await asyncio.sleep(1)
        assert (first.leads, second.leads) == (False, True)
        await first.api.create("apps/v1/replicasets", replicaset("web", 2))
        await asyncio.sleep(5)
        assert len(await first.api.list("v1/pods")) == 2


async def test_a_leader_that_is_cut_off_stops_and_its_late_write_is_refused_whole(
    tmp_path: Path,
) -> None:
    async with two_planes(tmp_path) as (first, second):
        await first.api.create("apps/v1/replicasets", replicaset("web", 2))
        await asyncio.sleep(5)
        first.store.connected.clear()
        late = asyncio.create_task(create_as_leader(first))
        await asyncio.sleep(TTL_S)
        assert not first.leads
        await asyncio.sleep(TTL_S)
        assert second.leads
        await second.api.patch("apps/v1/replicasets", "web", {"spec": {"replicas": 5}})
        await asyncio.sleep(5)
        assert len(await second.api.list("v1/pods")) == 5
        assert not late.done()
        first.store.connected.set()
        with pytest.raises(StatusError, match="leads no longer") as refused:
            await late
        assert refused.value.code == 503
        with pytest.raises(StatusError) as missing:
            await second.api.get("v1/configmaps", "late")
        assert missing.value.code == 404
        await asyncio.sleep(60)
        assert (first.leads, second.leads) == (False, True)


async def create_as_leader(plane: Plane) -> None:
    assert plane.leading_api is not None
    client = LocalClient(plane.leading_api, ADMIN)
    await client.create(core_v1.ConfigMap(metadata=_meta("late")))


def _meta(name: str) -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace="default")


async def test_a_fence_holds_while_its_leader_leads(tmp_path: Path) -> None:
    """Refusals of other kinds keep their meaning behind a fence."""
    async with two_planes(tmp_path) as (first, _):
        assert first.leading_api is not None
        client = LocalClient(first.leading_api, ADMIN)
        made = await client.create(core_v1.ConfigMap(metadata=_meta("kept")))
        with pytest.raises(StatusError) as refused:
            await client.create(core_v1.ConfigMap(metadata=_meta("kept")))
        assert refused.value.reason == "AlreadyExists"
        made = await client.patch(
            core_v1.ConfigMap, "kept", {"data": {"a": "b"}}, namespace="default"
        )
        assert made.data == {"a": "b"}
        await client.delete(core_v1.ConfigMap, "kept", "default")


async def test_the_embedded_leader_is_deposed_by_a_later_term(tmp_path: Path) -> None:
    """What was in flight when raft elected anew is refused, though the same member leads."""
    rng = random.Random(1)
    store = await open_embedded(tmp_path / "store", LoopClock(), rng)
    async with api_over(store, LoopClock(), rng) as api:
        earlier = await store.lead("controlplane", "a")
        later = await store.lead("controlplane", "b")
        async with asyncio.timeout(1):
            await earlier.lost()
        client = LocalClient(fenced(api.api, store, earlier), ADMIN)
        with pytest.raises(StatusError, match="leads no longer"):
            await client.create(core_v1.ConfigMap(metadata=_meta("late")))
        await LocalClient(fenced(api.api, store, later), ADMIN).create(
            core_v1.ConfigMap(metadata=_meta("kept"))
        )
        await later.resign()
    await store.close()
    with pytest.raises(StoreError):
        await store.txn([], [Op.put(b"k", b"")])
