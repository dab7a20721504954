"""Deletes pods from nodes with NoExecute taints that they do not, or no longer, tolerate.

Source: Kubernetes, `pkg/controller/tainteviction/taint_eviction.go`.
"""

import random
from collections.abc import Sequence

from base.clock import Clock, parse_rfc3339, rfc3339
from controlplane.controllers import pods
from controlplane.controllers.indices import BY_NODE, by_node
from controlplane.controllers.node_health import NO_EXECUTE, taints_of
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, EventRecorder
from controlplane.controllers.tolerations import stay_s
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1


def no_execute(node: core_v1.Node | None) -> list[core_v1.Taint]:
    return [t for t in taints_of(node) if t.effect == NO_EXECUTE] if node is not None else []


class TaintEvictionController:
    name = "taint-eviction-controller"

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
        # Pod key -> since when it stands under NoExecute taints, by our clock.
        self._since_s: dict[str, float] = {}
        self.loop = ControlLoop("taint_eviction_controller", self.reconcile, clock, rng, workers=8)
        self._nodes = informers.of(core_v1.Node)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index(BY_NODE, by_node)
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if new is not None and no_execute(old) != no_execute(new):
            for pod in self._pods.by_index(BY_NODE, object_key(new)):
                self.loop.enqueue(object_key(pod))

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if new is None:
            if old is not None:
                self._since_s.pop(object_key(old), None)
            return
        if no_execute(self._nodes.get(pods.spec_of(new).nodeName or "")):
            self.loop.enqueue(object_key(new))

    async def reconcile(self, key: str) -> Result:
        pod = self._pods.get(key)
        if pod is None or meta_of(pod).deletionTimestamp is not None:
            self._since_s.pop(key, None)
            return DONE
        taints = no_execute(self._nodes.get(pods.spec_of(pod).nodeName or ""))
        limit_s = stay_s(taints, pods.spec_of(pod).tolerations or ()) if taints else None
        if limit_s is None:
            if self._since_s.pop(key, None) is not None:
                text = f"Cancelling deletion of Pod {key}"
                self._recorder.event(pod, NORMAL, "TaintManagerEviction", text)
            return DONE
        left_s = limit_s - self._stood_s(key, pod, taints)
        if left_s > 0:
            return Result(left_s)
        await self._evict(pod)
        return DONE

    def _stood_s(self, key: str, pod: core_v1.Pod, taints: Sequence[core_v1.Taint]) -> float:
        """How long the pod has stood under the taints. Their own time, where they have one, still
        counts after a restart; a pod that came later counts from when it came."""
        now_s = self._clock.now_s()
        added = [parse_rfc3339(t.timeAdded) for t in taints if t.timeAdded]
        created = meta_of(pod).creationTimestamp
        if len(added) == len(taints) and created:
            since_s = max(*added, parse_rfc3339(created))
            self._since_s.setdefault(key, since_s)
            return now_s - since_s
        return now_s - self._since_s.setdefault(key, now_s)

    async def _evict(self, pod: core_v1.Pod) -> None:
        meta = meta_of(pod)
        name, namespace = meta.name or "", meta.namespace or ""
        text = f"Marking for deletion Pod {namespace}/{name}"
        self._recorder.event(pod, NORMAL, "TaintManagerEviction", text)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "observedGeneration": meta.generation,
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": rfc3339(self._clock.now_s()),
        }
        try:
            await self._client.patch(
                core_v1.Pod,
                name,
                {"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}},
                namespace=namespace,
                subresource="status",
            )
            await self._client.delete(core_v1.Pod, name, namespace, uid=meta.uid or "")
        except StatusError as error:
            if error.code not in (404, 409, 422):
                raise
        self._since_s.pop(object_key(pod), None)
