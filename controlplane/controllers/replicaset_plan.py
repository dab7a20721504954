"""What a ReplicaSet lacks, which pods to give up, and its status: pure functions of values.

Source: Kubernetes, `pkg/controller/replicaset` and `ActivePodsWithRanks` of controller_utils.go.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from base.clock import parse_rfc3339, rfc3339
from controlplane.controllers import pods
from kubeapi.selectors import LabelMatcher
from kubeapi.types import apps_v1, core_v1

# Pods created or deleted in one run: no ReplicaSet keeps the others waiting for long.
BURST_REPLICAS = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True, slots=True)
class PodView:
    """What a ReplicaSet needs to know of one version of a pod."""

    pod: core_v1.Pod
    matches: bool
    active: bool
    terminating: bool
    ready_since_s: float | None
    fully_labeled: bool


def view(pod: core_v1.Pod, matcher: LabelMatcher, template: dict[str, str]) -> PodView:
    labels = pods.meta_of(pod).labels
    return PodView(
        pod=pod,
        matches=matcher.matches(labels),
        active=pods.is_active(pod),
        terminating=pods.is_terminating(pod),
        ready_since_s=pods.ready_since_s(pod),
        fully_labeled=template.items() <= (labels or {}).items(),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pods to create, or which to delete; never both."""

    create: int = 0
    delete: Sequence[core_v1.Pod] = ()


def wanted(rs: apps_v1.ReplicaSet) -> int:
    replicas = rs.spec.replicas if rs.spec else None
    return 1 if replicas is None else replicas


def decide(
    rs: apps_v1.ReplicaSet,
    active: Sequence[core_v1.Pod],
    related: Iterable[core_v1.Pod],
    now_s: float,
) -> Plan:
    """`active` are the pods it controls, `related` those of every ReplicaSet of the same owner."""
    surplus = len(active) - wanted(rs)
    if surplus < 0:
        return Plan(create=min(-surplus, BURST_REPLICAS))
    if surplus == 0:
        return Plan()
    surplus = min(surplus, BURST_REPLICAS)
    if surplus == len(active):
        return Plan(delete=active)
    per_node = Counter(pods.spec_of(pod).nodeName for pod in related if pods.is_active(pod))
    ranked = sorted(active, key=lambda pod: deletion_rank(pod, per_node, now_s))
    return Plan(delete=ranked[:surplus])


def _log_age(since_s: float | None, now_s: float) -> int:
    """Ages are compared by their power of two (KEP-2185), so that ties are broken at random."""
    if since_s is None:
        return 0
    age_s = max(0.0, now_s - since_s)
    return int(math.log2(age_s)) if age_s >= 1.0 else 0


def _deletion_cost(pod: core_v1.Pod) -> int:
    try:
        return int((pods.meta_of(pod).annotations or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def deletion_rank(
    pod: core_v1.Pod, pods_per_node: Counter[str | None], now_s: float
) -> tuple[Any, ...]:
    """Pods with the lowest rank go first: unassigned, pending, not ready, cheap, crowded on their
    node, ready for a short time, often restarted, young."""
    spec, meta = pods.spec_of(pod), pods.meta_of(pod)
    ready_since_s = pods.ready_since_s(pod)
    created_s = parse_rfc3339(meta.creationTimestamp) if meta.creationTimestamp else None
    return (
        bool(spec.nodeName),
        _PHASE_RANK.get(pods.status_of(pod).phase or "", 0),
        ready_since_s is not None,
        _deletion_cost(pod),
        -pods_per_node[spec.nodeName],
        _log_age(ready_since_s, now_s),
        -pods.restarts(pod),
        _log_age(created_s, now_s),
        meta.uid or "",
    )


def available_in_s(ready_since_s: float | None, min_ready_s: int, now_s: float) -> float | None:
    """As `pods.available_in_s`, of a view."""
    if ready_since_s is None:
        return None
    return max(0.0, ready_since_s + min_ready_s - now_s) if min_ready_s else 0.0


def next_available_in_s(views: Iterable[PodView], min_ready_s: int, now_s: float) -> float:
    """Seconds until the next ready pod becomes available; 0 where none is waiting to."""
    waits = (available_in_s(v.ready_since_s, min_ready_s, now_s) for v in views if v.active)
    return min((wait_s for wait_s in waits if wait_s), default=0.0)


def status(
    rs: apps_v1.ReplicaSet,
    views: Sequence[PodView],
    failure: tuple[str, str] | None,
    now_s: float,
) -> apps_v1.ReplicaSetStatus:
    """The status to be; `failure` is (reason, message) of pods that could not be made or removed.

    Counts that are zero are absent, as Kubernetes writes them.
    """
    active = [v for v in views if v.active]
    min_ready_s = (rs.spec.minReadySeconds if rs.spec else 0) or 0
    available = sum(available_in_s(v.ready_since_s, min_ready_s, now_s) == 0.0 for v in active)
    return apps_v1.ReplicaSetStatus(
        replicas=len(active),
        fullyLabeledReplicas=sum(v.fully_labeled for v in active) or None,
        readyReplicas=sum(v.ready_since_s is not None for v in active) or None,
        availableReplicas=available or None,
        terminatingReplicas=sum(v.terminating for v in views),
        observedGeneration=pods.meta_of(rs).generation,
        conditions=_conditions(rs, failure, now_s),
    )


def _conditions(
    rs: apps_v1.ReplicaSet, failure: tuple[str, str] | None, now_s: float
) -> list[apps_v1.ReplicaSetCondition] | None:
    conditions = (rs.status.conditions if rs.status else None) or []
    others = [c for c in conditions if c.type != "ReplicaFailure"]
    if failure is None:
        return others or None
    if len(others) < len(conditions):
        return conditions
    reason, message = failure
    new = apps_v1.ReplicaSetCondition(
        type="ReplicaFailure",
        status="True",
        reason=reason,
        message=message,
        lastTransitionTime=rfc3339(now_s),
    )
    return [*others, new]
