"""A pod's conditions as Kubernetes 1.36 words them.

Source: the kubelet's `status.GeneratePod*Condition`. Each is judged from the container statuses;
`settle` carries over when a condition last changed.
"""

from collections.abc import Callable, Iterable

import msgspec

from kubeapi.types import core_v1
from nodeagent.pods.spec import (
    Container,
    containers,
    init_containers,
    is_sidecar,
    metadata,
    sidecars,
    spec_of,
)

Statuses = dict[str, core_v1.ContainerStatus]

# The order in which the kubelet writes them.
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def build_conditions(
    pod: core_v1.Pod,
    phase: str,
    inits: list[core_v1.ContainerStatus],
    regular: list[core_v1.ContainerStatus],
    *,
    sandbox_ready: bool,
    others: Iterable[core_v1.PodCondition],
) -> list[core_v1.PodCondition]:
    """The conditions of OWNED; `others` are those that other writers own (readiness gates)."""
    by_name = {s.name or "": s for s in [*inits, *regular]}
    ready = _containers_ready(pod, phase, by_name)
    return [
        _condition("PodReadyToStartContainers", sandbox_ready),
        _initialized(pod, phase, by_name),
        _pod_ready(pod, ready, others),
        ready,
        _condition("PodScheduled", True),
    ]


def settle(
    pod: core_v1.Pod,
    fresh: list[core_v1.PodCondition],
    old: list[core_v1.PodCondition] | None,
    now: str,
) -> list[core_v1.PodCondition]:
    """`fresh` with times and generation, then the conditions of others as they are."""
    before = {c.type: c for c in old or ()}
    settled = []
    for condition in fresh:
        known = before.get(condition.type)
        same = known is not None and known.status == condition.status
        settled.append(
            msgspec.structs.replace(
                condition,
                lastTransitionTime=known.lastTransitionTime if known and same else now,
                observedGeneration=metadata(pod).generation,
            )
        )
    return settled + [c for c in old or () if c.type not in {f.type for f in fresh}]


def _condition(
    kind: str, holds: bool, reason: str | None = None, message: str | None = None
) -> core_v1.PodCondition:
    status = "True" if holds else "False"
    return core_v1.PodCondition(type=kind, status=status, reason=reason, message=message)


def _initialized(pod: core_v1.Pod, phase: str, statuses: Statuses) -> core_v1.PodCondition:
    if any(_has_run(statuses.get(c.name or "")) for c in containers(pod)):
        return _condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else None)
    unknown, incomplete = _split(init_containers(pod), statuses, _init_complete)
    if phase == "Succeeded" and not unknown:
        return _condition("Initialized", True, "PodCompleted")
    message = _unready_message(unknown, incomplete, "incomplete")
    if message:
        return _condition("Initialized", False, "ContainersNotInitialized", message)
    return _condition("Initialized", True)


def _has_run(status: core_v1.ContainerStatus | None) -> bool:
    """A regular container that ever ran proves that initialization was complete."""
    if status is None or status.state is None:
        return False
    ended_before = status.lastState is not None and status.lastState.terminated is not None
    return bool(status.state.running or status.state.terminated or ended_before)


def _init_complete(container: Container, status: core_v1.ContainerStatus) -> bool:
    return bool(status.started) if is_sidecar(container) else bool(status.ready)


def _containers_ready(pod: core_v1.Pod, phase: str, statuses: Statuses) -> core_v1.PodCondition:
    if phase == "Succeeded":
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    counted = sidecars(pod) + containers(pod)
    unknown, unready = _split(counted, statuses, lambda _, status: bool(status.ready))
    message = _unready_message(unknown, unready, "unready")
    if message:
        return _condition("ContainersReady", False, "ContainersNotReady", message)
    return _condition("ContainersReady", True)


def _split(
    wanted: list[Container],
    statuses: Statuses,
    good: Callable[[Container, core_v1.ContainerStatus], bool],
) -> tuple[list[str], list[str]]:
    """Names of the containers without status, and of those that are not `good`."""
    unknown = [c.name or "" for c in wanted if (c.name or "") not in statuses]
    bad = [
        c.name or ""
        for c in wanted
        if (c.name or "") in statuses and not good(c, statuses[c.name or ""])
    ]
    return unknown, bad


def _unready_message(unknown: list[str], bad: list[str], word: str) -> str:
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if bad:
        parts.append(f"containers with {word} status: [{' '.join(bad)}]")
    return ", ".join(parts)


def _pod_ready(
    pod: core_v1.Pod, ready: core_v1.PodCondition, others: Iterable[core_v1.PodCondition]
) -> core_v1.PodCondition:
    if ready.status != "True":
        return msgspec.structs.replace(ready, type="Ready")
    given = {c.type: c.status for c in others}
    messages = []
    for gate in spec_of(pod).readinessGates or ():
        kind = gate.conditionType
        if kind not in given:
            messages.append(
                f'corresponding condition of pod readiness gate "{kind}" does not exist.'
            )
        elif given[kind] != "True":
            messages.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {given[kind]}'
            )
    if messages:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", True)
