"""A RuleSet as iptables rules: chains of lines.

Pure. The chains and their order are kube-proxy's (pkg/proxy/iptables/proxier.go) under our own
names, so what is known about debugging it holds here:

    nat     PINNACE-SERVICES    by destination, to the chain of the service port
            PINNACE-NODEPORTS   the same for ports of the node
            PINNACE-EXT-<hash>  traffic from outside the cluster: masqueraded, or for policy Local
                                kept as it is
            PINNACE-SVC-<hash>  one of all endpoints by lot;  PINNACE-SVL-<hash>  of this node's
            PINNACE-FW-<hash>   loadBalancerSourceRanges
            PINNACE-SEP-<hash>  DNAT to one endpoint
            PINNACE-MARK-MASQ   mark now, PINNACE-POSTROUTING masquerades what is marked
    filter  PINNACE-SERVICES, PINNACE-EXTERNAL-SERVICES   refuse what has no endpoints
            PINNACE-PROXY-FIREWALL   drop what a source range does not allow
            PINNACE-FORWARD          let through what was accepted above
            PINNACE-FIREWALL         127.0.0.0/8 is for this machine alone
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from netproxy.backends.iptables_tables import PREFIX, Lines, Tables
from netproxy.model import Endpoint, RuleSet, ServicePort

# Bit 14, the one that kube-proxy uses and others therefore leave alone.
MASQUERADE_MARK = "0x4000/0x4000"


@dataclass
class ServiceRules:
    """What one service port adds to the shared chains, and its own chains."""

    services: list[str] = field(default_factory=list)
    node_ports: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    refused_external: list[str] = field(default_factory=list)
    firewall: list[str] = field(default_factory=list)
    chains: dict[str, Lines] = field(default_factory=dict)


def render(rules: RuleSet) -> Tables:
    """Every chain of ours with its rules."""
    parts = [_service_rules(port, rules.cluster_cidr) for port in rules.services]
    nat: dict[str, Lines] = {
        "PINNACE-MARK-MASQ": (f"-j MARK --or-mark {MASQUERADE_MARK.split('/')[0]}",),
        "PINNACE-POSTROUTING": (
            f"-m mark ! --mark {MASQUERADE_MARK} -j RETURN",
            # A packet may pass here again (after encapsulation): it was masqueraded once.
            f"-j MARK --xor-mark {MASQUERADE_MARK.split('/')[0]}",
            "-j MASQUERADE --random-fully",
        ),
        "PINNACE-SERVICES": (*_flat(p.services for p in parts), *_to_node_ports(rules)),
        "PINNACE-NODEPORTS": _flat(p.node_ports for p in parts),
    }
    for part in parts:
        nat.update(part.chains)
    return {
        "nat": nat,
        "filter": {
            "PINNACE-SERVICES": _flat(p.refused for p in parts),
            "PINNACE-EXTERNAL-SERVICES": _flat(p.refused_external for p in parts),
            "PINNACE-PROXY-FIREWALL": _flat(p.firewall for p in parts),
            "PINNACE-FORWARD": _forward(rules.cluster_cidr),
            "PINNACE-FIREWALL": (
                "! -i lo ! -s 127.0.0.0/8 -d 127.0.0.0/8"
                " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
            ),
        },
    }


def _flat(parts: Iterable[Sequence[str]]) -> Lines:
    return tuple(line for part in parts for line in part)


def _to_node_ports(rules: RuleSet) -> Lines:
    """The last rules of PINNACE-SERVICES, so that a VIP wins over a port of the node."""
    local = "-m addrtype --dst-type LOCAL -j PINNACE-NODEPORTS"
    if rules.node_port_addresses:
        return tuple(f"-d {cidr} {local}" for cidr in rules.node_port_addresses)
    return (local if rules.localhost_node_ports else f"! -d 127.0.0.0/8 {local}",)


def _forward(cluster_cidr: str) -> Lines:
    """INVALID packets would pass without NAT and reset the connection (kubernetes#74839)."""
    pods = (f"-s {cluster_cidr} ", f"-d {cluster_cidr} ") if cluster_cidr else ("",)
    return (
        *(f"{pod}-m conntrack --ctstate INVALID -j DROP" for pod in pods),
        f"-m mark --mark {MASQUERADE_MARK} -j ACCEPT",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )


# Frozen service ports are their own cache keys: an unchanged one is not written again.
@lru_cache(maxsize=32768)
def _service_rules(port: ServicePort, cluster_cidr: str) -> ServiceRules:
    rules = ServiceRules()
    cluster, local = chain("SVC", port), chain("SVL", port)
    if port.used_endpoints:
        _route_traffic(rules, port, cluster_cidr, cluster, local)
    _refuse_traffic(rules, port)
    for name, endpoints in ((cluster, port.cluster_endpoints), (local, port.local_endpoints)):
        if endpoints:
            own = _masquerade_outsiders(port, cluster_cidr) if name == _internal(port) else ()
            rules.chains[name] = (*own, *_choose(port, endpoints))
    for endpoint in port.used_endpoints:
        rules.chains[chain("SEP", port, endpoint)] = _to_endpoint(port, endpoint)
    return rules


def chain(kind: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """A chain's name: 28 characters at most, and the same on every node and run."""
    key = f"{port.label}{port.protocol}"
    if endpoint is not None:
        key += f"{endpoint.address}:{endpoint.port}"
    digest = base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()
    return f"{PREFIX}{kind}-{digest[:16]}"


def _internal(port: ServicePort) -> str:
    return chain("SVL" if port.internal_local else "SVC", port)


def _comment(text: str) -> str:
    """Names are checked by the API; a quote in one would still not end the comment here."""
    return '-m comment --comment "' + re.sub(r"[^\w ./:>-]", "", text) + '"'


def _to(address: str, port: ServicePort) -> str:
    return f"-d {address}/32 -p {port.protocol} -m {port.protocol} --dport {port.port}"


def _route_traffic(
    rules: ServiceRules, port: ServicePort, cluster_cidr: str, cluster: str, local: str
) -> None:
    """The rules that lead to endpoints, for a port that has some."""
    external = chain("EXT", port)
    if port.internal_endpoints:
        comment = _comment(f"{port.label} cluster IP")
        rules.services.append(f"{comment} {_to(port.cluster_ip, port)} -j {_internal(port)}")
    for address in port.external_ips:
        comment = _comment(f"{port.label} external IP")
        rules.services.append(f"{comment} {_to(address, port)} -j {external}")
    for address in port.load_balancer_ips:
        comment = _comment(f"{port.label} loadbalancer IP")
        target = chain("FW", port) if port.source_ranges else external
        rules.services.append(f"{comment} {_to(address, port)} -j {target}")
    if port.node_port:
        match = f"-p {port.protocol} -m {port.protocol} --dport {port.node_port}"
        rules.node_ports.append(f"{_comment(port.label)} {match} -j {external}")
    if port.load_balancer_ips and port.source_ranges:
        comment = _comment(f"{port.label} loadbalancer IP")
        allowed = (f"{comment} -s {cidr} -j {external}" for cidr in port.source_ranges)
        rules.chains[chain("FW", port)] = tuple(allowed)
    if port.is_external:
        rules.chains[external] = _external(port, cluster_cidr, cluster, local)


def _external(port: ServicePort, cluster_cidr: str, cluster: str, local: str) -> Lines:
    """Policy Cluster masquerades, so that the answer comes back this way. Policy Local keeps the
    client's address, but pods and the node itself may go to every endpoint (KEP-2138)."""
    if not port.external_local:
        comment = _comment(f"masquerade traffic for {port.label} external destinations")
        onward = (f"-j {cluster}",) if port.cluster_endpoints else ()
        return (f"{comment} -j PINNACE-MARK-MASQ", *onward)
    lines = []
    if port.cluster_endpoints:
        if cluster_cidr:
            comment = _comment(f"pod traffic for {port.label} external destinations")
            lines.append(f"{comment} -s {cluster_cidr} -j {cluster}")
        comment = _comment(f"masquerade LOCAL traffic for {port.label} external destinations")
        lines.append(f"{comment} -m addrtype --src-type LOCAL -j PINNACE-MARK-MASQ")
        comment = _comment(f"route LOCAL traffic for {port.label} external destinations")
        lines.append(f"{comment} -m addrtype --src-type LOCAL -j {cluster}")
    if port.local_endpoints:
        lines.append(f"-j {local}")
    return tuple(lines)


# The default, an ICMP message, leaves the kernel once per second and client (icmp_ratelimit): the
# second client of a host would wait in vain. Resets have no such limit.
_REFUSAL = {"tcp": "REJECT --reject-with tcp-reset"}


def _refuse_traffic(rules: ServiceRules, port: ServicePort) -> None:
    """Nobody anywhere: say so at once. Nobody here for policy Local: be silent, so that a load
    balancer's other nodes are tried."""
    if port.has_any:
        why, target = "has no local endpoints", "DROP"
    else:
        why, target = "has no endpoints", _REFUSAL.get(port.protocol, "REJECT")
    comment = _comment(f"{port.label} {why}")
    if not port.internal_endpoints:
        rules.refused.append(f"{comment} {_to(port.cluster_ip, port)} -j {target}")
    addresses = (*port.external_ips, *port.load_balancer_ips)
    if not port.external_endpoints:
        rules.refused_external += [
            f"{comment} {_to(address, port)} -j {target}" for address in addresses
        ]
        if port.node_port:
            match = f"-p {port.protocol} -m {port.protocol} --dport {port.node_port}"
            rules.refused_external.append(
                f"{comment} -m addrtype --dst-type LOCAL {match} -j {target}"
            )
    if port.source_ranges:
        comment = _comment(f"{port.label} traffic not accepted by {chain('FW', port)}")
        rules.firewall += [
            f"{comment} {_to(address, port)} -j DROP" for address in port.load_balancer_ips
        ]


def _masquerade_outsiders(port: ServicePort, cluster_cidr: str) -> Lines:
    """What comes to the VIP from outside the cluster needs its answer to come back here."""
    if not cluster_cidr:
        return ()
    comment = _comment(f"{port.label} cluster IP")
    match = _to(port.cluster_ip, port)
    return (f"{comment} ! -s {cluster_cidr} {match} -j PINNACE-MARK-MASQ",)


def _choose(port: ServicePort, endpoints: Sequence[Endpoint]) -> Lines:
    """First whoever this client had before, then by lot: the i-th of n gets 1/(n-i) of the rest."""
    comments = [_comment(f"{port.label} -> {e.address}:{e.port}") for e in endpoints]
    targets = [chain("SEP", port, endpoint) for endpoint in endpoints]
    lines = []
    if port.affinity_s:
        recent = f"--rcheck --seconds {port.affinity_s} --reap"
        lines = [
            f"{comment} -m recent --name {target} {recent} -j {target}"
            for comment, target in zip(comments, targets, strict=True)
        ]
    for index, (comment, target) in enumerate(zip(comments, targets, strict=True)):
        left = len(endpoints) - index
        lot = f" -m statistic --mode random --probability {1 / left:.11f}" if left > 1 else ""
        lines.append(f"{comment}{lot} -j {target}")
    return tuple(lines)


def _to_endpoint(port: ServicePort, endpoint: Endpoint) -> Lines:
    """A pod that meets itself through its VIP must see an answer from elsewhere: masqueraded."""
    comment = _comment(port.label)
    recent = f" -m recent --name {chain('SEP', port, endpoint)} --set" if port.affinity_s else ""
    match = f"-p {port.protocol} -m {port.protocol}"
    return (
        f"{comment} -s {endpoint.address}/32 -j PINNACE-MARK-MASQ",
        f"{comment}{recent} {match} -j DNAT --to-destination {endpoint.address}:{endpoint.port}",
    )
