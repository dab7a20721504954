"""Throw-away network namespaces: a node with an uplink, a machine outside, pods.

The test's main thread moves into the node's namespace and back at the end, so that whatever the
code under test does (threads, child processes) happens there and never to this machine.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cni.server.namespaces import CLONE_NEWNET, in_namespace
from cni.server.netlink import Netlink

T = TypeVar("T")
UPLINK_ADDRESS = "192.0.2.1"
OUTSIDE_ADDRESS = "192.0.2.2"
_libc = ctypes.CDLL(None, use_errno=True)


def sh(command: str) -> str:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """pyroute2's blocking calls refuse to run where an event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


class Space:
    """A named network namespace."""

    def __init__(self, role: str) -> None:
        self.name = f"ptest-{role}-{uuid.uuid4().hex[:8]}"
        self.path = f"/run/netns/{self.name}"
        sh(f"ip netns add {self.name}")

    def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call `function` there. What it opens stays there."""
        with in_namespace(self.path):
            return function(*arguments)

    def sh(self, command: str) -> str:
        return self.run(sh, command)

    def links(self) -> set[str]:
        def names() -> set[str]:
            with Netlink() as netlink:
                return {link.name for link in netlink.links()}

        return in_thread(self.run, names)

    def remove(self) -> None:
        if os.path.exists(self.path):
            sh(f"ip netns del {self.name}")


class Lab:
    """The node (where the test runs), the outside world behind its uplink, and pods."""

    def __init__(self) -> None:
        self.spaces: list[Space] = []

    def space(self, role: str) -> Space:
        self.spaces.append(Space(role))
        return self.spaces[-1]

    def outside(self, mtu: int = 1500) -> Space:
        """Another machine on the uplink; the node's default route leads there."""
        other = self.space("outside")
        sh(f"ip link add eth0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {other.name}")
        sh(f"ip addr add {UPLINK_ADDRESS}/24 dev eth0")
        sh("ip link set eth0 up")
        other.sh(f"ip addr add {OUTSIDE_ADDRESS}/24 dev eth0")
        other.sh("ip link set eth0 up")
        other.sh("ip link set lo up")
        sh(f"ip route add default via {OUTSIDE_ADDRESS}")
        return other

    def set_bridge_netfilter(self, value: int) -> None:
        path = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
        if path.exists():
            path.write_text(str(value))


@contextlib.contextmanager
def fresh_node() -> Iterator[Lab]:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    lab = Lab()
    assert _libc.unshare(CLONE_NEWNET) == 0
    try:
        sh("ip link set lo up")
        yield lab
    finally:
        for space in lab.spaces:
            space.remove()
        assert _libc.setns(here, CLONE_NEWNET) == 0
        os.close(here)


def tcp_listener(address: str = "0.0.0.0", port: int = 0) -> socket.socket:
    listener = socket.create_server((address, port))
    listener.setblocking(False)
    return listener


def udp_socket(address: str = "0.0.0.0", port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock
