"""A pod's status: phase, conditions and containers, from values alone.

Source: the kubelet's `generateAPIPodStatus` and `getPhase`. `status_writer` sends what is built
here; nothing here asks anybody.
"""

import msgspec

from base.clock import rfc3339
from kubeapi.types import core_v1
from nodeagent.pods.conditions import OWNED, build_conditions, settle
from nodeagent.pods.container_status import container_statuses
from nodeagent.pods.observed import Observed
from nodeagent.pods.qos import qos_class
from nodeagent.pods.spec import (
    EMPTY_STATUS,
    containers,
    ephemeral_containers,
    host_network,
    init_containers,
    is_sidecar,
    metadata,
    restart_policy,
    spec_of,
)

FINAL = ("Succeeded", "Failed")


def build_pod_status(pod: core_v1.Pod, seen: Observed, now_s: float) -> core_v1.PodStatus:
    """The status that `pod`, whose present status is the old one, has now."""
    old = pod.status or EMPTY_STATUS
    now = rfc3339(now_s)
    inits = container_statuses(
        pod,
        init_containers(pod),
        seen,
        old.initContainerStatuses,
    )
    regular = container_statuses(
        pod,
        containers(pod),
        seen,
        old.containerStatuses,
    )
    ephemeral = container_statuses(
        pod,
        ephemeral_containers(pod),
        seen,
        old.ephemeralContainerStatuses,
    )
    phase = _settled_phase(pod, old, inits, regular, seen)
    others = [c for c in old.conditions or () if c.type not in OWNED]
    sandbox = seen.runtime.ready_sandbox
    ips = _pod_ips(pod, old, seen)
    conditions = build_conditions(
        pod,
        phase,
        inits,
        regular,
        sandbox_ready=sandbox is not None and (sandbox.host_network or bool(sandbox.ips)),
        others=others,
    )
    return msgspec.structs.replace(
        old,
        phase=phase,
        reason=seen.failure.reason if seen.failure else old.reason,
        message=seen.failure.message if seen.failure else old.message,
        conditions=settle(pod, conditions, old.conditions, now),
        initContainerStatuses=inits or None,
        containerStatuses=regular or None,
        ephemeralContainerStatuses=ephemeral or None,
        hostIP=seen.host_ips[0] if seen.host_ips else None,
        hostIPs=[core_v1.HostIP(ip=ip) for ip in seen.host_ips] or None,
        podIP=ips[0] if ips else None,
        podIPs=[core_v1.PodIP(ip=ip) for ip in ips] or None,
        startTime=old.startTime or now,
        qosClass=old.qosClass or qos_class(spec_of(pod)),
        observedGeneration=metadata(pod).generation,
    )


def _pod_ips(pod: core_v1.Pod, old: core_v1.PodStatus, seen: Observed) -> tuple[str, ...]:
    if host_network(pod):
        return seen.host_ips if seen.runtime.sandboxes else ()
    for sandbox in seen.runtime.sandboxes:
        if sandbox.ips:
            return sandbox.ips
    # An address stays in the status of a pod that has ended, as in Kubernetes.
    return tuple(ip.ip or "" for ip in old.podIPs or ())


def _settled_phase(
    pod: core_v1.Pod,
    old: core_v1.PodStatus,
    inits: list[core_v1.ContainerStatus],
    regular: list[core_v1.ContainerStatus],
    seen: Observed,
) -> str:
    """The phase. One that is final stays, and none is final while a container still runs: who
    reads it takes the pod's volumes and its place for free."""
    if old.phase in FINAL:
        return old.phase or ""
    phase = "Failed"
    if seen.failure is None:
        phase = pod_phase(pod, inits, regular, terminal=seen.terminal)
    if phase in FINAL and seen.runtime.running:
        return old.phase or "Running"
    return phase


def pod_phase(
    pod: core_v1.Pod,
    inits: list[core_v1.ContainerStatus],
    regular: list[core_v1.ContainerStatus],
    *,
    terminal: bool,
) -> str:
    """The phase that the container statuses amount to (the kubelet's `getPhase`)."""
    policy = restart_policy(pod)
    pending, failed = _init_progress(pod, inits)
    if failed and (policy == "Never" or terminal):
        return "Failed"
    kinds = [_kind(status) for status in regular]
    waiting, running = kinds.count("waiting"), kinds.count("running")
    stopped, succeeded = kinds.count("failed"), kinds.count("succeeded")
    ended = stopped + succeeded
    if (pending and not running and not ended) or waiting:
        return "Failed" if terminal else "Pending"
    if running:
        return "Running"
    if not ended:
        return "Failed" if terminal else "Pending"
    all_succeeded = stopped == 0
    if terminal or policy == "Never" or (policy == "OnFailure" and all_succeeded):
        return "Succeeded" if all_succeeded else "Failed"
    return "Running"


def _init_progress(pod: core_v1.Pod, inits: list[core_v1.ContainerStatus]) -> tuple[bool, bool]:
    """Whether initialization is still under way, and whether an init container failed."""
    by_name = {status.name: status for status in inits}
    pending = failed = False
    for container in init_containers(pod):
        status = by_name.get(container.name)
        state = status.state if status else None
        if is_sidecar(container):
            pending = pending or not (status and status.started)
        elif state is not None and state.terminated is not None:
            failed = failed or (state.terminated.exitCode or 0) != 0
        else:
            pending = True
    return pending or failed, failed


def _kind(status: core_v1.ContainerStatus) -> str:
    """A container waiting for its restart counts as what it ended as."""
    state = status.state or core_v1.ContainerState()
    if state.running is not None:
        return "running"
    ended = state.terminated
    if ended is None and status.lastState is not None:
        ended = status.lastState.terminated
    if ended is None:
        return "waiting"
    return "failed" if ended.exitCode else "succeeded"
