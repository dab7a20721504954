"""Namespaces: what comes with one, and how it goes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kubeapi.errors import StatusError
from tests.controlplane.controllers_world import ROOT_CA, World, deployment, running_world

WHERE = {"namespace": "team"}


async def is_gone(world: World, name: str = "team") -> bool:
    return name not in {n["metadata"]["name"] for n in await world.api.list("v1/namespaces")}


async def make(world: World) -> None:
    await world.api.create("v1/namespaces", {"metadata": {"name": "team"}})
    await asyncio.sleep(1)


async def test_a_namespace_comes_with_an_account_and_the_root_certificate(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await make(world)
        assert await world.api.get("v1/serviceaccounts", "default", **WHERE)
        found = await world.api.get("v1/configmaps", "kube-root-ca.crt", **WHERE)
        assert found["data"] == {"ca.crt": ROOT_CA}
        note = found["metadata"]["annotations"]["kubernetes.io/description"]
        assert note.startswith("Contains a CA bundle that can be used to verify the kube-apiserver")


async def test_both_come_back_when_deleted_or_changed(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await make(world)
        old = await world.api.get("v1/serviceaccounts", "default", **WHERE)
        await world.api.delete("v1/serviceaccounts", "default", **WHERE)
        await world.api.patch("v1/configmaps", "kube-root-ca.crt", {"data": {"x": "y"}}, **WHERE)
        await asyncio.sleep(1)
        new = await world.api.get("v1/serviceaccounts", "default", **WHERE)
        assert new["metadata"]["uid"] != old["metadata"]["uid"]
        found = await world.api.get("v1/configmaps", "kube-root-ca.crt", **WHERE)
        assert found["data"] == {"ca.crt": ROOT_CA}


async def test_a_deleted_namespace_takes_everything_in_it_along(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await world.add_node("n1")
        await make(world)
        await world.api.create("apps/v1/deployments", deployment("web", 3), **WHERE)
        await world.api.create("v1/secrets", {"metadata": {"name": "s"}}, **WHERE)
        await asyncio.sleep(5)
        assert len(await world.pods("team")) == 3
        await world.api.delete("v1/namespaces", "team")
        await world.until(lambda: is_gone(world), 60)
        for gvr in ("v1/pods", "apps/v1/deployments", "apps/v1/replicasets", "v1/secrets",
                    "v1/configmaps", "v1/serviceaccounts"):  # fmt: skip
            assert await world.api.list(gvr, **WHERE) == []


async def conditions(world: World) -> dict[str, dict[str, Any]]:
    found = await world.api.get("v1/namespaces", "team")
    return {c["type"]: c for c in found["status"].get("conditions", ())}


async def test_a_finalizer_holds_it_and_is_named(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await make(world)
        held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
        await world.api.create("v1/configmaps", held, **WHERE)
        await world.api.delete("v1/namespaces", "team")
        await asyncio.sleep(5)
        found = await conditions(world)
        remaining = found["NamespaceContentRemaining"]
        assert remaining["reason"] == "SomeResourcesRemain"
        assert remaining["message"] == (
            "Some resources are remaining: configmaps. has 1 resource instances"
        )
        assert found["NamespaceFinalizersRemaining"]["message"] == (
            "Some content in the namespace has finalizers remaining: "
            "example.com/hold in 1 resource instances"
        )
        assert found["NamespaceDeletionContentFailure"]["status"] == "False"
        await world.api.patch("v1/configmaps", "held", {"metadata": {"finalizers": None}}, **WHERE)
        await world.until(lambda: is_gone(world), 60)


async def test_pods_go_before_anything_else(tmp_path: Path) -> None:
    async with running_world(tmp_path, agent=False) as world:
        await world.add_node("n1")
        await make(world)
        pod = {
            "metadata": {"name": "slow"},
            "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"},
        }
        await world.api.create("v1/pods", pod, **WHERE)
        await world.api.create("v1/configmaps", {"metadata": {"name": "needed"}}, **WHERE)
        await world.api.delete("v1/namespaces", "team")
        await asyncio.sleep(10)  # no agent: the pod's deletion is not confirmed
        assert (await world.api.get("v1/pods", "slow", **WHERE))["metadata"]["deletionTimestamp"]
        assert await world.api.get("v1/configmaps", "needed", **WHERE)
        await world.api.delete("v1/pods", "slow", grace_period_s=0, **WHERE)
        await world.until(lambda: is_gone(world), 60)


async def test_nothing_new_is_made_in_a_namespace_that_goes(tmp_path: Path) -> None:
    async with running_world(tmp_path) as world:
        await make(world)
        held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
        await world.api.create("v1/configmaps", held, **WHERE)
        await world.api.delete("v1/namespaces", "team")
        await asyncio.sleep(30)
        with pytest.raises(StatusError):
            await world.api.get("v1/serviceaccounts", "default", **WHERE)
