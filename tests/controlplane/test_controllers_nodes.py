"""Nodes: their address ranges, silence, taints, evictions, and pods of nodes that are gone."""

import asyncio
from pathlib import Path
from typing import Any

from tests.controlplane.controllers_world import World, deployment, running_world

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def pod(name: str, node: str, **spec: Any) -> dict[str, Any]:
    base = {"containers": [{"name": "c", "image": "i"}], "nodeName": node}
    return {"metadata": {"name": name}, "spec": base | spec}


async def taints(world: World, name: str) -> set[tuple[str, str]]:
    node = await world.api.get("v1/nodes", name)
    return {(t["key"], t["effect"]) for t in node["spec"].get("taints", ())}


async def test_each_node_gets_a_range_of_its_own(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await asyncio.gather(*(world.add_node(f"n{i}") for i in range(5)))
        await asyncio.sleep(1)
        nodes = await world.api.list("v1/nodes")
        ranges = {n["spec"]["podCIDR"] for n in nodes}
        assert ranges == {f"10.244.{i}.0/24" for i in range(5)}
        assert all(n["spec"]["podCIDRs"] == [n["spec"]["podCIDR"]] for n in nodes)
        freed = (await world.api.get("v1/nodes", "n2"))["spec"]["podCIDR"]
        world.beating.discard("n2")
        await world.api.delete("v1/nodes", "n2")
        await world.add_node("late")
        await asyncio.sleep(1)
        assert (await world.api.get("v1/nodes", "late"))["spec"]["podCIDR"] == freed


async def test_a_silent_node_becomes_unknown_tainted_and_its_pods_not_ready(
    tmp_path: Path,
) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("dead")
        await world.add_node("alive")
        await world.api.create("v1/pods", pod("p", "dead"))
        await asyncio.sleep(20)
        world.beating.discard("dead")
        await asyncio.sleep(30)
        assert await taints(world, "dead") == set()
        await asyncio.sleep(30)
        node = await world.api.get("v1/nodes", "dead")
        by_type = {c["type"]: c for c in node["status"]["conditions"]}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"):
            assert by_type[kind]["status"] == "Unknown"
            assert by_type[kind]["reason"] == "NodeStatusUnknown"
            assert by_type[kind]["message"] == "Kubelet stopped posting node status."
        assert await taints(world, "dead") == {
            (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute"),
        }  # fmt: skip
        assert await taints(world, "alive") == set()
        [told] = await world.events(about="dead", reason="NodeNotReady")
        assert told["message"] == "Node dead status is now: NodeNotReady"
        assert (told["type"], told["source"]) == ("Normal", {"component": "node-controller"})
        [registered] = await world.events(about="dead", reason="RegisteredNode")
        assert registered["message"] == "Node dead event: Registered Node dead in Controller"
        await world.beat("dead")
        world.beating.add("dead")
        await asyncio.sleep(5)
        assert await taints(world, "dead") == set()


async def test_a_node_that_never_spoke_has_its_conditions_made(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.api.create("v1/nodes", {"metadata": {"name": "mute"}})
        await asyncio.sleep(50)
        assert "conditions" not in (await world.api.get("v1/nodes", "mute"))["status"]
        await asyncio.sleep(15)
        node = await world.api.get("v1/nodes", "mute")
        assert {(c["status"], c["reason"]) for c in node["status"]["conditions"]} == {
            ("Unknown", "NodeStatusNeverUpdated")
        }
        # The only node there is: more likely we are cut off than it, so nothing is evicted.
        assert await taints(world, "mute") == {(UNREACHABLE, "NoSchedule")}


async def test_cordon_and_pressure_are_taints(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.patch("v1/nodes", "n1", {"spec": {"unschedulable": True}})
        full = [{"type": "DiskPressure", "status": "True"}]
        strategic = "application/strategic-merge-patch+json"
        status = {"status": {"conditions": full}}
        await world.api.patch("v1/nodes", "n1", status, strategic, subresource="status")
        await asyncio.sleep(1)
        assert await taints(world, "n1") == {
            ("node.kubernetes.io/unschedulable", "NoSchedule"),
            ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        }
        await world.api.patch("v1/nodes", "n1", {"spec": {"unschedulable": None}})
        await asyncio.sleep(1)
        assert await taints(world, "n1") == {("node.kubernetes.io/disk-pressure", "NoSchedule")}


async def test_pods_leave_a_tainted_node_when_their_patience_ends(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        patient = {"key": "boot", "operator": "Exists", "effect": "NoExecute"}
        await world.api.create("v1/pods", pod("none", "n1"))
        some = [patient | {"tolerationSeconds": 30}]
        await world.api.create("v1/pods", pod("some", "n1", tolerations=some))
        await world.api.create("v1/pods", pod("ever", "n1", tolerations=[patient]))
        await asyncio.sleep(1)
        taint = [{"key": "boot", "effect": "NoExecute"}]
        await world.api.patch("v1/nodes", "n1", {"spec": {"taints": taint}})
        await asyncio.sleep(2)
        assert {p["metadata"]["name"] for p in await world.pods()} == {"some", "ever"}
        [told] = await world.events(reason="TaintManagerEviction")
        assert told["message"] == "Marking for deletion Pod default/none"
        assert told["source"] == {"component": "taint-eviction-controller"}
        await asyncio.sleep(25)
        assert {p["metadata"]["name"] for p in await world.pods()} == {"some", "ever"}
        await asyncio.sleep(10)
        assert {p["metadata"]["name"] for p in await world.pods()} == {"ever"}


async def test_a_lifted_taint_cancels_the_eviction(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        some = [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]
        await world.api.create("v1/pods", pod("some", "n1", tolerations=some))
        await asyncio.sleep(1)
        taint = [{"key": "boot", "effect": "NoExecute"}]
        await world.api.patch("v1/nodes", "n1", {"spec": {"taints": taint}})
        await asyncio.sleep(10)
        await world.api.patch("v1/nodes", "n1", {"spec": {"taints": None}})
        await asyncio.sleep(60)
        assert len(await world.pods()) == 1
        [told] = await world.events(reason="TaintManagerEviction")
        assert told["message"] == "Cancelling deletion of Pod default/some"


async def test_the_disruption_is_noted_on_the_pod(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await world.api.create("v1/pods", pod("p", "n1"))
        await asyncio.sleep(1)
        taint = [{"key": "boot", "effect": "NoExecute"}]
        await world.api.patch("v1/nodes", "n1", {"spec": {"taints": taint}})
        await asyncio.sleep(2)
        found = await world.api.get("v1/pods", "p")
        assert found["metadata"]["deletionTimestamp"]
        [noted] = [c for c in found["status"]["conditions"] if c["type"] == "DisruptionTarget"]
        assert (noted["status"], noted["reason"], noted["message"]) == (
            "True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint",
        )  # fmt: skip


async def test_workloads_move_away_from_a_lost_node(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        for name in ("a", "b"):
            await world.add_node(name)
        wanted = deployment("web", 4)
        quick = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
        wanted["spec"]["template"]["spec"]["tolerations"] = [quick]
        await world.api.create("apps/v1/deployments", wanted)
        await asyncio.sleep(5)
        assert {p["spec"]["nodeName"] for p in await world.pods()} == {"a", "b"}
        world.beating.discard("a")
        await asyncio.sleep(80)
        alive = [p for p in await world.pods() if not p["metadata"].get("deletionTimestamp")]
        assert [p["spec"]["nodeName"] for p in alive] == ["b"] * 4


async def test_pods_of_a_removed_node_are_removed(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("gone")
        await world.api.create("v1/pods", pod("p", "gone"))
        await asyncio.sleep(1)
        world.beating.discard("gone")
        await world.api.delete("v1/nodes", "gone")
        await asyncio.sleep(30)
        assert len(await world.pods()) == 1
        await asyncio.sleep(40)
        assert await world.pods() == []
        [told] = await world.events(about="gone", reason="RemovingNode")
        assert told["message"] == "Node gone event: Removing Node gone from Controller"
