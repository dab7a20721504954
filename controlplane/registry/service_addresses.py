"""Cluster IPs and node ports of Services, taken in the very transaction that stores the Service.

An address in use is an IPAddress object, as KEP-1880 has it; a node port in use is a key of its
own. The transaction compares that both are free, so two Services never get the same one, and an
address is never lost when a write fails.
"""

import ipaddress
import random
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import force_setattr

from controlplane.registry.registry import Registry
from controlplane.registry.watchers import Change
from controlplane.store import Compare, Op
from kubeapi import errors
from kubeapi.errors import Cause
from kubeapi.types import core_v1, meta_v1, networking_v1

NODE_PORT_KEY: Final = "/pinnace/nodeports/"
RANDOM_TRIES: Final = 64

_Port = tuple[str, int]


@dataclass
class Claim:
    """What a Service's transaction compares and writes besides the Service."""

    compares: list[Compare] = field(default_factory=list)
    operations: list[Op] = field(default_factory=list)
    _chosen: list[tuple[Any, str]] = field(default_factory=list)

    def choose(self, part: Any, name: str, value: Any) -> None:
        """Fill in what was free; who asks for a certain one gets that or none."""
        force_setattr(part, name, value)
        self._chosen.append((part, name))

    def withdraw(self) -> None:
        """Somebody else was quicker: what was chosen here is to be chosen anew."""
        for part, name in self._chosen:
            force_setattr(part, name, None)


class ServiceAddresses:
    """Chooses free addresses from what the caches know; the store has the last word."""

    def __init__(
        self,
        registry: Registry,
        rng: random.Random,
        cidr: str,
        node_ports: range = range(30000, 32768),
    ) -> None:
        self._registry = registry
        self._rng = rng
        self._network = ipaddress.IPv4Network(cidr)
        self._node_ports = node_ports
        self._addresses = registry.cache_named("networking.k8s.io", "ipaddresses")
        self._ports: dict[_Port, str] = {}

    def start(self) -> None:
        """Learn the node ports in use, once the registry is open."""
        services = self._registry.cache_named("", "services")
        for stored in services.values():
            self._ports.update(dict.fromkeys(_node_ports(stored.obj), stored.key))
        services.on_change(self._on_service)

    def _on_service(self, change: Change) -> None:
        if change.previous is not None:
            for port in _node_ports(change.previous.obj):
                self._ports.pop(port, None)
        if not change.deleted:
            self._ports.update(dict.fromkeys(_node_ports(change.stored.obj), change.stored.key))

    def claim(self, obj: Any, old: Any, now: str) -> Claim:
        """Fill in what `obj` (any object; only Services need anything) lacks."""
        claim = Claim()
        if type(obj) is core_v1.Service and obj.spec is not None:
            self._claim_cluster_ip(obj, old, claim, now)
            self._claim_node_ports(obj, old, claim)
        return claim

    def release(self, obj: Any) -> list[Op]:
        """What goes with a Service that goes."""
        if type(obj) is not core_v1.Service:
            return []
        addresses = [Op.delete(self._address_key(ip)) for ip in _cluster_ips(obj)]
        return addresses + [Op.delete(_port_key(port)) for port in _node_ports(obj)]

    def _claim_cluster_ip(self, service: core_v1.Service, old: Any, claim: Claim, now: str) -> None:
        spec = service.spec
        held = _cluster_ips(old) if old is not None else set()
        if spec is None:
            return
        if spec.type == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                force_setattr(spec, name, None)
        else:
            if not spec.clusterIP:
                first = (spec.clusterIPs or [""])[0]
                if first:
                    force_setattr(spec, "clusterIP", first)
                else:
                    claim.choose(spec, "clusterIP", self._free_address())
                    claim.choose(spec, "clusterIPs", None)
            force_setattr(spec, "clusterIPs", [spec.clusterIP])
            force_setattr(spec, "ipFamilies", spec.ipFamilies or ["IPv4"])
            force_setattr(spec, "ipFamilyPolicy", spec.ipFamilyPolicy or "SingleStack")
        wanted = _cluster_ips(service)
        for ip in wanted - held:
            self._check_address(service, ip)
            claim.compares.append(Compare.mod_revision(self._address_key(ip), 0))
            claim.operations.append(
                Op.put(self._address_key(ip), self._ip_object(service, ip, now))
            )
        claim.operations += [Op.delete(self._address_key(ip)) for ip in held - wanted]

    def _check_address(self, service: core_v1.Service, ip: str) -> None:
        problem = ""
        try:
            if ipaddress.IPv4Address(ip) not in self._network:
                problem = (
                    f"the provided IP ({ip}) is not in the valid range. "
                    f"The range of valid IPs is {self._network}"
                )
        except ValueError:
            problem = f"failed to allocate IP {ip}: not an IPv4 address"
        if not problem and self._addresses.get(ip) is not None:
            problem = f"failed to allocate IP {ip}: provided IP is already allocated"
        if problem:
            text = f'Invalid value: ["{ip}"]: {problem}'
            raise _invalid(service, Cause("FieldValueInvalid", text, "spec.clusterIPs"))

    def _free_address(self) -> str:
        """Random from the upper part of the range; the lower is for addresses chosen by hand
        (KEP-3070)."""
        size = self._network.num_addresses - 2
        band = min(256, max(16, size // 16)) if size > 32 else 0
        for _ in range(RANDOM_TRIES):
            ip = str(self._network[1 + self._rng.randrange(band, size)])
            if self._addresses.get(ip) is None:
                return ip
        for offset in range(size, 0, -1):
            ip = str(self._network[offset])
            if self._addresses.get(ip) is None:
                return ip
        raise errors.StatusError(
            500, "InternalError", "failed to allocate a serviceIP: range is full"
        )

    def _address_key(self, ip: str) -> bytes:
        return self._addresses.prefix + ip.encode()

    def _ip_object(self, service: core_v1.Service, ip: str, now: str) -> bytes:
        meta = service.metadata or meta_v1.ObjectMeta()
        address = networking_v1.IPAddress(
            metadata=meta_v1.ObjectMeta(
                name=ip,
                uid=str(meta.uid)[:-12] + f"{self._rng.getrandbits(48):012x}",
                creationTimestamp=now,
                labels={
                    "ipaddress.kubernetes.io/ip-family": "IPv4",
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            ),
            spec=networking_v1.IPAddressSpec(
                parentRef=networking_v1.ParentReference(
                    group="", resource="services", namespace=meta.namespace, name=meta.name
                )
            ),
        )
        return self._addresses.layout.value_of(address)

    def _claim_node_ports(self, service: core_v1.Service, old: Any, claim: Claim) -> None:
        spec = service.spec
        if spec is None:
            return
        held = _node_ports(old) if old is not None else set()
        wants = spec.type == "NodePort" or (
            spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is not False
        )
        taken = _node_ports(service)
        for index, port in enumerate(spec.ports or ()):
            if spec.type not in ("NodePort", "LoadBalancer"):
                force_setattr(port, "nodePort", None)
            elif port.nodePort:
                self._check_port(service, index, port, held)
            elif wants:
                claim.choose(port, "nodePort", self._free_port(taken))
                taken.add((port.protocol or "TCP", port.nodePort or 0))
        wanted = _node_ports(service)
        owner = f"{service.metadata.namespace}/{service.metadata.name}" if service.metadata else ""
        for chosen in wanted - held:
            claim.compares.append(Compare.mod_revision(_port_key(chosen), 0))
            claim.operations.append(Op.put(_port_key(chosen), owner.encode()))
        claim.operations += [Op.delete(_port_key(gone)) for gone in held - wanted]

    def _check_port(
        self, service: core_v1.Service, index: int, port: core_v1.ServicePort, held: set[_Port]
    ) -> None:
        number = port.nodePort or 0
        key = (port.protocol or "TCP", number)
        if key in held:
            return
        problem = ""
        if number not in self._node_ports:
            ports = self._node_ports
            problem = (
                "provided port is not in the valid range. "
                f"The range of valid ports is {ports[0]}-{ports[-1]}"
            )
        elif key in self._ports:
            problem = "provided port is already allocated"
        if problem:
            field_name = f"spec.ports[{index}].nodePort"
            text = f"Invalid value: {number}: {problem}"
            raise _invalid(service, Cause("FieldValueInvalid", text, field_name))

    def _free_port(self, taken: set[_Port]) -> int:
        used = {port for _, port in self._ports} | {port for _, port in taken}
        free = [port for port in self._node_ports if port not in used]
        if not free:
            raise errors.StatusError(
                500, "InternalError", "failed to allocate a nodePort: range is full"
            )
        return self._rng.choice(free)


def _invalid(service: core_v1.Service, cause: Cause) -> errors.StatusError:
    name = service.metadata.name if service.metadata else ""
    return errors.invalid("Service", name or "", [cause])


def _port_key(port: _Port) -> bytes:
    return f"{NODE_PORT_KEY}{port[0]}/{port[1]}".encode()


def _cluster_ips(service: core_v1.Service) -> set[str]:
    """Addresses held; a headless Service ("None") holds none."""
    spec = service.spec
    if spec is None or not spec.clusterIP or spec.clusterIP == "None":
        return set()
    return {spec.clusterIP}


def _node_ports(service: core_v1.Service) -> set[_Port]:
    ports = (service.spec.ports if service.spec else None) or ()
    return {(p.protocol or "TCP", p.nodePort) for p in ports if p.nodePort}
