"""Taints keep off the pods that do not tolerate them; soft ones make a node less liked."""

from collections.abc import Sequence

from controlplane.controllers.tolerations import tolerates
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    NODE_ADDED,
    NODE_CHANGED,
    Filter,
    Plugin,
    Rejection,
    Scope,
    Scorer,
    normalized,
)

REJECTION = Rejection(("node(s) had untolerated taint(s)",))
_HARD = frozenset(("NoSchedule", "NoExecute"))


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    tolerations = pod.spec.tolerations or ()

    def check(node: NodeInfo) -> Rejection | None:
        for taint in node.taints:
            if taint.effect in _HARD and not any(tolerates(t, taint) for t in tolerations):
                return REJECTION
        return None

    return check


def make_scorer(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    if not snapshot.has_soft_taints:
        return None
    tolerations = [
        t for t in pod.spec.tolerations or () if t.effect in (None, "", "PreferNoSchedule")
    ]

    def disliked(node: NodeInfo) -> int:
        return sum(
            taint.effect == "PreferNoSchedule" and not any(tolerates(t, taint) for t in tolerations)
            for taint in node.taints
        )

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        return normalized([disliked(node) for node in nodes], reverse=True)

    return score


PLUGIN = Plugin(
    "TaintToleration",
    make_filter,
    make_scorer,
    weight=3,
    filter_scope=Scope.NODE,
    events=frozenset((NODE_ADDED, NODE_CHANGED)),
)
