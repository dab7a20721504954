"""Removes pods that nobody else will: of nodes that are gone, never bound but deleted, long ended.

Source: Kubernetes, `pkg/controller/podgc/gc_controller.go`.
"""

import asyncio
import random
from collections.abc import Iterable

from base.clock import Clock, rfc3339
from controlplane.controllers import pods
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import ControlLoop, Result
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers
from kubeapi.types import core_v1

SWEEP = "sweep"
SWEEP_INTERVAL_S = 20.0
QUARANTINE_S = 40.0
TERMINATED_MAX = 12500


def unscheduled_terminating(everything: Iterable[core_v1.Pod]) -> list[core_v1.Pod]:
    """Deleted before they were bound: no agent will confirm that."""
    return [
        pod
        for pod in everything
        if meta_of(pod).deletionTimestamp is not None and not pods.spec_of(pod).nodeName
    ]


def beyond_limit(everything: Iterable[core_v1.Pod], limit: int) -> list[core_v1.Pod]:
    """The oldest of the ended pods, as many as there are beyond `limit`."""
    ended = [
        pod
        for pod in everything
        if pods.is_terminated(pod) and meta_of(pod).deletionTimestamp is None
    ]
    ended.sort(key=lambda pod: (meta_of(pod).creationTimestamp or "", meta_of(pod).name or ""))
    return ended[: max(0, len(ended) - limit)]


class PodGarbageCollector:
    name = "pod-garbage-collector"

    def __init__(
        self, client: Client, informers: SharedInformers, clock: Clock, rng: random.Random
    ) -> None:
        self._client = client
        self._clock = clock
        self._missing_since_s: dict[str, float] = {}
        self.loop = ControlLoop("pod_gc", self.reconcile, clock, rng, workers=1)
        self._pods = informers.of(core_v1.Pod)
        self._nodes = informers.of(core_v1.Node)
        self.loop.enqueue(SWEEP)

    async def reconcile(self, key: str) -> Result:
        """One sweep over all pods; the key is always the same."""
        if not (self._pods.synced.is_set() and self._nodes.synced.is_set()):
            return Result(1.0)
        everything = self._pods.list()
        gone = await self._nodes_gone(everything)
        for pod in everything:
            if pods.spec_of(pod).nodeName in gone:
                await self._remove(pod, "PodGC: node no longer exists")
        await asyncio.sleep(0)  # each of these looks at every pod
        for pod in unscheduled_terminating(everything):
            await self._remove(pod, "")
        await asyncio.sleep(0)
        for pod in beyond_limit(everything, TERMINATED_MAX):
            await self._remove(pod, "")
        return Result(SWEEP_INTERVAL_S)

    async def _nodes_gone(self, everything: Iterable[core_v1.Pod]) -> set[str]:
        """Nodes that pods are bound to and that have not existed for the quarantine, by the cache
        and by the API itself."""
        now_s = self._clock.monotonic_s()
        bound = {pods.spec_of(pod).nodeName or "" for pod in everything} - {""}
        missing = {name for name in bound if self._nodes.get(name) is None}
        self._missing_since_s = {name: self._missing_since_s.get(name, now_s) for name in missing}
        due = [n for n, since_s in self._missing_since_s.items() if now_s - since_s >= QUARANTINE_S]
        return {name for name in due if await self._is_absent(name)}

    async def _is_absent(self, node_name: str) -> bool:
        try:
            await self._client.get(core_v1.Node, node_name)
        except StatusError as error:
            if error.code == 404:
                return True
            raise
        return False

    async def _remove(self, pod: core_v1.Pod, reason: str) -> None:
        """Delete at once; one that had not ended is marked as failed first, so that nothing that
        still watches it takes it for alive."""
        meta = meta_of(pod)
        name, namespace = meta.name or "", meta.namespace or ""
        try:
            if not pods.is_terminated(pod):
                await self._client.patch(
                    core_v1.Pod,
                    name,
                    {"metadata": {"uid": meta.uid}, "status": self._failed(pod, reason)},
                    namespace=namespace,
                    subresource="status",
                )
            await self._client.delete(
                core_v1.Pod, name, namespace, uid=meta.uid or "", grace_period_s=0
            )
        except StatusError as error:
            if error.code not in (404, 409, 422):
                raise

    def _failed(self, pod: core_v1.Pod, reason: str) -> dict[str, object]:
        if not reason:
            return {"phase": "Failed"}
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "observedGeneration": meta_of(pod).generation,
            "reason": "DeletionByPodGC",
            "message": reason,
            "lastTransitionTime": rfc3339(self._clock.now_s()),
        }
        return {"phase": "Failed", "conditions": [condition]}
