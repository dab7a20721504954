"""What the stream tests stand on: real gRPC with certificates, a real agent tunnel, and a small
streaming server in the place of the container runtime's, which runs host commands."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base import tls
from base.clock import SystemClock
from controlplane.grpc import server as grpc_server
from controlplane.grpc.tunnel import NodeTunnels
from kubeapi.errors import StatusError
from kubeapi.grpc_client import open_channel
from kubeapi.streams.channels import SUCCESS, Channel, ChannelFrame, StreamOptions
from kubeapi.streams.legs import LegClosed, SpdyLeg
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role
from nodeagent.streams import (
    ContainerLog,
    ContainerLookup,
    ContainerRef,
    SessionServer,
    container_not_found,
)
from nodeagent.tunnel import Tunnel


@dataclass
class Certificates:
    folder: Path
    ca: tls.KeyPair

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        made = cls(folder, tls.make_ca("pinnace-test", SystemClock().now_s()))
        made.ca.write(folder / "ca.crt", folder / "ca.key")
        made.issue("server", "apiserver", hosts=("127.0.0.1",))
        made.issue("node", "system:node:n1", groups=("system:nodes",))
        return made

    def issue(
        self, file: str, user: str, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
    ) -> None:
        pair = tls.issue(self.ca, user, SystemClock().now_s(), groups=groups, hosts=hosts)
        pair.write(self.folder / f"{file}.crt", self.folder / f"{file}.key")

    def pair(self, file: str) -> tuple[Path, Path]:
        return self.folder / f"{file}.crt", self.folder / f"{file}.key"

    def channel(self, port: int, file: str) -> Any:
        return open_channel(f"127.0.0.1:{port}", self.folder / "ca.crt", *self.pair(file))


@contextlib.asynccontextmanager
async def grpc_door(
    certificates: Certificates, operations: Any, tunnels: NodeTunnels, port: int = 0
) -> AsyncIterator[int]:
    door = await grpc_server.start(
        f"127.0.0.1:{port}",
        *certificates.pair("server"),
        certificates.folder / "ca.crt",
        operations,
        tunnels,
    )
    try:
        yield door.port
    finally:
        await door.stop(0.2)
        # grpc ends its own tasks a moment after it says that it has stopped.
        mine = asyncio.current_task()
        await until(lambda: not _of_grpc(mine), "grpc has ended its tasks")


def _of_grpc(mine: Any) -> list[Any]:
    tasks = (task.get_coro() for task in asyncio.all_tasks() if task is not mine)
    return [coroutine for coroutine in tasks if type(coroutine).__module__.startswith("_cython")]


@contextlib.asynccontextmanager
async def background(coroutine: Any) -> AsyncIterator[asyncio.Task[Any]]:
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, what: str) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came true: {what}")


@dataclass
class HostContainers:
    """A `ContainerLookup` whose containers are host commands and whose logs are given files."""

    logs: dict[str, Path] = field(default_factory=dict)
    running: bool = True
    url: str = ""
    asked: list[tuple[ContainerRef, list[str]]] = field(default_factory=list)
    commands: list[tuple[list[str], StreamOptions]] = field(default_factory=list)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    def container_log(self, ref: ContainerRef, *, previous: bool) -> ContainerLog:
        name = f"{ref.container}/previous" if previous else ref.container
        if name not in self.logs:
            raise StatusError(404, "NotFound", f"no log of {name}")
        return ContainerLog("id-" + name, self.logs[name])

    def is_running(self, container_id: str) -> bool:
        return self.running

    async def exec_url(
        self,
        ref: ContainerRef,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        if ref.container == "gone":
            raise container_not_found(ref.container)
        self.asked.append((ref, command))
        self.commands.append((command, StreamOptions(stdin, stdout, stderr, tty)))
        return f"{self.url}/exec/{len(self.commands) - 1}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The runtime's streaming server: HTTP upgrade, then SPDY v4."""
        task = asyncio.current_task()
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            index = int(head.split(" ")[1].rpartition("/")[2])
            command, options = self.commands[index]
            if command == ["refuse"]:
                writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nnot today")
                return
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                b"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
            )
            channels = SpdyChannels(Role.SERVER, "v4.channel.k8s.io", options)
            leg = SpdyLeg(channels, _ServerStream(reader, writer))
            await leg.open(5)
            if command != ["vanish"]:
                await run_command(command, leg)
                # Closed with something unread, a socket drops what is still to be sent.
                await leg.finish()
                while await leg.receive() is not None:
                    continue
        except (LegClosed, asyncio.CancelledError):
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


class _ServerStream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.write = writer.write
        self.drain = writer.drain

    async def read(self) -> bytes:
        return await self._reader.read(65536)


async def run_command(command: list[str], leg: SpdyLeg) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    async def feed() -> None:
        while (frame := await leg.receive()) is not None:
            if frame.channel is Channel.STDIN:
                process.stdin.write(frame.data)
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
                if frame.close:
                    process.stdin.close()
            elif frame.channel is Channel.RESIZE and frame.data:
                await leg.send(ChannelFrame(Channel.STDOUT, b"resized " + frame.data))
        process.stdin.close()

    async def drain(pipe: asyncio.StreamReader, channel: Channel) -> None:
        while data := await pipe.read(65536):
            await leg.send(ChannelFrame(channel, data))

    try:
        async with background(feed()):
            await asyncio.gather(
                drain(process.stdout, Channel.STDOUT), drain(process.stderr, Channel.STDERR)
            )
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        process._transport.close()
        await process.wait()
    status = SUCCESS if code == 0 else exit_status(code)
    await leg.send(ChannelFrame(Channel.ERROR, status, close=True))


def exit_status(code: int) -> bytes:
    """As the streaming server of a container runtime reports it."""
    return json.dumps(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    ).encode()


@dataclass
class Rig:
    certificates: Certificates
    tunnels: NodeTunnels
    containers: HostContainers
    grpc_port: int
    tunnel: Tunnel


@contextlib.asynccontextmanager
async def rig(folder: Path, lookup: ContainerLookup | None = None) -> AsyncIterator[Rig]:
    """A control plane's gRPC door and the agent of node n1, connected to each other."""
    certificates = Certificates.make(folder)
    tunnels = NodeTunnels(open_timeout_s=2.0)
    containers = HostContainers()
    runtime = await asyncio.start_server(containers.serve, "127.0.0.1", 0)
    containers.url = f"http://127.0.0.1:{runtime.sockets[0].getsockname()[1]}"
    async with grpc_door(certificates, None, tunnels) as port:
        channel = certificates.channel(port, "node")
        server = SessionServer(lookup or containers, SystemClock())
        tunnel = Tunnel(channel, "n1", server, SystemClock(), random.Random(1))
        try:
            async with background(tunnel.run()):
                await until(lambda: tunnels.is_connected("n1"), "the node is connected")
                yield Rig(certificates, tunnels, containers, port, tunnel)
        finally:
            await channel.close()
            runtime.close()
            await runtime.wait_closed()
            for task in list(containers.serving):
                task.cancel()
            await asyncio.gather(*containers.serving, return_exceptions=True)
