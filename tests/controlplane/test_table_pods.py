"""The state of a pod in one word, told by what its containers report."""

from typing import Any

import pytest

from base.clock import parse_rfc3339
from controlplane.rest.table import cells
from kubeapi.codec import from_dict
from kubeapi.resources import ResourceInfo, find
from kubeapi.types import core_v1

CREATED = "2026-01-01T00:00:00Z"
NOW_S = parse_rfc3339(CREATED) + 90

RUNNING = {"running": {"startedAt": CREATED}}


def ended(code: int, reason: str = "", signal: int = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def status(name: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state} | more


def shown(
    containers: list[dict[str, Any]] | None = None,
    init: list[dict[str, Any]] | None = None,
    *,
    sidecars: bool = False,
    deleted: bool = False,
    conditions: tuple[str, ...] = (),
    **pod_status: Any,
) -> list[Any]:
    """Ready, status and restarts of a pod whose containers report as given."""
    policy = {"restartPolicy": "Always"} if sidecars else {}
    containers, init = containers or [status("c", {})], init or []
    pod = {
        "metadata": {"name": "p", "creationTimestamp": CREATED}
        | ({"deletionTimestamp": CREATED} if deleted else {}),
        "spec": {
            "containers": [{"name": c["name"]} for c in containers],
            "initContainers": [{"name": c["name"]} | policy for c in init],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": containers,
            "initContainerStatuses": init,
            "conditions": [{"type": type_, "status": "True"} for type_ in conditions],
        }
        | pod_status,
    }
    return cells(pods_info(), from_dict(pod, core_v1.Pod), NOW_S)[1:4]


def pods_info() -> ResourceInfo:
    info = find("", "v1", "pods")
    assert info is not None
    return info


READY = status("c", RUNNING, ready=True)


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([READY], ["1/1", "Running", "0"]),
        ([status("c", RUNNING, ready=False)], ["0/1", "Running", "0"]),
        ([status("c", waiting("ContainerCreating"))], ["0/1", "ContainerCreating", "0"]),
        ([status("c", waiting("ImagePullBackOff"))], ["0/1", "ImagePullBackOff", "0"]),
        ([status("c", ended(1, "Error"))], ["0/1", "Error", "0"]),
        ([status("c", ended(3))], ["0/1", "ExitCode:3", "0"]),
        ([status("c", ended(137, signal=9))], ["0/1", "Signal:9", "0"]),
        ([status("c", ended(0, "Completed"))], ["0/1", "Completed", "0"]),
        ([READY, status("d", waiting("CrashLoopBackOff"))], ["1/2", "CrashLoopBackOff", "0"]),
        ([status("c", waiting("A")), status("d", waiting("B"))], ["0/2", "A", "0"]),
        ([READY, status("d", ended(0, "Completed"))], ["1/2", "NotReady", "0"]),
    ],
)
def test_containers(containers: list[dict[str, Any]], expected: list[str]) -> None:
    assert shown(containers) == expected


def test_a_ready_pod_with_one_completed_container_is_running() -> None:
    done = status("d", ended(0, "Completed"))
    assert shown([READY, done], conditions=("Ready",)) == ["1/2", "Running", "0"]


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:01:25Z"}}
    restarted = status("c", RUNNING, ready=True, restartCount=3, lastState=last)
    assert shown([restarted]) == ["1/1", "Running", "3 (5s ago)"]
    assert shown([status("c", RUNNING, ready=True, restartCount=2)])[2] == "2"


@pytest.mark.parametrize(
    ("init", "word"),
    [
        ([status("i", RUNNING)], "Init:0/1"),
        ([status("i", ended(0)), status("j", waiting("PodInitializing"))], "Init:1/2"),
        ([status("i", waiting("CrashLoopBackOff"))], "Init:CrashLoopBackOff"),
        ([status("i", ended(1, "Error"))], "Init:Error"),
        ([status("i", ended(4))], "Init:ExitCode:4"),
        ([status("i", ended(137, signal=9))], "Init:Signal:9"),
    ],
)
def test_init_containers(init: list[dict[str, Any]], word: str) -> None:
    before = [status("c", waiting("PodInitializing"))]
    assert shown(before, init, phase="Pending")[1] == word


def test_a_sidecar_counts_as_a_container_once_it_has_started() -> None:
    starting = [status("s", RUNNING, started=False)]
    before = [status("c", waiting("PodInitializing"))]
    assert shown(before, starting, sidecars=True)[:2] == ["0/2", "Init:0/1"]
    started = [status("s", RUNNING, started=True, ready=True, restartCount=1)]
    assert shown([READY], started, sidecars=True) == ["2/2", "Running", "1"]


def test_restarts_of_init_containers_are_forgotten_when_the_pod_runs() -> None:
    done = [status("i", ended(0), restartCount=4)]
    assert shown([READY], done) == ["1/1", "Running", "0"]


@pytest.mark.parametrize(
    ("pod_status", "deleted", "word"),
    [
        ({"phase": "Pending", "containerStatuses": []}, False, "Pending"),
        ({"phase": "Failed", "reason": "Evicted", "containerStatuses": []}, False, "Evicted"),
        ({"reason": "NodeLost", "containerStatuses": []}, False, "NodeLost"),
        ({}, True, "Terminating"),
        ({"reason": "NodeLost"}, True, "Unknown"),
        ({"phase": "Succeeded", "containerStatuses": []}, True, "Succeeded"),
    ],
)
def test_what_the_pod_itself_says(pod_status: dict[str, Any], deleted: bool, word: str) -> None:
    assert shown(deleted=deleted, **pod_status)[1] == word


def test_a_gated_pod() -> None:
    gated = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    found = shown(phase="Pending", containerStatuses=[])
    assert found[1] == "Pending"
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": gated}}
    assert cells(pods_info(), from_dict(pod, core_v1.Pod), NOW_S)[2] == "SchedulingGated"


def test_the_wide_columns() -> None:
    pod = {
        "metadata": {"name": "p", "creationTimestamp": CREATED},
        "spec": {
            "nodeName": "n1",
            "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "nominatedNodeName": "n2",
            "conditions": [{"type": "a", "status": "True"}],
        },
    }
    found = cells(pods_info(), from_dict(pod, core_v1.Pod), NOW_S)
    assert found[4:] == ["90s", "10.0.0.1", "n1", "n2", "1/2"]
