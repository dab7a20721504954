"""Killed between any two writes and started again, the controllers still converge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.controllers_world import World, deployment
from tests.controlplane.inprocess import running_api

DEPLOYMENTS, REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"
WRITES = ("create", "update", "patch", "delete")
# Events are written beside everything else and say nothing of where a controller stands.
WRITERS = ("deployment-controller", "replicaset-controller", "endpointslice-controller",
           "endpoint-controller", "generic-garbage-collector", "system:kube-scheduler")  # fmt: skip


class _Guillotine:
    """Lets `budget` writes of the controllers through; at the next one, everything of theirs
    stops for good, with that write done (`after`) or not."""

    def __init__(self, world: World, budget: int, *, after: bool) -> None:
        self.fallen = asyncio.Event()
        self._budget = budget
        self._api = world.api.api
        self._originals = {verb: getattr(self._api, verb) for verb in WRITES}
        for verb, original in self._originals.items():
            setattr(self._api, verb, self._guarded(original, after))

    def _guarded(self, original: Any, after: bool) -> Any:
        async def call(request: Any, *args: Any) -> Any:
            ours = request.user.name.rpartition(":")[2] in WRITERS or request.user.name in WRITERS
            if not ours or request.info.resource == "events":
                return await original(request, *args)
            if self.fallen.is_set():
                await asyncio.get_running_loop().create_future()
            self._budget -= 1
            if self._budget >= 0:
                return await original(request, *args)
            self.fallen.set()
            if after:
                await original(request, *args)
            return await asyncio.get_running_loop().create_future()

        return call

    def remove(self) -> None:
        for verb, original in self._originals.items():
            setattr(self._api, verb, original)


@asynccontextmanager
async def one_node(directory: Path) -> AsyncIterator[World]:
    async with running_api(directory / "store") as api:
        world = World(api)
        await world.start()
        await world.add_node("n1")
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        await api.create("v1/services", {"metadata": {"name": "web"}, "spec": service})
        await asyncio.sleep(2)
        try:
            yield world
        finally:
            await world.stop()


async def run_with_a_kill(world: World, budget: int, *, after: bool) -> bool:
    """Roll a Deployment out, up and away with one kill on the way; whether it came to that."""
    guillotine = _Guillotine(world, budget, after=after)

    async def play() -> None:
        await world.api.create(DEPLOYMENTS, deployment("web", 3))
        await asyncio.sleep(5)
        image = {"containers": [{"name": "c", "image": "example/app:2"}]}
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"template": {"spec": image}}})
        await asyncio.sleep(5)

    await play()
    fell = guillotine.fallen.is_set()
    await world.stop()
    guillotine.remove()
    await world.start()
    await asyncio.sleep(20)
    await check_converged(world)
    await world.api.delete(DEPLOYMENTS, "web")
    await asyncio.sleep(20)
    assert await world.api.list(REPLICA_SETS) == []
    assert await world.pods() == []
    return fell


async def check_converged(world: World) -> None:
    found = await world.api.get(DEPLOYMENTS, "web")
    assert found["status"]["availableReplicas"] == found["status"]["replicas"] == 3
    assert found["status"]["updatedReplicas"] == 3
    sets = await world.api.list(REPLICA_SETS)
    sizes = {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
        for rs in sets
    }
    assert len(sets) == len(sizes)
    assert sizes.get("example/app:1", 0) == 0
    assert sizes["example/app:2"] == 3
    pods = await world.pods()
    assert len(pods) == 3
    slices = [
        s
        for s in await world.api.list("discovery.k8s.io/v1/endpointslices")
        if s["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    ]
    assert len(slices) == 1
    addresses = {e["addresses"][0] for e in slices[0]["endpoints"]}
    assert addresses == {pod["status"]["podIP"] for pod in pods}


@pytest.mark.parametrize("after", [False, True])
async def test_a_restart_between_any_two_writes_still_converges(
    tmp_path: Path, after: bool
) -> None:
    async with one_node(tmp_path) as world:
        budget = 0
        while await run_with_a_kill(world, budget, after=after):
            budget += 3 if after else 1  # each kill after a write is one before the next, almost
        # So many writes a rollout with one update takes; fewer, and not every gap was tried.
        assert budget > 25
