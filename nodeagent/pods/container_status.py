"""A container's status as the API shows it, from what the runtime and the probes say.

Source: the kubelet's `convertToAPIContainerStatuses` and prober `UpdatePodStatus`.
"""

import msgspec

from base.clock import rfc3339
from kubeapi.types import core_v1
from nodeagent.pods.actions import Verdicts, should_restart
from nodeagent.pods.observed import Observed
from nodeagent.pods.resize import given
from nodeagent.pods.runtime_state import ContainerRecord, ContainerState, PodRuntime
from nodeagent.pods.spec import Container, init_containers, is_sidecar


def container_statuses(
    pod: core_v1.Pod,
    wanted: list[Container],
    seen: Observed,
    old: list[core_v1.ContainerStatus] | None,
) -> list[core_v1.ContainerStatus]:
    """Statuses of `wanted` (the init or the regular containers of `pod`), sorted by name."""
    before = {status.name: status for status in old or ()}
    statuses = [_container_status(pod, c, seen, before.get(c.name)) for c in wanted]
    if wanted and wanted[0] in init_containers(pod):
        return statuses
    return sorted(statuses, key=lambda status: status.name or "")


def _container_status(
    pod: core_v1.Pod,
    container: Container,
    seen: Observed,
    old: core_v1.ContainerStatus | None,
) -> core_v1.ContainerStatus:
    name = container.name or ""
    record = seen.runtime.current(name)
    state, last = _states(pod, container, seen.runtime, old)
    failure = seen.start_failures.get(name)
    if failure is not None and should_restart(pod, container, record):
        last = state if state.terminated is not None else last
        waiting = core_v1.ContainerStateWaiting(reason=failure.reason, message=failure.message)
        state = core_v1.ContainerState(waiting=waiting)
    started = _is_started(container, record, seen.verdicts)
    status = core_v1.ContainerStatus(
        name=name,
        state=state,
        lastState=last,
        ready=_is_ready(pod, container, record, started, seen.verdicts),
        started=started,
        restartCount=_restart_count(record, old),
        image=(record.image if record and record.image else container.image) or "",
        imageID=record.image_ref if record else (old.imageID if old else None) or "",
        containerID=container_id(record) if record else (old.containerID if old else None),
        volumeMounts=_mount_statuses(container),
    )
    return _with_resources(status, container, record, seen) if record is not None else status


def container_id(record: ContainerRecord) -> str:
    return f"containerd://{record.id}"


def _states(
    pod: core_v1.Pod,
    container: Container,
    runtime: PodRuntime,
    old: core_v1.ContainerStatus | None,
) -> tuple[core_v1.ContainerState, core_v1.ContainerState]:
    """The present and the last state."""
    empty = core_v1.ContainerState()
    record = runtime.current(container.name or "")
    if record is None:
        # Removed from the runtime: what was last reported about it still holds.
        if old is not None and old.state is not None and old.state.terminated is not None:
            return old.state, old.lastState or empty
        waiting = core_v1.ContainerStateWaiting(reason=_first_reason(pod))
        return core_v1.ContainerState(waiting=waiting), (old.lastState if old else None) or empty
    previous = runtime.previous(container.name or "")
    state = _state(record)
    if previous is not None and previous.exited:
        return state, _state(previous)
    if old is None:
        return state, empty
    if record.restart_count > (old.restartCount or 0) and old.state and old.state.terminated:
        return state, old.state
    return state, old.lastState or empty


def _first_reason(pod: core_v1.Pod) -> str:
    return "PodInitializing" if init_containers(pod) else "ContainerCreating"


def _state(record: ContainerRecord) -> core_v1.ContainerState:
    if record.state is ContainerState.RUNNING:
        running = core_v1.ContainerStateRunning(startedAt=_time(record.started_at_ns))
        return core_v1.ContainerState(running=running)
    if record.state is ContainerState.EXITED:
        return core_v1.ContainerState(terminated=_terminated(record))
    if record.state is ContainerState.UNKNOWN:
        lost = core_v1.ContainerStateTerminated(
            exitCode=137,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was terminated",
            containerID=container_id(record),
        )
        return core_v1.ContainerState(terminated=lost)
    return core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason="ContainerCreating"))


def _terminated(record: ContainerRecord) -> core_v1.ContainerStateTerminated:
    return core_v1.ContainerStateTerminated(
        exitCode=record.exit_code,
        reason=record.reason or ("Completed" if record.exit_code == 0 else "Error"),
        message=record.message or None,
        startedAt=_time(record.started_at_ns),
        finishedAt=_time(record.finished_at_ns),
        containerID=container_id(record),
    )


def _time(at_ns: int) -> str | None:
    return rfc3339(at_ns / 1e9) if at_ns > 0 else None


def _is_started(container: Container, record: ContainerRecord | None, verdicts: Verdicts) -> bool:
    if record is None or not record.running:
        return False
    return container.startupProbe is None or verdicts.startup.get(record.id) is True


def _is_ready(
    pod: core_v1.Pod,
    container: Container,
    record: ContainerRecord | None,
    started: bool,
    verdicts: Verdicts,
) -> bool:
    if record is not None and container in init_containers(pod) and not is_sidecar(container):
        return record.exited and record.exit_code == 0
    if record is None or not started:
        return False
    return container.readinessProbe is None or verdicts.readiness.get(record.id) is True


def _restart_count(record: ContainerRecord | None, old: core_v1.ContainerStatus | None) -> int:
    return record.restart_count if record is not None else (old.restartCount if old else 0) or 0


def _mount_statuses(container: Container) -> list[core_v1.VolumeMountStatus] | None:
    """KEP-3857: what is mounted, and that no read-only mount is recursively so."""
    return [
        core_v1.VolumeMountStatus(
            name=mount.name,
            mountPath=mount.mountPath,
            readOnly=mount.readOnly,
            recursiveReadOnly="Disabled" if mount.readOnly else None,
        )
        for mount in container.volumeMounts or ()
    ] or None


def _with_resources(
    status: core_v1.ContainerStatus,
    container: Container,
    record: ContainerRecord,
    seen: Observed,
) -> core_v1.ContainerStatus:
    """KEP-1287: what the pod was allotted, and what the container really has."""
    wanted = container.resources or core_v1.ResourceRequirements()
    actual = seen.resized.get(record.id) or given(record.annotations) or wanted
    return msgspec.structs.replace(
        status,
        allocatedResources=wanted.requests or None,
        resources=core_v1.ResourceRequirements(limits=actual.limits, requests=actual.requests),
    )
