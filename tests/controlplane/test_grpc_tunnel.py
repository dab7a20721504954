"""The node tunnel, both ends of it over real gRPC."""

import asyncio
import contextlib
import json
import random
from pathlib import Path

import grpc
import pytest

from base.clock import SystemClock
from controlplane.grpc.tunnel import NodeSession, NodeTunnels
from kubeapi.errors import StatusError
from kubeapi.streams.channels import Channel, ChannelFrame
from kubeapi.streams.legs import LegClosed
from nodeagent.streams import SessionServer
from nodeagent.tunnel import Tunnel
from pinnace_wire.node_pb2 import ExecRequest, Frame, LogsRequest, ServeFrame
from pinnace_wire.node_pb2_grpc import NodeTunnelStub
from tests.controlplane.streams_rig import (
    Certificates,
    HostContainers,
    background,
    grpc_door,
    rig,
    until,
)

pytestmark = pytest.mark.realtime

LINE = "2026-01-02T03:04:05.123456789Z stdout F line {}\n"


def status_of(frame: ChannelFrame) -> dict:
    assert frame.channel is Channel.ERROR
    assert frame.close
    return json.loads(frame.data)


async def outcome(session) -> tuple[bytes, bytes, dict]:
    """(stdout, stderr, status) of a session that is read to its end."""
    out = {Channel.STDOUT: bytearray(), Channel.STDERR: bytearray()}
    async with session:
        while (frame := await session.receive()) is not None:
            if frame.channel is Channel.ERROR:
                return out[Channel.STDOUT], out[Channel.STDERR], status_of(frame)
            out[frame.channel] += frame.data
    raise AssertionError("the session ended without a status")


def run(*command: str, **streams: bool) -> ExecRequest:
    return ExecRequest(
        pod_namespace="default",
        pod_name="web",
        pod_uid="u1",
        container="main",
        command=command,
        **({"stdout": True, "stderr": True} | streams),
    )


async def test_logs_come_through_whole(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        log = tmp_path / "0.log"
        log.write_text("".join(LINE.format(i) for i in range(20_000)))
        made.containers.logs["main"] = log
        session = await made.tunnels.open_logs("n1", LogsRequest(container="main"))
        text, _, status = await outcome(session)
        assert text == "".join(f"line {i}\n" for i in range(20_000)).encode()
        assert status["status"] == "Success"


async def test_exec_has_two_outputs_and_an_exit_code(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        session = await made.tunnels.open_exec("n1", run("sh", "-c", "echo a; echo b >&2; exit 7"))
        out, err, status = await outcome(session)
        assert (out, err) == (b"a\n", b"b\n")
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_exec_ends_when_stdin_is_closed(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        session = await made.tunnels.open_exec("n1", run("cat", stdin=True))
        await session.send(ChannelFrame(Channel.STDIN, b"hello"))
        await session.send(ChannelFrame(Channel.STDIN, close=True))
        assert (await outcome(session))[0] == b"hello"


async def test_a_process_that_echoes_what_it_reads_does_not_stall(tmp_path: Path) -> None:
    """Both directions are full at once; neither may wait for the other."""
    block = bytes(range(256)) * 4096
    async with rig(tmp_path) as made:
        session = await made.tunnels.open_exec("n1", run("cat", stdin=True))

        async def feed() -> None:
            for _ in range(8):
                await session.send(ChannelFrame(Channel.STDIN, block))
            await session.send(ChannelFrame(Channel.STDIN, close=True))

        async with background(feed()):
            out, _, status = await outcome(session)
        assert out == block * 8
        assert status["status"] == "Success"


async def test_a_process_that_reads_nothing_still_tells_its_end(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        session = await made.tunnels.open_exec("n1", run("sh", "-c", "exit 3", stdin=True))

        async def feed() -> None:
            while True:
                await session.send(ChannelFrame(Channel.STDIN, b"x" * 100_000))

        async with background(feed()):
            assert (await outcome(session))[2]["details"]["causes"][0]["message"] == "3"


async def test_the_slow_reader_sets_the_pace(tmp_path: Path) -> None:
    """Without a reader the process is held up, not buffered."""
    marker = tmp_path / "written"
    script = f"for i in $(seq 2000); do head -c 65536 /dev/zero; echo $i >>{marker}; done"
    async with (
        rig(tmp_path) as made,
        await made.tunnels.open_exec("n1", run("sh", "-c", script)),
    ):
        await until(marker.exists, "the process has begun")
        before, written = b"", marker.read_bytes()
        while written != before:
            await asyncio.sleep(0.5)
            before, written = written, marker.read_bytes()
        assert (
            written.count(b"\n") < 400
        )  # of 2000 blocks of 64 KiB: what sockets and HTTP/2 windows hold


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (LogsRequest(container="nope"), 404, "no log of nope"),
        (LogsRequest(container="main", previous=True), 404, "no log of main/previous"),
    ],
)
async def test_what_the_node_refuses_is_raised(
    tmp_path: Path, request_: LogsRequest, code: int, text: str
) -> None:
    async with rig(tmp_path) as made:
        with pytest.raises(StatusError, match=text) as refused:
            await made.tunnels.open_logs("n1", request_)
        assert refused.value.code == code


async def test_a_runtime_that_refuses_or_vanishes_is_told_of(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        with pytest.raises(StatusError, match="unable to upgrade connection: not today"):
            await made.tunnels.open_exec("n1", run("refuse"))
        gone = run("true")
        gone.container = "gone"
        with pytest.raises(StatusError, match=r'container not found \("gone"\)'):
            await made.tunnels.open_exec("n1", gone)
        session = await made.tunnels.open_exec("n1", run("vanish"))
        status = (await outcome(session))[2]
        assert status["code"] == 500
        assert "without saying how it ended" in status["message"]


async def test_a_node_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(StatusError, match='node "n2" is not connected') as refused:
        await NodeTunnels().open_logs("n2", LogsRequest())
    assert (refused.value.code, refused.value.reason) == (500, "InternalError")


async def test_a_node_that_does_not_answer_times_out(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    tunnels = NodeTunnels(open_timeout_s=0.2)
    async with (
        grpc_door(certificates, None, tunnels) as port,
        certificates.channel(port, "node") as channel,
    ):
        call = NodeTunnelStub(channel).Serve()
        await call.write(ServeFrame(node_name="n1"))
        await until(lambda: tunnels.is_connected("n1"), "connected")
        with pytest.raises(StatusError, match=r"did not answer within 0\.2 s") as refused:
            await tunnels.open_logs("n1", LogsRequest())
        assert refused.value.code == 504
        # The answer that comes too late finds nobody.
        request = await call.read()
        late = NodeTunnelStub(channel).Session()
        await late.write(Frame(session_id=request.session_id))
        assert await late.code() is grpc.StatusCode.NOT_FOUND
        call.cancel()


@pytest.mark.parametrize(
    ("user", "groups", "claimed", "text"),
    [
        ("system:node:n2", ("system:nodes",), "n1", 'that of node "n2"'),
        ("system:node:n1", (), "n1", "is not a node"),
        ("kubernetes-admin", ("system:masters",), "n1", "is not a node"),
        ("system:node:", ("system:nodes",), "", "is not a node"),
    ],
)
async def test_a_node_serves_only_under_its_own_name(
    tmp_path: Path, user: str, groups: tuple[str, ...], claimed: str, text: str
) -> None:
    certificates = Certificates.make(tmp_path)
    certificates.issue("other", user, groups)
    tunnels = NodeTunnels()
    async with (
        grpc_door(certificates, None, tunnels) as port,
        certificates.channel(port, "other") as channel,
    ):
        call = NodeTunnelStub(channel).Serve()
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(ServeFrame(node_name=claimed))
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
        assert text in await call.details()
        assert not tunnels.is_connected("n1")


async def test_a_session_belongs_to_the_node_that_was_asked(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    certificates.issue("n2", "system:node:n2", ("system:nodes",))
    tunnels = NodeTunnels(open_timeout_s=1.0)
    async with (
        grpc_door(certificates, None, tunnels) as port,
        certificates.channel(port, "node") as mine,
        certificates.channel(port, "n2") as other,
    ):
        call = NodeTunnelStub(mine).Serve()
        await call.write(ServeFrame(node_name="n1"))
        await until(lambda: tunnels.is_connected("n1"), "connected")
        async with background(tunnels.open_logs("n1", LogsRequest())) as opening:
            request = await call.read()
            stolen = NodeTunnelStub(other).Session()
            await stolen.write(Frame(session_id=request.session_id))
            assert await stolen.code() is grpc.StatusCode.NOT_FOUND
            right = NodeTunnelStub(mine).Session()
            await right.write(Frame(session_id=request.session_id))
            async with await opening:
                pass
            assert await right.read() is grpc.aio.EOF
            call.cancel()


async def test_a_session_ends_when_the_control_plane_leaves_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        log = tmp_path / "0.log"
        log.write_text(LINE.format(0))
        made.containers.logs["main"] = log
        request = LogsRequest(container="main", follow=True)
        async with await made.tunnels.open_logs("n1", request) as session:
            assert (await session.receive()).data == b"line 0\n"
            assert len(made.tunnel._sessions) == 1
        await until(lambda: not made.tunnel._sessions, "the agent's session has ended")


async def test_a_session_ends_although_its_input_is_stuck(tmp_path: Path) -> None:
    """The process reads nothing; neither end of the call may wait for it to."""
    async with rig(tmp_path) as made:
        async with await made.tunnels.open_exec("n1", run("sleep", "60", stdin=True)) as session:

            async def feed() -> None:
                while True:
                    await session.send(ChannelFrame(Channel.STDIN, bytes(1_000_000)))

            async with background(feed()):
                await asyncio.sleep(0.5)
        await until(lambda: not made.tunnel._sessions, "the agent's session has ended")
        await until(lambda: not made.tunnels._sessions, "the control plane's, too")


async def test_a_session_may_end_beside_a_message_on_its_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(tmp_path) as made:
        for _ in range(5):
            session = await made.tunnels.open_exec("n1", run("cat", stdin=True))
            async with background(session.send(ChannelFrame(Channel.STDIN, b"x"))):
                await asyncio.sleep(0)
                session.said_all = True  # so that the call ends at once, with a status
                session.end()
                await asyncio.sleep(0.02)
        await until(lambda: not made.tunnel._sessions, "the agent's sessions have ended")
    assert "ExecuteBatchError" not in caplog.text


async def test_a_session_ends_when_the_agent_goes_away(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    tunnels = NodeTunnels()
    async with grpc_door(certificates, None, tunnels) as port:
        channel = certificates.channel(port, "node")
        call = NodeTunnelStub(channel).Serve()
        await call.write(ServeFrame(node_name="n1"))
        await until(lambda: tunnels.is_connected("n1"), "connected")
        async with background(tunnels.open_logs("n1", LogsRequest())) as opening:
            request = await call.read()
            session_call = NodeTunnelStub(channel).Session()
            await session_call.write(Frame(session_id=request.session_id))
            session = await opening
        async with background(session.receive()) as waiting:
            await asyncio.sleep(0.05)
            await channel.close()
            async with asyncio.timeout(5):
                assert await waiting is None
        await until(lambda: not tunnels.is_connected("n1"), "the node is gone")


async def test_writing_to_an_agent_that_went_away_is_an_end_like_any_other(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    tunnels = NodeTunnels()
    async with grpc_door(certificates, None, tunnels) as port:
        channel = certificates.channel(port, "node")
        call = NodeTunnelStub(channel).Serve()
        await call.write(ServeFrame(node_name="n1"))
        await until(lambda: tunnels.is_connected("n1"), "connected")
        async with background(tunnels.open_exec("n1", run("cat"))) as opening:
            request = await call.read()
            session_call = NodeTunnelStub(channel).Session()
            await session_call.write(Frame(session_id=request.session_id))
            session = await opening

        async def feed() -> None:
            while True:
                await session.send(ChannelFrame(Channel.STDIN, bytes(100_000)))

        async with background(feed()) as feeding:
            await asyncio.sleep(0.1)
            await channel.close()
            async with asyncio.timeout(5):
                with pytest.raises(LegClosed):
                    await feeding
        with pytest.raises(LegClosed):
            await session.send(ChannelFrame(Channel.STDIN, b"x"))
        assert await session.receive() is None


async def test_an_agent_that_is_not_accepted_says_so_and_waits_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates.make(tmp_path)
    async with (
        grpc_door(certificates, None, NodeTunnels()) as port,
        certificates.channel(port, "node") as channel,
    ):
        server = SessionServer(HostContainers(), SystemClock())
        tunnel = Tunnel(channel, "n2", server, SystemClock(), random.Random(1))
        async with background(tunnel.run()):
            await until(lambda: tunnel._backoff.failures >= 2, "it was refused twice")
        assert not tunnel.is_connected
    assert 'PERMISSION_DENIED: the certificate is that of node "n1"' in caplog.text


async def test_a_session_that_comes_as_its_caller_leaves_is_ended() -> None:
    tunnels = NodeTunnels()
    connection = tunnels.connect("n1")
    async with background(tunnels.open_logs("n1", LogsRequest())) as opening:
        request = await connection.waiting.get()
        session = NodeSession(None, "n1", Frame(session_id=request.session_id))
        assert tunnels.deliver(session)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert session.ended.is_set()


async def test_a_node_that_takes_nothing_off_its_tunnel_is_not_asked_for_ever() -> None:
    tunnels = NodeTunnels()
    tunnels.connect("n1")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(64):
            await stack.enter_async_context(background(tunnels.open_logs("n1", LogsRequest())))
        await asyncio.sleep(0)
        with pytest.raises(StatusError, match="64 requests to answer") as full:
            await tunnels.open_logs("n1", LogsRequest())
        assert full.value.code == 503
    assert not tunnels._pending


async def test_a_node_that_comes_again_takes_the_place_of_its_stale_tunnel() -> None:
    tunnels = NodeTunnels()
    stale = tunnels.connect("n1")
    async with background(tunnels.open_logs("n1", LogsRequest())) as opening:
        await asyncio.sleep(0)
        fresh = tunnels.connect("n1")
        assert await stale.waiting.get() is not None
        assert await stale.waiting.get() is None  # which ends its call
        tunnels.disconnect(stale)
        with pytest.raises(StatusError, match="went away"):
            await opening
    assert tunnels.is_connected("n1")
    tunnels.disconnect(fresh)
    assert not tunnels.is_connected("n1")


async def test_the_agent_finds_a_control_plane_that_was_away(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    first, second = NodeTunnels(), NodeTunnels()
    server = SessionServer(HostContainers(), SystemClock())
    async with contextlib.AsyncExitStack() as stack:
        async with grpc_door(certificates, None, first) as port:
            channel = await stack.enter_async_context(certificates.channel(port, "node"))
            tunnel = Tunnel(channel, "n1", server, SystemClock(), random.Random(1))
            await stack.enter_async_context(background(tunnel.run()))
            await until(lambda: first.is_connected("n1"), "connected")
        await until(lambda: not tunnel.is_connected, "the agent knows that it is away")
        await asyncio.sleep(1)
        await stack.enter_async_context(grpc_door(certificates, None, second, port))
        await until(lambda: second.is_connected("n1"), "connected again")
        await stack.pop_all().aclose()


async def test_the_agent_comes_back_after_a_restart_of_the_control_plane(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.tunnels.close()
        await until(lambda: not made.tunnels.is_connected("n1"), "cut off")
        await until(lambda: made.tunnels.is_connected("n1"), "back")
        made.containers.logs["main"] = tmp_path / "0.log"
        (tmp_path / "0.log").write_text(LINE.format(1))
        session = await made.tunnels.open_logs("n1", LogsRequest(container="main"))
        assert (await outcome(session))[0] == b"line 1\n"


async def test_a_node_that_comes_back_within_the_wait_is_asked() -> None:
    tunnels = NodeTunnels()
    asked = asyncio.create_task(tunnels.open_exec("n1", ExecRequest()))
    await asyncio.sleep(1)
    connection = tunnels.connect("n1")
    request = await connection.waiting.get()
    assert request is not None
    assert request.HasField("exec")
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
