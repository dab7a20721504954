"""The wires: the node's bridge and, per pod, a veth pair, an address and its routes.

A pod has its address as /32 and reaches everything, its neighbours included, through the gateway
on the bridge. So traffic between two pods of one node passes the host's routing, where the NAT of
Service VIPs sees both directions whether or not the kernel filters bridged frames (br_netfilter).
All functions block: they belong in a worker thread.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Any

from cni.server.addresses import Lease, gateway_of
from cni.server.errors import NetworkFailure
from cni.server.namespaces import in_namespace, set_sysctl
from cni.server.netlink import Link, Netlink, Route
from cni.server.protocol import Attachment, Interface, Wiring

BRIDGE = "pinnace0"
PORT_PREFIX = "pin"


@dataclass(frozen=True)
class Bridge:
    """The node's end of the pod network, as it was set up."""

    link: Link
    gateway: str
    mtu: int


def mac_of(address: str) -> str:
    """A MAC derived from the address: whoever remembers the address of a pod that is gone is right
    about the next one too, which no gratuitous ARP could promise while the bridge's port is still
    coming up. 0a: locally administered, unicast."""
    return "0a:58:" + ipaddress.IPv4Address(address).packed.hex(":")


def port_name(attachment: Attachment) -> str:
    """The host end's name: 15 characters at most, the same on every try."""
    key = f"{attachment.container_id}/{attachment.ifname}"
    return PORT_PREFIX + hashlib.sha256(key.encode()).hexdigest()[:12]


def set_up_bridge(network: ipaddress.IPv4Network) -> Bridge:
    """The bridge with the gateway's address, and forwarding. Repairs what was tampered with."""
    gateway = gateway_of(network)
    with Netlink() as host:
        mtu = host.uplink_mtu() or _kept_mtu(host)
        link = host.ensure_bridge(BRIDGE, mac_of(gateway), mtu)
        host.ensure_address(link, f"{gateway}/{network.prefixlen}")
    set_sysctl("net/ipv4/ip_forward", "1")
    return Bridge(link, gateway, mtu)


def _kept_mtu(host: Netlink) -> int:
    """Without an uplink for the moment, what it was; without a bridge yet, Ethernet's."""
    present = host.link(BRIDGE)
    return present.mtu if present is not None else 1500


def attach(bridge: Bridge, lease: Lease) -> Wiring:
    """Wire the pod of `lease`; a second time it verifies, and repairs what is not so."""
    mac, name = mac_of(lease.address), port_name(lease.attachment)
    with Netlink() as host, in_namespace(lease.netns), Netlink() as pod:
        outer, inner = host.ensure_veth(
            pod,
            name,
            lease.ifname,
            netns=lease.netns,
            mac=mac,
            mtu=bridge.mtu,
            bridge=bridge.link,
        )
        pod.ensure_up("lo")
        pod.ensure_address(inner, f"{lease.address}/32")
        inner = pod.ensure_up(lease.ifname)
        pod.ensure_route(inner, f"{bridge.gateway}/32")
        pod.ensure_route(inner, "default", bridge.gateway)
        _refuse_redirects(lease.ifname)
    return Wiring(
        bridge=Interface(BRIDGE, bridge.link.mac, bridge.mtu),
        host=Interface(name, outer.mac, bridge.mtu),
        container=Interface(lease.ifname, mac, bridge.mtu, lease.netns),
        address=f"{lease.address}/32",
        gateway=bridge.gateway,
    )


def _refuse_redirects(ifname: str) -> None:
    """The gateway sends packets back out of the bridge they came from and would tell pods to
    shorten the way, past the NAT."""
    for scope in ("all", ifname):
        set_sysctl(f"net/ipv4/conf/{scope}/accept_redirects", "0")


def detach(attachment: Attachment) -> bool:
    """Take the pair down, if it is there; the pod's end goes with the host's."""
    with Netlink() as host:
        return host.ensure_absent(port_name(attachment))


def faults(bridge: Bridge, lease: Lease, netns: str) -> list[str]:
    """What of the attachment is not as ADD left it; nothing when all is well."""
    name = port_name(lease.attachment)
    with Netlink() as host:
        outer = host.link(name)
    try:
        with in_namespace(netns), Netlink() as pod:
            inner = pod.link(lease.ifname)
            addresses = pod.addresses(inner.index) if inner else set()
            routes = pod.routes() if inner else set()
    except NetworkFailure as failure:
        return [str(failure)]
    if outer is None or inner is None:
        missing = name if outer is None else f"{lease.ifname} in {netns}"
        return [f"there is no link {missing}"]
    needed = {
        Route(f"{bridge.gateway}/32", "", inner.index),
        Route("default", bridge.gateway, inner.index),
    }
    found = {
        f"{name} is not up": outer.up,
        f"{name} is not a port of {BRIDGE}": outer.master == bridge.link.index,
        f"{name} and {lease.ifname} are not one pair": outer.peer == inner.index,
        f"{lease.ifname} is not up": inner.up,
        f"{lease.ifname} has MAC {inner.mac}": inner.mac == mac_of(lease.address),
        f"{lease.ifname} lacks {lease.address}/32": f"{lease.address}/32" in addresses,
        f"{lease.ifname} lacks routes {sorted(map(str, needed - routes))}": needed <= routes,
    }
    return [fault for fault, well in found.items() if not well]


def disagreements(previous: dict[str, Any], lease: Lease) -> list[str]:
    """Where the prevResult of CHECK tells another story than what was leased."""
    listed = previous.get("ips")
    ips = listed if isinstance(listed, list) else []
    addresses = [ip.get("address") for ip in ips if isinstance(ip, dict)]
    if f"{lease.address}/32" not in addresses:
        return [f"prevResult has addresses {addresses}, the container has {lease.address}/32"]
    return []


def raise_loopback(netns: str) -> None:
    with in_namespace(netns), Netlink() as pod:
        pod.ensure_up("lo")


def loopback_faults(netns: str) -> list[str]:
    with in_namespace(netns), Netlink() as pod:
        link = pod.link("lo")
    return [] if link and link.up else [f"lo is not up in {netns}"]


def ports() -> set[str]:
    """Names of the bridge's ports that are ours."""
    with Netlink() as host:
        bridge = host.link(BRIDGE)
        links = host.links() if bridge else []
    return {
        link.name
        for link in links
        if bridge and link.master == bridge.index and link.name.startswith(PORT_PREFIX)
    }


def remove_ports(names: set[str]) -> None:
    with Netlink() as host:
        for name in sorted(names):
            host.ensure_absent(name)


def remove_bridge() -> bool:
    with Netlink() as host:
        present = host.link(BRIDGE)
        return present is not None and present.kind == "bridge" and host.ensure_absent(BRIDGE)
