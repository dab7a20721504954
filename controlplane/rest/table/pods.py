"""Pods: their state in one word, which is the hardest column there is."""

from typing import Any, Final, NamedTuple

from controlplane.rest.table.duration import since
from controlplane.rest.table.text import NONE, age_of, condition_status, is_being_deleted, name_of
from kubeapi.types import core_v1

NODE_LOST: Final = "NodeLost"
SCHEDULING_GATED: Final = "SchedulingGated"
COMPLETED: Final = "Completed"


class _Seen(NamedTuple):
    """What the statuses of some containers say together."""

    reason: str = ""
    ready: int = 0
    restarts: int = 0
    restarted_at: str = ""
    running: bool = False


def pod_cells(pod: core_v1.Pod, now_s: float) -> list[Any]:
    spec = pod.spec or core_v1.PodSpec()
    status = pod.status or core_v1.PodStatus()
    sidecars = _sidecars(spec)
    reason, seen = _summary(pod, spec, status, sidecars)
    total = len(spec.containers or ()) + len(sidecars)
    restarts = str(seen.restarts)
    if seen.restarts and seen.restarted_at:
        restarts = f"{restarts} ({since(seen.restarted_at, now_s)} ago)"
    addresses = [address.ip for address in status.podIPs or ()]
    return [
        name_of(pod),
        f"{seen.ready}/{total}",
        reason,
        restarts,
        age_of(pod, now_s),
        (addresses[0] if addresses else status.podIP) or NONE,
        spec.nodeName or NONE,
        status.nominatedNodeName or NONE,
        _gates(spec, status),
    ]


def pod_row_conditions(pod: core_v1.Pod) -> list[dict[str, str]]:
    """What a row says of a pod that is done, so that clients may show it faded."""
    phase = pod.status.phase if pod.status else None
    texts = {
        "Succeeded": "The pod has completed successfully.",
        "Failed": "The pod failed.",
    }
    if phase not in texts:
        return []
    return [{"type": COMPLETED, "status": "True", "reason": phase, "message": texts[phase]}]


def _sidecars(spec: core_v1.PodSpec) -> set[str]:
    """Init containers that restart always and so count as running ones (KEP-753)."""
    return {
        container.name or ""
        for container in spec.initContainers or ()
        if container.restartPolicy == "Always"
    }


def _summary(
    pod: core_v1.Pod, spec: core_v1.PodSpec, status: core_v1.PodStatus, sidecars: set[str]
) -> tuple[str, _Seen]:
    reason = status.reason or status.phase or ""
    if any(
        condition.type == "PodScheduled" and condition.reason == SCHEDULING_GATED
        for condition in status.conditions or ()
    ):
        reason = SCHEDULING_GATED
    init = _init_containers(spec, status, sidecars)
    seen = init
    if not init.reason or condition_status(status.conditions, "Initialized") == "True":
        seen = _containers(status, _sidecar_restarts(status, sidecars, init.ready))
        reason = seen.reason or init.reason or reason
        if reason == COMPLETED and seen.running:
            ready = condition_status(status.conditions, "Ready") == "True"
            reason = "Running" if ready else "NotReady"
    else:
        reason = init.reason
    if is_being_deleted(pod):
        if status.reason == NODE_LOST:
            reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return reason, seen


def _init_containers(spec: core_v1.PodSpec, status: core_v1.PodStatus, sidecars: set[str]) -> _Seen:
    """How far initialization is; `reason` is empty once it is over."""
    ready = restarts = 0
    restarted_at = ""
    for index, container in enumerate(status.initContainerStatuses or ()):
        restarts += container.restartCount or 0
        restarted_at = max(restarted_at, _last_end(container))
        state = container.state or core_v1.ContainerState()
        if state.terminated is not None and not state.terminated.exitCode:
            continue
        if container.name in sidecars and container.started:
            ready += bool(container.ready)
            continue
        total = len(spec.initContainers or ())
        reason = _init_reason(state) or f"{index}/{total}"
        return _Seen(f"Init:{reason}", ready, restarts, restarted_at)
    return _Seen("", ready, restarts, restarted_at)


def _init_reason(state: core_v1.ContainerState) -> str:
    if state.terminated is not None:
        return _end_reason(state.terminated)
    waiting = (state.waiting.reason if state.waiting else None) or ""
    return "" if waiting == "PodInitializing" else waiting


def _sidecar_restarts(status: core_v1.PodStatus, sidecars: set[str], ready: int) -> _Seen:
    """Only sidecars' restarts still matter once the pod is initialized."""
    statuses = [c for c in status.initContainerStatuses or () if c.name in sidecars]
    restarts = sum(container.restartCount or 0 for container in statuses)
    return _Seen("", ready, restarts, max(map(_last_end, statuses), default=""))


def _containers(status: core_v1.PodStatus, before: _Seen) -> _Seen:
    """The first container that is not well gives the reason."""
    reason, ready, restarts, restarted_at, running = before
    for container in reversed(status.containerStatuses or ()):
        restarts += container.restartCount or 0
        restarted_at = max(restarted_at, _last_end(container))
        state = container.state or core_v1.ContainerState()
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = _end_reason(state.terminated)
        elif container.ready and state.running is not None:
            running = True
            ready += 1
    return _Seen(reason, ready, restarts, restarted_at, running)


def _end_reason(terminated: core_v1.ContainerStateTerminated) -> str:
    if terminated.reason:
        return terminated.reason
    if terminated.signal:
        return f"Signal:{terminated.signal}"
    return f"ExitCode:{terminated.exitCode or 0}"


def _last_end(container: core_v1.ContainerStatus) -> str:
    """When the run before the present one ended; times of one form compare as text."""
    last = container.lastState.terminated if container.lastState else None
    return (last.finishedAt if last else None) or ""


def _gates(spec: core_v1.PodSpec, status: core_v1.PodStatus) -> str:
    gates = spec.readinessGates or ()
    if not gates:
        return NONE
    true = sum(
        condition_status(status.conditions, gate.conditionType or "") == "True" for gate in gates
    )
    return f"{true}/{len(gates)}"
