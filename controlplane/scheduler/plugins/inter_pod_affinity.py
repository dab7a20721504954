"""Pods that want to be, or not to be, where certain other pods are.

Source: Kubernetes, `plugins/interpodaffinity`.
"""

from collections.abc import Mapping, Sequence

from controlplane.scheduler.podinfo import AffinityTerm, PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    NAMESPACE_CHANGED,
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

NOT_BESIDE = Rejection(("node(s) didn't match pod affinity rules",))
BESIDE = Rejection(("node(s) didn't match pod anti-affinity rules",), resolvable=True)
UNWANTED = Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",), resolvable=True)
# What a required affinity of a pod that runs already adds where preferences are weighed.
HARD_AFFINITY_WEIGHT = 1

Domain = tuple[str, str]


def counts_by_domain(term: AffinityTerm, snapshot: Snapshot) -> dict[str, int]:
    """How many pods match the term, per value of its topology key."""
    if term.namespace_matcher is None:
        namespaces = list(term.namespaces)
    else:
        namespaces = [
            name for name, labels in snapshot.namespaces() if term.covers_namespace(name, labels)
        ]
    domains: dict[str, int] = {}
    for namespace in namespaces:
        for node_name, count in snapshot.counts(namespace, term.matcher).items():
            node = snapshot.node(node_name)
            value = node.labels.get(term.topology_key) if node else None
            if value is not None:
                domains[value] = domains.get(value, 0) + count
    return domains


def _forbidden(pod: PodInfo, snapshot: Snapshot) -> set[Domain]:
    """Domains that pods there keep this one out of."""
    labels = snapshot.namespace_labels(pod.namespace)
    found: set[Domain] = set()
    for other, node in snapshot.pods_with_affinity():
        for term in other.anti_affinity.required:
            value = node.labels.get(term.topology_key)
            if value is not None and term.matches(pod, labels):
                found.add((term.topology_key, value))
    return found


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    forbidden = _forbidden(pod, snapshot)
    wanted = [(t, counts_by_domain(t, snapshot)) for t in pod.affinity.required]
    unwanted = [(t, counts_by_domain(t, snapshot)) for t in pod.anti_affinity.required]
    if not forbidden and not wanted and not unwanted:
        return None
    first = _is_first_of_its_kind(pod, snapshot, [counts for _, counts in wanted])

    def check(node: NodeInfo) -> Rejection | None:
        for term, counts in wanted:
            value = node.labels.get(term.topology_key)
            if value is None or not (counts.get(value) or first):
                return NOT_BESIDE
        for term, counts in unwanted:
            if counts.get(node.labels.get(term.topology_key, "")):
                return BESIDE
        if any(node.labels.get(key) == value for key, value in forbidden):
            return UNWANTED
        return None

    return check


def _is_first_of_its_kind(
    pod: PodInfo, snapshot: Snapshot, counts: Sequence[Mapping[str, int]]
) -> bool:
    """Pods that want to be beside each other: somebody must be allowed to start."""
    labels = snapshot.namespace_labels(pod.namespace)
    return not any(counts) and all(t.matches(pod, labels) for t in pod.affinity.required)


def _add(
    weights: dict[Domain, float], term: AffinityTerm, node: NodeInfo | None, weight: float
) -> None:
    value = node.labels.get(term.topology_key) if node else None
    if value is not None:
        domain = (term.topology_key, value)
        weights[domain] = weights.get(domain, 0.0) + weight


def _weights(pod: PodInfo, snapshot: Snapshot) -> dict[Domain, float]:
    """What speaks for (or, below zero, against) each domain."""
    weights: dict[Domain, float] = {}
    for terms, sign in ((pod.affinity.preferred, 1), (pod.anti_affinity.preferred, -1)):
        for term in terms:
            for value, count in counts_by_domain(term, snapshot).items():
                domain = (term.topology_key, value)
                weights[domain] = weights.get(domain, 0.0) + sign * term.weight * count
    labels = snapshot.namespace_labels(pod.namespace)
    for other, node in snapshot.pods_with_affinity():
        for term in other.affinity.required:
            if term.matches(pod, labels):
                _add(weights, term, node, HARD_AFFINITY_WEIGHT)
        for term in other.affinity.preferred:
            if term.matches(pod, labels):
                _add(weights, term, node, term.weight)
        for term in other.anti_affinity.preferred:
            if term.matches(pod, labels):
                _add(weights, term, node, -term.weight)
    return weights


def make_scorer(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    weights = _weights(pod, snapshot)
    if not weights:
        return None

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        raw = [
            sum(weight for (key, value), weight in weights.items() if node.labels.get(key) == value)
            for node in nodes
        ]
        lowest, highest = min(raw, default=0.0), max(raw, default=0.0)
        if highest == lowest:
            return [0.0] * len(raw)
        return [float(int(SCORE_MAX * (r - lowest) / (highest - lowest))) for r in raw]

    return score


PLUGIN = Plugin(
    "InterPodAffinity",
    make_filter,
    make_scorer,
    weight=2,
    events=frozenset(
        (
            NODE_ADDED,
            NODE_CHANGED,
            POD_GONE,
            POD_PLACED,
            POD_LABELS_CHANGED,
            NAMESPACE_CHANGED,
        )
    ),
)
