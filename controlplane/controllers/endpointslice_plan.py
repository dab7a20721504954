"""Which EndpointSlices a Service should have, and the fewest writes that get there.

Pure functions. Source: Kubernetes, `staging/src/k8s.io/endpointslice` (reconciler.go).
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from controlplane.controllers import pods, service_pods
from controlplane.controllers.ownership import controller_reference
from controlplane.controllers.pods import meta_of
from kubeapi.types import core_v1, discovery_v1, meta_v1

ENDPOINTS_PER_SLICE_MAX = 100
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
ZONE_LABEL = "topology.kubernetes.io/zone"
_RESERVED_LABELS = frozenset((SERVICE_NAME_LABEL, MANAGED_BY_LABEL, service_pods.HEADLESS_LABEL))

Ports = tuple[discovery_v1.EndpointPort, ...]
# (address type, ports) -> endpoints: each group has slices of its own.
Groups = dict[tuple[str, Ports], list[discovery_v1.Endpoint]]


@dataclass
class Changes:
    """Writes that make the slices as they should be."""

    create: list[discovery_v1.EndpointSlice] = field(default_factory=list)
    update: list[discovery_v1.EndpointSlice] = field(default_factory=list)
    delete: list[discovery_v1.EndpointSlice] = field(default_factory=list)


@lru_cache(maxsize=4096)
def address_type(address: str) -> str:
    return "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4"


def address_types(service: core_v1.Service) -> list[str]:
    """One set of slices per IP family of the Service."""
    families = service.spec.ipFamilies if service.spec else None
    return list(families or ["IPv4"])


def ports_of(service: core_v1.Service, pod: core_v1.Pod) -> Ports:
    """The Service's ports in this pod; one that names no port of the pod is left out."""
    found = []
    for port in (service.spec.ports if service.spec else None) or ():
        number = service_pods.find_port(pod, port)
        if number is not None:
            found.append(
                discovery_v1.EndpointPort(
                    name=port.name or "",
                    port=number,
                    protocol=port.protocol,
                    appProtocol=port.appProtocol,
                )
            )
    return tuple(sorted(found, key=lambda p: (p.name or "", p.protocol or "", p.port or 0)))


def endpoint_of(
    service: core_v1.Service, pod: core_v1.Pod, node: core_v1.Node | None, family: str
) -> discovery_v1.Endpoint | None:
    """The pod as an endpoint of one address family; None where it has no such address."""
    own = [a for a in service_pods.addresses(pod) if address_type(a) == family]
    if not own:
        return None
    serving = pods.is_ready(pod)
    terminating = meta_of(pod).deletionTimestamp is not None
    labels = (meta_of(node).labels if node else None) or {}
    return discovery_v1.Endpoint(
        addresses=own[:1],
        conditions=discovery_v1.EndpointConditions(
            ready=service_pods.publishes_not_ready(service) or (serving and not terminating),
            serving=serving,
            terminating=terminating,
        ),
        hostname=service_pods.hostname(pod, service),
        targetRef=service_pods.target_reference(pod),
        nodeName=pods.spec_of(pod).nodeName,
        zone=labels.get(ZONE_LABEL),
    )


def labels_of(service: core_v1.Service) -> dict[str, str]:
    """The Service's own labels, then those that tell whose slice it is."""
    own = {k: v for k, v in (meta_of(service).labels or {}).items() if k not in _RESERVED_LABELS}
    if service_pods.is_headless(service):
        own[service_pods.HEADLESS_LABEL] = ""
    own[SERVICE_NAME_LABEL] = meta_of(service).name or ""
    own[MANAGED_BY_LABEL] = MANAGED_BY
    return own


def decide(
    service: core_v1.Service,
    groups: Groups,
    existing: Sequence[discovery_v1.EndpointSlice],
    trigger_time: str,
) -> Changes:
    """`existing` are the slices of the Service that this controller manages."""
    families = address_types(service)
    changes = Changes(delete=[s for s in existing if s.addressType not in families])
    for family in families:
        own = [s for s in existing if s.addressType == family]
        wanted = {ports: found for (kind, ports), found in groups.items() if kind == family}
        _decide_family(_Family(service, family, trigger_time), wanted, own, changes)
    return changes


@dataclass(frozen=True)
class _Family:
    service: core_v1.Service
    address_type: str
    trigger_time: str

    def make(
        self, ports: Ports, endpoints: Sequence[discovery_v1.Endpoint]
    ) -> discovery_v1.EndpointSlice:
        meta = meta_of(self.service)
        return discovery_v1.EndpointSlice(
            metadata=meta_v1.ObjectMeta(
                generateName=f"{meta.name}-",
                namespace=meta.namespace,
                labels=labels_of(self.service),
                annotations={TRIGGER_TIME: self.trigger_time},
                ownerReferences=[controller_reference(self.service)],
            ),
            addressType=self.address_type,
            endpoints=list(endpoints),
            ports=list(ports),
        )

    def remake(
        self,
        old: discovery_v1.EndpointSlice,
        ports: Ports,
        endpoints: Sequence[discovery_v1.Endpoint],
    ) -> discovery_v1.EndpointSlice:
        """`old` with other contents."""
        meta = meta_of(old)
        annotations = (meta.annotations or {}) | {TRIGGER_TIME: self.trigger_time}
        return msgspec.structs.replace(
            old,
            metadata=msgspec.structs.replace(
                meta, labels=labels_of(self.service), annotations=annotations
            ),
            endpoints=list(endpoints),
            ports=list(ports),
        )


def _decide_family(
    family: _Family,
    wanted: Mapping[Ports, list[discovery_v1.Endpoint]],
    existing: Sequence[discovery_v1.EndpointSlice],
    changes: Changes,
) -> None:
    by_ports: dict[Ports, list[discovery_v1.EndpointSlice]] = {}
    for present in existing:
        by_ports.setdefault(tuple(present.ports or ()), []).append(present)
    create: list[tuple[Ports, list[discovery_v1.Endpoint]]] = []
    delete: list[discovery_v1.EndpointSlice] = []
    for ports, endpoints in wanted.items():
        create += _fill(family, ports, endpoints, by_ports.pop(ports, []), delete, changes)
    for leftover in by_ports.values():
        delete += leftover
    if not create and len(delete) == len(existing):
        # A Service without endpoints keeps one empty slice: "none" is an answer too.
        create.append(((), []))
    while create and delete:
        contents, old = create.pop(), delete.pop()
        remade = family.remake(old, *contents)
        if _contents(remade) != _contents(old):
            changes.update.append(remade)
    changes.create += [family.make(*contents) for contents in create]
    changes.delete += delete


def _fill(
    family: _Family,
    ports: Ports,
    endpoints: Iterable[discovery_v1.Endpoint],
    existing: Iterable[discovery_v1.EndpointSlice],
    delete: list[discovery_v1.EndpointSlice],
    changes: Changes,
) -> list[tuple[Ports, list[discovery_v1.Endpoint]]]:
    """Endpoints stay in the slice they are in; new ones go where a write is due anyway, then
    into room that is left, then into new slices."""
    missing = {_identity(endpoint): endpoint for endpoint in endpoints}
    kept = []
    for old in existing:
        stay = [
            new for e in old.endpoints or () if (new := missing.pop(_identity(e), None)) is not None
        ]
        kept.append((old, stay))
    kept.sort(key=lambda item: (len(item[1]) == len(item[0].endpoints or ()), -len(item[1])))
    remaining = list(missing.values())
    for old, stay in kept:
        room = ENDPOINTS_PER_SLICE_MAX - len(stay)
        stay += remaining[:room]
        remaining = remaining[room:]
        if not stay:
            delete.append(old)
            continue
        remade = family.remake(old, ports, stay)
        if _contents(remade) != _contents(old):
            changes.update.append(remade)
    size = ENDPOINTS_PER_SLICE_MAX
    return [(ports, remaining[i : i + size]) for i in range(0, len(remaining), size)]


def _identity(endpoint: discovery_v1.Endpoint) -> tuple[str, tuple[str, ...]]:
    target = endpoint.targetRef
    return (target.uid or "" if target else "", tuple(endpoint.addresses or ()))


def _contents(present: discovery_v1.EndpointSlice) -> tuple[object, ...]:
    """What is compared: all but the trigger time."""
    return meta_of(present).labels, present.ports or [], present.endpoints or []
