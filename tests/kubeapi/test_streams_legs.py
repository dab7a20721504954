"""Legs over a pipe in memory, and legs joined: on virtual time."""

import asyncio
from collections import deque

import pytest

from kubeapi.streams.channels import SUCCESS, Channel, ChannelFrame, StreamOptions
from kubeapi.streams.legs import LegClosed, SpdyLeg, join
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role

ALL = StreamOptions(stdin=True, stdout=True, stderr=True)
V4 = "v4.channel.k8s.io"


class Pipe:
    """One end of a connection in memory; it holds `limit_bytes` before `drain` waits."""

    def __init__(self, limit_bytes: int = 100_000) -> None:
        self.peer: Pipe = self
        self.arrived: deque[bytes] = deque()
        self.held_bytes = 0
        self.changed = asyncio.Event()
        self.limit_bytes = limit_bytes
        self.is_closed = False

    @classmethod
    def pair(cls) -> tuple["Pipe", "Pipe"]:
        one, other = cls(), cls()
        one.peer, other.peer = other, one
        return one, other

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    async def read(self) -> bytes:
        while not self.arrived:
            if self.is_closed:
                return b""
            await self._change()
        data = self.arrived.popleft()
        self.held_bytes -= len(data)
        self.peer.changed.set()
        return data

    def write(self, data: bytes) -> None:
        if self.is_closed:
            raise ConnectionResetError("closed")
        self.peer.arrived.append(data)
        self.peer.held_bytes += len(data)
        self.peer.changed.set()

    async def drain(self) -> None:
        while self.peer.held_bytes > self.limit_bytes and not self.is_closed:
            await self._change()

    def close(self) -> None:
        for end in (self, self.peer):
            end.is_closed = True
            end.changed.set()


async def session(options: StreamOptions = ALL) -> tuple[SpdyLeg, SpdyLeg, Pipe]:
    """(client, server, the client's end of the connection), opened."""
    near, far = Pipe.pair()
    client = SpdyLeg(SpdyChannels(Role.CLIENT, V4, options), near)
    server = SpdyLeg(SpdyChannels(Role.SERVER, V4, options), far)
    await asyncio.gather(client.open(1), server.open(1))
    return client, server, near


async def test_both_directions_full_at_once_do_not_block_each_other() -> None:
    """The server echoes: it reads no more while it cannot write, and the client likewise."""
    client, server, _ = await session()
    block = bytes(500_000)

    async def echo() -> None:
        while (frame := await server.receive()) is not None:
            if frame.channel is Channel.STDIN:
                await server.send(ChannelFrame(Channel.STDOUT, frame.data, frame.close))
                if frame.close:
                    return

    async def read() -> int:
        seen = 0
        while (frame := await client.receive()) is not None and not frame.close:
            seen += len(frame.data)
        return seen

    feed = client.send(ChannelFrame(Channel.STDIN, block, close=True))
    _, seen, _ = await asyncio.gather(echo(), read(), feed)
    assert seen == len(block)


async def test_a_sender_reads_on_for_its_own_window() -> None:
    """Nobody receives at the server, as when its process takes no input; its output must go on."""
    client, server, _ = await session()
    await client.send(ChannelFrame(Channel.STDIN, bytes(40_000)))
    seen = 0
    while seen < 40_000:
        seen += len((await server.receive()).data)
    # By now the client knows of windows; passing this on makes it tell of its own.
    await server.send(ChannelFrame(Channel.STDOUT, bytes(40_000)))
    seen = 0
    while seen < 40_000:
        seen += len((await client.receive()).data)
    await client.send(ChannelFrame(Channel.STDIN, b"more"))
    assert (await server.receive()).data == b"more"

    async def read() -> None:
        seen = 0
        while seen < 500_000:
            seen += len((await client.receive()).data)

    async with asyncio.timeout(60):
        await asyncio.gather(read(), server.send(ChannelFrame(Channel.STDOUT, bytes(500_000))))


async def test_a_reader_that_does_not_read_holds_the_sender_up() -> None:
    client, server, near = await session()
    sending = asyncio.create_task(server.send(ChannelFrame(Channel.STDOUT, bytes(5_000_000))))
    await asyncio.sleep(10)
    assert not sending.done()
    assert near.held_bytes < 300_000
    seen = 0
    while seen < 5_000_000:
        seen += len((await client.receive()).data)
    await sending


async def test_streams_that_never_come_time_out_by_name() -> None:
    near, far = Pipe.pair()
    SpdyLeg(SpdyChannels(Role.CLIENT, V4, StreamOptions(stdout=True)), near)
    server = SpdyLeg(SpdyChannels(Role.SERVER, V4, ALL), far)
    with pytest.raises(LegClosed, match="error, stderr, stdin, stdout"):
        await server.open(30)


async def test_a_closed_connection_ends_receiving_sending_and_opening() -> None:
    client, server, near = await session()
    near.close()
    assert await client.receive() is None
    assert await server.receive() is None
    with pytest.raises(LegClosed):
        await server.send(ChannelFrame(Channel.STDOUT, b"x"))
    late, _ = Pipe.pair()
    late.close()
    with pytest.raises(LegClosed):
        await SpdyLeg(SpdyChannels(Role.CLIENT, V4, ALL), late).open(1)


async def test_a_sender_that_waits_for_a_window_is_told_of_the_end() -> None:
    client, server, near = await session()
    sending = asyncio.create_task(server.send(ChannelFrame(Channel.STDOUT, bytes(5_000_000))))
    # One read and its acknowledgement, so that the server keeps the client's windows.
    for _ in range(3):
        await client.receive()
    await asyncio.sleep(1)
    near.close()
    with pytest.raises(LegClosed):
        await sending


async def test_what_is_no_spdy_ends_the_leg() -> None:
    near, far = Pipe.pair()
    server = SpdyLeg(SpdyChannels(Role.SERVER, V4, ALL), far)
    near.write(b"\x80\x02 this is not version 3")
    with pytest.raises(LegClosed, match="version 2"):
        await server.open(1)


class Scripted:
    """A leg that says its lines, then stays silent or ends; it keeps what it is told."""

    def __init__(self, *lines: ChannelFrame, ends: bool = True, deaf: bool = False) -> None:
        self.lines = deque(lines)
        self.ends = ends
        self.deaf = deaf
        self.told: list[ChannelFrame] = []
        self.is_finished = False
        self.left = asyncio.Event()

    async def receive(self) -> ChannelFrame | None:
        await asyncio.sleep(0.1)
        if self.lines:
            return self.lines.popleft()
        if not self.ends:
            await self.left.wait()
        return None

    async def send(self, frame: ChannelFrame) -> None:
        if self.deaf:
            raise LegClosed("gone")
        self.told.append(frame)

    async def finish(self) -> None:
        self.is_finished = True


OUT = ChannelFrame(Channel.STDOUT, b"out")
IN = ChannelFrame(Channel.STDIN, b"in")
LAST = ChannelFrame(Channel.ERROR, SUCCESS, close=True)


async def test_join_ends_when_the_node_has_said_all() -> None:
    client, node = Scripted(IN, ends=False), Scripted(OUT, LAST)
    await join(client, node)
    assert client.told == [OUT, LAST]
    assert node.told == [IN]
    assert client.is_finished


async def test_join_ends_when_the_client_is_gone() -> None:
    client, node = Scripted(), Scripted(ends=False)
    await join(client, node)
    assert not client.is_finished


async def test_a_client_that_hears_nothing_more_ends_the_join() -> None:
    client, node = Scripted(ends=False, deaf=True), Scripted(*[OUT] * 5, ends=False)
    await join(client, node)


async def test_a_node_that_takes_no_more_input_may_still_answer() -> None:
    client, node = Scripted(*[IN] * 3, ends=False), Scripted(*[OUT] * 8, LAST, deaf=True)
    await join(client, node)
    assert client.told == [OUT] * 8 + [LAST]


async def test_the_client_is_given_time_to_go_but_not_for_ever() -> None:
    client = Scripted(ends=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await join(client, Scripted(LAST), linger_s=5.0)
    assert 5.0 <= loop.time() - began < 6.0


async def test_a_defect_in_a_leg_is_not_hidden() -> None:
    class Broken(Scripted):
        async def send(self, frame: ChannelFrame) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await join(Broken(ends=False), Scripted(OUT, ends=False))
