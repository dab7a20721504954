"""Nodes with the pods on them, and the sums and counts that plugins ask for, kept incrementally.

The scheduler changes it as informers tell and as it assumes placements; `schedule` reads it in
one go, without an await, so it needs no copy.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.scheduler.podinfo import NO_LABELS, PodInfo
from controlplane.scheduler.resources import Amounts, Usage, allocatable
from kubeapi.selectors import LabelMatcher
from kubeapi.types import core_v1, meta_v1

COUNTED_SELECTORS_MAX = 128
_generations = itertools.count(1)
NO_SPREAD = LabelMatcher(nothing=True)


@dataclass(eq=False)
class NodeInfo:
    """A node and what runs on it. `generation` is another after every change, and never that of
    another node of the same name."""

    name: str
    node: core_v1.Node
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    allocatable: Amounts = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    pods: dict[str, PodInfo] = field(default_factory=dict)
    generation: int = 0

    def set_node(self, node: core_v1.Node) -> None:
        self.node = node
        self.labels = (node.metadata.labels if node.metadata else None) or NO_LABELS
        self.allocatable = allocatable(node)
        self.generation = next(_generations)

    @property
    def taints(self) -> list[core_v1.Taint]:
        return (self.node.spec.taints if self.node.spec else None) or []

    @property
    def unschedulable(self) -> bool:
        return bool(self.node.spec and self.node.spec.unschedulable)


@dataclass(eq=False)
class _Counted:
    """How many pods of a namespace match a selector, per node (zeros are absent)."""

    namespace: str
    matcher: LabelMatcher
    per_node: dict[str, int] = field(default_factory=dict)

    def change(self, info: PodInfo, node_name: str, by: int) -> None:
        if info.namespace != self.namespace or not self.matcher.matches(info.labels):
            return
        count = self.per_node.get(node_name, 0) + by
        if count:
            self.per_node[node_name] = count
        else:
            self.per_node.pop(node_name, None)


class Volumes(Protocol):
    """What is known of claims and volumes."""

    def claim(self, key: str) -> core_v1.PersistentVolumeClaim | None: ...

    def volume(self, name: str) -> core_v1.PersistentVolume | None: ...

    def waits_for_consumer(self, claim: core_v1.PersistentVolumeClaim) -> bool:
        """Its class binds volumes only once a pod that uses them has a node."""
        ...


class NoVolumes:
    """A cluster without a single claim."""

    def claim(self, key: str) -> core_v1.PersistentVolumeClaim | None:
        return None

    def volume(self, name: str) -> core_v1.PersistentVolume | None:
        return None

    def waits_for_consumer(self, claim: core_v1.PersistentVolumeClaim) -> bool:
        return False


# The selector (if any) by which pods of the same workload as a pod are told.
Workload = Callable[[PodInfo], LabelMatcher]


class Snapshot:
    """The cluster as scheduling sees it."""

    def __init__(
        self, workload: Workload = lambda _: NO_SPREAD, volumes: Volumes | None = None
    ) -> None:
        self.workload = workload
        self.volumes: Volumes = volumes or NoVolumes()
        self._nodes: dict[str, NodeInfo] = {}
        # Pods by uid, with the node they are (or are assumed to be) on; that node may not be
        # known yet, or any more.
        self._placed: dict[str, tuple[PodInfo, str]] = {}
        self._absent: dict[str, dict[str, PodInfo]] = {}
        self._with_affinity: dict[str, tuple[PodInfo, NodeInfo]] = {}
        self._counted: OrderedDict[tuple[str, LabelMatcher], _Counted] = OrderedDict()
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._soft_taints: set[str] = set()

    # Nodes.

    @property
    def nodes(self) -> Collection[NodeInfo]:
        return self._nodes.values()

    def node(self, name: str) -> NodeInfo | None:
        return self._nodes.get(name)

    @property
    def has_soft_taints(self) -> bool:
        """Whether any node asks to be avoided (PreferNoSchedule)."""
        return bool(self._soft_taints)

    def set_node(self, node: core_v1.Node) -> None:
        name = (node.metadata.name if node.metadata else None) or ""
        info = self._nodes.get(name)
        if info is None:
            info = self._nodes[name] = NodeInfo(name, node)
            for pod in self._absent.pop(name, {}).values():
                self._attach(info, pod)
        info.set_node(node)
        if any(taint.effect == "PreferNoSchedule" for taint in info.taints):
            self._soft_taints.add(name)
        else:
            self._soft_taints.discard(name)

    def remove_node(self, name: str) -> None:
        """Its pods stay known: they count again should the node come back."""
        info = self._nodes.pop(name, None)
        self._soft_taints.discard(name)
        if info is not None:
            for pod in list(info.pods.values()):
                self._detach(info, pod)
                self._absent.setdefault(name, {})[pod.uid] = pod

    # Pods.

    def placed_on(self, uid: str) -> str | None:
        """The node that a pod is, or is assumed to be, on."""
        placed = self._placed.get(uid)
        return placed[1] if placed else None

    def set_pod(self, info: PodInfo, node_name: str) -> None:
        """The pod is on that node, in this version; or is assumed to be."""
        placed = self._placed.get(info.uid)
        if placed is not None:
            if placed[1] == node_name and _same_footprint(placed[0], info):
                self._placed[info.uid] = (info, node_name)
                holder = self._nodes.get(node_name)
                pods = holder.pods if holder else self._absent.setdefault(node_name, {})
                pods[info.uid] = info
                if info.uid in self._with_affinity and holder is not None:
                    self._with_affinity[info.uid] = (info, holder)
                return
            self.remove_pod(info.uid)
        self._placed[info.uid] = (info, node_name)
        node = self._nodes.get(node_name)
        if node is None:
            self._absent.setdefault(node_name, {})[info.uid] = info
        else:
            self._attach(node, info)

    def remove_pod(self, uid: str) -> None:
        placed = self._placed.pop(uid, None)
        if placed is None:
            return
        info, node_name = placed
        node = self._nodes.get(node_name)
        if node is not None:
            self._detach(node, info)
            return
        absent = self._absent.get(node_name, {})
        absent.pop(uid, None)
        if not absent:
            self._absent.pop(node_name, None)

    def _attach(self, node: NodeInfo, info: PodInfo) -> None:
        node.pods[info.uid] = info
        self._change(node, info, 1)
        if info.has_affinity:
            self._with_affinity[info.uid] = (info, node)

    def _detach(self, node: NodeInfo, info: PodInfo) -> None:
        node.pods.pop(info.uid, None)
        self._change(node, info, -1)
        self._with_affinity.pop(info.uid, None)

    def _change(self, node: NodeInfo, info: PodInfo, by: int) -> None:
        requests = info.requests
        node.usage.change(requests.exact.items(), (requests.cpu, requests.memory), by)
        node.generation = next(_generations)
        if info.pod.metadata is None or info.pod.metadata.deletionTimestamp is None:
            for counted in self._counted.values():
                counted.change(info, node.name, by)

    # What plugins ask.

    def pods_with_affinity(self) -> Collection[tuple[PodInfo, NodeInfo]]:
        """Pods that have something to say about who may be beside them."""
        return self._with_affinity.values()

    def counts(self, namespace: str, matcher: LabelMatcher) -> Mapping[str, int]:
        """Pods of `namespace` that match and are not being deleted, per node; nodes without are
        absent. What was asked for lately is kept current, not counted anew."""
        key = (namespace, matcher)
        counted = self._counted.get(key)
        if counted is None:
            counted = _Counted(namespace, matcher)
            for node in self._nodes.values():
                for info in node.pods.values():
                    if info.pod.metadata is None or info.pod.metadata.deletionTimestamp is None:
                        counted.change(info, node.name, 1)
            self._counted[key] = counted
            if len(self._counted) > COUNTED_SELECTORS_MAX:
                self._counted.popitem(last=False)
        self._counted.move_to_end(key)
        return counted.per_node

    def set_namespace(self, meta: meta_v1.ObjectMeta) -> None:
        self._namespaces[meta.name or ""] = meta.labels or NO_LABELS

    def remove_namespace(self, name: str) -> None:
        self._namespaces.pop(name, None)

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        return self._namespaces.get(name, NO_LABELS)

    def namespaces(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        yield from self._namespaces.items()


def _same_footprint(old: PodInfo, new: PodInfo) -> bool:
    """Whether the new version counts exactly as the old one, which most updates (of status) do."""
    a, b = old.pod.metadata, new.pod.metadata
    if a is None or b is None or a.deletionTimestamp != b.deletionTimestamp:
        return False
    return old.labels == new.labels and old.spec == new.spec
