"""Cordoned nodes take no pods, but for those that tolerate the taint that says the same."""

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
)
from kubeapi.types import core_v1

TAINT = core_v1.Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
REJECTION = Rejection(("node(s) were unschedulable",))


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    tolerated = any(tolerates(t, TAINT) for t in pod.spec.tolerations or ())

    def check(node: NodeInfo) -> Rejection | None:
        return REJECTION if node.unschedulable and not tolerated else None

    return check


PLUGIN = Plugin(
    "NodeUnschedulable",
    make_filter,
    filter_scope=Scope.NODE,
    events=frozenset((NODE_ADDED, NODE_CHANGED)),
)
