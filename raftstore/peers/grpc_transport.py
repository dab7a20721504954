"""Peers over gRPC with mTLS: one long stream to each member, snapshots and questions as calls of
their own on the same connection.

What waits for a stream while one frame is being written goes into the next frame: under load few
frames carry many messages. A member that cannot be reached loses what was meant for it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

import grpc
import grpc.aio

from pinnace_wire.raft_peers_pb2 import Frame
from pinnace_wire.raft_peers_pb2_grpc import PeersStub
from raftstore.core import AppendEntries, InstallSnapshot
from raftstore.errors import Unreachable
from raftstore.peers import wire
from raftstore.peers.messages import Cluster, Forward, Members, PeerMessage, Question
from raftstore.peers.transport import Receiver

_log = getLogger("raftstore.peers")

ASK_TIMEOUT_S = 5.0
# A snapshot takes as long as it takes, but each of its frames must be taken in this time.
_SNAPSHOT_FRAME_TIMEOUT_S = 30.0
_RECONNECT_S = 0.1
_RECONNECT_MAX_S = 1.0
_QUEUE_MAX = 10_000
_FRAME_MESSAGES_MAX = 256
_FRAME_SIZE_BYTES = 1 << 20
_SNAPSHOT_FRAME_BYTES = 512 * 1024
REMOVED = "the member was removed from the cluster"

# A dead link is found by pings, not by Raft's timeouts: those find a dead leader.
CHANNEL_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Each has a connection of its own: one link that hangs is one link.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(url: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """To a peer URL. Raises ValueError where https has no credentials."""
    scheme, _, target = url.partition("://")
    if scheme == "http":
        return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
    if credentials is None:
        raise ValueError(f"{url}: no certificate to talk to peers with is given")
    return grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)


def _stub(channel: grpc.aio.Channel) -> PeersStub:
    return PeersStub(channel)  # type: ignore[no-untyped-call]


def call_metadata(cluster_id: int, member_id: int, to: int) -> tuple[tuple[str, str], ...]:
    return (
        ("cluster-id", f"{cluster_id:x}"),
        ("member-id", f"{member_id:x}"),
        ("to", f"{to:x}"),
    )


async def fetch_members(url: str, credentials: grpc.ChannelCredentials | None) -> Cluster:
    """Ask the member at a peer URL who is in its cluster. Raises Unreachable."""
    async with open_channel(url, credentials) as channel:
        return await _ask(channel, 0, call_metadata(0, 0, 0), Members())  # type: ignore[no-any-return]


async def _ask(
    channel: grpc.aio.Channel,
    peer: int,
    metadata: tuple[tuple[str, str], ...],
    question: Question,
) -> Any:
    frame = Frame(data=wire.encode_question(question))
    try:
        answer = await _stub(channel).Ask(frame, metadata=metadata, timeout=ASK_TIMEOUT_S)
        return wire.decode_answer(question, answer.data)
    except grpc.aio.AioRpcError as error:
        raise Unreachable(peer, error.details() or error.code().name) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Its channel was closed under the call.
        raise Unreachable(peer, "it has left or moved") from error
    except wire.BadFrame as error:
        raise Unreachable(peer, f"its answer is not understood: {error}") from error


class GrpcTransport:
    """For `member_id`. `credentials` are for https peers."""

    def __init__(
        self, cluster_id: int, member_id: int, credentials: grpc.ChannelCredentials | None
    ) -> None:
        self.cluster_id = cluster_id
        self.member_id = member_id
        self._credentials = credentials
        self._receiver: Receiver
        self._links: dict[int, _Link] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def start(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def set_members(self, addresses: Mapping[int, Sequence[str]]) -> None:
        for peer, link in list(self._links.items()):
            if tuple(addresses.get(peer, ())) != link.urls:
                del self._links[peer]
                task = asyncio.get_running_loop().create_task(link.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        for peer, urls in addresses.items():
            if peer not in self._links and urls:
                self._open_link(peer, tuple(urls))

    def _open_link(self, peer: int, urls: tuple[str, ...]) -> None:
        metadata = call_metadata(self.cluster_id, self.member_id, peer)
        try:
            self._links[peer] = _Link(peer, urls, self._credentials, metadata, self._receiver)
        except ValueError as error:
            # Whoever added it may not have known how members talk here: that costs this member
            # its link, and must not cost the cluster its members.
            _log.warning("member %x cannot be reached: %s", peer, error)

    def send(self, peer: int, messages: Sequence[PeerMessage]) -> None:
        link = self._links.get(peer)
        if link is not None:
            link.send(messages)

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        link = self._links.get(message.to)
        if link is None:
            _close(slices)
            self._receiver.snapshot_sent(message.to, ok=False)
        else:
            link.send_snapshot(message, slices)

    async def ask(self, peer: int, question: Question) -> Any:
        link = self._links.get(peer)
        if link is None:
            raise Unreachable(peer, "its address is not known")
        return await _ask(link.channel, peer, link.metadata, question)

    async def close(self) -> None:
        links, self._links = self._links, {}
        await asyncio.gather(*(link.close() for link in links.values()), *self._closing)


class _Link:
    """To one other member: a stream that is opened again and again, at each of its URLs in turn."""

    def __init__(
        self,
        peer: int,
        urls: tuple[str, ...],
        credentials: grpc.ChannelCredentials | None,
        metadata: tuple[tuple[str, str], ...],
        receiver: Receiver,
    ) -> None:
        self.urls = urls
        self.metadata = metadata
        self._peer = peer
        self._receiver = receiver
        self._channels = [open_channel(url, credentials) for url in urls]
        self.channel = self._channels[0]
        self._queue: deque[PeerMessage] = deque()
        self._wake = asyncio.Event()
        self._complained = False
        self._connected_s = math.inf
        loop = asyncio.get_running_loop()
        self._stream = loop.create_task(self._run())
        self._snapshot: asyncio.Task[None] | None = None
        self._tasks = {self._stream}

    def send(self, messages: Sequence[PeerMessage]) -> None:
        if len(self._queue) + len(messages) > _QUEUE_MAX:
            # It does not take them: what is in the queue is as good as lost.
            self._queue.clear()
        self._queue.extend(messages)
        self._wake.set()

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        if self._snapshot is not None:
            # Sent in an earlier term: the member would not take it any more.
            self._snapshot.cancel()
        task = asyncio.get_running_loop().create_task(self._send_snapshot(message, slices))
        self._snapshot = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for channel in self._channels:
            await channel.close()

    # -- the stream of messages

    async def _run(self) -> None:
        loop, delay_s = asyncio.get_running_loop(), _RECONNECT_S
        for attempt in _forever():
            self.channel = self._channels[attempt % len(self._channels)]
            try:
                await self._pump(self.channel)
            except grpc.aio.AioRpcError as error:
                self._lost(error)
            if loop.time() - self._connected_s > _RECONNECT_MAX_S:
                # It held for a while: what ended it may be over at once.
                delay_s = _RECONNECT_S
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _RECONNECT_MAX_S)

    def _lost(self, error: grpc.aio.AioRpcError) -> None:
        self._queue.clear()
        if error.details() == REMOVED:
            self._receiver.removed()
        self._receiver.unreachable(self._peer)
        if not self._complained:
            self._complained = True
            _log.warning("member %x at %s: %s", self._peer, ", ".join(self.urls), error.details())

    async def _pump(self, channel: grpc.aio.Channel) -> None:
        """Returns when the stream has ended. Raises AioRpcError."""
        call = _stub(channel).Messages(metadata=self.metadata)
        call.add_done_callback(lambda _: self._wake.set())
        self._connected_s = math.inf
        try:
            await call.wait_for_connection()
            self._connected_s = asyncio.get_running_loop().time()
            if self._complained:
                self._complained = False
                _log.info("member %x is reached again", self._peer)
            while not call.done():
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await call.write(Frame(data=wire.encode_messages(self._take())))
            await call
        except asyncio.InvalidStateError:
            # Written to a call that has just ended: its own error tells why.
            await call
        finally:
            call.cancel()

    def _take(self) -> list[PeerMessage]:
        """Who receives hears nothing of a frame before all of it has come."""
        queue, size_bytes = self._queue, 0
        taken: list[PeerMessage] = []
        while queue and len(taken) < _FRAME_MESSAGES_MAX and size_bytes < _FRAME_SIZE_BYTES:
            message = queue.popleft()
            taken.append(message)
            if type(message) is AppendEntries:
                size_bytes += sum([len(entry.data) for entry in message.entries])
            elif type(message) is Forward:
                size_bytes += sum([len(data) for _, data in message.proposals])
        return taken

    # -- snapshots

    async def _send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        ok = False
        try:
            await self._stream_snapshot(message, slices)
            ok = True
        except (grpc.aio.AioRpcError, TimeoutError, asyncio.InvalidStateError) as error:
            details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            _log.warning("snapshot to member %x: %s", self._peer, details or "took too long")
        finally:
            _close(slices)
            if self._snapshot is asyncio.current_task():
                self._snapshot = None
                self._receiver.snapshot_sent(self._peer, ok=ok)

    async def _stream_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        call = _stub(self.channel).Snapshot(metadata=self.metadata)
        try:
            await self._write(call, [wire.encode_messages([message])])
            batch: list[bytes] = []
            size_bytes = 0
            for data in slices:
                if data:
                    batch.append(data)
                    size_bytes += len(data)
                if size_bytes >= _SNAPSHOT_FRAME_BYTES:
                    await self._write(call, batch)
                    batch, size_bytes = [], 0
                else:
                    await asyncio.sleep(0)
            if batch:
                await self._write(call, batch)
            # An empty frame is the end; a stream that breaks has none.
            await self._write(call, [])
            await call.done_writing()
            async with asyncio.timeout(_SNAPSHOT_FRAME_TIMEOUT_S):
                await call
        finally:
            call.cancel()

    async def _write(self, call: Any, slices: Sequence[bytes]) -> None:
        async with asyncio.timeout(_SNAPSHOT_FRAME_TIMEOUT_S):
            await call.write(Frame(data=wire.encode_slices(slices)))


def _close(slices: Iterator[bytes]) -> None:
    close = getattr(slices, "close", None)
    if close is not None:
        close()


def _forever() -> Iterator[int]:
    attempt = 0
    while True:
        yield attempt
        attempt += 1
