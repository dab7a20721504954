"""What is wrong with a pod, field by field; and what is not wrong although it looks so."""

from typing import Any

import pytest
from msgspec.structs import replace
from validation_cases import (
    REMOVED,
    changed,
    faults,
    pod_spec,
    prepared,
    short,
    texts,
    update_faults,
)

from controlplane.registry.strategy.validation import validate_update
from kubeapi.types import core_v1

PODS = "v1/pods"
POD: dict[str, Any] = {"spec": pod_spec()}
C = "spec.containers[0]"

WRONG: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("/spec", REMOVED, [("spec.containers", "Required")]),
    ("/spec/containers", [], [("spec.containers", "Required")]),
    ("/spec/containers/0", {}, [(f"{C}.name", "Required"), (f"{C}.image", "Required")]),
    ("/spec/containers/0/name", "A_b", [(f"{C}.name", "Invalid")]),
    ("/spec/containers/0/imagePullPolicy", "x", [(f"{C}.imagePullPolicy", "NotSupported")]),
    ("/spec/containers/0/image", " x", [(f"{C}.image", "Invalid")]),
    ("/spec/containers/1", {"name": "c", "image": "i"}, [("spec.containers[1].name", "Duplicate")]),
    ("/spec/initContainers", [{"name": "c", "image": "i"}],
     [("spec.initContainers[0].name", "Duplicate")]),
    ("/spec/containers/0/ports", [{"containerPort": 70000}],
     [(f"{C}.ports[0].containerPort", "Invalid")]),
    ("/spec/containers/0/ports",
     [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}],
     [(f"{C}.ports[1].hostPort", "Duplicate")]),
    ("/spec/containers/0/env", [{"name": ""}], [(f"{C}.env[0].name", "Required")]),
    ("/spec/containers/0/env",
     [{"name": "a", "value": "v", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
     [(f"{C}.env[0].valueFrom", "Invalid")]),
    ("/spec/containers/0/envFrom", [{}], [(f"{C}.envFrom", "Invalid")]),
    ("/spec/containers/0/resources", {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
     [(f"{C}.resources.requests", "Invalid")]),
    ("/spec/containers/0/resources", {"requests": {"example.com/gpu": "1"}},
     [(f"{C}.resources.limits", "Required")]),
    ("/spec/containers/0/livenessProbe", {}, [(f"{C}.livenessProbe", "Required")]),
    ("/spec/containers/0/livenessProbe", {"tcpSocket": {"port": 1}, "successThreshold": 2},
     [(f"{C}.livenessProbe.successThreshold", "Invalid")]),
    ("/spec/containers/0/lifecycle", {"preStop": {"sleep": {"seconds": 31}}},
     [(f"{C}.lifecycle.preStop.sleep", "Invalid")]),
    ("/spec/containers/0/volumeMounts", [{"name": "v", "mountPath": "/x"}],
     [(f"{C}.volumeMounts[0].name", "NotFound")]),
    ("/spec/containers/0/securityContext", {"allowPrivilegeEscalation": False, "privileged": True},
     [(f"{C}.securityContext", "Invalid")]),
    ("/spec/initContainers", [{"name": "i", "image": "i", "lifecycle": {}}],
     [("spec.initContainers[0].lifecycle", "Forbidden")]),
    ("/spec/ephemeralContainers", [{"name": "e", "image": "i"}],
     [("spec.ephemeralContainers", "Forbidden")]),
    ("/spec/volumes", [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}],
     [("spec.volumes[0].hostPath", "Forbidden")]),
    ("/spec/volumes", [{"name": "v"}, {"name": "v"}], [("spec.volumes[1].name", "Duplicate")]),
    ("/spec/volumes", [{"name": "v", "secret": {"secretName": "s", "defaultMode": 512}}],
     [("spec.volumes[0].secret.defaultMode", "Invalid")]),
    ("/spec/volumes", [{"name": "v", "secret": {"secretName": "s", "items": [
        {"key": "k", "path": "a/../../b"}]}}],
     [("spec.volumes[0].secret.items[0].path", "Invalid")]),
    ("/spec/restartPolicy", "Sometimes", [("spec.restartPolicy", "NotSupported")]),
    ("/spec/dnsPolicy", "None", [("spec.dnsConfig", "Required")]),
    ("/spec/activeDeadlineSeconds", 0, [("spec.activeDeadlineSeconds", "Invalid")]),
    ("/spec/hostAliases", [{"ip": "x"}], [("spec.hostAliases[0].ip", "Invalid")]),
    ("/spec/tolerations", [{"key": "k", "effect": "x"}],
     [("spec.tolerations[0].effect", "NotSupported")]),
    ("/spec/schedulingGates", [{"name": "g"}, {"name": "g"}],
     [("spec.schedulingGates[1]", "Duplicate")]),
    ("/spec/topologySpreadConstraints",
     [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}],
     [("spec.topologySpreadConstraints[0].maxSkew", "Invalid")]),
    ("/spec/affinity", {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": []}}},
     [("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
       ".nodeSelectorTerms", "Required")]),
    ("/spec/securityContext", {"sysctls": [{"name": "A b"}]},
     [("spec.securityContext.sysctls[0].name", "Invalid")]),
    ("/spec/os", {"name": "plan9"}, [("spec.os.name", "NotSupported")]),
]  # fmt: skip

GOOD: list[tuple[str, Any]] = [
    ("/spec/restartPolicy", ""),
    ("/spec/containers/0/resources", {"requests": {"cpu": "0.0001"}, "limits": {"cpu": "1"}}),
    ("/spec/containers/0/resources", {"limits": {"example.com/gpu": "2"}}),
    ("/spec/containers/0/ports", [{"containerPort": 80}, {"containerPort": 80}]),
    ("/spec/containers/0/env", [{"name": "with-dash.and:colon", "value": "x"}]),
    ("/spec/imagePullSecrets", [{}]),
    ("/spec/terminationGracePeriodSeconds", -1),
    ("/spec/volumes", [{"name": "v", "projected": {"sources": [{}]}}]),
    ("/spec/initContainers", [
        {"name": "s", "image": "i", "restartPolicy": "Always", "readinessProbe": {
            "tcpSocket": {"port": "http"}}}]),
    ("/spec/tolerations", [{"operator": "Exists"}]),
    ("/spec/dnsConfig", {"searches": ["a.b", ".", "_x.y"]}),
    ("/spec/containers/0/env",
     [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a.b/c']"}}}]),
]  # fmt: skip


@pytest.mark.parametrize(("pointer", "value", "expected"), WRONG)
def test_a_bad_pod(pointer: str, value: Any, expected: list[tuple[str, str]]) -> None:
    found = faults(PODS, changed(POD, pointer, value))
    assert found == expected


@pytest.mark.parametrize(("pointer", "value"), GOOD)
def test_a_good_pod(pointer: str, value: Any) -> None:
    assert faults(PODS, changed(POD, pointer, value)) == []


def test_every_fault_is_told_at_once() -> None:
    pod = changed(changed(POD, "/spec/containers/0/image", ""), "/spec/dnsPolicy", "x")
    assert {field for field, _ in faults(PODS, pod)} == {"spec.dnsPolicy", f"{C}.image"}


def test_a_message_says_what_would_be_right() -> None:
    assert texts(PODS, changed(POD, "/spec/restartPolicy", "x")) == [
        'Unsupported value: "x": supported values: "Always", "OnFailure", "Never"'
    ]
    probe = {"readinessProbe": {"httpGet": {"port": 0}}}
    pod = changed(POD, "/spec/containers/0", {"name": "c", "image": "i"} | probe)
    assert texts(PODS, pod) == ["Invalid value: 0: must be between 1 and 65535, inclusive"]


GATED = changed(POD, "/spec/schedulingGates", [{"name": "g"}])
TOLERANT = changed(POD, "/spec/tolerations", [{"key": "a", "operator": "Exists"}])

UPDATES: list[tuple[dict[str, Any], str, Any, list[tuple[str, str]]]] = [
    (POD, "/spec/containers/0/image", "other", []),
    (POD, "/spec/activeDeadlineSeconds", 5, []),
    (POD, "/metadata/labels", {"a": "b"}, []),
    (POD, "/spec/nodeName", "n", [("spec", "Forbidden")]),
    (POD, "/spec/containers/0/command", ["sh"], [("spec", "Forbidden")]),
    (POD, "/spec/nodeSelector", {"a": "b"}, [("spec", "Forbidden")]),
    (POD, "/spec/containers/1", {"name": "d", "image": "i"}, [("spec.containers", "Forbidden")]),
    (TOLERANT, "/spec/tolerations", [], [("spec.tolerations", "Forbidden")]),
    (TOLERANT, "/spec/tolerations/1", {"key": "b", "operator": "Exists"}, []),
    (GATED, "/spec/schedulingGates", [], []),
    (GATED, "/spec/schedulingGates", [{"name": "h"}],
     [("spec.schedulingGates[0].name", "Forbidden")]),
    (GATED, "/spec/nodeSelector", {"a": "b"}, []),
    (GATED, "/spec/nodeName", "n", [("spec", "Forbidden")]),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "pointer", "value", "expected"), UPDATES)
def test_what_of_a_pod_may_change(
    pod: dict[str, Any], pointer: str, value: Any, expected: list[tuple[str, str]]
) -> None:
    assert update_faults(PODS, pod, pointer, value) == expected


def test_the_time_of_a_pod_may_only_become_shorter() -> None:
    pod = changed(POD, "/spec/activeDeadlineSeconds", 10)
    where = ("spec.activeDeadlineSeconds", "Invalid")
    assert update_faults(PODS, pod, "/spec/activeDeadlineSeconds", 11) == [where]
    assert update_faults(PODS, pod, "/spec/activeDeadlineSeconds", 9) == []
    assert update_faults(PODS, pod, "/spec/activeDeadlineSeconds", REMOVED) == [where]


@pytest.mark.parametrize(
    ("policy", "own_policy", "expected"),
    [
        ("Never", None, [("status.containerStatuses[0].state", "Forbidden")]),
        ("Always", None, []),
        ("Never", "Always", []),
    ],
)
def test_a_container_that_ended_for_good_does_not_run_again(
    policy: str, own_policy: str | None, expected: list[tuple[str, str]]
) -> None:
    container = {"name": "c", "image": "i", "restartPolicy": own_policy}
    pod = {"spec": {"containers": [container], "restartPolicy": policy}}
    old = prepared(PODS, pod)
    ended, runs = (
        core_v1.PodStatus(containerStatuses=[core_v1.ContainerStatus(name="c", state=state)])
        for state in (
            core_v1.ContainerState(terminated=core_v1.ContainerStateTerminated(exitCode=1)),
            core_v1.ContainerState(running=core_v1.ContainerStateRunning()),
        )
    )
    before, after = replace(old, status=ended), replace(old, status=runs)
    assert short(validate_update(after, before)) == expected
    assert short(validate_update(before, after)) == []
