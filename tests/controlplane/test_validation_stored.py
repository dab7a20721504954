"""A refused object leaves no trace in the store, and what was there stays."""

from pathlib import Path
from typing import Any

import pytest
from inprocess import InProcess, running_api

from kubeapi.errors import StatusError

BAD_POD: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}


async def refused(api: InProcess, verb: str, gvr: str, obj: dict[str, Any]) -> StatusError:
    revision = api.api.backing.registry.revision
    with pytest.raises(StatusError) as caught:
        await getattr(api, verb)(gvr, obj)
    assert api.api.backing.registry.revision == revision
    return caught.value


async def test_a_refused_creation_stores_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        error = await refused(api, "create", "v1/pods", BAD_POD)
        assert (error.code, error.reason) == (422, "Invalid")
        assert [cause.field for cause in error.causes] == ["spec.containers[0].image"]
        assert await api.list("v1/pods") == []


async def test_a_refused_service_takes_no_address(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        bad = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 70000}]}}
        await refused(api, "create", "v1/services", bad)
        addresses = await api.list("networking.k8s.io/v1/ipaddresses")
        assert [a for a in addresses if a["spec"]["parentRef"]["name"] == "s"] == []


async def test_a_refused_update_leaves_the_object(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        config = {"metadata": {"name": "c"}, "data": {"k": "v"}, "immutable": True}
        stored = await api.create("v1/configmaps", config)
        await refused(api, "update", "v1/configmaps", stored | {"data": {"k": "w"}})
        assert (await api.get("v1/configmaps", "c"))["data"] == {"k": "v"}


async def test_a_job_gets_a_selector_of_its_own(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        spec = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
        job = {"metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}}
        found = await api.create("batch/v1/jobs", job)
        uid = found["metadata"]["uid"]
        chosen = found["spec"]["selector"]["matchLabels"]
        assert chosen == {"batch.kubernetes.io/controller-uid": uid}
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert chosen.items() <= labels.items()
        assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == "j"


async def test_a_gated_pod_says_that_it_waits(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        pod = {
            "metadata": {"name": "g"},
            "spec": {
                "containers": [{"name": "c", "image": "i"}],
                "schedulingGates": [{"name": "example.com/g"}],
            },
        }
        (condition,) = (await api.create("v1/pods", pod))["status"]["conditions"]
        assert condition["type"] == "PodScheduled"
        assert (condition["status"], condition["reason"]) == ("False", "SchedulingGated")


async def test_a_node_keeps_the_status_it_registers_with(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        node = {"metadata": {"name": "n"}, "status": {"capacity": {"pods": "110"}}}
        assert (await api.create("v1/nodes", node))["status"]["capacity"] == {"pods": "110"}


async def test_a_daemon_sets_template_counts_its_changes(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        template = {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        found = await api.create("apps/v1/daemonsets", {"metadata": {"name": "d"}, "spec": spec})
        key = "deprecated.daemonset.template.generation"
        assert found["metadata"]["annotations"][key] == "1"
        found["spec"]["minReadySeconds"] = 5
        found = await api.update("apps/v1/daemonsets", found)
        assert found["metadata"]["annotations"][key] == "1"
        found["spec"]["template"]["spec"]["containers"][0]["image"] = "j"
        found = await api.update("apps/v1/daemonsets", found)
        assert found["metadata"]["annotations"][key] == "2"


async def test_a_node_port_service_may_become_an_ordinary_one(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
        found = await api.create("v1/services", service)
        found["spec"]["type"] = "ClusterIP"
        found = await api.update("v1/services", found)
        assert "nodePort" not in found["spec"]["ports"][0]
        assert "externalTrafficPolicy" not in found["spec"]
