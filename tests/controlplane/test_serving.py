"""The endpoints of the Service `kubernetes` are the control planes that are alive. On virtual
time."""

import asyncio
import random
from pathlib import Path

from base.clock import LoopClock
from controlplane import bootstrap
from controlplane.serving import Serving
from controlplane.store.embedded import open_embedded
from tests.controlplane.inprocess import InProcess, api_over


async def addresses(api: InProcess) -> list[str]:
    endpoints = await api.get("v1/endpoints", "kubernetes")
    found = [entry["ip"] for entry in endpoints["subsets"][0]["addresses"]]
    endpoint_slice = await api.get("discovery.k8s.io/v1/endpointslices", "kubernetes")
    assert [entry["addresses"] for entry in endpoint_slice["endpoints"]] == [[ip] for ip in found]
    return found


async def test_endpoints_come_and_go_with_their_control_planes(tmp_path: Path) -> None:
    rng, clock = random.Random(1), LoopClock()
    store = await open_embedded(tmp_path / "store", clock, rng)
    async with api_over(store, clock, rng) as one, api_over(store, clock, rng) as two:
        await bootstrap.ensure_api_service(one.api, "10.96.0.1", 6443)
        first = Serving(store, one.api, clock, "10.0.0.1", 6443)
        second = Serving(store, two.api, clock, "10.0.0.2", 6443)
        await first.reconcile()
        assert await addresses(two) == ["10.0.0.1"]
        await second.reconcile()
        running = [asyncio.create_task(serving.run()) for serving in (first, second)]
        await asyncio.sleep(60)
        revision = store.revision
        assert await addresses(one) == ["10.0.0.1", "10.0.0.2"]
        await asyncio.sleep(60)
        assert store.revision == revision  # what is right is left alone
        # As if it were killed: nobody renews its lease.
        running[0].cancel()
        await asyncio.sleep(30)
        assert await addresses(two) == ["10.0.0.2"]
        # It comes back, and ends as it should.
        again = Serving(store, one.api, clock, "10.0.0.1", 6443)
        await again.reconcile()
        assert await addresses(two) == ["10.0.0.1", "10.0.0.2"]
        await again.stop()
        assert await addresses(two) == ["10.0.0.2"]
        running[1].cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await store.close()


async def test_an_address_on_loopback_is_no_endpoint(tmp_path: Path) -> None:
    rng, clock = random.Random(1), LoopClock()
    store = await open_embedded(tmp_path / "store", clock, rng)
    async with api_over(store, clock, rng) as api:
        await Serving(store, api.api, clock, "127.0.0.1", 6443).reconcile()
        assert await api.list("v1/endpoints") == []
    await store.close()
