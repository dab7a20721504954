"""One real node for tests: a control plane in this process, containerd and the agent beside it.

The agent is a process of its own, because that is what is restarted and killed. Everything lies
below one temporary folder; ports are free ones.
"""

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from realcontainerd import RealContainerd, agent_command, real_containerd, remove_sandboxes

from base import pki
from base.clock import SystemClock
from controlplane.auth.user import User
from controlplane.flags import parse as parse_control_plane
from controlplane.process import ControlPlane
from controlplane.registry.local_client import LocalClient
from kubeapi.errors import StatusError
from kubeapi.types import core_v1

T = TypeVar("T")

NODE = "testnode"
ADDRESS = "192.0.2.10"  # TEST-NET-1, RFC 5737
CLONE_NEWNET = 0x40000000
CGROUP_ROOT = f"/pinnace-test-{os.getpid()}"
ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
WAIT_S = 30.0


@dataclass
class RealNode:
    """What a test works with: the API as an administrator, containerd, and the agent's process."""

    containerd: RealContainerd
    data_dir: Path
    flags: list[str]
    plane_flags: list[str]
    plane: ControlPlane = field(init=False)
    client: LocalClient = field(init=False)
    agent: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def agent_log(self) -> Path:
        return self.data_dir / "agent.log"

    async def start_control_plane(self) -> None:
        flags = parse_control_plane(self.plane_flags)
        self.plane = ControlPlane(flags, SystemClock(), random.Random(7))
        await self.plane.start()
        assert self.plane.api is not None
        self.client = LocalClient(self.plane.api, ADMIN)

    async def stop_control_plane(self) -> None:
        await self.plane.stop()

    def start_agent(self) -> None:
        with self.agent_log.open("ab") as log:
            self.agent = subprocess.Popen(
                agent_command(*self.flags), stdout=log, stderr=log, start_new_session=True
            )

    async def stop_agent(self, number: int = signal.SIGTERM) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return await asyncio.to_thread(self.agent.wait, 10)

    async def create(self, kind: type[T], body: dict[str, Any]) -> T:
        return await self.client.create(msgspec.convert(body, kind))

    async def pod(self, name: str, spec: dict[str, Any], **meta: Any) -> core_v1.Pod:
        """Create a pod bound to the node."""
        metadata = {"name": name, "namespace": "default"} | meta
        full = {"nodeName": NODE, "automountServiceAccountToken": False} | spec
        return await self.create(core_v1.Pod, {"metadata": metadata, "spec": full})

    async def until(
        self, name: str, holds: Callable[[core_v1.Pod], bool], limit_s: float = WAIT_S
    ) -> core_v1.Pod:
        """Wait until the pod is as `holds` says."""
        last: core_v1.Pod | None = None
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    last = await self.client.get(core_v1.Pod, name, "default")
                    if holds(last):
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            status = msgspec.to_builtins(last.status) if last is not None else None
            tail = self.agent_log.read_text()[-3000:]
            raise AssertionError(f"pod {name} never got there: {status}\n{tail}") from None

    async def ready(self, name: str, limit_s: float = WAIT_S) -> core_v1.Pod:
        return await self.until(name, is_ready, limit_s)

    async def gone(self, name: str, limit_s: float = WAIT_S) -> None:
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    await self.client.get(core_v1.Pod, name, "default")
                except StatusError as error:
                    if error.code == 404:
                        return
                    raise
                await asyncio.sleep(0.02)

    async def delete(self, name: str, grace_period_s: int | None = None) -> None:
        await self.client.delete(core_v1.Pod, name, "default", grace_period_s=grace_period_s)

    async def events(self, name: str) -> list[tuple[str, str]]:
        listed = await self.client.list(core_v1.Event, "default")
        return [
            (event.reason or "", event.message or "")
            for event in listed.items
            if event.involvedObject and event.involvedObject.name == name
        ]

    async def event(self, name: str, reason: str, limit_s: float = WAIT_S) -> str:
        """The message of the pod's event of that reason, once there is one."""
        async with asyncio.timeout(limit_s):
            while True:
                for found, message in await self.events(name):
                    if found == reason:
                        return message
                await asyncio.sleep(0.02)

    def log(self, pod: core_v1.Pod, container: str = "a", run: int = 0) -> str:
        """What the container wrote, without the runtime's times and tags."""
        meta = pod.metadata
        assert meta is not None
        folder = self.data_dir / "log" / "pods" / f"{meta.namespace}_{meta.name}_{meta.uid}"
        text = (folder / container / f"{run}.log").read_text()
        return "".join(f"{line.split(' ', 3)[3]}\n" for line in text.splitlines())


async def until(holds: Callable[[], bool | Awaitable[bool]], limit_s: float = 15.0) -> None:
    """Poll for what cannot be awaited: a file, a log, what another process shows."""
    async with asyncio.timeout(limit_s):
        while True:
            found = holds()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.05)


def is_ready(pod: core_v1.Pod) -> bool:
    conditions = (pod.status.conditions if pod.status else None) or ()
    return any(c.type == "Ready" and c.status == "True" for c in conditions)


def phase(pod: core_v1.Pod) -> str:
    return (pod.status.phase if pod.status else None) or ""


@contextlib.asynccontextmanager
async def real_node(root: Path, *extra: str) -> AsyncIterator[RealNode]:
    """Control plane, containerd and agent, up; `extra` are flags of the agent."""
    data_dir = root / "data"
    ports = _free_ports(2)
    plane_flags = [
        f"--data-dir={data_dir}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={ports[0]}",
        f"--grpc-port={ports[1]}",
    ]
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(own_network())
        containerd = await stack.enter_async_context(real_containerd(root))
        flags = [
            f"--data-dir={data_dir}",
            f"--server=127.0.0.1:{ports[1]}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
            f"--container-runtime-endpoint={containerd.endpoint}",
            f"--cni-bin-dir={containerd.cni_bin}",
            f"--cni-conf-dir={containerd.cni_conf}",
            f"--cni-socket={containerd.socket.parent}/cni.sock",
            f"--cgroup-root={CGROUP_ROOT}",
            *extra,
        ]
        node = RealNode(containerd, data_dir, flags, plane_flags)
        await node.start_control_plane()
        wanted = pki.node_and_proxy(NODE, [ADDRESS])
        pki.ensure_pki(data_dir / "pki", wanted, SystemClock().now_s())
        node.start_agent()
        try:
            yield node
        finally:
            await node.stop_agent()
            await node.stop_control_plane()
            await _clean_up(containerd)


async def _clean_up(containerd: RealContainerd) -> None:
    """What the agent leaves on purpose: containers, and the cgroups above them."""
    await remove_sandboxes(containerd)
    _remove_cgroups(CGROUP_ROOT.lstrip("/"))


def _remove_cgroups(root: str) -> None:
    for folder in sorted(Path("/sys/fs/cgroup").glob(f"*/{root}/**/"), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace of its own: the agent makes a
    bridge and rules, which are the machine's business only where it is asked to."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for command in (
            "link set lo up",
            "link add eth0 type veth peer name uplink",
            f"addr add {ADDRESS}/24 dev eth0",
            "link set eth0 up",
            "link set uplink up",
            "route add default via 192.0.2.1",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
