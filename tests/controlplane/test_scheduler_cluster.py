"""The scheduler on the real API: bindings, conditions, events, and what makes it try again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from controlplane.scheduler import framework
from kubeapi.errors import StatusError
from tests.controlplane.controllers_world import World, deployment, running_world


def pod(name: str, **spec: Any) -> dict[str, Any]:
    labels = spec.pop("labels", {})
    container: dict[str, Any] = {"name": "c", "image": "i"}
    if requests := spec.pop("requests", None):
        container["resources"] = {"requests": requests}
    spec = {"containers": [container]} | spec
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


async def node_of(world: World, name: str) -> str | None:
    found = await world.api.get("v1/pods", name)
    return found["spec"].get("nodeName")


async def scheduled(world: World, name: str) -> dict[str, Any]:
    found = await world.api.get("v1/pods", name)
    conditions = found["status"].get("conditions", ())
    return next((c for c in conditions if c["type"] == "PodScheduled"), {})


async def test_a_pod_is_bound_and_told_of(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await world.api.create("v1/pods", pod("p"))
        await asyncio.sleep(1)
        assert await node_of(world, "p") == "n1"
        assert (await scheduled(world, "p"))["status"] == "True"
        [event] = await world.events(about="p")
        assert event["message"] == "Successfully assigned default/p to n1"
        assert (event["reason"], event["type"], event["action"]) == (
            "Scheduled", "Normal", "Binding",
        )  # fmt: skip
        assert event["reportingComponent"] == "default-scheduler"
        assert "firstTimestamp" not in event or event["firstTimestamp"] is None
        new_form = await world.api.list("events.k8s.io/v1/events", namespace="default")
        [same] = [e for e in new_form if e["regarding"]["name"] == "p"]
        assert same["note"] == event["message"]
        assert same["eventTime"].endswith("Z")


async def test_an_unschedulable_pod_says_why_and_goes_when_it_can(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1", cpu="1")
        await world.api.create("v1/pods", pod("p", requests={"cpu": "2"}))
        await asyncio.sleep(5)
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
            "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        condition = await scheduled(world, "p")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == message
        assert condition["observedGeneration"] == 1
        [event] = await world.events(about="p", reason="FailedScheduling")
        assert (event["message"], event["type"], event["action"]) == (
            message, "Warning", "Scheduling",
        )  # fmt: skip
        await world.add_node("n2")
        await asyncio.sleep(5)
        assert await node_of(world, "p") == "n2"
        assert (await scheduled(world, "p"))["status"] == "True"


async def test_pods_that_are_not_ours_or_not_ready_are_left_alone(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.create("v1/pods", pod("theirs", schedulerName="other"))
        await world.api.create("v1/pods", pod("gated", schedulingGates=[{"name": "e.com/g"}]))
        await asyncio.sleep(5)
        assert await node_of(world, "theirs") is None
        assert await node_of(world, "gated") is None
        await world.api.patch("v1/pods", "gated", {"spec": {"schedulingGates": None}})
        await asyncio.sleep(1)
        assert await node_of(world, "gated") == "n1"


async def test_room_that_becomes_free_is_used(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1", cpu="1")
        for name in ("a", "b"):
            await world.api.create("v1/pods", pod(name, requests={"cpu": "1"}))
            await asyncio.sleep(2)
        assert (await node_of(world, "a"), await node_of(world, "b")) == ("n1", None)
        await world.api.delete("v1/pods", "a")
        await asyncio.sleep(12)
        assert await node_of(world, "b") == "n1"


async def test_a_burst_fills_every_node_and_overfills_none(tmp_path: Path) -> None:
    """Placements are assumed at once: two pods are never given the same room."""
    async with running_world(tmp_path) as world:
        for i in range(5):
            await world.add_node(f"n{i}", cpu="4")
        wanted = deployment("web", 25)
        container = wanted["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"requests": {"cpu": "1"}}
        await world.api.create("apps/v1/deployments", wanted)
        await asyncio.sleep(10)
        nodes = [p["spec"].get("nodeName") for p in await world.pods()]
        assert {name: nodes.count(name) for name in nodes} == {
            None: 5, "n0": 4, "n1": 4, "n2": 4, "n3": 4, "n4": 4,
        }  # fmt: skip


async def test_an_important_pod_takes_the_place_of_others(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1", cpu="2")
        classes = "scheduling.k8s.io/v1/priorityclasses"
        await world.api.create(classes, {"metadata": {"name": "high"}, "value": 1000})
        await world.api.create("v1/pods", pod("small", requests={"cpu": "1"}))
        await world.api.create("v1/pods", pod("other", requests={"cpu": "1"}))
        await asyncio.sleep(2)
        important = pod("vip", requests={"cpu": "1"}, priorityClassName="high", priority=1000)
        await world.api.create("v1/pods", important)
        await asyncio.sleep(15)
        assert await node_of(world, "vip") == "n1"
        left = {p["metadata"]["name"] for p in await world.pods()}
        assert len(left) == 2
        [event] = await world.events(reason="Preempted")
        uid = (await world.api.get("v1/pods", "vip"))["metadata"]["uid"]
        assert event["message"] == f"Preempted by pod {uid} on node n1"


async def test_a_restart_loses_no_pod_and_binds_none_twice(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await world.api.create("v1/pods", pod("a"))
        await asyncio.sleep(1)
        await world.stop()
        await world.api.create("v1/pods", pod("b"))
        await world.start(agent=False)
        await asyncio.sleep(1)
        assert await node_of(world, "b") == "n1"
        assert len(await world.events(reason="Scheduled")) == 2


@pytest.mark.parametrize("code", [500, 409])
async def test_a_refused_binding_is_tried_again(tmp_path: Path, code: int) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1", cpu="1")
        api, refusals = world.api.api, 3
        original = api.create

        async def create(call: Any, obj: Any) -> Any:
            nonlocal refusals
            if call.subresource == "binding" and refusals:
                refusals -= 1
                raise StatusError(code, "Broken", "the store is on fire")
            return await original(call, obj)

        api.create = create  # type: ignore[method-assign]
        await world.api.create("v1/pods", pod("p", requests={"cpu": "1"}))
        await asyncio.sleep(20)
        assert await node_of(world, "p") == "n1"
        assert refusals == 0
        messages = {e["message"] for e in await world.events(reason="FailedScheduling")}
        assert messages == {"binding rejected: the store is on fire"}


async def test_a_pod_that_breaks_a_plugin_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, broken = framework.schedule, True

    def schedule(info: Any, *rest: Any) -> Any:
        if broken and info.key == "default/odd":
            raise ZeroDivisionError("a plugin is broken")
        return decide(info, *rest)

    monkeypatch.setattr(framework, "schedule", schedule)
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.create("v1/pods", pod("odd"))
        await world.api.create("v1/pods", pod("even"))
        await asyncio.sleep(5)
        assert (await node_of(world, "odd"), await node_of(world, "even")) == (None, "n1")
        broken = False
        await asyncio.sleep(20)
        assert await node_of(world, "odd") == "n1"
