"""`schedule(pod, snapshot)`: which node, or why none. Pure but for the randomness passed in.

Source: Kubernetes, `pkg/scheduler/schedule_one.go` and `framework.FitError`.
"""

import random
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.scheduler.plugins import PLUGINS
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    Filter,
    Plugin,
    PodRejected,
    Rejection,
    Scope,
    Scorer,
)

# In a large cluster a good node is found without looking at all of them.
FEASIBLE_MIN = 100
FEASIBLE_SHARE_MIN = 0.05
REMEMBERED_MAX = 64
NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Placement:
    """The node to bind the pod to."""

    node_name: str
    evaluated_nodes: int
    feasible_nodes: int


@dataclass(frozen=True)
class FitError:
    """Why no node can take the pod. `plugins`: who rejected it, of which any may change its mind;
    `rejections`: by node."""

    message: str
    plugins: frozenset[str]
    rejections: Mapping[str, Rejection] = field(default_factory=dict)


class Memory:
    """What is remembered from pod to pod: verdicts and scores that depend on a node and on a
    signature of the pod alone."""

    def __init__(self) -> None:
        self.next_start = 0
        self._known: OrderedDict[Hashable, dict[str, Any]] = OrderedDict()

    def of(self, what: str, signature: Hashable) -> dict[str, Any]:
        """By node name; each entry begins with what was looked at."""
        key = (what, signature)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = {}
            if len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known


class NodeFilter:
    """All filters for one pod; says who rejects a node and why."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot, memory: Memory) -> None:
        """Raises PodRejected (with the plugin's name as second argument)."""
        self._known = memory.of("by node", pod.placement_signature)
        self._by_node: list[tuple[str, Filter]] = []
        self._others: list[tuple[str, Filter]] = []
        for plugin in PLUGINS:
            check = _make_filter(plugin, pod, snapshot)
            if check is None:
                continue
            if plugin.filter_scope is Scope.NODE:
                self._by_node.append((plugin.name, check))
                continue
            if plugin.filter_scope is Scope.USAGE:
                known = memory.of(f"by usage, {plugin.name}", pod.requests.signature)
                check = _remembered(check, known)
            self._others.append((plugin.name, check))

    def check(self, node: NodeInfo) -> tuple[str, Rejection] | None:
        known = self._known.get(node.name)
        if known is None or known[0] is not node.node:
            known = self._known[node.name] = (node.node, _first(self._by_node, node))
        rejected: tuple[str, Rejection] | None = known[1]
        return rejected if rejected is not None else _first(self._others, node)


def _first(checks: list[tuple[str, Filter]], node: NodeInfo) -> tuple[str, Rejection] | None:
    for name, check in checks:
        rejection = check(node)
        if rejection is not None:
            return name, rejection
    return None


def _remembered(check: Filter, known: dict[str, Any]) -> Filter:
    def look(node: NodeInfo) -> Rejection | None:
        found = known.get(node.name)
        if found is None or found[0] != node.generation:
            found = known[node.name] = (node.generation, check(node))
        rejection: Rejection | None = found[1]
        return rejection

    return look


def _make_filter(plugin: Plugin, pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    if plugin.make_filter is None:
        return None
    try:
        return plugin.make_filter(pod, snapshot)
    except PodRejected as rejected:
        raise PodRejected(str(rejected), plugin.name) from None


def feasible_wanted(node_count: int) -> int:
    """How many fitting nodes are enough to choose from (`numFeasibleNodesToFind`)."""
    if node_count < FEASIBLE_MIN:
        return node_count
    share = max(FEASIBLE_SHARE_MIN, 0.5 - node_count / 125 / 100)
    return max(FEASIBLE_MIN, int(node_count * share))


def schedule(
    pod: PodInfo, snapshot: Snapshot, rng: random.Random, memory: Memory | None = None
) -> Placement | FitError:
    """`memory` carries what may be remembered from pod to pod; without it nothing is."""
    memory = memory or Memory()
    nodes = list(snapshot.nodes)
    if not nodes:
        return FitError(NO_NODES, frozenset(("NodeName",)))
    try:
        node_filter = NodeFilter(pod, snapshot, memory)
    except PodRejected as rejected:
        message, plugin = rejected.args
        # The second sentence is what Kubernetes' own error ends with in this case.
        text = f"0/{len(nodes)} nodes are available: {message}. not found"
        return FitError(text, frozenset((plugin,)))
    feasible, rejections, evaluated = _find_feasible(node_filter, nodes, memory)
    if not feasible:
        by_node = {name: rejection for name, (_, rejection) in rejections.items()}
        plugins = frozenset(plugin for plugin, _ in rejections.values())
        return FitError(_summary(len(nodes), by_node.values()), plugins, by_node)
    chosen = feasible[0] if len(feasible) == 1 else _best(pod, snapshot, feasible, rng, memory)
    return Placement(chosen.name, evaluated, len(feasible))


def _find_feasible(
    node_filter: NodeFilter, nodes: Sequence[NodeInfo], memory: Memory
) -> tuple[list[NodeInfo], dict[str, tuple[str, Rejection]], int]:
    """Fitting nodes, starting after where the last pod's search ended, so that all get a turn."""
    enough = feasible_wanted(len(nodes))
    start = memory.next_start % len(nodes) if enough < len(nodes) else 0
    feasible: list[NodeInfo] = []
    rejections: dict[str, tuple[str, Rejection]] = {}
    evaluated = 0
    for i in range(len(nodes)):
        node = nodes[(start + i) % len(nodes)]
        evaluated += 1
        rejected = node_filter.check(node)
        if rejected is not None:
            rejections[node.name] = rejected
            continue
        feasible.append(node)
        if len(feasible) == enough:
            break
    memory.next_start = start + evaluated
    return feasible, rejections, evaluated


def _best(
    pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo], rng: random.Random, memory: Memory
) -> NodeInfo:
    """The node with the highest weighted sum of scores; of equals, any."""
    scorers = [
        (plugin, scorer)
        for plugin in PLUGINS
        if plugin.make_scorer and (scorer := plugin.make_scorer(pod, snapshot)) is not None
    ]
    by_usage = [(p.weight, scorer) for p, scorer in scorers if p.scorer_scope is Scope.USAGE]
    totals = _usage_scores(by_usage, nodes, memory.of("scores", pod.requests.signature))
    for plugin, scorer in scorers:
        if plugin.scorer_scope is not Scope.USAGE:
            for i, score in enumerate(scorer(nodes)):
                totals[i] += plugin.weight * score
    highest = max(totals)
    return nodes[rng.choice([i for i, total in enumerate(totals) if total == highest])]


def _usage_scores(
    scorers: Sequence[tuple[int, Scorer]], nodes: Sequence[NodeInfo], known: dict[str, Any]
) -> list[float]:
    """Weighted sums; between two pods only the nodes that got one are scored anew."""
    totals = []
    for node in nodes:
        found = known.get(node.name)
        if found is None or found[0] != node.generation:
            total = sum(weight * scorer((node,))[0] for weight, scorer in scorers)
            found = known[node.name] = (node.generation, total)
        totals.append(found[1])
    return totals


def _summary(node_count: int, rejections: Iterable[Rejection]) -> str:
    """Each reason with the number of nodes that gave it, sorted as text."""
    histogram = Counter(reason for rejection in rejections for reason in rejection.reasons)
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in histogram.items()))
    return f"0/{node_count} nodes are available: {reasons}."


def summarize(node_count: int, reasons: Mapping[str, str]) -> str:
    """As above, for one reason per node (preemption's part of the message)."""
    return _summary(node_count, [Rejection((reason,)) for reason in reasons.values()])
