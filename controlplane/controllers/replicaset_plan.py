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
from kubeapi.selectors import of_selector
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


class Tally:
    """Counts over the pods that one ReplicaSet controls, kept with every change of one of them.

    Thousands of pods are not counted anew for each that becomes ready. A pod that does not match
    the selector any more is only counted as a stranger.
    """

    def __init__(self, rs: apps_v1.ReplicaSet) -> None:
        spec = rs.spec or apps_v1.ReplicaSetSpec()
        template = spec.template.metadata if spec.template else None
        self.generation = pods.meta_of(rs).generation
        self.matcher = of_selector(spec.selector)
        self._template_labels = (template.labels if template else None) or {}
        self._views: dict[str, PodView] = {}
        self.active = self.ready = self.fully_labeled = self.terminating = self.strangers = 0

    def views(self) -> Iterable[PodView]:
        return self._views.values()

    def put(self, pod: core_v1.Pod) -> None:
        """The pod is there, in this version."""
        uid, labels = pods.meta_of(pod).uid or "", pods.meta_of(pod).labels
        self.drop(uid)
        view = self._views[uid] = PodView(
            pod=pod,
            matches=self.matcher.matches(labels),
            active=pods.is_active(pod),
            terminating=pods.is_terminating(pod),
            ready_since_s=pods.ready_since_s(pod),
            fully_labeled=self._template_labels.items() <= (labels or {}).items(),
        )
        self._count(view, 1)

    def drop(self, uid: str) -> None:
        view = self._views.pop(uid, None)
        if view is not None:
            self._count(view, -1)

    def _count(self, view: PodView, by: int) -> None:
        if not view.matches:
            self.strangers += by
            return
        self.terminating += by * view.terminating
        if view.active:
            self.active += by
            self.ready += by * (view.ready_since_s is not None)
            self.fully_labeled += by * view.fully_labeled

    def available(self, min_ready_s: int, now_s: float) -> tuple[int, float]:
        """How many are available, and in how many seconds the next one will be (0: none is)."""
        if not min_ready_s:
            return self.ready, 0.0
        waits_s = [
            max(0.0, v.ready_since_s + min_ready_s - now_s)
            for v in self._views.values()
            if v.matches and v.active and v.ready_since_s is not None
        ]
        return waits_s.count(0.0), min((wait_s for wait_s in waits_s if wait_s), default=0.0)


def wanted(rs: apps_v1.ReplicaSet) -> int:
    replicas = rs.spec.replicas if rs.spec else None
    return 1 if replicas is None else replicas


def min_ready_s(rs: apps_v1.ReplicaSet) -> int:
    return (rs.spec.minReadySeconds if rs.spec else 0) or 0


def surplus(rs: apps_v1.ReplicaSet, active: int) -> int:
    """Pods too many (or, below zero, too few), as many as one run may delete or create."""
    return max(-BURST_REPLICAS, min(BURST_REPLICAS, active - wanted(rs)))


def to_delete(
    rs: apps_v1.ReplicaSet,
    active: Sequence[core_v1.Pod],
    related: Iterable[core_v1.Pod],
    now_s: float,
) -> Sequence[core_v1.Pod]:
    """The pods to give up now. `related` are those of every ReplicaSet of the same owner: of two
    nodes, the one that has more of them gives one up."""
    count = surplus(rs, len(active))
    if wanted(rs) == 0:
        return active[:count]  # all of them go, in whatever order
    per_node = Counter(pods.spec_of(pod).nodeName for pod in related if pods.is_active(pod))
    return sorted(active, key=lambda pod: deletion_rank(pod, per_node, now_s))[:count]


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


def status(
    rs: apps_v1.ReplicaSet, tally: Tally, failure: tuple[str, str] | None, now_s: float
) -> apps_v1.ReplicaSetStatus:
    """The status to be; `failure` is (reason, message) of pods that could not be made or removed.

    Counts that are zero are absent, as Kubernetes writes them.
    """
    available, _ = tally.available(min_ready_s(rs), now_s)
    return apps_v1.ReplicaSetStatus(
        replicas=tally.active,
        fullyLabeledReplicas=tally.fully_labeled or None,
        readyReplicas=tally.ready or None,
        availableReplicas=available or None,
        terminatingReplicas=tally.terminating,
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
