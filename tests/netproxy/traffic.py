"""Real traffic on a node of throw-away namespaces: pods with servers, clients everywhere."""

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator

from cni.server import podnetwork
from cni.server.addresses import Lease
from tests.cni.netlab import Lab, Space, in_thread, sh, tcp_listener, udp_socket

CLUSTER = "10.244.0.0/16"
NETWORK = ipaddress.IPv4Network("10.244.0.0/24")
GATEWAY = "10.244.0.1"
VIP = "10.96.0.10"
REFUSED, SILENT = "refused", "silent"


class Pod:
    """A pod of this node whose servers answer `<its name> <client's address>`."""

    def __init__(self, name: str, space: Space, address: str) -> None:
        self.name, self.space, self.address = name, space, address
        self.tcp = space.run(tcp_listener, "0.0.0.0", 8080)
        self.udp = space.run(udp_socket, "0.0.0.0", 5353)
        self._tasks = [
            asyncio.create_task(self._serve_tcp()),
            asyncio.create_task(self._serve_udp()),
        ]

    async def _serve_tcp(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                connection, peer = await loop.sock_accept(self.tcp)
                group.create_task(self._talk(connection, peer[0]))

    async def _talk(self, connection: socket.socket, peer: str) -> None:
        """One line at once, then one for each that comes."""
        loop = asyncio.get_running_loop()
        with connection, contextlib.suppress(OSError):
            await loop.sock_sendall(connection, f"{self.name} {peer}".encode())
            while await loop.sock_recv(connection, 100):
                await loop.sock_sendall(connection, f"{self.name} {peer}".encode())

    async def _serve_udp(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            _, peer = await loop.sock_recvfrom(self.udp, 100)
            await loop.sock_sendto(self.udp, f"{self.name} {peer[0]}".encode(), peer)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.tcp.close()
        self.udp.close()


class World:
    """The node, the machine outside, and its pods."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.outside = lab.outside()
        self.bridge = in_thread(podnetwork.set_up_bridge, NETWORK)
        self.pods: list[Pod] = []
        self.outside.sh("ip route add 10.96.0.0/16 via 192.0.2.1")
        self.outside.sh("ip route add 203.0.113.0/24 via 192.0.2.1")

    def pod(self, name: str) -> Pod:
        space = self.lab.space(name)
        address = str(NETWORK[len(self.pods) + 2])
        in_thread(podnetwork.attach, self.bridge, Lease(address, name, "eth0", space.path, 0.0))
        self.pods.append(Pod(name, space, address))
        return self.pods[-1]

    async def stop(self) -> None:
        for pod in self.pods:
            await pod.stop()


@contextlib.asynccontextmanager
async def world(lab: Lab) -> AsyncIterator[World]:
    made = World(lab)
    try:
        yield made
    finally:
        await made.stop()


def client_socket(source: Space | None, kind: socket.SocketKind) -> socket.socket:
    def make() -> socket.socket:
        return socket.socket(socket.AF_INET, kind)

    made = source.run(make) if source else make()
    made.setblocking(False)
    return made


async def call(source: Space | None, address: str, port: int, timeout_s: float = 2.0) -> str:
    """What a TCP server says first; REFUSED, or SILENT when nothing comes back."""
    loop = asyncio.get_running_loop()
    with client_socket(source, socket.SOCK_STREAM) as client:
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(client, (address, port))
                return (await loop.sock_recv(client, 100)).decode()
        except TimeoutError:
            return SILENT
        except OSError:
            return REFUSED


async def ask(client: socket.socket, address: str, port: int, timeout_s: float = 0.5) -> str:
    """One UDP datagram and its answer, on a socket that may be used again."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            await loop.sock_sendto(client, b"?", (address, port))
            return (await loop.sock_recv(client, 100)).decode()
    except TimeoutError:
        return SILENT
    except OSError:
        return REFUSED


async def tally(source: Space | None, address: str, port: int, count: int = 40) -> Counter[str]:
    """How often each server answered."""
    answers = await asyncio.gather(*(call(source, address, port) for _ in range(count)))
    return Counter(answer.partition(" ")[0] for answer in answers)


def rules_of_others() -> list[str]:
    return [
        line
        for line in sh("iptables-save").splitlines()
        if line.startswith("-A") and "PINNACE" not in line
    ]
