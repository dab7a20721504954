"""`nodeSelector` and node affinity: where the pod must, and where it would rather run.

Source: `component-helpers/scheduling/corev1/nodeaffinity`; an empty term matches nothing.
"""

from collections.abc import Callable, Mapping, Sequence

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
from kubeapi.types import core_v1

REJECTION = Rejection(("node(s) didn't match Pod's node affinity/selector",))

NodeTest = Callable[[NodeInfo], bool]


def _as_integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _compare(labels: Mapping[str, str], key: str, values: Sequence[str], *, more: bool) -> bool:
    have = _as_integer(labels.get(key))
    bound = _as_integer(values[0]) if len(values) == 1 else None
    if have is None or bound is None:
        return False
    return have > bound if more else have < bound


def _requirement(item: core_v1.NodeSelectorRequirement) -> Callable[[Mapping[str, str]], bool]:
    key, values = item.key or "", item.values or []
    table: dict[str, Callable[[Mapping[str, str]], bool]] = {
        "In": lambda labels: labels.get(key) in values,
        "NotIn": lambda labels: labels.get(key) not in values,
        "Exists": lambda labels: key in labels,
        "DoesNotExist": lambda labels: key not in labels,
        "Gt": lambda labels: _compare(labels, key, values, more=True),
        "Lt": lambda labels: _compare(labels, key, values, more=False),
    }
    # Validation lets no other operator in; one that slipped through matches no node.
    return table.get(item.operator or "", lambda labels: False)


def compile_term(term: core_v1.NodeSelectorTerm) -> NodeTest:
    labels = [_requirement(item) for item in term.matchExpressions or ()]
    fields = [_requirement(item) for item in term.matchFields or ()]
    if not labels and not fields:
        return lambda node: False

    def matches(node: NodeInfo) -> bool:
        if not all(test(node.labels) for test in labels):
            return False
        return not fields or all(test({"metadata.name": node.name}) for test in fields)

    return matches


def compile_selector(selector: core_v1.NodeSelector) -> NodeTest:
    """Terms are alternatives."""
    terms = [compile_term(term) for term in selector.nodeSelectorTerms or ()]
    return lambda node: any(term(node) for term in terms)


def required(spec: core_v1.PodSpec) -> NodeTest | None:
    """Whether the pod may run on a node by its selector and its required affinity."""
    selector = (spec.nodeSelector or {}).items()
    node_affinity = spec.affinity.nodeAffinity if spec.affinity else None
    terms = node_affinity.requiredDuringSchedulingIgnoredDuringExecution if node_affinity else None
    if not selector and terms is None:
        return None
    affinity = compile_selector(terms) if terms is not None else None

    def matches(node: NodeInfo) -> bool:
        if not selector <= node.labels.items():
            return False
        return affinity is None or affinity(node)

    return matches


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    matches = required(pod.spec)
    if matches is None:
        return None
    return lambda node: None if matches(node) else REJECTION


def make_scorer(pod: PodInfo, snapshot: Snapshot) -> Scorer | None:
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity else None
    preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else None
    terms = [
        (compile_term(item.preference), item.weight or 0)
        for item in preferred or ()
        if item.preference is not None
    ]
    if not terms:
        return None

    def score(nodes: Sequence[NodeInfo]) -> list[float]:
        return normalized([sum(w for test, w in terms if test(node)) for node in nodes])

    return score


PLUGIN = Plugin(
    "NodeAffinity",
    make_filter,
    make_scorer,
    weight=2,
    filter_scope=Scope.NODE,
    events=frozenset((NODE_ADDED, NODE_CHANGED)),
)
