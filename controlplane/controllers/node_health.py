"""Is a node alive, which conditions and taints follow, and may its pods be evicted: pure functions.

Source: Kubernetes, `pkg/controller/nodelifecycle` (node_lifecycle_controller.go, scheduler).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from base.clock import rfc3339
from controlplane.controllers.pods import meta_of
from kubeapi.types import coordination_v1, core_v1

MONITOR_GRACE_S = 40.0
STARTUP_GRACE_S = 60.0
# Evictions of a zone in which most nodes are well; in one of many sick nodes it is a tenth, and in
# one of few, or where no node is well, none: then it is more likely the network than the nodes.
EVICTIONS_PER_S = 0.1
SECONDARY_EVICTIONS_PER_S = 0.01
LARGE_ZONE_NODES = 50
UNHEALTHY_ZONE_SHARE = 0.55

NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# (condition, status) -> the taint that says so to the scheduler
_TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_OWN_KEYS = frozenset((*_TAINTS.values(), UNSCHEDULABLE))
_POSTED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_ZONE_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def conditions_of(node: core_v1.Node) -> list[core_v1.NodeCondition]:
    return (node.status.conditions if node.status else None) or []


def condition(node: core_v1.Node, kind: str) -> core_v1.NodeCondition | None:
    return next((c for c in conditions_of(node) if c.type == kind), None)


def ready_status(node: core_v1.Node) -> str:
    """True, False or Unknown; "" where the node never said."""
    ready = condition(node, "Ready")
    return (ready.status or "") if ready else ""


def zone_of(node: core_v1.Node) -> tuple[str, str]:
    labels = meta_of(node).labels or {}
    return labels.get(_ZONE_LABELS[0], ""), labels.get(_ZONE_LABELS[1], "")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life: what it was, and when we saw it change, by our clock alone."""

    heartbeat_time: str | None
    renew_time: str | None
    ready: str
    seen_s: float


def observe(
    node: core_v1.Node,
    lease: coordination_v1.Lease | None,
    last: Heartbeat | None,
    now_s: float,
) -> Heartbeat:
    """The sign of life as of now: `last`, unless node or lease show a newer one."""
    ready = condition(node, "Ready")
    now = Heartbeat(
        heartbeat_time=ready.lastHeartbeatTime if ready else None,
        renew_time=lease.spec.renewTime if lease and lease.spec else None,
        ready=ready_status(node),
        seen_s=now_s,
    )
    if last is None:
        return now
    # Our own "Unknown" is no sign of life, so the status counts only with a new heartbeat time.
    same = now.heartbeat_time == last.heartbeat_time and now.renew_time == last.renew_time
    if same and now.ready in (last.ready, "Unknown"):
        return last
    return now


def silent_in_s(node: core_v1.Node, heartbeat: Heartbeat, now_s: float) -> float:
    """Seconds until the node counts as lost; 0 or less when it does."""
    grace_s = MONITOR_GRACE_S if condition(node, "Ready") else STARTUP_GRACE_S
    return heartbeat.seen_s + grace_s - now_s


def conditions_of_silent(node: core_v1.Node, wall_s: float) -> list[core_v1.NodeCondition]:
    """The conditions of a node that has not been heard of: all of them Unknown."""
    now = rfc3339(wall_s)
    conditions = list(conditions_of(node))
    for kind in _POSTED_CONDITIONS:
        index = next((i for i, c in enumerate(conditions) if c.type == kind), None)
        if index is None:
            conditions.append(
                core_v1.NodeCondition(
                    type=kind,
                    status="Unknown",
                    reason="NodeStatusNeverUpdated",
                    message="Kubelet never posted node status.",
                    lastHeartbeatTime=meta_of(node).creationTimestamp,
                    lastTransitionTime=now,
                )
            )
        elif conditions[index].status != "Unknown":
            conditions[index] = msgspec.structs.replace(
                conditions[index],
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=now,
            )
    return conditions


def no_execute_key(node: core_v1.Node) -> str | None:
    """The taint that evicts from this node; None while it is ready or never said."""
    return _TAINTS.get(("Ready", ready_status(node)))


def taints_of(node: core_v1.Node) -> list[core_v1.Taint]:
    return (node.spec.taints if node.spec else None) or []


def has_no_execute(node: core_v1.Node) -> bool:
    """Whether a taint of ours evicts from it."""
    return any(
        t.effect == NO_EXECUTE and t.key in (NOT_READY, UNREACHABLE) for t in taints_of(node)
    )


def wanted_taints(node: core_v1.Node, *, evict: bool, wall_s: float) -> list[core_v1.Taint]:
    """Others' taints as they are, and ours as the conditions ask for. With `evict`, a node that
    is not ready also drives away the pods that do not tolerate that."""
    wanted = {
        (key, NO_SCHEDULE)
        for c in conditions_of(node)
        if (key := _TAINTS.get((c.type or "", c.status or "")))
    }
    if node.spec and node.spec.unschedulable:
        wanted.add((UNSCHEDULABLE, NO_SCHEDULE))
    driving_away = no_execute_key(node)
    if evict and driving_away:
        wanted.add((driving_away, NO_EXECUTE))
    kept = []
    for taint in taints_of(node):
        if not _is_ours(taint):
            kept.append(taint)
        elif (taint.key, taint.effect) in wanted:
            kept.append(taint)
            wanted.discard((taint.key or "", taint.effect or ""))
    now = rfc3339(wall_s)
    return kept + [
        core_v1.Taint(key=key, effect=effect, timeAdded=now) for key, effect in sorted(wanted)
    ]


def _is_ours(taint: core_v1.Taint) -> bool:
    if taint.effect == NO_EXECUTE:
        return taint.key in (NOT_READY, UNREACHABLE)
    return taint.effect == NO_SCHEDULE and taint.key in _OWN_KEYS


def evictions_per_s(
    zone: Iterable[core_v1.Node], everything: Sequence[core_v1.Node]
) -> float | None:
    """How fast nodes of a zone may be emptied, by how many of its nodes are well. None: no node
    anywhere is well, so it is we who are cut off, and evictions under way stop too."""
    if not any(ready_status(node) == "True" for node in everything):
        return None
    nodes = list(zone)
    sick = sum(ready_status(node) != "True" for node in nodes)
    # A zone all of whose nodes are lost while others are well really is lost: full rate.
    if sick == len(nodes) or sick <= 2 or sick / len(nodes) < UNHEALTHY_ZONE_SHARE:
        return EVICTIONS_PER_S
    return SECONDARY_EVICTIONS_PER_S if len(nodes) > LARGE_ZONE_NODES else 0.0
