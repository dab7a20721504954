"""Deployments and ReplicaSets on the real API: what objects and events result."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controlplane.controllers.pods import is_ready
from kubeapi.errors import StatusError
from kubeapi.types import apps_v1, core_v1
from tests.controlplane.controllers_world import World, deployment, running_world

DEPLOYMENTS, REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"
REVISION = "deployment.kubernetes.io/revision"


async def rolled_out(world: World, name: str) -> dict[str, Any] | None:
    found = await world.api.get(DEPLOYMENTS, name)
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    counts = ("updatedReplicas", "availableReplicas", "replicas")
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return found if seen and all(status.get(c, 0) == wanted for c in counts) else None


async def deploy(world: World, name: str = "web", replicas: int = 3, **spec: Any) -> dict[str, Any]:
    await world.api.create(DEPLOYMENTS, deployment(name, replicas, **spec))
    return await world.until(lambda: rolled_out(world, name))  # type: ignore[no-any-return]


async def set_image(world: World, image: str, name: str = "web") -> None:
    containers = [{"name": "c", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    await world.api.patch(DEPLOYMENTS, name, patch)


async def progressing(world: World, reason: str) -> dict[str, Any] | None:
    found = await world.api.get(DEPLOYMENTS, "web")
    for condition in found.get("status", {}).get("conditions", ()):
        if condition["type"] == "Progressing" and condition["reason"] == reason:
            return condition  # type: ignore[no-any-return]
    return None


@asynccontextmanager
async def watched_pods(world: World) -> AsyncIterator[list[tuple[int, int, int]]]:
    """After each change of a pod: how many there are that are not being deleted, how many of
    those are ready, and how many images all pods together run."""
    client = world.api.client()
    listed = await client.list(core_v1.Pod)
    pods = {pod.metadata.name: pod for pod in listed.items if pod.metadata}
    seen: list[tuple[int, int, int]] = []

    async def watch() -> None:
        async for event in client.watch(core_v1.Pod, resource_version=listed.resource_version):
            meta = event.object.metadata
            assert meta is not None
            if event.type == "DELETED":
                pods.pop(meta.name, None)
            else:
                pods[meta.name] = event.object
            alive = [p for p in pods.values() if p.metadata and not p.metadata.deletionTimestamp]
            images = {p.spec.containers[0].image for p in pods.values()}  # type: ignore
            seen.append((len(alive), sum(is_ready(p) for p in alive), len(images)))

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def image_of(rs: dict[str, Any]) -> str:
    return str(rs["spec"]["template"]["spec"]["containers"][0]["image"])


async def replica_set(world: World, image: str) -> dict[str, Any]:
    [found] = [rs for rs in await world.api.list(REPLICA_SETS) if image_of(rs) == image]
    return found


async def test_a_deployment_comes_up_with_its_status_and_events(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        found = await deploy(world)
        [rs] = await world.api.list(REPLICA_SETS)
        name = rs["metadata"]["name"]
        assert re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{1,10}", name)
        assert found["metadata"]["annotations"] == {REVISION: "1"}
        assert rs["metadata"]["annotations"] == {
            REVISION: "1",
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        }
        assert {k: v for k, v in found["status"].items() if k != "conditions"} == {
            "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
            "availableReplicas": 3, "terminatingReplicas": 0,
        }  # fmt: skip
        conditions = [(c["type"], c["reason"], c["message"]) for c in found["status"]["conditions"]]
        assert conditions == [
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            ("Progressing", "NewReplicaSetAvailable",
             f'ReplicaSet "{name}" has successfully progressed.'),
        ]  # fmt: skip
        await asyncio.sleep(1)
        [scaled] = await world.events(about="web")
        assert scaled["message"] == f"Scaled up replica set {name} from 0 to 3"
        assert (scaled["reason"], scaled["type"]) == ("ScalingReplicaSet", "Normal")
        assert scaled["source"] == {"component": "deployment-controller"}
        created = await world.events(about=name, reason="SuccessfulCreate")
        pods = {pod["metadata"]["name"] for pod in await world.pods(app="web")}
        assert {event["message"] for event in created} == {f"Created pod: {p}" for p in pods}
        assert len(pods) == 3
        for pod in await world.pods(app="web"):
            [owner] = pod["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["controller"]) == ("ReplicaSet", name, True)


async def test_a_rolling_update_keeps_its_limits_and_undo_reuses_the_old_one(
    tmp_path: Path,
) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world, replicas=8)
        async with watched_pods(world) as seen:
            await set_image(world, "example/app:2")
            await world.until(lambda: rolled_out(world, "web"))
        assert max(total for total, _, _ in seen) == 10
        assert min(ready for _, ready, _ in seen) == 6
        old, new = [await replica_set(world, f"example/app:{n}") for n in (1, 2)]
        assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 8)
        assert new["metadata"]["annotations"][REVISION] == "2"
        await set_image(world, "example/app:1")
        found = await world.until(lambda: rolled_out(world, "web"))
        assert found["metadata"]["annotations"][REVISION] == "3"
        again = await replica_set(world, "example/app:1")
        assert again["metadata"]["uid"] == old["metadata"]["uid"]
        assert again["metadata"]["annotations"][REVISION] == "3"
        assert again["metadata"]["annotations"][f"{REVISION}-history"] == "1"
        texts = [event["message"] for event in await world.events(about="web")]
        name = new["metadata"]["name"]
        assert f"Scaled up replica set {name} from 0 to 2" in texts
        pattern = r"(\(combined from similar events\): )?Scaled (up|down) replica set web-\w+ from "
        assert all(re.match(pattern + r"\d+ to \d+$", text) for text in texts)


async def test_recreate_never_runs_old_and_new_side_by_side(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world, strategy={"type": "Recreate"})
        async with watched_pods(world) as seen:
            await set_image(world, "example/app:2")
            await world.until(lambda: rolled_out(world, "web"))
        assert min(total for total, _, _ in seen) == 0
        assert all(images <= 1 for _, _, images in seen)


async def test_pausing_holds_a_rollout_and_resuming_goes_on(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}})
        assert await world.until(lambda: progressing(world, "DeploymentPaused"))
        await set_image(world, "example/app:2")
        await asyncio.sleep(30)
        assert {image_of(rs) for rs in await world.api.list(REPLICA_SETS)} == {"example/app:1"}
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": None}})
        await world.until(lambda: rolled_out(world, "web"))
        assert (await replica_set(world, "example/app:2"))["spec"]["replicas"] == 3


async def test_scaling_deletes_the_surplus_and_tells(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        for count in (5, 1, 0):
            await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": count}})
            await world.until(lambda: rolled_out(world, "web"))
            await world.until(lambda c=count: pods_are(world, c))
        await asyncio.sleep(1)
        [rs] = await world.api.list(REPLICA_SETS)
        name = rs["metadata"]["name"]
        texts = {event["message"] for event in await world.events(about="web")}
        assert texts == {
            f"Scaled up replica set {name} from 0 to 3",
            f"Scaled up replica set {name} from 3 to 5",
            f"Scaled down replica set {name} from 5 to 1",
            f"Scaled down replica set {name} from 1 to 0",
        }
        assert len(await world.events(about=name, reason="SuccessfulDelete")) == 5


async def pods_are(world: World, count: int) -> bool:
    return len(await world.pods()) == count


async def test_old_revisions_are_forgotten(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world, replicas=1, revisionHistoryLimit=2)
        for number in range(2, 6):
            await set_image(world, f"example/app:{number}")
            await world.until(lambda: rolled_out(world, "web"))
        await asyncio.sleep(1)
        images = {image_of(rs) for rs in await world.api.list(REPLICA_SETS)}
        assert images == {f"example/app:{n}" for n in (3, 4, 5)}


async def test_a_rollout_that_makes_no_progress_says_so(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:  # no node: its pods stay pending
        await world.api.create(DEPLOYMENTS, deployment("web", 2, progressDeadlineSeconds=30))
        await asyncio.sleep(5)
        assert await progressing(world, "ReplicaSetUpdated")
        condition = await world.until(lambda: progressing(world, "ProgressDeadlineExceeded"))
        [rs] = await world.api.list(REPLICA_SETS)
        name = rs["metadata"]["name"]
        assert condition["status"] == "False"
        assert condition["message"] == f'ReplicaSet "{name}" has timed out progressing.'
        await world.add_node("n1")
        await world.until(lambda: rolled_out(world, "web"))
        assert await world.until(lambda: progressing(world, "NewReplicaSetAvailable"))


async def test_a_taken_name_makes_another_hash(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world, "probe", 1)
        [rs] = await world.api.list(REPLICA_SETS)
        taken = rs["metadata"]["name"].replace("probe-", "web-")
        wanted = deployment("web", 1)
        wanted["spec"]["selector"]["matchLabels"] = {"app": "probe"}
        wanted["spec"]["template"]["metadata"]["labels"] = {"app": "probe"}
        # With the same template even, but nobody's: it is not taken for the Deployment's own.
        stranger = {
            "metadata": {"name": taken, "labels": {"other": "x"}},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "probe"}},
                "template": wanted["spec"]["template"],
            },
        }
        await world.api.create(REPLICA_SETS, stranger)
        await world.api.create(DEPLOYMENTS, wanted)
        found = await world.until(lambda: rolled_out(world, "web"))
        assert found["status"]["collisionCount"] == 1


async def test_a_lost_pod_is_replaced(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        gone = (await world.pods(app="web"))[0]["metadata"]["name"]
        await world.api.delete("v1/pods", gone)

        async def replaced() -> bool:
            names = {pod["metadata"]["name"] for pod in await world.pods(app="web")}
            return gone not in names and len(names) == 3

        await world.until(replaced)


async def test_orphans_are_adopted_and_strangers_released(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        [rs] = await world.api.list(REPLICA_SETS)
        labels = rs["spec"]["selector"]["matchLabels"]
        before = {pod["metadata"]["name"] for pod in await world.pods(app="web")}
        freed = sorted(before)[0]
        await world.api.patch("v1/pods", freed, {"metadata": {"labels": {"app": "mine"}}})
        await world.until(lambda: pods_are(world, 4))
        await asyncio.sleep(1)
        assert not (await world.api.get("v1/pods", freed))["metadata"].get("ownerReferences")
        await world.api.patch("v1/pods", freed, {"metadata": {"labels": {"app": "web"}}})
        await world.until(lambda: pods_are(world, 3))  # adopted, and then one too many
        for pod in await world.pods():
            assert pod["metadata"]["labels"] == labels
            assert pod["metadata"]["ownerReferences"][0]["uid"] == rs["metadata"]["uid"]


async def test_min_ready_seconds_delay_availability(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.create(DEPLOYMENTS, deployment("web", 2, minReadySeconds=20))
        await asyncio.sleep(15)
        found = await world.api.get(DEPLOYMENTS, "web")
        assert found["status"]["readyReplicas"] == 2
        assert "availableReplicas" not in found["status"]
        await asyncio.sleep(8)
        assert await rolled_out(world, "web")


async def test_what_cannot_be_created_is_told_and_tried_again(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        broken = deployment("web", 1)
        namespace = {"namespace": "team"}
        await world.api.create("v1/namespaces", {"metadata": {"name": "team"}})
        await world.until(lambda: has_account(world, "team"))
        refuse(world, "pods", "no pods today")
        await world.api.create(DEPLOYMENTS, broken, **namespace)
        await asyncio.sleep(5)
        found = await world.api.get(DEPLOYMENTS, "web", **namespace)
        [failure] = [c for c in found["status"]["conditions"] if c["type"] == "ReplicaFailure"]
        assert (failure["reason"], failure["message"]) == ("FailedCreate", "no pods today")
        [rs] = await world.api.list(REPLICA_SETS, namespace="team")
        events = await world.events(about=rs["metadata"]["name"], reason="FailedCreate")
        assert [event["message"] for event in events] == ["Error creating: no pods today"]
        assert events[0]["type"] == "Warning"
        assert events[0]["count"] > 1
        world.api.api.create = world.allowed  # type: ignore[attr-defined, method-assign]

        async def healed() -> bool:
            now = await world.api.get(DEPLOYMENTS, "web", **namespace)
            types = {c["type"] for c in now["status"]["conditions"]}
            return now["status"].get("readyReplicas") == 1 and "ReplicaFailure" not in types

        await world.until(healed, 120)


async def has_account(world: World, namespace: str) -> bool:
    accounts = await world.api.list("v1/serviceaccounts", namespace=namespace)
    return bool(accounts)


def refuse(world: World, resource: str, why: str) -> None:
    """As a quota does: every creation of an object of this kind is forbidden."""
    allowed = world.api.api.create
    world.allowed = allowed  # type: ignore[attr-defined]

    async def create(call: Any, obj: Any) -> Any:
        if call.info.resource == resource:
            raise StatusError(403, "Forbidden", why)
        return await allowed(call, obj)

    world.api.api.create = create  # type: ignore[method-assign]


async def test_a_replica_set_that_cannot_be_created_is_told(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await asyncio.sleep(1)
        refuse(world, "replicasets", "not here")
        await world.api.create(DEPLOYMENTS, deployment("web", 1))
        await asyncio.sleep(5)
        condition = await progressing(world, "ReplicaSetCreateError")
        assert condition is not None
        pattern = r'Failed to create new replica set "web-[a-z0-9]+": not here'
        assert re.fullmatch(pattern, condition["message"])
        events = await world.events(about="web", reason="ReplicaSetCreateError")
        assert events[0]["type"] == "Warning"
        world.api.api.create = world.allowed  # type: ignore[attr-defined, method-assign]
        await world.until(lambda: rolled_out(world, "web"), 120)


async def test_a_replica_set_without_deployment_is_adopted(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        [old] = await world.api.list(REPLICA_SETS)
        await world.api.delete(DEPLOYMENTS, "web", propagation_policy="Orphan")
        await asyncio.sleep(5)
        await deploy(world)
        [new] = await world.api.list(REPLICA_SETS)
        assert new["metadata"]["uid"] == old["metadata"]["uid"]
        assert new["metadata"]["ownerReferences"][0]["name"] == "web"


@pytest.mark.parametrize("kind", [apps_v1.Deployment, apps_v1.ReplicaSet, core_v1.Pod])
async def test_converged_means_no_more_writes(tmp_path: Path, kind: type[Any]) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await deploy(world)
        await asyncio.sleep(5)
        before = (await world.api.client().list(kind)).resource_version
        await asyncio.sleep(20)
        listed = (await world.api.client().list(kind)).items
        assert all(int(o.metadata.resourceVersion) <= int(before) for o in listed)
