"""A host port can be taken once per node, protocol and address."""

from controlplane.scheduler.podinfo import HostPort, PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import NODE_ADDED, POD_GONE, Filter, Plugin, Rejection

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 (compared with, never bound)
REJECTION = Rejection(
    ("node(s) didn't have free ports for the requested pod ports",), resolvable=True
)


def conflict(a: HostPort, b: HostPort) -> bool:
    """The wildcard address collides with every address."""
    if a[1:] != b[1:]:
        return False
    return a[0] == b[0] or ANY_ADDRESS in (a[0], b[0])


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    wanted = pod.host_ports
    if not wanted:
        return None

    def check(node: NodeInfo) -> Rejection | None:
        for other in node.pods.values():
            if any(conflict(a, b) for a in other.host_ports for b in wanted):
                return REJECTION
        return None

    return check


PLUGIN = Plugin("NodePorts", make_filter, events=frozenset((NODE_ADDED, POD_GONE)))
