"""The words that plugins and the framework share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot

SCORE_MAX = 100


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a node cannot take the pod. `resolvable`: removing other pods from it could help."""

    reasons: tuple[str, ...]
    resolvable: bool = False


class PodRejected(Exception):
    """The pod cannot be placed anywhere, whatever the nodes: the message says why."""


Filter = Callable[[NodeInfo], Rejection | None]
# Both are made for one pod; None where the plugin has nothing to say about it. A scorer gives
# each node, in order, 0 to SCORE_MAX.
MakeFilter = Callable[[PodInfo, Snapshot], Filter | None]
Scorer = Callable[[Sequence[NodeInfo]], Sequence[float]]
MakeScorer = Callable[[PodInfo, Snapshot], Scorer | None]


class Scope(Enum):
    """What a plugin looks at, and so how long its verdict on a node may be remembered."""

    NODE = "the node object and the pod's placement signature"
    USAGE = "the sums over the node's pods and the pod's requests"
    CLUSTER = "anything"


@dataclass(frozen=True)
class Plugin:
    """`filter_scope` and `scorer_scope`: what the two depend on (no scorer has scope NODE).
    `events`: what can make a pod that it rejected fit after all."""

    name: str
    make_filter: MakeFilter | None = None
    make_scorer: MakeScorer | None = None
    weight: int = 1
    filter_scope: Scope = Scope.CLUSTER
    scorer_scope: Scope = Scope.CLUSTER
    events: frozenset[str] = frozenset()


# What may help a waiting pod. Names as in Kubernetes' queueing hints, joined.
NODE_ADDED, NODE_CHANGED = "NodeAdd", "NodeUpdate"
POD_GONE, POD_PLACED, POD_LABELS_CHANGED = "PodDelete", "PodAdd", "PodUpdate"
NAMESPACE_CHANGED = "NamespaceUpdate"
CLAIM_CHANGED = "PersistentVolumeClaimUpdate"


def normalized(raw: Sequence[float], *, reverse: bool = False) -> list[float]:
    """Scaled so that the highest is SCORE_MAX (`helper.DefaultNormalizeScore`)."""
    highest = max(raw, default=0)
    if highest == 0:
        return [float(SCORE_MAX if reverse else 0)] * len(raw)
    scaled = [int(SCORE_MAX * value / highest) for value in raw]
    return [float(SCORE_MAX - value if reverse else value) for value in scaled]
