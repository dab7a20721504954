"""The server and the real executable on a real kernel, in a network namespace of its own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from base.clock import SystemClock
from cni.install import install
from cni.server import CniServer, netlink, podnetwork
from cni.server import node as node_module
from cni.server import server as server_module
from cni.server.addresses import Lease
from cni.server.teardown import remove_all
from tests.cni.netlab import (
    OUTSIDE_ADDRESS,
    UPLINK_ADDRESS,
    Lab,
    Space,
    in_thread,
    sh,
    tcp_listener,
)

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "iptables")]
CIDR = "10.244.3.0/24"


class Plugin:
    """What containerd would do: start the installed executable."""

    def __init__(self, root: Path) -> None:
        self.bin, self.conf, self.state = root / "bin", root / "conf.d", root / "state"
        self.socket = root / "cni.sock"
        self.processes: list[asyncio.subprocess.Process] = []
        install(self.bin, self.conf, self.socket, self.state)

    async def start(
        self, command: str, pod: Space | None, container: str, **config: Any
    ) -> asyncio.subprocess.Process:
        kind = config.pop("plugin", "pinnace")
        environ = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": pod.path if pod else "",
            "CNI_IFNAME": config.pop("ifname", "eth0"),
        }
        body = {"cniVersion": "1.1.0", "name": "pinnace", "type": kind} | config
        process = await asyncio.create_subprocess_exec(
            self.bin / kind,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environ,
        )
        assert process.stdin
        process.stdin.write(json.dumps(body).encode())
        process.stdin.close()
        return process

    async def run(self, command: str, pod: Space | None, container: str, **config: Any) -> Any:
        """The exit status and what was printed, as JSON."""
        process = await self.start(command, pod, container, **config)
        return await self.result(process)

    async def result(self, process: asyncio.subprocess.Process) -> Any:
        out, _ = await process.communicate()
        return process.returncode, json.loads(out) if out else None

    async def add(self, pod: Space, container: str) -> Any:
        status, answer = await self.run("ADD", pod, container)
        assert status == 0, answer
        return answer

    def leases(self) -> set[str]:
        return {path.name for path in (self.state / "addresses").iterdir()}


@pytest.fixture
def plugin(tmp_path: Path, node: Lab) -> Plugin:
    node.outside()
    return Plugin(tmp_path)


@asynccontextmanager
async def serving(plugin: Plugin, cidr: str = CIDR) -> AsyncIterator[CniServer]:
    server = CniServer(plugin.socket, plugin.state, SystemClock())
    await server.start()
    try:
        if cidr:
            await server.set_pod_cidr(cidr)
        yield server
    finally:
        await server.stop()


def ports() -> set[str]:
    return in_thread(podnetwork.ports)


async def connect(source: Space | None, address: str, port: int) -> bytes:
    """What a listener at `address` answers to a client in `source`; b"" where nobody does."""
    client = source.run(socket.socket) if source else socket.socket()
    loop = asyncio.get_running_loop()
    with client:
        client.setblocking(False)
        try:
            async with asyncio.timeout(3):
                await loop.sock_connect(client, (address, port))
                return await loop.sock_recv(client, 100)
        except OSError:
            return b""


@asynccontextmanager
async def who_calls(space: Space | None) -> AsyncIterator[int]:
    """A server in `space` that tells each client the address it is seen with; its port."""
    listener = space.run(tcp_listener) if space else tcp_listener()

    async def serve() -> None:
        while True:
            connection, peer = await asyncio.get_running_loop().sock_accept(listener)
            connection.sendall(peer[0].encode())
            connection.close()

    task = asyncio.create_task(serve())
    try:
        yield listener.getsockname()[1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


async def test_a_pod_gets_an_interface_that_reaches_everything(node: Lab, plugin: Plugin) -> None:
    outside = node.spaces[0]
    first, second = node.space("a"), node.space("b")
    async with serving(plugin):
        answer = await plugin.add(first, "a")
        await plugin.add(second, "b")
        assert [i["name"] for i in answer["interfaces"][::2]] == ["pinnace0", "eth0"]
        assert answer["interfaces"][2]["sandbox"] == first.path
        assert answer["interfaces"][2]["mtu"] == 1500
        assert answer["ips"] == [
            {"address": "10.244.3.2/32", "gateway": "10.244.3.1", "interface": 2}
        ]
        async with who_calls(second) as port:
            assert await connect(first, "10.244.3.3", port) == b"10.244.3.2"
            assert await connect(None, "10.244.3.3", port) == b"10.244.3.1"
        async with who_calls(None) as port:
            assert await connect(first, "10.244.3.1", port) == b"10.244.3.2"
            assert await connect(first, UPLINK_ADDRESS, port) == b"10.244.3.2"
        async with who_calls(outside) as port:
            assert await connect(first, OUTSIDE_ADDRESS, port) == UPLINK_ADDRESS.encode()
        async with who_calls(first) as port:
            assert await connect(first, "127.0.0.1", port) == b"127.0.0.1"


async def test_settings_of_the_kernel(node: Lab, plugin: Plugin) -> None:
    sh("sysctl -qw net.ipv4.ip_forward=0")
    pod = node.space("a")
    async with serving(plugin):
        await plugin.add(pod, "a")
    assert sh("sysctl -n net.ipv4.ip_forward") == "1\n"
    # The gateway tells pods of a shorter way; they must not take it.
    for scope in ("all", "eth0"):
        assert pod.sh(f"sysctl -n net.ipv4.conf.{scope}.accept_redirects") == "0\n"


async def test_one_container_is_wired_by_one_request_at_a_time(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, active, most = podnetwork.attach, Counter[str](), Counter[str]()

    def slow(bridge: podnetwork.Bridge, lease: Lease) -> Any:
        active[lease.container_id] += 1
        most[lease.container_id] = max(most[lease.container_id], active[lease.container_id])
        most["all"] = max(most["all"], active.total())
        time.sleep(0.02)
        try:
            return real(bridge, lease)
        finally:
            active[lease.container_id] -= 1

    monkeypatch.setattr(podnetwork, "attach", slow)
    a, b = node.space("a"), node.space("b")
    async with serving(plugin):
        requests = [_request("ADD", a, "a"), _request("ADD", b, "b")] * 4
        answers = await asyncio.gather(*(_ask(plugin.socket, data) for data in requests))
        assert len(set(answers)) == 2
        assert all(answer.startswith(b"0 ") for answer in answers)
        assert len(plugin.leases()) == len(ports()) == 2
    assert most == {"a": 1, "b": 1, "all": 2}


async def test_pods_reach_out_although_others_drop_forwarding(node: Lab, plugin: Plugin) -> None:
    """As where Docker runs: the policy of FORWARD is DROP."""
    sh("iptables -P FORWARD DROP")
    outside, pod = node.spaces[0], node.space("a")
    async with serving(plugin):
        await plugin.add(pod, "a")
        async with who_calls(outside) as port:
            assert await connect(pod, OUTSIDE_ADDRESS, port) == UPLINK_ADDRESS.encode()


async def test_a_reused_address_is_reached_at_once(node: Lab, plugin: Plugin) -> None:
    async with serving(plugin, cidr="10.244.3.0/30"):
        for container in ("a", "b", "c"):
            pod = node.space(container)
            await plugin.add(pod, container)
            async with who_calls(pod) as port:
                # A neighbour entry that is wrong is doubted after 5 s at the earliest, and
                # `connect` waits 3.
                assert await connect(None, "10.244.3.2", port) == b"10.244.3.1"
            assert (await plugin.run("DEL", pod, container))[0] == 0


async def test_the_life_of_an_attachment(node: Lab, plugin: Plugin) -> None:
    pod = node.space("a")
    async with serving(plugin):
        answer = await plugin.add(pod, "a")
        assert await plugin.add(pod, "a") == answer
        assert await plugin.run("CHECK", pod, "a", prevResult=answer) == (0, None)
        for _ in range(2):
            assert await plugin.run("DEL", pod, "a") == (0, None)
        assert pod.links() == {"lo"}
        status, error = await plugin.run("CHECK", pod, "a", prevResult=answer)
        assert (status, error["code"]) == (1, 3)
    assert (ports(), plugin.leases()) == (set(), set())


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ("pod: ip addr flush dev eth0", "lacks 10.244.3.2/32"),
        ("pod: ip route del default", "lacks routes"),
        ("pod: ip link set eth0 down", "eth0 is not up"),
        ("pod: ip link set eth0 address 0a:58:00:00:00:01", "has MAC"),
        ("pod: ip link del eth0", "there is no link"),
        ("ip link set {port} nomaster", "is not a port of pinnace0"),
        ("ip link set {port} down", "is not up"),
    ],
)
async def test_check_finds_what_is_broken_and_add_repairs_it(
    node: Lab, plugin: Plugin, tamper: str, said: str
) -> None:
    pod = node.space("a")
    async with serving(plugin):
        answer = await plugin.add(pod, "a")
        where, _, command = tamper.rpartition(": ")
        (pod.sh if where else sh)(command.format(port=next(iter(ports()))))
        status, error = await plugin.run("CHECK", pod, "a", prevResult=answer)
        assert (status, error["code"]) == (1, 102)
        assert said in error["msg"]
        await plugin.add(pod, "a")
        assert await plugin.run("CHECK", pod, "a", prevResult=answer) == (0, None)


async def test_check_compares_with_the_previous_result(node: Lab, plugin: Plugin) -> None:
    pod = node.space("a")
    async with serving(plugin):
        answer = await plugin.add(pod, "a")
        answer["ips"] = "nonsense"
        assert (await plugin.run("CHECK", pod, "a", prevResult=answer))[1]["code"] == 102
        answer["ips"] = [{"address": "10.244.3.77/32"}]
        status, error = await plugin.run("CHECK", pod, "a", prevResult=answer)
        assert (status, error["code"]) == (1, 102)
        assert (await plugin.run("CHECK", pod, "a"))[1]["code"] == 7
        status, error = await plugin.run("ADD", pod, "a", prevResult=answer)
        assert (status, error["code"]) == (1, 7)


async def test_loopback(node: Lab, plugin: Plugin) -> None:
    pod = node.space("a")
    old = {"plugin": "loopback", "ifname": "lo", "cniVersion": "0.4.0"}
    async with serving(plugin, cidr=""):
        assert (await plugin.run("CHECK", pod, "a", **old))[0] == 1
        status, answer = await plugin.run("ADD", pod, "a", **old)
        assert (status, answer["interfaces"][0]["name"]) == (0, "lo")
        assert (await plugin.run("CHECK", pod, "a", **old))[0] == 0
        assert (await plugin.run("DEL", pod, "a", **old))[0] == 0
        async with who_calls(pod) as port:
            assert await connect(pod, "127.0.0.1", port) == b"127.0.0.1"


async def test_before_the_node_has_a_pod_cidr(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = node.space("a")
    async with serving(plugin, cidr="") as server:
        status, error = await plugin.run("STATUS", None, "")
        assert (status, error["code"], error["msg"]) == (1, 50, "the node has no podCIDR yet")
        waiting = await plugin.start("ADD", pod, "a")
        await asyncio.sleep(0.1)
        await server.set_pod_cidr(CIDR)
        assert (await plugin.result(waiting))[0] == 0
        assert await plugin.run("STATUS", None, "") == (0, None)
    monkeypatch.setattr(node_module, "READY_WAIT_S", 0.1)
    async with serving(plugin, cidr=""):
        status, error = await plugin.run("ADD", pod, "b")
        assert (status, error["code"]) == (1, 11)
        assert plugin.leases() == {"10.244.3.2"}


async def test_an_agent_that_stops_hands_waiting_pods_to_the_next(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_GRACE_S", 0.05)
    async with serving(plugin, cidr=""):
        waiting = await plugin.start("ADD", node.space("a"), "a")
        await asyncio.sleep(0.1)
    async with serving(plugin):
        assert (await plugin.result(waiting))[0] == 0


async def test_the_uplinks_mtu_is_kept_while_it_is_away(node: Lab, plugin: Plugin) -> None:
    sh("ip link set eth0 mtu 1400")
    async with serving(plugin) as server:
        sh("ip route del default")
        await server.set_pod_cidr(CIDR)
        answer = await plugin.add(node.space("a"), "a")
        assert {interface["mtu"] for interface in answer["interfaces"]} == {1400}


async def test_a_fault_of_ours_is_an_answer_too(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(podnetwork, "detach", fault)
    async with serving(plugin):
        status, error = await plugin.run("DEL", None, "a")
        assert (status, error["code"]) == (1, 103)


async def test_ipv6_is_refused_by_name(node: Lab, plugin: Plugin) -> None:
    async with serving(plugin, cidr="") as server:
        with pytest.raises(ValueError, match="IPv6"):
            await server.set_pod_cidr("fd00::/64")


async def test_a_failed_add_keeps_no_address(node: Lab, plugin: Plugin) -> None:
    pod = node.space("a")
    pod.sh("ip link add eth0 type veth peer name mine")
    async with serving(plugin):
        status, error = await plugin.run("ADD", pod, "a")
        assert (status, error["code"]) == (1, 100)
        assert "is eth0 somebody's?" in error["details"]
        pod.remove()
        status, error = await plugin.run("ADD", pod, "b")
        assert (status, error["code"]) == (1, 100)
        assert "no network namespace" in error["details"]
    assert (ports(), plugin.leases()) == (set(), set())


async def test_version_is_answered_by_the_server(node: Lab, plugin: Plugin) -> None:
    async with serving(plugin, cidr=""):
        status, answer = await plugin.run("VERSION", None, "")
        assert status == 0
        assert answer["supportedVersions"][-1] == "1.1.0"


async def test_thirty_pods_at_once_come_and_go(node: Lab, plugin: Plugin) -> None:
    pods = [node.space(f"p{n}") for n in range(30)]
    async with serving(plugin) as server:
        added = await asyncio.gather(*(plugin.add(pod, f"c{n}") for n, pod in enumerate(pods)))
        addresses = {answer["ips"][0]["address"] for answer in added}
        assert len(addresses) == 30
        assert len(ports()) == 30
        async with who_calls(pods[29]) as port:
            last = added[29]["ips"][0]["address"].partition("/")[0]
            assert await connect(pods[0], last, port) != b""
        await asyncio.gather(*(plugin.run("DEL", pod, f"c{n}") for n, pod in enumerate(pods)))
        assert len(server._containers._locks) == 0
    assert (ports(), plugin.leases()) == (set(), set())


async def test_what_blocks_runs_in_worker_threads(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace is entered and a link deleted: neither may happen to the loop's thread."""
    seen: dict[str, set[str]] = {}

    def note(name: str) -> None:
        real = getattr(podnetwork, name)

        def noting(*arguments: Any) -> Any:
            seen.setdefault(name, set()).add(threading.current_thread().name.partition("_")[0])
            return real(*arguments)

        monkeypatch.setattr(podnetwork, name, noting)

    for name in ("set_up_bridge", "attach", "detach", "faults", "ports", "raise_loopback"):
        note(name)
    pod = node.space("a")
    async with serving(plugin) as server:
        await plugin.run("ADD", pod, "a", plugin="loopback", ifname="lo")
        answer = await plugin.add(pod, "a")
        await plugin.run("CHECK", pod, "a", prevResult=answer)
        await plugin.run("DEL", pod, "a")
        await server.reconcile(set())
    assert len(seen) == 6
    assert set().union(*seen.values()) == {"cni"}


def _request(command: str, pod: Space, container: str) -> bytes:
    entries = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": pod.path,
        "CNI_IFNAME": "eth0",
    }
    config = {"cniVersion": "1.1.0", "name": "pinnace", "type": "pinnace"}
    head = "".join(f"{k}={v}\0" for k, v in entries.items())
    return f"{head}\0{json.dumps(config)}".encode()


async def _ask(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_garbage_on_the_socket_harms_nobody(node: Lab, plugin: Plugin) -> None:
    async with serving(plugin):
        for data in (b"", b"\0\0", b"\xff" * 100, b"CNI_COMMAND=ADD\0\0{"):
            assert (await _ask(plugin.socket, data)).startswith(b"1 ")
        with contextlib.suppress(ConnectionError):
            assert await _ask(plugin.socket, b"x" * (2 << 20)) == b""
        await plugin.add(node.space("a"), "a")


async def test_a_second_server_is_refused_and_a_dead_ones_socket_taken(
    node: Lab, plugin: Plugin
) -> None:
    async with serving(plugin):
        second = CniServer(plugin.socket, plugin.state, SystemClock())
        with pytest.raises(OSError, match="another agent is listening"):
            await second.start()
        await second.stop()
        await plugin.add(node.space("a"), "a")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(plugin.socket))
    async with serving(plugin):
        await plugin.add(node.space("b"), "b")
    assert not plugin.socket.exists()


async def test_a_del_while_nobody_listened_is_honoured_first(node: Lab, plugin: Plugin) -> None:
    pods = [node.space("a"), node.space("b")]
    async with serving(plugin):
        for number, pod in enumerate(pods):
            await plugin.add(pod, f"c{number}")
    assert await plugin.run("DEL", pods[0], "c0") == (0, None)
    assert plugin.leases() == {"10.244.3.2", "10.244.3.3"}
    async with serving(plugin):
        assert plugin.leases() == {"10.244.3.3"}
        assert len(ports()) == 1
        assert list((plugin.state / "tombstones").iterdir()) == []


async def test_reconcile_frees_what_no_sandbox_owns(node: Lab, plugin: Plugin) -> None:
    kept, gone, starting = (node.space(role) for role in "kgs")
    async with serving(plugin) as server:
        for name, pod in (("kept", kept), ("gone", gone), ("starting", starting)):
            await plugin.add(pod, name)
        sh("ip link add pinorphan type veth peer name orphan0")
        sh("ip link set pinorphan master pinnace0")
        gone.remove()
        assert await server.reconcile({"kept"}) == ["gone"]
        assert len(ports()) == 2
        assert len(plugin.leases()) == 2
        # The namespace is there, but no sandbox came of it in all this time.
        server._node._clock = Later()
        assert await server.reconcile({"kept"}) == ["starting"]
        assert len(plugin.leases()) == len(ports()) == 1
        assert await server.reconcile({"kept"}) == []


class Later(SystemClock):
    def now_s(self) -> float:
        return super().now_s() + 3600


async def test_gc_keeps_what_is_listed(node: Lab, plugin: Plugin) -> None:
    pods = [node.space("a"), node.space("b")]
    async with serving(plugin):
        for number, pod in enumerate(pods):
            await plugin.add(pod, f"c{number}")
        valid = {"cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}
        assert await plugin.run("GC", None, "", **valid) == (0, None)
    assert plugin.leases() == {"10.244.3.3"}
    assert len(ports()) == 1


async def test_somebody_deletes_the_bridge_and_the_rules(
    node: Lab, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "UPKEEP_EVERY_S", 0.05)
    outside, pod = node.spaces[0], node.space("a")
    async with serving(plugin):
        sh("ip link del pinnace0")
        sh("iptables -t nat -F")
        async with asyncio.timeout(10):
            while "PINNACE-CNI" not in sh("iptables-save -t nat"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await plugin.add(pod, "a")
        async with who_calls(outside) as port:
            assert await connect(pod, OUTSIDE_ADDRESS, port) == UPLINK_ADDRESS.encode()


async def test_an_add_mends_the_bridge_it_needs(node: Lab, plugin: Plugin) -> None:
    pod = node.space("a")
    async with serving(plugin):
        sh("ip link del pinnace0")
        await plugin.add(pod, "a")
        async with who_calls(pod) as port:
            assert await connect(None, "10.244.3.2", port) == b"10.244.3.1"


async def test_remove_all_leaves_nothing(node: Lab, plugin: Plugin) -> None:
    rules, links = sh("iptables-save"), node_links()
    pods = [node.space("a"), node.space("b")]
    async with serving(plugin):
        for number, pod in enumerate(pods):
            await plugin.add(pod, f"c{number}")
    removed = await remove_all(plugin.state)
    assert len(removed) == 4
    assert node_links() == links
    assert {pod.links() == {"lo"} for pod in pods} == {True}
    assert not plugin.state.exists()
    assert "PINNACE" not in sh("iptables-save")
    assert "-A" not in rules
    assert await remove_all(plugin.state) == []


def node_links() -> set[str]:
    def names() -> set[str]:
        with netlink.Netlink() as host:
            return {link.name for link in host.links()}

    return in_thread(names)


# -- kill -9 at the worst moments

CRASHING_AGENT = """
import asyncio, os, signal, sys
from pathlib import Path
from base.clock import SystemClock
from cni.server import CniServer, podnetwork, addresses, netlink

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

point = sys.argv[3]
owner, _, name = point.rpartition(".")
target = {"podnetwork": podnetwork, "Netlink": netlink.Netlink, "Addresses": addresses.Addresses}
setattr(target[owner], name, die)

async def main():
    server = CniServer(Path(sys.argv[1]), Path(sys.argv[2]), SystemClock())
    await server.start()
    await server.set_pod_cidr("10.244.3.0/24")
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
POINTS = [
    "podnetwork.attach",
    "Netlink.ensure_route",
    "podnetwork._refuse_redirects",
    "Addresses._remember",
]


async def crash(plugin: Plugin, pod: Space, point: str) -> asyncio.subprocess.Process:
    """An agent that is killed at `point` of an ADD; the executable still waits for an answer."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CRASHING_AGENT,
        plugin.socket,
        plugin.state,
        point,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert agent.stdout
    assert await agent.stdout.readline() == b"ready\n"
    asking = await plugin.start("ADD", pod, "crashed")
    assert await agent.wait() == -signal.SIGKILL
    return asking


@pytest.mark.parametrize("point", POINTS)
async def test_an_add_outlives_the_agent_that_took_it(
    node: Lab, plugin: Plugin, point: str
) -> None:
    pod = node.space("a")
    asking = await crash(plugin, pod, point)
    async with serving(plugin) as server:
        status, answer = await plugin.result(asking)
        assert status == 0
        assert await plugin.run("CHECK", pod, "crashed", prevResult=answer) == (0, None)
        assert len(plugin.leases()) == len(ports()) == 1
        assert await server.reconcile({"crashed"}) == []
        await plugin.run("DEL", pod, "crashed")
    assert (ports(), plugin.leases()) == (set(), set())


@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_mid_add_leaks_nothing(node: Lab, plugin: Plugin, point: str) -> None:
    """containerd died as well and threw the namespace away."""
    pod = node.space("a")
    asking = await crash(plugin, pod, point)
    os.kill(asking.pid, signal.SIGKILL)
    await asking.wait()
    pod.remove()
    async with serving(plugin) as server:
        await server.reconcile(set())
        assert (ports(), plugin.leases()) == (set(), set())
        assert (await plugin.add(node.space("b"), "b"))["ips"][0]["address"]
