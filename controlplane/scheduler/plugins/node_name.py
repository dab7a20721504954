"""`spec.nodeName` names the only node there is to choose."""

from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import NODE_ADDED, Filter, Plugin, Rejection, Scope

REJECTION = Rejection(("node(s) didn't match the requested node name",))


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    wanted = pod.spec.nodeName
    if not wanted:
        return None

    def check(node: NodeInfo) -> Rejection | None:
        return None if node.name == wanted else REJECTION

    return check


PLUGIN = Plugin("NodeName", make_filter, filter_scope=Scope.NODE, events=frozenset((NODE_ADDED,)))
