"""Owners and what they leave behind, on the real API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.controllers_world import World, deployment, running_world

DEPLOYMENTS, REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"


async def names(world: World, gvr: str) -> set[str]:
    found = await world.api.list(gvr, namespace="default")
    return {o["metadata"]["name"] for o in found} - {"kube-root-ca.crt"}


async def configmap(world: World, name: str, *owners: dict[str, Any], **meta: Any) -> Any:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
        }
        | owner.get("how", {})
        for owner in owners
    ]
    body = {"metadata": {"name": name, "ownerReferences": references} | meta}
    return await world.api.create("v1/configmaps", body)


async def web(world: World) -> None:
    await world.add_node("n1")
    await world.api.create(DEPLOYMENTS, deployment("web", 3))
    await asyncio.sleep(5)
    assert len(await world.pods()) == 3


@pytest.mark.parametrize("policy", ["", "Background", "Foreground"])
async def test_a_deleted_deployment_takes_replica_sets_and_pods_along(
    tmp_path: Path, policy: str
) -> None:
    async with running_world(tmp_path) as world:
        await web(world)
        await world.api.delete(DEPLOYMENTS, "web", propagation_policy=policy)
        await asyncio.sleep(10)
        for gvr in (DEPLOYMENTS, REPLICA_SETS, "v1/pods"):
            assert await names(world, gvr) == set()


async def test_foreground_waits_for_the_last_pod(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await world.api.create(DEPLOYMENTS, deployment("web", 1))
        await asyncio.sleep(2)
        [name] = await names(world, "v1/pods")
        await world.run_pod(name)
        await world.api.delete(DEPLOYMENTS, "web", propagation_policy="Foreground")
        await asyncio.sleep(30)
        found = await world.api.get(DEPLOYMENTS, "web")
        assert found["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert (await world.api.get("v1/pods", name))["metadata"]["deletionTimestamp"]
        await world.api.delete("v1/pods", name, grace_period_s=0)
        await asyncio.sleep(5)
        assert await names(world, DEPLOYMENTS) == set()
        assert await names(world, REPLICA_SETS) == set()


async def test_orphaned_replica_sets_stay_and_lose_their_owner(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await web(world)
        await world.api.delete(DEPLOYMENTS, "web", propagation_policy="Orphan")
        await asyncio.sleep(10)
        assert await names(world, DEPLOYMENTS) == set()
        [rs] = await world.api.list(REPLICA_SETS, namespace="default")
        assert "ownerReferences" not in rs["metadata"]
        assert len(await world.pods()) == 3


async def test_one_owner_that_stays_keeps_the_object(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        a, b = [await configmap(world, name) for name in "ab"]
        await configmap(world, "child", a, b)
        await world.api.delete("v1/configmaps", "a")
        await asyncio.sleep(5)
        child = await world.api.get("v1/configmaps", "child")
        assert [r["name"] for r in child["metadata"]["ownerReferences"]] == ["b"]
        await world.api.delete("v1/configmaps", "b")
        await asyncio.sleep(5)
        assert await names(world, "v1/configmaps") == set()


async def test_an_owner_that_never_was_is_not_there(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000001"}}
        await configmap(world, "child", ghost)
        await asyncio.sleep(5)
        assert await names(world, "v1/configmaps") == set()


async def test_the_name_alone_is_no_owner(tmp_path: Path) -> None:
    """An owner deleted and made again is another object: its uid says so."""
    async with running_world(tmp_path) as world:
        old = await configmap(world, "owner")
        await world.api.delete("v1/configmaps", "owner")
        await configmap(world, "owner")
        await configmap(world, "child", old)
        await asyncio.sleep(5)
        assert await names(world, "v1/configmaps") == {"owner"}


async def test_owners_are_found_in_any_order_of_events(tmp_path: Path) -> None:
    """What was there before the collector started is judged like what comes later."""
    async with running_world(tmp_path) as world:
        await world.stop()
        owner = await configmap(world, "owner")
        await configmap(world, "child", owner)
        await configmap(world, "grandchild", await world.api.get("v1/configmaps", "child"))
        await world.api.delete("v1/configmaps", "owner")
        await world.start()
        await asyncio.sleep(10)
        assert await names(world, "v1/configmaps") == set()


async def test_a_dependent_that_does_not_block_is_not_waited_for(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        owner = await configmap(world, "owner")
        held = ["example.com/hold"]
        await configmap(world, "loose", owner, finalizers=held)
        blocking = owner | {"how": {"blockOwnerDeletion": True}}
        await configmap(world, "tight", blocking, finalizers=held)
        await world.api.delete("v1/configmaps", "owner", propagation_policy="Foreground")
        await asyncio.sleep(5)
        assert await names(world, "v1/configmaps") == {"owner", "loose", "tight"}
        await world.api.patch("v1/configmaps", "tight", {"metadata": {"finalizers": None}})
        await asyncio.sleep(5)
        assert await names(world, "v1/configmaps") == {"loose"}


async def test_a_cluster_scoped_object_is_not_collected_for_a_namespaced_owner(
    tmp_path: Path,
) -> None:
    async with running_world(tmp_path) as world:
        reference = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "x",
            "uid": "00000000-0000-0000-0000-000000000002",
        }
        body = {"metadata": {"name": "kept", "ownerReferences": [reference]}, "value": 7}
        await world.api.create("scheduling.k8s.io/v1/priorityclasses", body)
        await asyncio.sleep(5)
        assert await world.api.get("scheduling.k8s.io/v1/priorityclasses", "kept")
