"""The kernel's links, addresses and routes: the only module of this room that knows pyroute2.

Each `ensure_*` reads, changes what differs, tolerates that somebody was quicker, reads back and
raises `NetlinkFailure` when the kernel still says otherwise. All calls block: they belong in a
worker thread. A `Netlink` stays in the network namespace in which it was opened.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from cni.server.errors import NetworkFailure

T = TypeVar("T")

# A dump is cut short when the table changes under it (NLM_F_DUMP_INTR); the kernel offers no
# lock, so it is asked again, but not for ever.
DUMP_ATTEMPTS = 5
IFF_UP = 1
RT_SCOPE_LINK = 253


class NetlinkFailure(NetworkFailure):
    """The kernel refused, or did not end up as asked."""


@dataclass(frozen=True)
class Link:
    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    master: int  # index of the bridge, 0 for none
    peer: int  # a veth's other end: its index in its own namespace
    kind: str


@dataclass(frozen=True)
class Route:
    destination: str  # "default" or CIDR
    gateway: str  # "" for what is on the link
    index: int


class Netlink:
    """A netlink socket in the network namespace of the thread that opens it, for that thread."""

    def __init__(self) -> None:
        # pyroute2 waits on an event loop of its own; uvloop, where it is the policy, knows no
        # netlink.
        self._loop = asyncio.SelectorEventLoop()
        self._route: Any = IPRoute(strict_check=True, use_event_loop=self._loop)

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self._route.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # the transport's last word
        self._loop.close()

    # -- what is there

    def link(self, name: str) -> Link | None:
        try:
            found = self._route.link("get", ifname=name)
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise NetlinkFailure(f"cannot read the link {name}: {error}") from None
        return _link(found[0])

    def links(self) -> list[Link]:
        return [_link(message) for message in self._dump(lambda: self._route.get_links())]

    def addresses(self, index: int) -> set[str]:
        """IPv4 addresses of a link, with their prefix lengths."""
        dump = self._dump(lambda: self._route.get_addr(family=socket.AF_INET))
        return {
            f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}"
            for message in dump
            if message["index"] == index
        }

    def routes(self) -> set[Route]:
        """Unicast IPv4 routes of the main table."""
        dump = self._dump(lambda: self._route.get_routes(family=socket.AF_INET, table=254))
        return {_route(message) for message in dump}

    def uplink_mtu(self) -> int:
        """MTU of the default route's link: what leaves the node must fit. 0 without one."""
        uplinks = {route.index for route in self.routes() if route.destination == "default"}
        return min((link.mtu for link in self.links() if link.index in uplinks), default=0)

    # -- making it so

    def ensure_bridge(self, name: str, mac: str, mtu: int) -> Link:
        """A bridge that is up. Its MAC is fixed: else it would be the lowest of its ports' and
        change under the pods, which have it in their neighbour tables."""
        if self.link(name) is None:
            self._do(f"create {name}", "add", ifname=name, kind="bridge", br_stp_state=0)
        present = self._expect(name)
        if present.kind != "bridge":
            raise NetlinkFailure(f"{name} exists and is a {present.kind or 'device'}, not a bridge")
        wanted = {"address": mac, "mtu": mtu, "state": "up"}
        if (present.mac, present.mtu, present.up) != (mac, mtu, True):
            self._do(f"configure {name}", "set", index=present.index, **wanted)
        return self._verify(name, lambda link: (link.mac, link.mtu, link.up) == (mac, mtu, True))

    def ensure_veth(
        self,
        pod: "Netlink",
        host_name: str,
        pod_name: str,
        *,
        netns: str,
        mac: str,
        mtu: int,
        bridge: Link,
    ) -> tuple[Link, Link]:
        """A veth pair: `host_name` here as a port of `bridge`, `pod_name` with `mac` in `netns`,
        which is where `pod` looks. A half-made or foreign pair of that host name goes first."""

        def whole(host: Link | None, inner: Link | None) -> bool:
            return (
                host is not None
                and inner is not None
                and (host.peer, inner.peer) == (inner.index, host.index)
                and (host.master, host.up, host.mtu) == (bridge.index, True, mtu)
                and (inner.mac, inner.mtu) == (mac, mtu)
            )

        if not whole(self.link(host_name), pod.link(pod_name)):
            self.ensure_absent(host_name)
            self._create_veth(host_name, pod_name, netns=netns, mac=mac, mtu=mtu, bridge=bridge)
        host, inner = self.link(host_name), pod.link(pod_name)
        if host is None or inner is None or not whole(host, inner):
            raise NetlinkFailure(
                f"no veth pair {host_name} and {pod_name} in {netns}; is {pod_name} somebody's?"
                f" (found {host} and {inner})"
            )
        # Hairpin: with br_netfilter a pod's own VIP is answered through its own port.
        self._call(f"set hairpin on {host_name}", "brport", "set", index=host.index, mode=1)
        return host, inner

    def _create_veth(
        self, host_name: str, pod_name: str, *, netns: str, mac: str, mtu: int, bridge: Link
    ) -> None:
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        peer = {"ifname": pod_name, "address": mac, "mtu": mtu, "net_ns_fd": fd}
        try:
            self._call(
                f"create veth {host_name} with {pod_name} in {netns}",
                "link",
                "add",
                ifname=host_name,
                kind="veth",
                peer=peer,
                mtu=mtu,
                master=bridge.index,
                state="up",
            )
        finally:
            os.close(fd)

    def ensure_address(self, link: Link, address: str, *, only: bool = True) -> None:
        """`address` (with its prefix length) on the link and, with `only`, no other IPv4 one."""
        present = self.addresses(link.index)
        if address in present and (not only or len(present) == 1):
            return
        for other in present - {address} if only else ():
            self._call(f"drop {other}", "addr", "del", index=link.index, **_split(other))
        if address not in present:
            what = f"add {address} to {link.name}"
            self._call(what, "addr", "add", index=link.index, **_split(address))
        after = self.addresses(link.index)
        if address not in after or (only and after != {address}):
            raise NetlinkFailure(f"{link.name} has {sorted(after)} instead of {address}")

    def ensure_up(self, name: str) -> Link:
        link = self._expect(name)
        if link.up:
            return link
        self._do(f"set {name} up", "set", index=link.index, state="up")
        return self._verify(name, lambda link: link.up)

    def ensure_route(self, link: Link, destination: str, gateway: str = "") -> None:
        """A route through the link; one to the same destination by another way is replaced."""
        wanted = Route(destination, gateway, link.index)
        if wanted in self.routes():
            return
        via = {"gateway": gateway} if gateway else {"scope": RT_SCOPE_LINK}
        what = f"route {destination} through {link.name}"
        self._call(what, "route", "replace", dst=destination, oif=link.index, **via)
        if wanted not in self.routes():
            raise NetlinkFailure(f"no route {wanted} after it was set")

    def ensure_absent(self, name: str) -> bool:
        """No link of that name. Says whether there was one."""
        present = self.link(name)
        if present is None:
            return False
        self._call(
            f"delete {name}", "link", "del", index=present.index, gone=(errno.ENODEV, errno.EINVAL)
        )
        if self.link(name) is not None:
            raise NetlinkFailure(f"{name} is still there after it was deleted")
        return True

    # -- helpers

    def _do(self, what: str, command: str, **arguments: Any) -> None:
        self._call(what, "link", command, **arguments)

    def _call(
        self, what: str, noun: str, command: str, *, gone: tuple[int, ...] = (), **arguments: Any
    ) -> None:
        """Ask the kernel; "exists" is fine, and so is any code of `gone`: the caller reads back."""
        try:
            getattr(self._route, noun)(command, **arguments)
        except NetlinkError as error:
            if error.code not in (errno.EEXIST, *gone):
                raise NetlinkFailure(f"cannot {what}: {error}") from None

    def _dump(self, ask: Callable[[], Any]) -> list[Any]:
        return retry_interrupted(lambda: list(ask()))

    def _expect(self, name: str) -> Link:
        link = self.link(name)
        if link is None:
            raise NetlinkFailure(f"there is no link {name}")
        return link

    def _verify(self, name: str, right: Callable[[Link], bool]) -> Link:
        link = self._expect(name)
        if not right(link):
            raise NetlinkFailure(f"{name} did not become what was asked: {link}")
        return link


def retry_interrupted(dump: Callable[[], T]) -> T:
    for _ in range(DUMP_ATTEMPTS - 1):
        try:
            return dump()
        except NetlinkDumpInterrupted:
            continue
    return dump()


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        up=bool(message["flags"] & IFF_UP),
        master=message.get_attr("IFLA_MASTER") or 0,
        peer=message.get_attr("IFLA_LINK") or 0,
        kind=(info.get_attr("IFLA_INFO_KIND") if info else "") or "",
    )


def _route(message: Any) -> Route:
    destination = message.get_attr("RTA_DST")
    return Route(
        f"{destination}/{message['dst_len']}" if destination else "default",
        message.get_attr("RTA_GATEWAY") or "",
        message.get_attr("RTA_OIF") or 0,
    )


def _split(address: str) -> dict[str, Any]:
    host, _, length = address.partition("/")
    return {"address": host, "prefixlen": int(length)}
