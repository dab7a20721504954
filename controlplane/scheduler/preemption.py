"""Which pods of lower priority would have to go so that a pod fits: a pure function.

Source: Kubernetes, `pkg/scheduler/framework/preemption` and `plugins/defaultpreemption`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from controlplane.scheduler.framework import FitError, Memory, NodeFilter, summarize
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
# Another plugin that Kubernetes asks before (dynamic resource allocation) has this to say.
PREFIX = "no new claims to deallocate, preemption: "

# So many ways to make room are enough to choose from.
CANDIDATES_MAX = 100

_Check = Callable[[NodeInfo], str | None]
# Whether deleting these pods together would violate a PodDisruptionBudget.
Violations = Callable[[Collection[PodInfo]], int]


@dataclass(frozen=True)
class Preemption:
    """Delete `victims` and `node_name` has room."""

    node_name: str
    victims: tuple[PodInfo, ...]
    violations: int


def not_eligible(pod: PodInfo, snapshot: Snapshot, nominated: str) -> str:
    """Why nobody is to be removed for the pod; "" where that is not so. While the pods that were
    deleted for it are still leaving its nominated node, no others need go."""
    if pod.spec.preemptionPolicy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    node = snapshot.node(nominated)
    for other in node.pods.values() if node is not None else ():
        leaving = other.pod.metadata and other.pod.metadata.deletionTimestamp is not None
        if leaving and other.priority < pod.priority:
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def message(error: FitError, node_count: int, ineligible: str, unhelped: Mapping[str, str]) -> str:
    """The error's message with what preemption has to say. `unhelped`: why removing pods does not
    help, per node that it could have helped."""
    if not error.rejections:
        return error.message
    if ineligible:
        return f"{error.message} {PREFIX}{ineligible}"
    reasons = {
        name: unhelped.get(name, NO_VICTIMS) if rejection.resolvable else NOT_HELPFUL
        for name, rejection in error.rejections.items()
    }
    return f"{error.message} {PREFIX}{summarize(node_count, reasons)}"


def find(
    pod: PodInfo, snapshot: Snapshot, error: FitError, violations: Violations
) -> tuple[Preemption | None, dict[str, str]]:
    """The cheapest way to make room, if there is one; and why other nodes cannot be helped."""
    unhelped: dict[str, str] = {}
    candidates: list[Preemption] = []
    if not error.rejections:
        return None, unhelped  # not the nodes are the reason
    check = _checker(pod, snapshot)
    for name, rejection in error.rejections.items():
        node = snapshot.node(name)
        if node is None or not rejection.resolvable:
            continue
        lower = [other for other in node.pods.values() if other.priority < pod.priority]
        if not lower:
            continue
        victims = _victims(check, snapshot, node, lower, unhelped)
        if victims:
            candidates.append(Preemption(name, tuple(victims), violations(victims)))
        if len(candidates) == CANDIDATES_MAX:
            break
    return min(candidates, key=_cost, default=None), unhelped


def _victims(
    check: _Check,
    snapshot: Snapshot,
    node: NodeInfo,
    lower: Iterable[PodInfo],
    unhelped: dict[str, str],
) -> list[PodInfo]:
    """The fewest of the lower ones that must go, the most important spared first.

    The snapshot is changed while that is tried, and is as before when this returns.
    """
    removed = sorted(lower, key=importance)
    for other in removed:
        snapshot.remove_pod(other.uid)
    victims = list(removed)
    rejected = check(node)
    try:
        if rejected is not None:
            unhelped[node.name] = rejected
            return []
        for other in reversed(removed):
            snapshot.set_pod(other, node.name)
            if check(node) is None:
                victims.remove(other)
            else:
                snapshot.remove_pod(other.uid)
        return victims
    finally:
        for other in removed:
            snapshot.set_pod(other, node.name)


def _checker(pod: PodInfo, snapshot: Snapshot) -> _Check:
    """Says why a node still cannot take the pod. Made anew for each look where what other nodes
    run counts too: those filters are worked out from the snapshot as it is."""
    steady = not (
        pod.spec.topologySpreadConstraints or pod.has_affinity or snapshot.pods_with_affinity()
    )
    made = NodeFilter(pod, snapshot, Memory()) if steady else None

    def check(node: NodeInfo) -> str | None:
        rejected = (made or NodeFilter(pod, snapshot, Memory())).check(node)
        return None if rejected is None else ", ".join(rejected[1].reasons)

    return check


def importance(pod: PodInfo) -> tuple[int, str]:
    """The lower goes first: by priority, then the one that started last."""
    started = pod.pod.status.startTime if pod.pod.status else None
    created = pod.pod.metadata.creationTimestamp if pod.pod.metadata else None
    inverted = "".join(chr(0x10FFFF - ord(c)) for c in started or created or "")
    return pod.priority, inverted


def _cost(candidate: Preemption) -> tuple[int, int, int, int]:
    """Fewest violated budgets, then the least important victims, then the fewest."""
    priorities = [victim.priority for victim in candidate.victims]
    # Offset so that a sum grows with each pod, negative priorities included.
    total = sum(priority + 2**31 for priority in priorities)
    return candidate.violations, max(priorities), total, len(priorities)
