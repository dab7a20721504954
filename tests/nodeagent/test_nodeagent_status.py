"""The status of a pod: phases, container states and conditions from values."""

from typing import Any

import msgspec
import pytest
from podmaker import container, make_pod, record, runtime

from kubeapi.types import core_v1
from nodeagent.pods.actions import Verdicts
from nodeagent.pods.observed import Observed, PodFailure, StartFailure
from nodeagent.pods.runtime_state import PodRuntime, SandboxRecord
from nodeagent.pods.status import build_pod_status

NOW_S = 1_767_225_600.0
NOW = "2026-01-01T00:00:00Z"
START_NS = 1_767_225_000 * 10**9


def status_of(pod: core_v1.Pod, have: PodRuntime, **seen: Any) -> core_v1.PodStatus:
    observed = Observed(runtime=have, host_ips=("192.0.2.7",), **seen)
    return build_pod_status(pod, observed, NOW_S)


def as_dict(value: Any) -> Any:
    return msgspec.to_builtins(value)


def states(status: core_v1.PodStatus) -> dict[str, str]:
    """Container name to its state in one word with its reason or exit code."""
    found = {}
    for one in [*(status.initContainerStatuses or ()), *(status.containerStatuses or ())]:
        state = one.state or core_v1.ContainerState()
        if state.running:
            text = "running"
        elif state.terminated:
            text = f"terminated {state.terminated.reason} {state.terminated.exitCode}"
        else:
            text = f"waiting {state.waiting.reason if state.waiting else None}"
        found[one.name or ""] = text
    return found


def conditions(status: core_v1.PodStatus) -> dict[str, str]:
    return {c.type or "": f"{c.status} {c.reason or ''}".strip() for c in status.conditions or ()}


def test_a_pod_that_was_just_bound() -> None:
    status = status_of(make_pod(), PodRuntime())
    assert status.phase == "Pending"
    assert states(status) == {"a": "waiting ContainerCreating"}
    assert conditions(status) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False ContainersNotReady",
        "ContainersReady": "False ContainersNotReady",
        "PodScheduled": "True",
    }
    ready = (status.conditions or [])[2]
    assert ready.message == "containers with unready status: [a]"
    assert ready.observedGeneration == 1
    assert (status.hostIP, status.podIP, status.startTime) == ("192.0.2.7", None, NOW)
    assert status.qosClass == "BestEffort"


def test_a_pod_that_runs() -> None:
    pod = make_pod()
    have = runtime(record(pod, "a", started_at_ns=START_NS, image="i:1", image_ref="sha256:1"))
    status = status_of(pod, have)
    assert status.phase == "Running"
    assert conditions(status) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert as_dict(status.containerStatuses) == [
        {
            "name": "a",
            "state": {"running": {"startedAt": "2025-12-31T23:50:00Z"}},
            "lastState": {},
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": "i:1",
            "imageID": "sha256:1",
            "containerID": "containerd://a-0",
            "resources": {},
        }
    ]
    assert as_dict(status.podIPs) == [{"ip": "10.244.0.5"}]


def test_a_crash_loop() -> None:
    pod = make_pod()
    have = runtime(
        record(pod, "a", "exited", exit_code=2, restart_count=3, finished_at_ns=START_NS),
        record(pod, "a", "exited", exit_code=1, restart_count=2),
    )
    failure = StartFailure("CrashLoopBackOff", "back-off 20s restarting failed container=a")
    status = status_of(pod, have, start_failures={"a": failure})
    one = (status.containerStatuses or [])[0]
    assert states(status) == {"a": "waiting CrashLoopBackOff"}
    assert as_dict(one.lastState)["terminated"]["exitCode"] == 2
    assert (one.restartCount, status.phase) == (3, "Running")


def test_between_two_runs_the_last_state_is_the_end_of_the_one_before() -> None:
    pod = make_pod()
    have = runtime(
        record(pod, "a", restart_count=1),
        record(pod, "a", "exited", exit_code=137, reason="OOMKilled"),
    )
    one = (status_of(pod, have).containerStatuses or [])[0]
    assert as_dict(one.lastState)["terminated"]["reason"] == "OOMKilled"


@pytest.mark.parametrize(
    ("policy", "codes", "terminal", "phase"),
    [
        ("Always", (0, 0), False, "Running"),
        ("OnFailure", (0, 0), False, "Succeeded"),
        ("OnFailure", (0, 1), False, "Running"),
        ("Never", (0, 0), False, "Succeeded"),
        ("Never", (0, 1), False, "Failed"),
        ("Never", (0, None), False, "Running"),
        ("Always", (0, 0), True, "Succeeded"),
        ("Always", (0, 143), True, "Failed"),
    ],
)
def test_phases(policy: str, codes: tuple[Any, Any], terminal: bool, phase: str) -> None:
    pod = make_pod(container("a"), container("b"), restartPolicy=policy)
    records = [
        record(pod, name) if code is None else record(pod, name, "exited", exit_code=code)
        for name, code in zip("ab", codes, strict=True)
    ]
    assert status_of(pod, runtime(*records), terminal=terminal).phase == phase


def test_a_phase_that_is_final_stays() -> None:
    pod = make_pod(status={"phase": "Succeeded"})
    assert status_of(pod, runtime(record(pod))).phase == "Succeeded"


def test_a_succeeded_pod_is_not_ready_because_it_completed() -> None:
    pod = make_pod(restartPolicy="Never")
    status = status_of(pod, runtime(record(pod, "a", "exited", reason="Completed")))
    assert states(status) == {"a": "terminated Completed 0"}
    assert conditions(status)["Ready"] == "False PodCompleted"
    assert conditions(status)["Initialized"] == "True PodCompleted"


def test_init_containers_hold_the_others_back() -> None:
    pod = make_pod(init=(container("i"), container("j")))
    status = status_of(pod, runtime(record(pod, "i", "exited"), record(pod, "j")))
    assert status.phase == "Pending"
    assert states(status) == {
        "i": "terminated Completed 0",
        "j": "running",
        "a": "waiting PodInitializing",
    }
    initialized = (status.conditions or [])[1]
    assert initialized.reason == "ContainersNotInitialized"
    assert initialized.message == "containers with incomplete status: [j]"


def test_a_failed_init_container_fails_the_pod_under_never() -> None:
    pod = make_pod(init=(container("i"),), restartPolicy="Never")
    status = status_of(pod, runtime(record(pod, "i", "exited", exit_code=1)))
    assert status.phase == "Failed"


def test_a_failed_init_container_waits_for_its_restart_under_always() -> None:
    pod = make_pod(init=(container("i"),))
    failure = StartFailure("CrashLoopBackOff", "back-off")
    have = runtime(record(pod, "i", "exited", exit_code=1))
    status = status_of(pod, have, start_failures={"i": failure})
    assert (status.phase, states(status)["i"]) == ("Pending", "waiting CrashLoopBackOff")


def test_a_sidecar_counts_for_readiness() -> None:
    side = container("s", restartPolicy="Always", readinessProbe={"tcpSocket": {"port": 1}})
    pod = make_pod(init=(side,))
    have = runtime(record(pod, "s"), record(pod, "a"))
    assert conditions(status_of(pod, have))["Ready"] == "False ContainersNotReady"
    ready = Verdicts(readiness={"s-0": True})
    assert conditions(status_of(pod, have, verdicts=ready))["Ready"] == "True"


def test_probes_decide_started_and_ready() -> None:
    probe = {"tcpSocket": {"port": 1}}
    pod = make_pod(container("a", startupProbe=probe, readinessProbe=probe))
    have = runtime(record(pod))

    def flags(**verdicts: Any) -> tuple[Any, Any]:
        one = (status_of(pod, have, verdicts=Verdicts(**verdicts)).containerStatuses or [])[0]
        return one.started, one.ready

    assert flags() == (False, False)
    assert flags(readiness={"a-0": True}) == (False, False)
    assert flags(startup={"a-0": True}) == (True, False)
    assert flags(startup={"a-0": True}, readiness={"a-0": True}) == (True, True)


def test_readiness_gates() -> None:
    gates = [{"conditionType": "x/y"}]
    pod = make_pod(readinessGates=gates)
    have = runtime(record(pod))
    assert conditions(status_of(pod, have))["Ready"] == "False ReadinessGatesNotReady"
    given = {"conditions": [{"type": "x/y", "status": "True", "lastTransitionTime": NOW}]}
    status = status_of(make_pod(readinessGates=gates, status=given), have)
    assert conditions(status)["Ready"] == "True"
    assert conditions(status)["x/y"] == "True"


def test_a_transition_keeps_its_time_until_it_changes() -> None:
    pod = make_pod()
    first = status_of(pod, runtime(record(pod)))
    pod = msgspec.structs.replace(pod, status=first)
    later = build_pod_status(pod, Observed(runtime=runtime(record(pod))), NOW_S + 60)
    assert {c.lastTransitionTime for c in later.conditions or ()} == {NOW}
    have = runtime(record(pod, "a", "exited", exit_code=1))
    ended = build_pod_status(pod, Observed(runtime=have), NOW_S + 60)
    changed = {c.type for c in ended.conditions or () if c.lastTransitionTime != NOW}
    assert changed == {"Ready", "ContainersReady"}


def test_what_the_runtime_lost_is_kept_from_the_old_status() -> None:
    pod = make_pod(restartPolicy="Never")
    done = status_of(pod, runtime(record(pod, "a", "exited", exit_code=3)))
    pod = msgspec.structs.replace(pod, status=done)
    status = status_of(pod, PodRuntime())
    assert (status.phase, states(status)) == ("Failed", {"a": "terminated Error 3"})


def test_a_pod_failure_is_the_phase_and_its_reason() -> None:
    pod = make_pod()
    failure = PodFailure("DeadlineExceeded", "Pod was active on the node longer")
    have = runtime(record(pod, "a", "exited", exit_code=137))
    status = status_of(pod, have, failure=failure)
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")


def test_no_phase_is_final_while_a_container_runs() -> None:
    pod = make_pod(init=(container("s", restartPolicy="Always"),), restartPolicy="Never")
    records = [record(pod, "s"), record(pod, "a", "exited")]
    assert status_of(pod, runtime(*records)).phase == "Running"
    records = [record(pod, "s", "exited", exit_code=143), record(pod, "a", "exited")]
    assert status_of(pod, runtime(*records)).phase == "Succeeded"


def test_host_network_pods_have_the_address_of_the_node() -> None:
    pod = make_pod(hostNetwork=True)
    have = runtime(record(pod), sandbox=SandboxRecord("s0", host_network=True))
    status = status_of(pod, have)
    assert (status.podIP, conditions(status)["PodReadyToStartContainers"]) == ("192.0.2.7", "True")
