"""EndpointSlices and Endpoints of Services, on the real API."""

import asyncio
from pathlib import Path
from typing import Any

from tests.controlplane.controllers_world import World, deployment, running_world

SLICES = "discovery.k8s.io/v1/endpointslices"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    base = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"metadata": {"name": name, "labels": {"team": "a"}}, "spec": base | spec}


async def slices(world: World, name: str = "web") -> list[dict[str, Any]]:
    selector = f"kubernetes.io/service-name={name}"
    return await world.api.list(SLICES, namespace="default", label_selector=selector)


async def ready(world: World, count: int, name: str = "web") -> list[dict[str, Any]] | None:
    endpoints = [e for s in await slices(world, name) for e in s.get("endpoints") or ()]
    good = [e for e in endpoints if e["conditions"]["ready"]]
    return endpoints if len(good) == count == len(endpoints) else None


async def test_a_service_gets_a_slice_with_its_pods(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1", {"topology.kubernetes.io/zone": "z1"})
        made = await world.api.create("v1/services", service())
        await world.api.create("apps/v1/deployments", deployment("web", 2))
        endpoints = await world.until(lambda: ready(world, 2))
        [found] = await slices(world)
        meta = found["metadata"]
        assert meta["generateName"] == "web-"
        assert meta["labels"] == {
            "team": "a",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": "web",
        }
        assert meta["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        assert "endpoints.kubernetes.io/last-change-trigger-time" in meta["annotations"]
        assert found["addressType"] == "IPv4"
        assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
        pods = {pod["metadata"]["name"]: pod for pod in await world.pods()}
        for endpoint in endpoints:
            pod = pods[endpoint["targetRef"]["name"]]
            assert endpoint["addresses"] == [pod["status"]["podIP"]]
            assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
            assert (endpoint["nodeName"], endpoint["zone"]) == ("n1", "z1")
            assert endpoint["targetRef"] == {
                "kind": "Pod",
                "namespace": "default",
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            }


async def test_the_endpoints_object_has_the_same_pods(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.create("v1/services", service())
        await world.api.create("apps/v1/deployments", deployment("web", 2))
        await world.until(lambda: ready(world, 2))
        await asyncio.sleep(1)
        found = await world.api.get("v1/endpoints", "web")
        [subset] = found["subsets"]
        ips = sorted(pod["status"]["podIP"] for pod in await world.pods())
        assert [a["ip"] for a in subset["addresses"]] == ips
        assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
        assert found["metadata"]["labels"] == {
            "team": "a",
            "endpoints.kubernetes.io/managed-by": "endpoint-controller",
        }
        await world.api.delete("v1/services", "web")
        await asyncio.sleep(5)
        assert (
            await world.api.list(
                "v1/endpoints", namespace="default", field_selector="metadata.name=web"
            )
            == []
        )


async def test_endpoints_follow_readiness_and_deletion(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await world.api.create("v1/services", service())
        await world.api.create("apps/v1/deployments", deployment("web", 2))
        await world.until(lambda: ready(world, 2))
        sick = (await world.pods())[0]["metadata"]["name"]
        status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        strategic = "application/strategic-merge-patch+json"
        await world.api.patch("v1/pods", sick, status, strategic, subresource="status")
        await asyncio.sleep(1)
        by_name = {e["targetRef"]["name"]: e for s in await slices(world) for e in s["endpoints"]}
        assert by_name[sick]["conditions"] == {
            "ready": False, "serving": False, "terminating": False,
        }  # fmt: skip
        subset = (await world.api.get("v1/endpoints", "web"))["subsets"][0]
        assert [a["targetRef"]["name"] for a in subset["notReadyAddresses"]] == [sick]
        await world.api.patch("apps/v1/deployments", "web", {"spec": {"replicas": 0}})
        await asyncio.sleep(5)
        assert await ready(world, 0) == []
        [empty] = await slices(world)  # one stays, to say that there are none
        assert not empty.get("endpoints")


async def test_a_terminating_pod_serves_but_is_not_ready(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await world.api.create("v1/services", service())
        await world.api.create("apps/v1/deployments", deployment("web", 1))
        await asyncio.sleep(1)
        name = (await world.pods())[0]["metadata"]["name"]
        await world.run_pod(name)
        await world.until(lambda: ready(world, 1))
        await world.api.delete("v1/pods", name)
        await asyncio.sleep(1)
        by_name = {e["targetRef"]["name"]: e for s in await slices(world) for e in s["endpoints"]}
        assert by_name[name]["conditions"] == {"ready": False, "serving": True, "terminating": True}


async def test_many_endpoints_are_cut_into_slices_of_a_hundred(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1", pods="300", cpu="400", memory="999Gi")
        await world.api.create("v1/services", service())
        await world.api.create("apps/v1/deployments", deployment("web", 230))
        await world.until(lambda: ready(world, 230), 120)
        await asyncio.sleep(5)
        found = await slices(world)
        assert max(len(s["endpoints"]) for s in found) <= 100
        addresses = [e["addresses"][0] for s in found for e in s["endpoints"]]
        assert len(addresses) == len(set(addresses)) == 230


async def test_named_ports_headless_and_unready_addresses(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        wanted = deployment("web", 1)
        container = wanted["spec"]["template"]["spec"]["containers"][0]
        container["ports"] = [{"name": "http", "containerPort": 8081}]
        await world.api.create(
            "v1/services",
            service(
                clusterIP="None",
                publishNotReadyAddresses=True,
                ports=[{"name": "h", "port": 80, "targetPort": "http"}],
            ),
        )
        await world.api.create("apps/v1/deployments", wanted)
        await asyncio.sleep(1)
        name = (await world.pods())[0]["metadata"]["name"]
        await world.run_pod(name)
        strategic = "application/strategic-merge-patch+json"
        status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await world.api.patch("v1/pods", name, status, strategic, subresource="status")
        await asyncio.sleep(1)
        [found] = await slices(world)
        assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
        assert found["ports"] == [{"name": "h", "port": 8081, "protocol": "TCP"}]
        [endpoint] = found["endpoints"]
        assert endpoint["conditions"]["ready"] is True
        assert endpoint["conditions"]["serving"] is False


async def test_services_without_selector_are_left_to_their_owners(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.api.create("v1/services", service("mine", selector=None))
        external = {"type": "ExternalName", "externalName": "example.com", "ports": None}
        await world.api.create("v1/services", service("away", **external))
        await asyncio.sleep(5)
        assert await slices(world, "mine") == []
        assert await slices(world, "away") == []
