"""Does the pod's request fit beside the others', and where is the most room left.

Scores are LeastAllocated (free share of cpu and memory) and BalancedAllocation (cpu and memory
used alike). Source: Kubernetes, `plugins/noderesources`.
"""

from collections.abc import Sequence

from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.resources import CPU, MEMORY, PODS
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    NODE_ADDED,
    NODE_CHANGED,
    POD_GONE,
    SCORE_MAX,
    Filter,
    Plugin,
    Rejection,
    Scope,
    Scorer,
)


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    wanted = tuple(pod.requests.exact.items())

    def check(node: NodeInfo) -> Rejection | None:
        have, used = node.allocatable, node.usage.exact
        if node.usage.pods + 1 > have.get(PODS, 0):
            return _explain(node, wanted)
        for name, amount in wanted:
            if used.get(name, 0) + amount > have.get(name, 0):
                return _explain(node, wanted)
        return None

    return check


def _explain(node: NodeInfo, wanted: Sequence[tuple[str, int]]) -> Rejection:
    """Every resource that lacks. No pod need go where the node is too small for this one alone."""
    have, used = node.allocatable, node.usage
    reasons = ["Too many pods"] if used.pods + 1 > have.get(PODS, 0) else []
    resolvable = True
    for name, amount in wanted:
        if used.exact.get(name, 0) + amount > have.get(name, 0):
            reasons.append(f"Insufficient {name}")
            resolvable = resolvable and amount <= have.get(name, 0)
    return Rejection(tuple(reasons), resolvable)


def _share(used: int, have: int) -> float:
    return min(1.0, used / have) if have else 1.0


def make_least_allocated(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    cpu, memory = pod.requests.cpu, pod.requests.memory

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        scores = []
        for node in nodes:
            have, used = node.allocatable, node.usage
            free = 2.0 - _share(used.cpu + cpu, have.get(CPU, 0))
            free -= _share(used.memory + memory, have.get(MEMORY, 0))
            scores.append(float(int(SCORE_MAX * free / 2)))
        return scores

    return score


def make_balanced(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    cpu, memory = pod.requests.exact.get(CPU, 0), pod.requests.exact.get(MEMORY, 0)
    if not cpu and not memory:
        # A pod that asks for nothing makes no node more balanced than another.
        return None

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        scores = []
        for node in nodes:
            have, used = node.allocatable, node.usage.exact
            a = _share(used.get(CPU, 0) + cpu, have.get(CPU, 0))
            b = _share(used.get(MEMORY, 0) + memory, have.get(MEMORY, 0))
            # Of two values the standard deviation is half their distance.
            scores.append(float(int(SCORE_MAX * (1 - abs(a - b) / 2))))
        return scores

    return score


PLUGIN = Plugin(
    "NodeResourcesFit",
    make_filter,
    make_least_allocated,
    filter_scope=Scope.USAGE,
    scorer_scope=Scope.USAGE,
    events=frozenset((NODE_ADDED, NODE_CHANGED, POD_GONE)),
)
BALANCED = Plugin(
    "NodeResourcesBalancedAllocation", make_scorer=make_balanced, scorer_scope=Scope.USAGE
)
