"""The agent's side against a real containerd: its log files, and its streaming server's SPDY."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubeapi.streams.channels import Channel, ChannelFrame
from nodeagent.cri import CriClient
from nodeagent.streams import ContainerLog, ContainerRef
from pinnace_wire import cri_pb2 as pb
from pinnace_wire.node_pb2 import ExecRequest, LogsRequest
from tests.controlplane.streams_rig import Rig, background, rig
from tests.nodeagent.realcontainerd import BUSYBOX, real_containerd

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "containerd", "busybox")]


@dataclass
class OneContainer:
    """A `ContainerLookup` that knows one container."""

    cri: CriClient
    container_id: str
    log: Path
    running: bool = True

    def container_log(self, ref: ContainerRef, *, previous: bool) -> ContainerLog:
        return ContainerLog(self.container_id, self.log)

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
        return await self.cri.exec_url(
            pb.ExecRequest(
                container_id=self.container_id,
                cmd=command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                tty=tty,
            )
        )


@asynccontextmanager
async def container(folder: Path, script: str) -> AsyncIterator[tuple[Rig, OneContainer]]:
    """A busybox container on the host's network that runs `script`, behind a tunnel."""
    async with real_containerd(folder / "c") as containerd:
        cri = CriClient(containerd.endpoint)
        logs = folder / "logs"
        logs.mkdir()
        sandbox = pb.PodSandboxConfig(
            metadata=pb.PodSandboxMetadata(name="p", uid="u", namespace="default"),
            log_directory=str(logs),
            linux=pb.LinuxPodSandboxConfig(
                security_context=pb.LinuxSandboxSecurityContext(
                    namespace_options=pb.NamespaceOption(network=pb.NamespaceMode.NODE)
                )
            ),
        )
        sandbox_id = await cri.run_sandbox(sandbox)
        config = pb.ContainerConfig(
            metadata=pb.ContainerMetadata(name="c"),
            image=pb.ImageSpec(image=BUSYBOX),
            command=["sh", "-c", script],
            log_path="0.log",
        )
        container_id = await cri.create_container(sandbox_id, config, sandbox)
        await cri.start_container(container_id)
        try:
            lookup = OneContainer(cri, container_id, logs / "0.log")
            async with rig(folder, lookup) as made:
                yield made, lookup
        finally:
            await cri.close()


def run(*command: str, **streams: bool) -> ExecRequest:
    return ExecRequest(
        pod_name="p", container="c", command=command, **({"stdout": True, "stderr": True} | streams)
    )


async def outcome(session) -> tuple[bytes, bytes, dict]:
    out = {Channel.STDOUT: bytearray(), Channel.STDERR: bytearray()}
    async with session:
        while (frame := await session.receive()) is not None:
            if frame.channel is Channel.ERROR:
                return out[Channel.STDOUT], out[Channel.STDERR], json.loads(frame.data)
            out[frame.channel] += frame.data
    raise AssertionError("no status")


async def test_exec_and_logs_of_a_real_container(tmp_path: Path) -> None:
    script = "echo out; echo err >&2; printf 'no newline'; trap 'exit 0' TERM; sleep 600 & wait"
    async with container(tmp_path, script) as (made, lookup):
        open_exec = made.tunnels.open_exec
        # Exit codes, and two outputs that are told apart.
        session = await open_exec("n1", run("sh", "-c", "echo a; echo b >&2; exit 7"))
        out, err, status = await outcome(session)
        assert (out, err) == (b"a\n", b"b\n")
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        # What cannot be started says why, in the runtime's words.
        _, _, status = await outcome(await open_exec("n1", run("/no/such/file")))
        assert status["status"] == "Failure"
        assert "no such file or directory" in status["message"]
        # A closed stdin ends the process; nothing of a large echo is lost.
        block = bytes(range(256)) * 16384
        session = await open_exec("n1", run("cat", stdin=True))

        async def feed() -> None:
            await session.send(ChannelFrame(Channel.STDIN, block, close=True))

        async with background(feed()):
            out, _, status = await outcome(session)
        assert out == block
        assert status["status"] == "Success"
        # Output that is read more slowly than it is written is whole, too.
        session = await open_exec("n1", run("head", "-c", "30000000", "/dev/zero"))
        await asyncio.sleep(0.5)
        assert len((await outcome(session))[0]) == 30_000_000
        # A terminal, with its size.
        session = await open_exec("n1", run("sh", stdin=True, tty=True))
        await session.send(ChannelFrame(Channel.RESIZE, b'{"Width":91,"Height":37}'))
        await asyncio.sleep(0.2)
        await session.send(ChannelFrame(Channel.STDIN, b"stty size; exit 4\n"))
        out, _, status = await outcome(session)
        assert b"37 91" in out
        assert status["details"]["causes"][0]["message"] == "4"
        # Its log, whole and followed to the end; the last line is written when it ends.
        text, _, _ = await outcome(await made.tunnels.open_logs("n1", LogsRequest(container="c")))
        assert sorted(text.splitlines()) == [b"err", b"out"]
        session = await made.tunnels.open_logs("n1", LogsRequest(container="c", follow=True))
        await lookup.cri.stop_container(lookup.container_id, 5)
        lookup.running = False
        text, _, _ = await outcome(session)
        assert sorted(text.splitlines()) == [b"err", b"no newline", b"out"]
