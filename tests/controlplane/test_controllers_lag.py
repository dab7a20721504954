"""Caches that are behind the controllers' own writes: nothing is done twice."""

import asyncio
from pathlib import Path
from typing import Any

from tests.controlplane.controllers_world import deployment, running_world

LAG_S = 0.7
DEPLOYMENTS, REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"


async def test_no_pod_is_created_or_deleted_twice(tmp_path: Path) -> None:
    async with running_world(tmp_path, lag_s=LAG_S) as world:
        await world.add_node("n1")
        await world.api.create(DEPLOYMENTS, deployment("web", 7))
        most = 0
        for _ in range(200):
            await asyncio.sleep(0.05)
            most = max(most, len(await world.pods()))
        assert most == 7
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 3}})
        least = 7
        for _ in range(200):
            await asyncio.sleep(0.05)
            least = min(least, len(await world.pods()))
        assert least == 3
        assert len(await world.api.list(REPLICA_SETS)) == 1


async def test_adopted_pods_count_before_the_cache_shows_them(tmp_path: Path) -> None:
    async with running_world(tmp_path, lag_s=LAG_S) as world:
        await world.add_node("n1")
        wanted = deployment("web", 3)["spec"]
        for number in range(3):
            body = {"metadata": {"name": f"p{number}", "labels": {"app": "web"}}}
            await world.api.create("v1/pods", body | {"spec": wanted["template"]["spec"]})
        await asyncio.sleep(5)
        rs: dict[str, Any] = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": wanted}
        await world.api.create(REPLICA_SETS, rs)
        for _ in range(200):
            await asyncio.sleep(0.05)
            assert len(await world.pods()) == 3
        assert all(pod["metadata"]["ownerReferences"] for pod in await world.pods())


async def test_a_service_has_one_slice_and_every_node_its_own_range(tmp_path: Path) -> None:
    async with running_world(tmp_path, lag_s=LAG_S) as world:
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        await world.api.create("v1/services", {"metadata": {"name": "web"}, "spec": service})
        for number in range(4):
            await world.add_node(f"n{number}")
        await world.api.create(DEPLOYMENTS, deployment("web", 4))
        for _ in range(200):
            await asyncio.sleep(0.05)
            slices = await world.api.list(
                "discovery.k8s.io/v1/endpointslices",
                label_selector="kubernetes.io/service-name=web",
            )
            assert len(slices) <= 1
        assert len(slices[0]["endpoints"]) == 4
        ranges = [node["spec"]["podCIDR"] for node in await world.api.list("v1/nodes")]
        assert len(set(ranges)) == 4


async def test_a_rollout_ends_where_it_should(tmp_path: Path) -> None:
    async with running_world(tmp_path, lag_s=LAG_S) as world:
        await world.add_node("n1")
        await world.api.create(DEPLOYMENTS, deployment("web", 4))
        await asyncio.sleep(15)
        image = {"containers": [{"name": "c", "image": "example/app:2"}]}
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"template": {"spec": image}}})
        await asyncio.sleep(60)
        found = await world.api.get(DEPLOYMENTS, "web")
        assert found["status"]["availableReplicas"] == found["status"]["updatedReplicas"] == 4
        assert len(await world.pods()) == 4
        assert len(await world.api.list(REPLICA_SETS)) == 2
