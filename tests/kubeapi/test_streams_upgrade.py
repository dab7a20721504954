"""The upgrade of a streaming URL, and a socket whose two directions fail apart."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from kubeapi.errors import StatusError
from kubeapi.streams.legs import PILED_UP_MAX_BYTES
from kubeapi.streams.socketstream import SocketStream
from kubeapi.streams.upgrade import parse_head, request_head, upgrade

pytestmark = pytest.mark.realtime

V4 = "v4.channel.k8s.io"
SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nX-Stream-Protocol-Version: {}\r\n\r\n"


def test_the_request() -> None:
    head = request_head("http://127.0.0.1:80/exec/tok?a=b", [V4, "v3"]).decode()
    assert head.splitlines() == [
        "POST /exec/tok?a=b HTTP/1.1",
        "Host: 127.0.0.1:80",
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        f"X-Stream-Protocol-Version: {V4}",
        "X-Stream-Protocol-Version: v3",
        "Content-Length: 0",
        "",
    ]


def test_the_response() -> None:
    head = parse_head(b"HTTP/1.1 404 Not Found\r\nContent-Length:  3 \r\nX: y:z\r\n")
    assert (head.status, head.reason) == (404, "Not Found")
    assert head.headers == {"content-length": "3", "x": "y:z"}
    with pytest.raises(ValueError, match="not an HTTP/1 response"):
        parse_head(b"SSH-2.0-OpenSSH")


@contextlib.asynccontextmanager
async def answering(*answer: bytes) -> AsyncIterator[str]:
    """A server that says `answer` to any request, and then waits to be left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in answer:
            writer.write(piece)
            await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/exec/x"
    finally:
        server.close()
        await asyncio.sleep(0.02)


async def test_bytes_behind_the_head_are_not_lost() -> None:
    head = SWITCHED.format(V4).encode()
    async with answering(head[:20], head[20:] + b"early") as url:
        protocol, stream = await upgrade(url, [V4], 2)
        assert protocol == V4
        assert await stream.read() == b"early"
        stream.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno token\n",
         "unable to upgrade connection: no token"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", "unable to upgrade connection: 500 Oh"),
        (SWITCHED.format("v9").encode(), "it chose the protocol 'v9' of v4.channel.k8s.io"),
        (b"x" * 200_000, "no HTTP response"),
        (b"HTTP/1.1 abc def\r\n\r\n", "invalid literal"),
        (b"", "no answer within 0.2 s"),
    ],
)  # fmt: skip
async def test_refusals(answer: bytes, why: str) -> None:
    async with answering(answer) as url:
        with pytest.raises(StatusError, match=why) as refused:
            await upgrade(url, [V4], 0.2)
        assert refused.value.code == 500


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "unix:///run/x", "nonsense"])
async def test_other_addresses_are_refused_by_name(url: str) -> None:
    with pytest.raises(StatusError, match="only http is supported"):
        await upgrade(url, [V4], 1)


async def test_nobody_there() -> None:
    with pytest.raises(StatusError, match="error dialing the container runtime"):
        await upgrade("http://127.0.0.1:1/x", [V4], 1)


def pair() -> tuple[SocketStream, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return SocketStream(near), far


async def test_what_was_said_last_is_read_after_a_write_has_failed() -> None:
    stream, far = pair()
    far.send(b"exit code 3")
    far.close()
    with pytest.raises(ConnectionResetError):
        stream.write(b"more input")
    assert await stream.read() == b"exit code 3"
    assert await stream.read() == b""
    with pytest.raises(ConnectionResetError):
        await stream.drain()
    stream.close()


async def test_drain_waits_for_room() -> None:
    stream, far = pair()
    for _ in range(7):
        stream.write(bytes(100_000))
    draining = asyncio.create_task(stream.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()
    seen = 0
    while seen < 700_000:
        seen += len(far.recv(100_000))
        await asyncio.sleep(0)
    await draining
    stream.close()
    far.close()


async def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    stream, far = pair()
    with pytest.raises(ConnectionResetError, match="does not read"):
        stream.write(bytes(2 * PILED_UP_MAX_BYTES))
    stream.close()
    stream.close()
    with pytest.raises(ConnectionResetError):
        stream.write(b"x")
    far.close()
