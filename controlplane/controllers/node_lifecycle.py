"""Notices nodes that fell silent: conditions, taints, and their pods not ready any more.

A node's key comes again when its grace period would end, so a healthy one costs one look in 40 s.
Source: Kubernetes, `pkg/controller/nodelifecycle/node_lifecycle_controller.go`.
"""

import random

import msgspec

from base.clock import Clock, rfc3339
from controlplane.controllers import node_health, pods
from controlplane.controllers.indices import BY_NODE, by_node
from controlplane.controllers.node_health import Heartbeat
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, WARNING, EventRecorder
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import coordination_v1, core_v1

LEASE_NAMESPACE = "kube-node-lease"
EVICTION_RECHECK_S = 5.0


def node_reference(node: core_v1.Node) -> core_v1.ObjectReference:
    """As Kubernetes' node controller refers to a node in its events."""
    meta = meta_of(node)
    return core_v1.ObjectReference(apiVersion="v1", kind="Node", name=meta.name, uid=meta.uid)


class NodeLifecycleController:
    name = "node-controller"

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        recorder: EventRecorder,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._heartbeats: dict[str, Heartbeat] = {}
        self._evicted_s: dict[tuple[str, str], float] = {}
        self.loop = ControlLoop("node_lifecycle_controller", self.reconcile, clock, rng)
        self._nodes = informers.of(core_v1.Node)
        self._leases = informers.of(coordination_v1.Lease)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index(BY_NODE, by_node)
        self._nodes.add_handler(self._node_changed)
        self._leases.add_handler(self._lease_changed)

    def _lease_changed(
        self, old: coordination_v1.Lease | None, new: coordination_v1.Lease | None
    ) -> None:
        """A renewed lease is noted at once, so that silence counts from the last sign of life."""
        meta = meta_of(new) if new is not None else None
        node = self._nodes.get(meta.name or "") if meta else None
        if node is not None and meta is not None and meta.namespace == LEASE_NAMESPACE:
            self._observe(node)

    def _observe(self, node: core_v1.Node) -> Heartbeat:
        key = object_key(node)
        lease = self._leases.get(f"{LEASE_NAMESPACE}/{key}")
        now_s = self._clock.monotonic_s()
        heartbeat = node_health.observe(node, lease, self._heartbeats.get(key), now_s)
        self._heartbeats[key] = heartbeat
        return heartbeat

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if old is None and new is not None:
            self._tell(new, "RegisteredNode", "Registered Node {} in Controller")
        if new is None and old is not None:
            self._tell(old, "RemovingNode", "Removing Node {} from Controller")
            self._heartbeats.pop(object_key(old), None)
        if new is not None:
            self._observe(new)
            self.loop.enqueue(object_key(new))
        if old is None or new is None or _ready_changed(old, new):
            self._others_may_change()

    def _others_may_change(self) -> None:
        """How many nodes are well decides whether the sick ones are emptied."""
        for node in self._nodes.list():
            if node_health.ready_status(node) != "True":
                self.loop.enqueue(object_key(node))

    def _tell(self, node: core_v1.Node, reason: str, text: str) -> None:
        name = meta_of(node).name
        message = f"Node {name} event: {text.format(name)}"
        self._recorder.event(node_reference(node), NORMAL, reason, message)

    async def reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None:
            return DONE
        now_s = self._clock.monotonic_s()
        silent_in_s = node_health.silent_in_s(node, self._observe(node), now_s)
        try:
            if silent_in_s <= 0:
                node = await self._mark_silent(node)
            waits = await self._taint(node)
            if node_health.ready_status(node) in ("False", "Unknown"):
                await self._mark_pods_not_ready(key)
        except StatusError as error:
            if error.code == 404:
                return DONE
            raise
        if waits:
            return Result(EVICTION_RECHECK_S)
        return Result(max(silent_in_s, 0.1) if silent_in_s > 0 else node_health.MONITOR_GRACE_S)

    async def _mark_silent(self, node: core_v1.Node) -> core_v1.Node:
        conditions = node_health.conditions_of_silent(node, self._clock.now_s())
        if conditions == node_health.conditions_of(node):
            return node
        was_ready = node_health.ready_status(node) == "True"
        status = msgspec.structs.replace(node.status or core_v1.NodeStatus(), conditions=conditions)
        changed = msgspec.structs.replace(node, status=status)
        updated = await self._client.update(changed, subresource="status")
        if was_ready:
            name = meta_of(node).name
            message = f"Node {name} status is now: NodeNotReady"
            self._recorder.event(node_reference(node), NORMAL, "NodeNotReady", message)
        return updated

    async def _taint(self, node: core_v1.Node) -> bool:
        """Set our taints; whether the node should be emptied but has to wait for its turn."""
        wanted_key = node_health.no_execute_key(node)
        rate = self._evictions_per_s(node) if wanted_key else None
        evict = rate is not None and (
            node_health.has_no_execute(node) or (rate > 0 and self._take_turn(node, rate))
        )
        taints = node_health.wanted_taints(node, evict=evict, wall_s=self._clock.now_s())
        if taints != node_health.taints_of(node):
            await self._write_taints(node, taints)
        return rate is not None and rate > 0 and not evict

    def _evictions_per_s(self, node: core_v1.Node) -> float | None:
        everything = self._nodes.list()
        zone = node_health.zone_of(node)
        return node_health.evictions_per_s(
            (other for other in everything if node_health.zone_of(other) == zone), everything
        )

    def _take_turn(self, node: core_v1.Node, rate: float) -> bool:
        """One node of a zone at a time is emptied, in the pace of the zone."""
        zone, now_s = node_health.zone_of(node), self._clock.monotonic_s()
        if now_s - self._evicted_s.get(zone, -1.0 / rate) < 1.0 / rate:
            return False
        self._evicted_s[zone] = now_s
        return True

    async def _write_taints(self, node: core_v1.Node, taints: list[core_v1.Taint]) -> None:
        fields = ("key", "value", "effect", "timeAdded")
        rows = [
            {name: value for name in fields if (value := getattr(taint, name)) is not None}
            for taint in taints
        ]
        meta = meta_of(node)
        patch = {
            "metadata": {"resourceVersion": meta.resourceVersion},
            "spec": {"taints": rows or None},
        }
        await self._client.patch(core_v1.Node, meta.name or "", patch, patch_type=PatchType.MERGE)

    async def _mark_pods_not_ready(self, node_name: str) -> None:
        """Endpoints must not send anyone to a node that is not heard of."""
        now = rfc3339(self._clock.now_s())
        for pod in list(self._pods.by_index(BY_NODE, node_name)):
            ready = pods.condition(pod, "Ready")
            if ready is None or ready.status != "True":
                continue
            changed = {"type": "Ready", "status": "False", "lastTransitionTime": now}
            meta = meta_of(pod)
            try:
                await self._client.patch(
                    core_v1.Pod,
                    meta.name or "",
                    {"metadata": {"uid": meta.uid}, "status": {"conditions": [changed]}},
                    namespace=meta.namespace or "",
                    subresource="status",
                )
            except StatusError as error:
                if error.code not in (404, 409, 422):
                    raise
                continue
            self._recorder.event(pod, WARNING, "NodeNotReady", "Node is not ready")


def _ready_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
    return node_health.ready_status(old) != node_health.ready_status(new)
