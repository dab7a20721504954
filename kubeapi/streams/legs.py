"""The asyncio side: legs that receive and send channel frames, and two of them joined.

A leg's `receive` gives the next frame only when it is asked, and `send` returns only when the
other side has room: joined legs hold one frame in each direction, and the slower side sets the
pace. Nothing here has a queue.
"""

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from kubeapi.streams.channels import Channel, ChannelFrame
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import INITIAL_WINDOW_BYTES
from kubeapi.streams.spdy_frames import LocalProtocolError, RemoteProtocolError

SEND_MAX_BYTES = 32 * 1024
READ_MAX_BYTES = 64 * 1024
# The peer's own requests (pings) may cause us to write; who never reads our answers is cut off.
PILED_UP_MAX_BYTES = 1024 * 1024
# A client that was told that nothing more follows closes the connection; else it is closed.
LINGER_S = 5.0


class LegClosed(Exception):
    """The other end of this leg is gone."""


class ChannelLeg(Protocol):
    async def receive(self) -> ChannelFrame | None:
        """The next frame; None when the other end is gone."""
        ...

    async def send(self, frame: ChannelFrame) -> None:
        """Returns when there is room for more. Raises LegClosed."""
        ...


class ClientLeg(ChannelLeg, Protocol):
    async def finish(self) -> None:
        """Say that nothing more follows; the other end may then go away."""
        ...


class OpeningLeg(ClientLeg, Protocol):
    async def open(self, timeout_s: float) -> None:
        """Wait until the session's channels are there. Raises LegClosed."""
        ...


class ByteStream(Protocol):
    """A connection's bytes, as SPDY needs them."""

    async def read(self) -> bytes:
        """What has arrived, at most a read's worth; empty at the end."""
        ...

    def write(self, data: bytes) -> None:
        """Hand `data` over without waiting. Raises ConnectionError when the peer is gone, or
        when it lets far too much pile up."""
        ...

    async def drain(self) -> None:
        """Wait until there is room for more."""
        ...


class SpdyLeg:
    """A session's channels over a SPDY connection, in either role.

    Whoever waits, reads: a sender without a window reads on for the frame that opens it, and
    leaves the data that comes before for the receiver. A peer that keeps windows sends at most
    one session window ahead, so that this ends; for one that does not, reading stops there.
    """

    def __init__(self, channels: SpdyChannels, stream: ByteStream) -> None:
        self._channels = channels
        self._stream = stream
        self._early: deque[ChannelFrame] = deque()
        self._early_bytes = 0
        self._given: ChannelFrame | None = None
        self._progress = asyncio.Event()
        self._is_reading = False
        self._is_over = False

    async def open(self, timeout_s: float) -> None:
        """Wait until every stream of the session is there. Raises LegClosed."""
        try:
            async with asyncio.timeout(timeout_s):
                self._flush()
                while self._channels.awaited:
                    await self._advance()
        except TimeoutError:
            missing = ", ".join(self._channels.awaited)
            raise LegClosed(f"timed out waiting for streams: {missing}") from None
        except ConnectionError as error:
            raise LegClosed(str(error)) from error

    async def receive(self) -> ChannelFrame | None:
        if self._given is not None:
            # The last frame has been passed on, or the caller would not be back.
            self._channels.acknowledge(self._given)
            self._given = None
        try:
            self._flush()
            while not self._early:
                await self._advance()
        except (LegClosed, ConnectionError):
            return None
        self._given = self._early.popleft()
        self._early_bytes -= len(self._given.data)
        self._progress.set()
        return self._given

    async def send(self, frame: ChannelFrame) -> None:
        data, at = frame.data, 0
        try:
            while True:
                room = await self._room(frame.channel) if data else SEND_MAX_BYTES
                piece = data[at : at + min(room, SEND_MAX_BYTES)]
                at += len(piece)
                is_last = at >= len(data)
                self._channels.send(ChannelFrame(frame.channel, piece, frame.close and is_last))
                self._flush()
                await self._stream.drain()
                if is_last:
                    return
        except (ConnectionError, LocalProtocolError) as error:
            raise LegClosed(str(error)) from error

    async def finish(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._channels.end()
            self._flush()
            await self._stream.drain()

    async def _room(self, channel: Channel) -> int:
        """Bytes that may be sent; a channel that nobody reads takes (and drops) anything."""
        while (room := self._channels.sendable_bytes(channel)) == 0:
            await self._advance()
        return SEND_MAX_BYTES if room is None else room

    async def _advance(self) -> None:
        """Read once, or wait until something else has changed. Raises LegClosed at the end."""
        if self._is_over:
            raise LegClosed("the connection was closed")
        if self._is_reading or self._early_bytes >= INITIAL_WINDOW_BYTES:
            self._progress.clear()
            await self._progress.wait()
            return
        self._is_reading = True
        try:
            self._take(await self._stream.read())
        finally:
            self._is_reading = False
            self._progress.set()

    def _take(self, data: bytes) -> None:
        try:
            frames = self._channels.receive_data(data)
            self._flush()
        except (RemoteProtocolError, ConnectionError) as error:
            self._is_over = True
            raise LegClosed(f"SPDY: {error}") from error
        self._is_over = not data
        self._early += frames
        self._early_bytes += sum(len(frame.data) for frame in frames)

    def _flush(self) -> None:
        # Never waits: replies must leave even while the peer holds up our data, or two sides
        # that both echo would wait for each other.
        if data := self._channels.data_to_send():
            self._stream.write(data)


async def join(client: ClientLeg, node: ChannelLeg, linger_s: float | None = LINGER_S) -> None:
    """Pass frames both ways until the node's side has said all, or the client is gone.

    After the last frame the client gets `linger_s` to take it in and go (None: all it needs).
    """
    requests = asyncio.create_task(_copy_requests(client, node))
    results = asyncio.create_task(_copy_results(node, client))
    try:
        await asyncio.wait((requests, results), return_when=asyncio.FIRST_COMPLETED)
        if not requests.done():
            await client.finish()
            await asyncio.wait((requests,), timeout=linger_s)
    finally:
        for task in (requests, results):
            task.cancel()
        ended = await asyncio.gather(requests, results, return_exceptions=True)
    for end in ended:
        if isinstance(end, Exception):
            raise end


async def _copy_requests(client: ChannelLeg, node: ChannelLeg) -> None:
    """A process may end before its stdin does: then the rest is read and dropped, so that the
    status still comes through and the client's going is still seen."""
    is_taken = True
    while (frame := await client.receive()) is not None:
        if is_taken:
            try:
                await node.send(frame)
            except LegClosed:
                is_taken = False


async def _copy_results(node: ChannelLeg, client: ChannelLeg) -> None:
    try:
        while (frame := await node.receive()) is not None:
            await client.send(frame)
    except LegClosed:
        return
