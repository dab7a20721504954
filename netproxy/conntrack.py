"""UDP flows that the kernel remembers although their endpoint is gone.

The only module of this room that knows pyroute2, which is imported at the first need: 0.1 s.
"""

import errno
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from netproxy.model import RuleSet, ServicePort


@dataclass(frozen=True)
class Flow:
    """The two directions of a flow: whom the client called, and who answers."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    answerer: str
    answerer_port: int


def udp_part(rules: RuleSet) -> tuple[ServicePort, ...]:
    return tuple(port for port in rules.services if port.protocol == "udp")


def stale_flows(
    flows: Iterable[Flow], before: RuleSet, after: RuleSet, node_addresses: Collection[str]
) -> list[Flow]:
    """The flows to a VIP or node port that are answered by none of its present endpoints.

    Also those that nobody translated, because there was no endpoint when they began, and those to
    a Service of `before` that is gone. What passes this node on its way to the same port of
    somebody else is none of our business.
    """
    endpoints_of: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for rules in (before, after):
        for port in udp_part(rules):
            present = rules is after
            endpoints = {(e.address, e.port) for e in port.used_endpoints} if present else set()
            for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
                endpoints_of[address, port.port] = endpoints
            if port.node_port:
                endpoints_of |= {(a, port.node_port): endpoints for a in node_addresses}
    return [
        flow
        for flow in flows
        if (called := (flow.destination, flow.destination_port)) in endpoints_of
        and (flow.answerer, flow.answerer_port) not in endpoints_of[called]
    ]


def flush_stale(before: RuleSet, after: RuleSet) -> int:
    """Make the kernel forget them; says how many. Blocks. Raises OSError."""
    from pyroute2 import IPRoute, NFCTSocket
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route, NFCTSocket() as conntrack:
            addresses = {m.get_attr("IFA_LOCAL") for m in route.get_addr(family=socket.AF_INET)}
            stale = stale_flows(_udp_flows(conntrack), before, after, addresses)
            for flow in stale:
                _forget(conntrack, flow)
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from None
    return len(stale)


def _udp_flows(conntrack: Any) -> list[Flow]:
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    # Kernels before 5.8 do not filter and send every protocol.
    udp = NFCTAttrTuple(proto=socket.IPPROTO_UDP)
    flows = []
    for message in conntrack.dump(tuple_orig=udp):
        called = _tuple(message, "CTA_TUPLE_ORIG")
        answered = _tuple(message, "CTA_TUPLE_REPLY")
        if called.proto == socket.IPPROTO_UDP:
            flows.append(
                Flow(
                    source=called.saddr,
                    source_port=called.sport,
                    destination=called.daddr,
                    destination_port=called.dport,
                    answerer=answered.saddr,
                    answerer_port=answered.sport,
                )
            )
    return flows


def _tuple(message: Any, name: str) -> Any:
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    return NFCTAttrTuple.from_netlink(message["nfgen_family"], message.get_attr(name))


def _forget(conntrack: Any, flow: Flow) -> None:
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    called = NFCTAttrTuple(
        saddr=flow.source,
        daddr=flow.destination,
        proto=socket.IPPROTO_UDP,
        sport=flow.source_port,
        dport=flow.destination_port,
    )
    try:
        conntrack.entry("del", tuple_orig=called)
    except NetlinkError as error:
        if error.code != errno.ENOENT:  # it expired meanwhile
            raise
