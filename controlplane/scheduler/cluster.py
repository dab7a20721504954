"""Keeps the scheduler's snapshot and queue in step with what the informers tell."""

import contextlib
import random
from collections.abc import Collection, Iterator

from base.clock import Clock
from controlplane.controllers import pods
from controlplane.controllers.pods import meta_of
from controlplane.scheduler import verdicts
from controlplane.scheduler.podinfo import PodInfo, pod_info
from controlplane.scheduler.queue import SchedulingQueue
from controlplane.scheduler.snapshot import Snapshot
from controlplane.scheduler.workloads import Workloads
from kubeapi.client import Client
from kubeapi.informer import Informer, SharedInformers, object_key
from kubeapi.selectors import of_selector
from kubeapi.types import core_v1, policy_v1, storage_v1

SCHEDULER_NAME = "default-scheduler"


class ClaimsAndVolumes:
    """What the volume plugin asks, from the informers."""

    def __init__(self, informers: SharedInformers) -> None:
        self._claims = informers.of(core_v1.PersistentVolumeClaim)
        self._volumes = informers.of(core_v1.PersistentVolume)
        self._classes = informers.of(storage_v1.StorageClass)

    def claim(self, key: str) -> core_v1.PersistentVolumeClaim | None:
        return self._claims.get(key)

    def volume(self, name: str) -> core_v1.PersistentVolume | None:
        return self._volumes.get(name)

    def waits_for_consumer(self, claim: core_v1.PersistentVolumeClaim) -> bool:
        name = claim.spec.storageClassName if claim.spec else None
        found = self._classes.get(name or "")
        return found is not None and found.volumeBindingMode == "WaitForFirstConsumer"


class Cluster:
    """Snapshot, queue and the informers that feed them."""

    def __init__(self, client: Client, clock: Clock, rng: random.Random) -> None:
        self.informers = SharedInformers(client, rng)
        self.queue = SchedulingQueue(clock)
        # Pods for which others were deleted, with the node on which there will be room.
        self.nominated: dict[str, tuple[PodInfo, str]] = {}
        workloads = Workloads(self.informers)
        self.snapshot = Snapshot(workloads.of, ClaimsAndVolumes(self.informers))
        self._pods: Informer[core_v1.Pod] = self.informers.of(core_v1.Pod)
        self._budgets = self.informers.of(policy_v1.PodDisruptionBudget)
        # Nodes first: a pod that is placed before its node is known is only kept in mind.
        self.informers.of(core_v1.Node).add_handler(self._node_changed)
        self.informers.of(core_v1.Namespace).add_handler(self._namespace_changed)
        self._pods.add_handler(self._pod_changed)
        self.informers.of(core_v1.PersistentVolumeClaim).add_handler(self._claim_changed)

    def pod(self, key: str) -> core_v1.Pod | None:
        return self._pods.get(key)

    @contextlib.contextmanager
    def reserved_for_others(self, pod: PodInfo) -> Iterator[None]:
        """While it lasts, the room made for pods that are no less important is taken by them."""
        reserved = [
            (other, node_name)
            for uid, (other, node_name) in self.nominated.items()
            if uid != pod.uid
            and other.priority >= pod.priority
            and self.snapshot.placed_on(uid) is None
        ]
        for other, node_name in reserved:
            self.snapshot.set_pod(other, node_name)
        try:
            yield
        finally:
            for other, _ in reserved:
                self.snapshot.remove_pod(other.uid)

    def forget_assumed(self, uid: str) -> None:
        """A placement that was assumed did not come true."""
        self.snapshot.remove_pod(uid)
        self.queue.move(verdicts.POD_GONE)

    def budget_violations(self, victims: Collection[PodInfo]) -> int:
        """How many of the pods no PodDisruptionBudget has left to give."""
        count = 0
        for budget in self._budgets.list():
            matcher = of_selector(budget.spec.selector if budget.spec else None)
            allowed = (budget.status.disruptionsAllowed if budget.status else 0) or 0
            namespace = meta_of(budget).namespace
            covered = sum(v.namespace == namespace and matcher.matches(v.labels) for v in victims)
            count += max(0, covered - allowed)
        return count

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if new is None:
            if old is not None:
                self.snapshot.remove_node(object_key(old))
            return
        if old is not None and not _node_matters(old, new):
            return
        self.snapshot.set_node(new)
        self.queue.move(verdicts.NODE_ADDED if old is None else verdicts.NODE_CHANGED)

    def _namespace_changed(
        self, old: core_v1.Namespace | None, new: core_v1.Namespace | None
    ) -> None:
        if new is None:
            if old is not None:
                self.snapshot.remove_namespace(object_key(old))
            return
        self.snapshot.set_namespace(meta_of(new))
        if old is not None and meta_of(old).labels != meta_of(new).labels:
            self.queue.move(verdicts.NAMESPACE_CHANGED)

    def _claim_changed(
        self,
        old: core_v1.PersistentVolumeClaim | None,
        new: core_v1.PersistentVolumeClaim | None,
    ) -> None:
        self.queue.move(verdicts.CLAIM_CHANGED)

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if new is None:
            if old is not None:
                self._pod_gone(meta_of(old).uid or "")
        elif pods.spec_of(new).nodeName:
            self._pod_placed(old, new)
        else:
            self._pod_unplaced(old, new)

    def _pod_gone(self, uid: str) -> None:
        self.queue.remove(uid)
        self.nominated.pop(uid, None)
        if self.snapshot.placed_on(uid) is not None:
            self.snapshot.remove_pod(uid)
            self.queue.move(verdicts.POD_GONE)

    def _pod_placed(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        uid = meta_of(new).uid or ""
        if pods.is_terminated(new):
            # Its containers have ended: what it had is free.
            self._pod_gone(uid)
            return
        self.queue.remove(uid)
        self.nominated.pop(uid, None)
        self.snapshot.set_pod(pod_info(new), pods.spec_of(new).nodeName or "")
        if old is None or not pods.spec_of(old).nodeName:
            self.queue.move(verdicts.POD_PLACED)
        elif meta_of(old).labels != meta_of(new).labels:
            self.queue.move(verdicts.POD_LABELS_CHANGED)

    def _pod_unplaced(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        uid = meta_of(new).uid or ""
        if not is_ours(new):
            self.queue.remove(uid)
            return
        if self.snapshot.placed_on(uid) is not None:
            return  # assumed: its binding is being written
        if old is None or self.queue.get(uid) is None or _pod_matters(old, new):
            self.queue.add(pod_info(new))
        else:
            queued = self.queue.get(uid)
            if queued is not None:
                queued.info = pod_info(new)


def is_ours(pod: core_v1.Pod) -> bool:
    """For this scheduler to place, and ready to be placed."""
    spec = pods.spec_of(pod)
    if (spec.schedulerName or SCHEDULER_NAME) != SCHEDULER_NAME or spec.schedulingGates:
        return False
    return meta_of(pod).deletionTimestamp is None and not pods.is_terminated(pod)


def _pod_matters(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    """Whether a pod without a node may fit now because it changed itself; status does not count."""
    return old.spec != new.spec or meta_of(old).labels != meta_of(new).labels


def _node_matters(old: core_v1.Node, new: core_v1.Node) -> bool:
    """Heartbeats, which are most updates of a node, change nothing here."""
    if old.spec != new.spec or meta_of(old).labels != meta_of(new).labels:
        return True
    a, b = old.status, new.status
    return (a.allocatable, a.capacity) != (b.allocatable, b.capacity) if a and b else a != b
