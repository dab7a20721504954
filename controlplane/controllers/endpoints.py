"""Keeps the Endpoints object of each Service with a selector, for clients that still read it.

Source: Kubernetes, `pkg/controller/endpoint/endpoints_controller.go`, `endpoints.RepackSubsets`.
"""

import random
from collections.abc import Iterable

import msgspec

from base.clock import Clock, rfc3339
from controlplane.controllers import pods, service_pods
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import WARNING, EventRecorder
from controlplane.controllers.refusals import namespace_ends
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key, split_key
from kubeapi.types import core_v1, meta_v1

MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGED_BY = "endpoint-controller"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
ADDRESSES_MAX = 1000

_Ports = tuple[core_v1.EndpointPort, ...]


def ports_of(service: core_v1.Service, pod: core_v1.Pod) -> _Ports | None:
    """The Service's ports in this pod; None where it has none of them."""
    wanted = (service.spec.ports if service.spec else None) or ()
    found = []
    for port in wanted:
        number = service_pods.find_port(pod, port)
        if number is not None:
            found.append(
                core_v1.EndpointPort(
                    name=port.name or None,
                    port=number,
                    protocol=port.protocol,
                    appProtocol=port.appProtocol,
                )
            )
    if wanted and not found:
        return None
    return tuple(sorted(found, key=lambda p: (p.name or "", p.port or 0, p.protocol or "")))


def subsets(
    service: core_v1.Service, candidates: Iterable[core_v1.Pod]
) -> list[core_v1.EndpointSubset]:
    """Pods with equal ports in one subset, in an order that depends on nothing but them."""
    lenient = service_pods.publishes_not_ready(service)
    ready: dict[_Ports, list[core_v1.EndpointAddress]] = {}
    not_ready: dict[_Ports, list[core_v1.EndpointAddress]] = {}
    for pod in candidates:
        ports = ports_of(service, pod)
        ip = next(iter(service_pods.addresses(pod)), None)
        if ports is None or ip is None:
            continue
        if not service_pods.is_endpoint(pod, include_terminating=lenient):
            continue
        address = core_v1.EndpointAddress(
            ip=ip,
            hostname=service_pods.hostname(pod, service),
            nodeName=pods.spec_of(pod).nodeName,
            targetRef=service_pods.target_reference(pod),
        )
        chosen = ready if lenient or pods.is_ready(pod) else not_ready
        chosen.setdefault(ports, []).append(address)
    return [
        core_v1.EndpointSubset(
            addresses=_sorted(ready.get(ports)),
            notReadyAddresses=_sorted(not_ready.get(ports)),
            ports=list(ports) or None,
        )
        for ports in sorted(ready.keys() | not_ready.keys(), key=repr)
    ]


def _sorted(
    addresses: list[core_v1.EndpointAddress] | None,
) -> list[core_v1.EndpointAddress] | None:
    if not addresses:
        return None
    return sorted(
        addresses, key=lambda a: (a.ip or "", a.targetRef.uid or "" if a.targetRef else "")
    )


def truncated(
    found: list[core_v1.EndpointSubset],
) -> tuple[list[core_v1.EndpointSubset], bool]:
    """At most 1000 addresses, ready ones first; and whether any were left out."""
    room, cut = ADDRESSES_MAX, False
    kept = list(found)
    for field in ("addresses", "notReadyAddresses"):
        for i, subset in enumerate(kept):
            addresses = getattr(subset, field) or []
            if len(addresses) > room:
                cut = True
                kept[i] = msgspec.structs.replace(subset, **{field: addresses[:room] or None})
            room -= min(room, len(addresses))
    return [s for s in kept if s.addresses or s.notReadyAddresses], cut


class EndpointsController:
    name = "endpoint-controller"

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
        self.loop = ControlLoop("endpoint", self.reconcile, clock, rng)
        self._services = informers.of(core_v1.Service)
        self._endpoints = informers.of(core_v1.Endpoints)
        pod_informer = informers.of(core_v1.Pod)
        self._service_pods = service_pods.ServicePods(self._services, pod_informer)
        self._services.add_handler(self._changed)
        self._endpoints.add_handler(self._changed)
        pod_informer.add_handler(self._pod_changed)

    def _changed(
        self,
        old: core_v1.Service | core_v1.Endpoints | None,
        new: core_v1.Service | core_v1.Endpoints | None,
    ) -> None:
        """An Endpoints object has the name of its Service."""
        changed = new or old
        if changed is not None:
            self.loop.enqueue(object_key(changed))

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        for key in self._service_pods.keys_affected(old, new):
            self.loop.enqueue(key, self._service_pods.delay_s(key))

    async def reconcile(self, key: str) -> Result:
        service = self._services.get(key)
        present = self._endpoints.get(key)
        if service is None:
            if present is not None and is_managed(present):
                await self._delete(key)
            return DONE
        if not service_pods.has_own_endpoints(service) or meta_of(service).deletionTimestamp:
            return DONE
        found, cut = truncated(subsets(service, self._service_pods.of(service)))
        wanted = make(service, found, present, cut, rfc3339(self._clock.now_s()))
        if present is not None and _contents(present) == _contents(wanted):
            return DONE
        try:
            if present is None:
                await self._client.create(wanted)
            else:
                await self._client.update(wanted)
        except StatusError as error:
            if namespace_ends(error):
                return DONE
            if error.code != 409:
                verb = "create" if present is None else "update"
                text = f"Failed to {verb} endpoint {key}: {error}"
                self._recorder.event(wanted, WARNING, f"FailedTo{verb.title()}Endpoint", text)
            raise
        return DONE

    async def _delete(self, key: str) -> None:
        namespace, name = split_key(key)
        try:
            await self._client.delete(core_v1.Endpoints, name, namespace)
        except StatusError as error:
            if error.code != 404:
                raise


def is_managed(endpoints: core_v1.Endpoints) -> bool:
    """Made by this controller; those that a user keeps for a Service without one are his."""
    return (meta_of(endpoints).labels or {}).get(MANAGED_BY_LABEL) == MANAGED_BY


def make(
    service: core_v1.Service,
    found: list[core_v1.EndpointSubset],
    present: core_v1.Endpoints | None,
    cut: bool,
    trigger_time: str,
) -> core_v1.Endpoints:
    """The object as it should be."""
    meta = meta_of(service)
    labels = dict(meta.labels or {})
    labels.pop(service_pods.HEADLESS_LABEL, None)
    if service_pods.is_headless(service):
        labels[service_pods.HEADLESS_LABEL] = ""
    labels[MANAGED_BY_LABEL] = MANAGED_BY
    base = meta_of(present) if present else meta_v1.ObjectMeta()
    annotations = (base.annotations or {}) | {TRIGGER_TIME: trigger_time}
    annotations.pop(OVER_CAPACITY, None)
    if cut:
        annotations[OVER_CAPACITY] = "truncated"
    return core_v1.Endpoints(
        metadata=msgspec.structs.replace(
            base,
            name=meta.name,
            namespace=meta.namespace,
            labels=labels,
            annotations=annotations,
        ),
        subsets=found or None,
    )


def _contents(endpoints: core_v1.Endpoints) -> tuple[object, ...]:
    """What is compared: all but the trigger time."""
    meta = meta_of(endpoints)
    over = (meta.annotations or {}).get(OVER_CAPACITY)
    return meta.labels, over, endpoints.subsets or []
