"""Spreads pods of one workload over hosts, zones or any other label of nodes.

Source: Kubernetes, `plugins/podtopologyspread`; KEP-895, KEP-3022 (minDomains), KEP-3094
(inclusion policies), KEP-3243 (matchLabelKeys).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.scheduler.plugins import node_affinity, taint_toleration
from controlplane.scheduler.podinfo import PodInfo, with_label_keys
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    NODE_ADDED,
    NODE_CHANGED,
    POD_GONE,
    POD_LABELS_CHANGED,
    POD_PLACED,
    SCORE_MAX,
    Filter,
    Plugin,
    Rejection,
    Scorer,
)
from kubeapi.selectors import LabelMatcher
from kubeapi.types import core_v1

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
SKEWED = Rejection(("node(s) didn't match pod topology spread constraints",), resolvable=True)
UNLABELED = Rejection(
    ("node(s) didn't match pod topology spread constraints (missing required label)",)
)


@dataclass(frozen=True)
class Constraint:
    """One constraint of one pod. `included` says which nodes are counted."""

    key: str
    max_skew: int
    matcher: LabelMatcher
    min_domains: int
    included: Callable[[NodeInfo], bool]


def _constraint(pod: PodInfo, given: core_v1.TopologySpreadConstraint) -> Constraint:
    tests: list[Callable[[NodeInfo], bool]] = []
    fits = node_affinity.required(pod.spec)
    if given.nodeAffinityPolicy != "Ignore" and fits is not None:
        tests.append(fits)
    if given.nodeTaintsPolicy == "Honor":
        tolerated = taint_toleration.make_filter(pod, Snapshot())
        assert tolerated is not None
        tests.append(lambda node: tolerated(node) is None)
    return Constraint(
        given.topologyKey or "",
        given.maxSkew or 1,
        with_label_keys(given.labelSelector, pod.labels, given.matchLabelKeys),
        given.minDomains or 1,
        lambda node: all(test(node) for test in tests),
    )


def constraints(pod: PodInfo, when_unsatisfiable: str) -> list[Constraint]:
    return [
        _constraint(pod, given)
        for given in pod.spec.topologySpreadConstraints or ()
        if (given.whenUnsatisfiable or "DoNotSchedule") == when_unsatisfiable
    ]


def _defaults(pod: PodInfo, snapshot: Snapshot) -> list[Constraint]:
    """Pods of a workload without constraints of their own prefer other hosts and zones."""
    matcher = snapshot.workload(pod)
    if pod.spec.topologySpreadConstraints or matcher.nothing or matcher.is_everything:
        return []
    return [
        Constraint(HOSTNAME, 3, matcher, 1, lambda node: True),
        Constraint(ZONE, 5, matcher, 1, lambda node: True),
    ]


def _per_domain(
    constraint: Constraint, nodes: Sequence[NodeInfo], counts: Mapping[str, int]
) -> dict[str, int]:
    domains: dict[str, int] = {}
    key = constraint.key
    for node in nodes:
        value = node.labels.get(key)
        if value is not None:
            domains[value] = domains.get(value, 0) + counts.get(node.name, 0)
    return domains


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    hard = constraints(pod, "DoNotSchedule")
    if not hard:
        return None
    keys = [constraint.key for constraint in hard]
    prepared = []
    for constraint in hard:
        counted = [
            node
            for node in snapshot.nodes
            if all(key in node.labels for key in keys) and constraint.included(node)
        ]
        counts = snapshot.counts(pod.namespace, constraint.matcher)
        domains = _per_domain(constraint, counted, counts)
        least = min(domains.values(), default=0) if len(domains) >= constraint.min_domains else 0
        prepared.append((constraint, domains, least, constraint.matcher.matches(pod.labels)))

    def check(node: NodeInfo) -> Rejection | None:
        for constraint, domains, least, matches_itself in prepared:
            value = node.labels.get(constraint.key)
            if value is None:
                return UNLABELED
            if domains.get(value, 0) + matches_itself - least > constraint.max_skew:
                return SKEWED
        return None

    return check


def make_scorer(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    own = constraints(pod, "ScheduleAnyway")
    soft = own or _defaults(pod, snapshot)
    if not soft:
        return None
    # With constraints of its own a node that lacks a label is the last choice.
    required_keys = [constraint.key for constraint in own]

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        raw: list[float | None] = [
            0.0 if all(key in node.labels for key in required_keys) else None for node in nodes
        ]
        candidates = [node for node, value in zip(nodes, raw, strict=True) if value is not None]
        for constraint in soft:
            _add_score(constraint, pod, snapshot, nodes, candidates, raw)
        return _inverted(raw)

    return score


def _add_score(
    constraint: Constraint,
    pod: PodInfo,
    snapshot: Snapshot,
    nodes: Sequence[NodeInfo],
    candidates: Sequence[NodeInfo],
    raw: list[float | None],
) -> None:
    counts = snapshot.counts(pod.namespace, constraint.matcher)
    key = constraint.key
    if key == HOSTNAME:
        weight = math.log(len(candidates) + 2)
        for i, node in enumerate(nodes):
            value = raw[i]
            if value is not None and key in node.labels:
                raw[i] = value + counts.get(node.name, 0) * weight + constraint.max_skew - 1
        return
    wanted = {node.labels[key] for node in candidates if key in node.labels}
    if not wanted:
        return
    included = [node for node in snapshot.nodes if constraint.included(node)]
    domains = _per_domain(constraint, included, counts)
    weight = math.log(len(wanted) + 2)
    for i, node in enumerate(nodes):
        value, domain = raw[i], node.labels.get(key)
        if value is not None and domain is not None:
            raw[i] = value + domains.get(domain, 0) * weight + constraint.max_skew - 1


def _inverted(raw: Sequence[float | None]) -> list[float]:
    """The fewer, the better; nodes that do not count get nothing."""
    rounded = [None if value is None else round(value) for value in raw]
    known = [value for value in rounded if value is not None]
    highest, lowest = max(known, default=0), min(known, default=0)
    if highest == 0:
        return [0.0 if value is None else float(SCORE_MAX) for value in rounded]
    return [
        0.0 if value is None else float(SCORE_MAX * (highest + lowest - value) // highest)
        for value in rounded
    ]


PLUGIN = Plugin(
    "PodTopologySpread",
    make_filter,
    make_scorer,
    weight=2,
    events=frozenset((NODE_ADDED, NODE_CHANGED, POD_GONE, POD_PLACED, POD_LABELS_CHANGED)),
)
