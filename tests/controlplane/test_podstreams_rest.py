"""Logs and exec over real HTTP, through the tunnel, to host commands in place of containers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from kubeapi.streams.channels import SPDY_PROTOCOLS, Channel, ChannelFrame, StreamOptions
from kubeapi.streams.legs import SpdyLeg
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role
from kubeapi.streams.spdy_frames import Data, FrameWriter
from kubeapi.streams.upgrade import upgrade
from kubeapi.types import core_v1
from tests.controlplane.podstreams_rig import Door, container_status, message_of, pod, rest_door
from tests.controlplane.streams_rig import until

pytestmark = pytest.mark.realtime

POD = "/api/v1/namespaces/default/pods/web"
LINE = "2026-01-02T03:04:05.123456789Z stdout F line {}\n"


def write_log(door: Door, folder: Path, lines: int) -> Path:
    path = folder / "0.log"
    path.write_text("".join(LINE.format(i) for i in range(lines)))
    door.rig.containers.logs["main"] = path
    return path


async def fetch(door: Door, path: str, method: str = "GET") -> tuple[int, bytes, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, door.url + path) as response,
    ):
        return response.status, await response.read(), response.headers.get("Content-Type", "")


async def test_a_log_is_plain_text(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        write_log(door, tmp_path, 50_000)
        code, body, kind = await fetch(door, f"{POD}/log")
        assert (code, kind) == (200, "text/plain")
        assert body == "".join(f"line {i}\n" for i in range(50_000)).encode()
        code, body, _ = await fetch(door, f"{POD}/log?tailLines=1&timestamps=true&limitBytes=35")
        assert body == b"2026-01-02T03:04:05.123456789Z line"


async def test_following_a_log_until_the_container_ends(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door, aiohttp.ClientSession() as session:
        path = write_log(door, tmp_path, 1)
        async with session.get(f"{door.url}{POD}/log?follow=true") as response:
            assert await response.content.readline() == b"line 0\n"
            with path.open("a") as file:
                file.write(LINE.format(1))
            assert await response.content.readline() == b"line 1\n"
            door.rig.containers.running = False
            assert await response.content.read() == b""


async def test_a_follower_that_leaves_ends_the_session_on_the_node(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        write_log(door, tmp_path, 1)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{door.url}{POD}/log?follow=true") as response,
        ):
            await response.content.readline()
            assert len(door.rig.tunnel._sessions) == 1
        await until(lambda: not door.rig.tunnel._sessions, "the node has stopped following")


async def test_a_log_cut_short_is_not_taken_for_whole(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door, aiohttp.ClientSession() as session:
        write_log(door, tmp_path, 1)
        async with session.get(f"{door.url}{POD}/log?follow=true") as response:
            await response.content.readline()
            door.rig.tunnels.close()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()


@pytest.mark.parametrize(
    ("made", "path", "code", "message"),
    [
        (pod("a", "b"), "log", 400,
         "a container name must be specified for pod web, choose one of: [a b]"),
        (pod(node="", containerStatuses=[]), "exec?command=ls&stdout=1", 400,
         "pod web does not have a host assigned"),
        (pod("x", containerStatuses=[container_status(
            "x", waiting=core_v1.ContainerStateWaiting(reason="ContainerCreating"))]), "log", 400,
         'container "x" in pod "web" is waiting to start: ContainerCreating'),
        (pod(), "log", 404, "no log of main"),
        (pod(node="n2"), "log", 500,
         'Internal error occurred: error dialing backend: node "n2" is not connected'),
        (pod(), "exec?command=ls&stdout=1", 400, "Upgrade request required"),
    ],
)  # fmt: skip
async def test_refusals(
    tmp_path: Path, made: core_v1.Pod, path: str, code: int, message: str
) -> None:
    async with rest_door(tmp_path) as door:
        door.pod = made
        status, body, _ = await fetch(door, f"{POD}/{path}")
        assert (status, message_of(body)) == (code, message)


async def test_the_log_of_a_pod_without_a_node_is_empty(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        door.pod = pod(node="", containerStatuses=[])
        assert await fetch(door, f"{POD}/log") == (204, b"", "")


SH = "exec?container=main&command=sh&command=-c&command="


class Socket:
    """A WebSocket client of one exec."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.out = {1: b"", 2: b"", 3: b""}

    async def read(self) -> None:
        async for message in self.socket:
            self.out[message.data[0]] += message.data[1:]

    @property
    def status(self) -> dict:
        return json.loads(self.out[3])


@contextlib.asynccontextmanager
async def exec_socket(door: Door, path: str, *protocols: str) -> AsyncIterator[Socket]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{door.url}{POD}/{path}", protocols=protocols) as socket,
    ):
        yield Socket(socket)


async def test_websocket_v5_has_both_outputs_and_the_exit_code(tmp_path: Path) -> None:
    script = "echo a; echo b >%262; exit 7&stdout=true&stderr=true"
    async with (
        rest_door(tmp_path) as door,
        exec_socket(door, SH + script, "v5.channel.k8s.io") as client,
    ):
        assert client.socket.protocol == "v5.channel.k8s.io"
        await client.read()
        assert (client.out[1], client.out[2]) == (b"a\n", b"b\n")
        assert client.status["details"]["causes"][0]["message"] == "7"
        assert client.socket.close_code == 1000


async def test_websocket_v5_closes_stdin(tmp_path: Path) -> None:
    path = "exec?command=cat&stdin=true&stdout=true"
    async with (
        rest_door(tmp_path) as door,
        exec_socket(door, path, "v5.channel.k8s.io") as client,
    ):
        await client.socket.send_bytes(b"\x00hello")
        await client.socket.send_bytes(b"\xff\x00")
        await client.read()
        assert client.out[1] == b"hello"
        assert client.status == {"metadata": {}, "status": "Success"}


async def test_a_terminal_has_resize_and_no_stderr(tmp_path: Path) -> None:
    path = "exec?command=cat&stdin=true&stdout=true&stderr=true&tty=true"
    async with (
        rest_door(tmp_path) as door,
        exec_socket(door, path, "v4.channel.k8s.io") as client,
    ):
        await client.socket.send_bytes(b'\x04{"Width":80,"Height":24}')
        assert (await client.socket.receive_bytes()) == b"\x01"
        assert (await client.socket.receive_bytes()) == b'\x01resized {"Width":80,"Height":24}'
        assert door.rig.containers.commands[0][1] == StreamOptions(True, True, False, True)


async def test_base64_and_the_oldest_protocol(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        path = SH + "echo hi&stdout=true"
        async with exec_socket(door, path, "v4.base64.channel.k8s.io") as client:
            messages = [m.data async for m in client.socket]
            assert messages[:2] == ["1", "1aGkK"]
            assert messages[2].startswith("3")
        async with exec_socket(door, SH + "exit 7&stdout=true") as client:
            await client.read()
            assert client.out[3] == b"command terminated with non-zero exit code: 7"


async def test_a_client_that_breaks_the_protocol_is_told(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        path = "exec?command=cat&stdin=true&stdout=true"
        async with exec_socket(door, path, "v4.channel.k8s.io") as client:
            await client.socket.send_bytes(b"\x07what")
            await client.read()
            assert client.socket.close_code == 1003


async def test_a_client_that_leaves_ends_the_process_streams(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        path = "exec?command=cat&stdin=true&stdout=true"
        async with exec_socket(door, path, "v5.channel.k8s.io") as client:
            await client.socket.receive()
            assert len(door.rig.containers.serving) == 1
            client.socket._response.close()
        await until(lambda: not door.rig.containers.serving, "the runtime's stream is closed")


async def test_unknown_subprotocols_are_refused_by_name(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with exec_socket(door, SH + "true&stdout=1", "v9.channel.k8s.io"):
                pass
        assert refused.value.status == 400
        assert door.rig.containers.commands == []  # nothing was started for it


@pytest.mark.parametrize("protocol", ["v4", "v3", "v2"])
async def test_spdy(tmp_path: Path, protocol: str) -> None:
    name = f"{protocol}.channel.k8s.io"
    path = "exec?command=cat&stdin=true&stdout=true"
    async with rest_door(tmp_path) as door:
        chosen, stream = await upgrade(f"{door.url}{POD}/{path}", ["v9", name], 5)
        assert chosen == name
        leg = SpdyLeg(
            SpdyChannels(Role.CLIENT, chosen, StreamOptions(stdin=True, stdout=True)), stream
        )
        await leg.open(5)
        await leg.send(ChannelFrame(Channel.STDIN, bytes(300_000), close=True))
        seen = dict.fromkeys(Channel, b"")
        while (frame := await leg.receive()) is not None:
            seen[frame.channel] += frame.data
            if frame.close and frame.channel is Channel.ERROR:
                break
        stream.close()
        assert seen[Channel.STDOUT] == bytes(300_000)
        assert bool(seen[Channel.ERROR]) is (protocol == "v4")


async def test_a_client_that_keeps_no_windows_is_held_up_by_its_socket(tmp_path: Path) -> None:
    """As kubectl: it sends without end what the process does not read."""
    path = "exec?command=sleep&command=60&stdin=true&stdout=true"
    options = StreamOptions(stdin=True, stdout=True)
    async with rest_door(tmp_path) as door:
        chosen, stream = await upgrade(f"{door.url}{POD}/{path}", SPDY_PROTOCOLS, 5)
        channels = SpdyChannels(Role.CLIENT, chosen, options)
        await SpdyLeg(channels, stream).open(5)
        frame = FrameWriter().encode(Data(channels._streams[Channel.STDIN], bytes(65536)))
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 1000:
                stream.write(frame)
                async with asyncio.timeout(0.5):
                    await stream.drain()
                sent += 1
        stream.close()
        assert sent < 500  # of 64 KiB each: what sockets, pipes and HTTP/2 windows hold


@pytest.mark.parametrize(
    ("headers", "code", "text"),
    [
        ({}, 400, "X-Stream-Protocol-Version is required"),
        ({"X-Stream-Protocol-Version": "v9"}, 403, "unable to negotiate protocol"),
    ],
)
async def test_spdy_without_a_common_protocol(
    tmp_path: Path, headers: dict[str, str], code: int, text: str
) -> None:
    async with rest_door(tmp_path) as door, aiohttp.ClientSession() as session:
        upgrade_headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        async with session.post(
            f"{door.url}{POD}/{SH}true&stdout=1", headers=upgrade_headers | headers
        ) as response:
            assert response.status == code
            assert text in message_of(await response.read())
            assert door.rig.containers.commands == []


async def test_other_upgrades_are_not_served(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door, aiohttp.ClientSession() as session:
        headers = {"Connection": "Upgrade", "Upgrade": "h2c"}
        async with session.get(f"{door.url}{POD}/{SH}true&stdout=1", headers=headers) as response:
            assert (response.status, message_of(await response.read())) == (
                400,
                "Upgrade request required",
            )


async def test_many_at_once(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:

        async def one(number: int) -> None:
            script = f"seq {number} 20000&stdout=true"
            async with exec_socket(door, SH + script, "v5.channel.k8s.io") as client:
                await client.read()
                assert client.out[1] == "".join(f"{i}\n" for i in range(number, 20001)).encode()

        await asyncio.gather(*map(one, range(20)))
