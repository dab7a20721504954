"""Keeps the EndpointSlices of each Service with a selector.

Source: Kubernetes, `pkg/controller/endpointslice/endpointslice_controller.go`.
"""

import asyncio
import random
from collections.abc import Iterable

from base.clock import Clock, rfc3339
from controlplane.controllers import endpointslice_plan as plan
from controlplane.controllers import pods, service_pods
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import EventRecorder
from controlplane.controllers.refusals import namespace_ends
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import core_v1, discovery_v1

BY_SERVICE = "service"
# The informer shows our own writes within milliseconds; past this one of them is lost to it.
STALE_RECHECK_S = 1.0
LOST_AFTER_S = 30.0
# Others get their turn in between; a pod that changes meanwhile wakes the Service again.
PODS_PER_TURN = 500

# uid -> (generation, when): slices as we wrote them last
_Written = dict[str, tuple[int, float]]
_Endpoints = list[tuple[str, discovery_v1.Endpoint]]
_Cached = tuple[core_v1.Pod, core_v1.Node | None, plan.Ports, _Endpoints]


def _service_of(present: discovery_v1.EndpointSlice) -> tuple[str, ...]:
    """Index of managed slices: the key of their Service."""
    labels = meta_of(present).labels or {}
    if labels.get(plan.MANAGED_BY_LABEL) != plan.MANAGED_BY:
        return ()
    return (f"{meta_of(present).namespace}/{labels.get(plan.SERVICE_NAME_LABEL)}",)


class EndpointSliceController:
    name = "endpointslice-controller"

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
        self._endpoints: dict[str, tuple[core_v1.Service, dict[str, _Cached]]] = {}
        self._written: dict[str, _Written] = {}
        self.loop = ControlLoop("endpoint_slice", self.reconcile, clock, rng)
        self._services = informers.of(core_v1.Service)
        self._slices = informers.of(discovery_v1.EndpointSlice)
        self._nodes = informers.of(core_v1.Node)
        pod_informer = informers.of(core_v1.Pod)
        self._service_pods = service_pods.ServicePods(self._services, pod_informer)
        self._slices.add_index(BY_SERVICE, _service_of)
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        pod_informer.add_handler(self._pod_changed)
        self._nodes.add_handler(self._node_changed)

    # What wakes a key.

    def _service_changed(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        changed = new or old
        if changed is not None:
            self.loop.enqueue(object_key(changed))

    def _slice_changed(
        self, old: discovery_v1.EndpointSlice | None, new: discovery_v1.EndpointSlice | None
    ) -> None:
        changed = new or old
        for key in _service_of(changed) if changed is not None else ():
            written = self._written.get(key)
            if new is None and written is not None and old is not None:
                written.pop(meta_of(old).uid or "", None)
            self.loop.enqueue(key)

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        for key in self._service_pods.keys_affected(old, new):
            self.loop.enqueue(key, self._service_pods.delay_s(key))

    def _node_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        """A node that came, went or moved to another zone may change the endpoints on it."""
        zones = [
            (meta_of(node).labels or {}).get(plan.ZONE_LABEL) if node is not None else "gone"
            for node in (old, new)
        ]
        if zones[0] != zones[1]:
            for service in self._services.list():
                if service_pods.has_own_endpoints(service):
                    self.loop.enqueue(object_key(service))

    # What a run does.

    async def reconcile(self, key: str) -> Result:
        service = self._services.get(key)
        if service is None:
            self._endpoints.pop(key, None)
            self._written.pop(key, None)
            return DONE
        if not service_pods.has_own_endpoints(service) or meta_of(service).deletionTimestamp:
            return DONE
        existing = list(self._slices.by_index(BY_SERVICE, key))
        if self._is_stale(key, existing):
            return Result(STALE_RECHECK_S)
        groups = await self._groups(key, service)
        changes = plan.decide(service, groups, existing, rfc3339(self._clock.now_s()))
        await self._carry_out(key, changes)
        return DONE

    def _is_stale(self, key: str, existing: Iterable[discovery_v1.EndpointSlice]) -> bool:
        """Whether the cache lacks one of our own writes: deciding now would make it twice."""
        written = self._written.get(key, {})
        seen = {meta_of(s).uid or "": meta_of(s).generation or 0 for s in existing}
        since_s = self._clock.monotonic_s() - LOST_AFTER_S
        return any(
            seen.get(uid, -1) < generation and written_s > since_s
            for uid, (generation, written_s) in written.items()
        )

    async def _groups(self, key: str, service: core_v1.Service) -> plan.Groups:
        """Endpoints by address type and ports."""
        held, cached = self._endpoints.get(key, (service, {}))
        if held is not service:
            cached = {}
        fresh: dict[str, _Cached] = {}
        groups: plan.Groups = {}
        for number, pod in enumerate(self._service_pods.of(service), 1):
            if number % PODS_PER_TURN == 0:
                await asyncio.sleep(0)
            if not service_pods.is_endpoint(pod, include_terminating=True):
                continue
            uid = meta_of(pod).uid or ""
            node = self._nodes.get(pods.spec_of(pod).nodeName or "")
            found = cached.get(uid)
            if found is None or found[0] is not pod or found[1] is not node:
                found = _make(service, pod, node)
            fresh[uid] = found
            for family, endpoint in found[3]:
                groups.setdefault((family, found[2]), []).append(endpoint)
        self._endpoints[key] = (service, fresh)
        return groups

    async def _carry_out(self, key: str, changes: plan.Changes) -> None:
        written = self._written.setdefault(key, {})
        for new in changes.create:
            await self._create(written, new)
        for changed in changes.update:
            self._note(written, await self._client.update(changed))
        for old in changes.delete:
            meta = meta_of(old)
            written.pop(meta.uid or "", None)
            try:
                await self._client.delete(
                    discovery_v1.EndpointSlice,
                    meta.name or "",
                    meta.namespace or "",
                    uid=meta.uid or "",
                )
            except StatusError as error:
                if error.code != 404:
                    raise

    async def _create(self, written: _Written, new: discovery_v1.EndpointSlice) -> None:
        try:
            self._note(written, await self._client.create(new))
        except StatusError as error:
            if not namespace_ends(error):
                raise

    def _note(self, written: _Written, made: discovery_v1.EndpointSlice) -> None:
        meta = meta_of(made)
        written[meta.uid or ""] = (meta.generation or 0, self._clock.monotonic_s())


def _make(service: core_v1.Service, pod: core_v1.Pod, node: core_v1.Node | None) -> _Cached:
    """The pod's endpoints, one per address family of the Service.

    A pod whose node is gone waits for the pod garbage collector and serves nobody, unless the
    Service asks for every address it can get.
    """
    endpoints: list[tuple[str, discovery_v1.Endpoint]] = []
    if node is not None or service_pods.publishes_not_ready(service):
        for family in plan.address_types(service):
            endpoint = plan.endpoint_of(service, pod, node, family)
            if endpoint is not None:
                endpoints.append((family, endpoint))
    return pod, node, plan.ports_of(service, pod), endpoints
