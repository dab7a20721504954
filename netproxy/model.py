"""What traffic goes where: Services and EndpointSlices become a RuleSet. Pure.

The semantics are kube-proxy's (k8s.io/kubernetes pkg/proxy: servicechangetracker.go,
endpointslicecache.go, topology.go). Nothing here knows how a backend writes rules. IPv4 only: what
is no IPv4 address is left out, here at the door: no text of a user reaches a backend unread.
Topology hints are not followed: every ready endpoint takes its share.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubeapi.types import core_v1, discovery_v1

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
# Whoever sets these wants another proxy to serve it, or none (KEP-2447).
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
AFFINITY_DEFAULT_S = 10800
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


@dataclass(frozen=True, order=True)
class Endpoint:
    """Where one share of the traffic goes."""

    address: str
    port: int
    is_local: bool = False


@dataclass(frozen=True)
class Candidate:
    """An endpoint of a slice with the conditions by which it is chosen."""

    endpoint: Endpoint
    ready: bool
    serving: bool
    terminating: bool

    @property
    def last_resort(self) -> bool:
        """Shutting down but still answering: used while nothing is ready (KEP-1669)."""
        return self.serving and self.terminating


@dataclass(frozen=True)
class ServicePort:
    """One port of one Service and the endpoints behind it.

    `cluster_endpoints` serve policy Cluster, `local_endpoints` policy Local; `has_any` says
    whether somewhere in the cluster somebody could answer, which decides between a refusal and
    silence.
    """

    namespace: str
    name: str
    port_name: str
    protocol: str  # tcp, udp, sctp
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_s: int = 0  # 0: none
    internal_local: bool = False
    external_local: bool = False
    cluster_endpoints: tuple[Endpoint, ...] = ()
    local_endpoints: tuple[Endpoint, ...] = ()
    has_any: bool = False

    @property
    def label(self) -> str:
        """As kube-proxy writes it: namespace/name:port."""
        return f"{self.namespace}/{self.name}" + (f":{self.port_name}" if self.port_name else "")

    @property
    def is_external(self) -> bool:
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def internal_endpoints(self) -> tuple[Endpoint, ...]:
        return self.local_endpoints if self.internal_local else self.cluster_endpoints

    @property
    def external_endpoints(self) -> tuple[Endpoint, ...]:
        return self.local_endpoints if self.external_local else self.cluster_endpoints

    @property
    def used_endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some traffic may reach, once."""
        return tuple(sorted({*self.cluster_endpoints, *self.local_endpoints}))


@dataclass(frozen=True)
class RuleSet:
    """Everything a backend needs; two equal rule sets mean the same kernel state."""

    services: tuple[ServicePort, ...] = ()
    cluster_cidr: str = ""  # pods' addresses: what comes from elsewhere is masqueraded
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()  # CIDRs of this node; none: all its addresses


def build_rules(
    services: Iterable[core_v1.Service],
    slices: Iterable[discovery_v1.EndpointSlice],
    node_name: str,
    base: RuleSet,
) -> RuleSet:
    """The rules of `base` with these services, in a fixed order."""
    by_service: dict[str, list[discovery_v1.EndpointSlice]] = defaultdict(list)
    for endpoint_slice in slices:
        if key := service_of(endpoint_slice):
            by_service[key].append(endpoint_slice)
    ports = [
        port
        for service in services
        for port in service_ports(service, by_service[key_of(service)], node_name)
    ]
    return with_services(base, ports)


def with_services(base: RuleSet, ports: Iterable[ServicePort]) -> RuleSet:
    return RuleSet(
        services=tuple(sorted(ports, key=lambda p: (p.namespace, p.name, p.port_name, p.protocol))),
        cluster_cidr=base.cluster_cidr,
        localhost_node_ports=base.localhost_node_ports,
        node_port_addresses=base.node_port_addresses,
    )


def key_of(obj: core_v1.Service | discovery_v1.EndpointSlice) -> str:
    metadata = obj.metadata
    return f"{metadata.namespace}/{metadata.name}" if metadata else ""


def service_of(endpoint_slice: discovery_v1.EndpointSlice) -> str:
    """The namespace/name of the Service a slice belongs to; "" when it is none of ours."""
    metadata = endpoint_slice.metadata
    labels = (metadata and metadata.labels) or {}
    ours = not labels.keys() & {PROXY_NAME_LABEL, HEADLESS_LABEL}
    name = labels.get(SERVICE_NAME_LABEL, "")
    return f"{metadata.namespace}/{name}" if metadata and name and ours else ""


def is_served(service: core_v1.Service) -> bool:
    """Whether the Service has a virtual IPv4 address that is ours to serve."""
    spec, metadata = service.spec, service.metadata
    if spec is None or metadata is None or PROXY_NAME_LABEL in (metadata.labels or {}):
        return False
    return spec.type != "ExternalName" and bool(cluster_ip_of(spec))


def cluster_ip_of(spec: core_v1.ServiceSpec) -> str:
    """The Service's IPv4 VIP; "" for a headless Service and for one with IPv6 alone."""
    return next(iter(_ipv4([*(spec.clusterIPs or ()), spec.clusterIP or ""])), "")


def service_ports(
    service: core_v1.Service, slices: Sequence[discovery_v1.EndpointSlice], node_name: str
) -> list[ServicePort]:
    """The rules' part of one Service, from its slices alone."""
    if not is_served(service):
        return []
    candidates = _candidates(slices, node_name)
    spec = service.spec
    assert spec is not None
    return [
        _service_port(service, spec, port, candidates)
        for port in spec.ports or ()
        if (port.protocol or "TCP") in PROTOCOLS and port.port
    ]


def _service_port(
    service: core_v1.Service,
    spec: core_v1.ServiceSpec,
    port: core_v1.ServicePort,
    candidates: Mapping[tuple[str, str], Sequence[Candidate]],
) -> ServicePort:
    assert service.metadata is not None
    protocol = port.protocol or "TCP"
    ingress = _load_balancer_ips(service)
    external_ips = _ipv4(spec.externalIPs or ())
    is_external = bool(port.nodePort or external_ips or ingress)
    internal_local = spec.internalTrafficPolicy == "Local"
    external_local = is_external and spec.externalTrafficPolicy == "Local"
    cluster, local, has_any = categorize(
        candidates.get((port.name or "", protocol), ()),
        uses_cluster=not internal_local or (is_external and not external_local),
        uses_local=internal_local or external_local,
    )
    return ServicePort(
        namespace=service.metadata.namespace or "",
        name=service.metadata.name or "",
        port_name=port.name or "",
        protocol=PROTOCOLS[protocol],
        cluster_ip=cluster_ip_of(spec),
        port=port.port or 0,
        node_port=port.nodePort or 0,
        external_ips=external_ips,
        load_balancer_ips=ingress,
        source_ranges=_ipv4_networks(spec.loadBalancerSourceRanges or ()),
        affinity_s=_affinity_s(spec),
        internal_local=internal_local,
        external_local=external_local,
        cluster_endpoints=cluster,
        local_endpoints=local,
        has_any=has_any,
    )


def categorize(
    candidates: Sequence[Candidate], *, uses_cluster: bool, uses_local: bool
) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...], bool]:
    """The endpoints for policy Cluster, those for policy Local, and whether any exist at all.

    Ready ones, or where there is none those that are serving while they terminate
    (CategorizeEndpoints of kube-proxy's topology.go).
    """
    cluster = _ready_or_last_resort(candidates) if uses_cluster else ()
    if not uses_local:
        return cluster, (), bool(cluster)
    local = _ready_or_last_resort([c for c in candidates if c.endpoint.is_local])
    return cluster, local, any(c.ready or c.last_resort for c in candidates)


def _ready_or_last_resort(candidates: Iterable[Candidate]) -> tuple[Endpoint, ...]:
    usable = list(candidates)
    ready = [c.endpoint for c in usable if c.ready]
    return tuple(sorted(ready or [c.endpoint for c in usable if c.last_resort]))


def _candidates(
    slices: Iterable[discovery_v1.EndpointSlice], node_name: str
) -> dict[tuple[str, str], list[Candidate]]:
    """Candidates by (port name, protocol); an address and port in two slices counts once.

    The slices' own order decides which of two wins, so it must not depend on who asks.
    """
    found: dict[tuple[str, str], dict[tuple[str, int], Candidate]] = defaultdict(dict)
    for endpoint_slice in sorted(slices, key=key_of):
        if endpoint_slice.addressType != "IPv4":
            continue
        for port in endpoint_slice.ports or ():
            if not port.port:
                continue
            bucket = found[port.name or "", port.protocol or "TCP"]
            for endpoint in endpoint_slice.endpoints or ():
                for address in _ipv4((endpoint.addresses or ())[:1]):
                    candidate = _candidate(endpoint, address, port.port, node_name)
                    bucket.setdefault((address, port.port), candidate)
    return {key: list(bucket.values()) for key, bucket in found.items()}


def _candidate(
    endpoint: discovery_v1.Endpoint, address: str, port: int, node_name: str
) -> Candidate:
    """An unset condition means ready and serving, and not terminating (the field's own docs)."""
    conditions = endpoint.conditions or discovery_v1.EndpointConditions()
    return Candidate(
        Endpoint(address, port, bool(endpoint.nodeName) and endpoint.nodeName == node_name),
        ready=conditions.ready is not False,
        serving=conditions.serving is not False,
        terminating=conditions.terminating is True,
    )


def _load_balancer_ips(service: core_v1.Service) -> tuple[str, ...]:
    """Addresses a load balancer keeps when it delivers; mode Proxy terminates there (KEP-1860)."""
    status = service.status
    if status is None or status.loadBalancer is None:
        return ()
    ingress = status.loadBalancer.ingress or ()
    return _ipv4([entry.ip or "" for entry in ingress if entry.ipMode in (None, "VIP")])


def _affinity_s(spec: core_v1.ServiceSpec) -> int:
    if spec.sessionAffinity != "ClientIP":
        return 0
    config = spec.sessionAffinityConfig and spec.sessionAffinityConfig.clientIP
    return (config and config.timeoutSeconds) or AFFINITY_DEFAULT_S


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    found = []
    for address in addresses:
        try:
            found.append(str(ipaddress.IPv4Address(address)))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))


def _ipv4_networks(texts: Iterable[str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.IPv4Network(text.strip(), strict=False)))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))
