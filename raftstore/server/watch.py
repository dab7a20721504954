"""The Watch service: many watches on one stream, each event encoded once for all of them.

A stream has one writer. Whatever happens while it writes is collected per watch, as encoded
events, and goes out as one message; so a stream that falls behind gets fewer and larger messages.
Where more is collected than a stream may hold, the watch that asks for more leaves the hub and
comes back from history once the stream has caught up (etcd's unsynced watchers): memory stays
bounded and no revision is lost or told twice.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import Event, KeyValue, Watcher
from raftstore.mvcc.errors import Compacted
from raftstore.server.calls import Calls, Context, Streams, refuse, requests
from raftstore.server.wire import Headers, encode_event

if TYPE_CHECKING:
    from raftstore.node import Node

# Collected for one stream at most, beside the revision that went over it.
BUFFER_MAX_BYTES: Final = 2 * 1024 * 1024
# A message is closed at the first revision that makes it larger than this.
_MESSAGE_SIZE_BYTES: Final = 512 * 1024
# A message to a watch that asked for fragments: etcd's largest request and its overhead.
FRAGMENT_SIZE_BYTES: Final = 1_572_864 + 512 * 1024
# Says that an answer is about no watch, or about all of them (etcd `InvalidWatchID`).
NO_WATCH: Final = -1
_ENCODED_MAX: Final = 1024
# Answers that wait for a caller who does not read them: then no more requests are read.
_ANSWERS_MAX: Final = 1024
# A message takes the loop some 40 us: together they get about a third of it.
_WINDOW_S: Final = 0.01
_WINDOW_MESSAGES: Final = 80
# How soon a stream that owes an answer about its progress looks again for watches that catch up.
_PROGRESS_RETRY_S: Final = 0.01

_DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
_EMPTY_RANGE: Final = "mvcc: watcher range is empty"
# etcd: no key is the smallest there is; this end of a range is none.
_FIRST_KEY: Final = b"\0"
_NO_END: Final = b"\0"


class EncodedEvents:
    """The bytes of the last events, shared by everyone who watches them. An event is found by the
    identity of its key-value, which the store holds once, whoever asks and whenever."""

    def __init__(self) -> None:
        self._plain: dict[int, tuple[KeyValue, bytes]] = {}
        self._with_prev: dict[int, tuple[KeyValue, KeyValue | None, bytes]] = {}

    def plain(self, event: Event) -> bytes:
        kv = event.kv
        found = self._plain.get(id(kv))
        if found is None:
            # Holding the key-value keeps its identity from being another's.
            found = self._plain[id(kv)] = (kv, encode_event(kv, None))
            if len(self._plain) > _ENCODED_MAX:
                del self._plain[next(iter(self._plain))]
        return found[1]

    def with_prev(self, event: Event) -> bytes:
        kv, prev = event.kv, event.prev
        found = self._with_prev.get(id(kv))
        # A compaction may have taken away what the event replaced.
        if found is None or found[1] is not prev:
            found = self._with_prev[id(kv)] = (kv, prev, encode_event(kv, prev))
            if len(self._with_prev) > _ENCODED_MAX:
                del self._with_prev[next(iter(self._with_prev))]
        return found[2]


_Part = tuple[int, bytes, "list[bytes] | None"]
"""What one revision has to tell a watch: the revision, its encoded events together, and one by one
where they have to go out in fragments. A plain tuple: one is made for every event and watch."""


class _Watch:
    """One watch of a stream. `parts` wait to be written; `watcher` is None while the stream is
    too far behind to hear more."""

    __slots__ = (
        "_encode",
        "_no_delete",
        "_no_put",
        "_size_bytes",
        "_stream",
        "fragment",
        "id_field",
        "key",
        "next_revision",
        "parts",
        "progress_due",
        "progress_notify",
        "range_end",
        "start_revision",
        "watch_id",
        "watcher",
    )

    def __init__(self, stream: "_Stream", watch_id: int, request: rpc.WatchCreateRequest) -> None:
        self._stream = stream
        self.watch_id = watch_id
        self.id_field = rpc.WatchResponse(watch_id=watch_id).SerializeToString()
        self.key = request.key or _FIRST_KEY
        self.range_end = request.range_end
        self.start_revision = request.start_revision
        self.next_revision = request.start_revision
        self.fragment = request.fragment
        self.progress_notify = request.progress_notify
        # Whether the next round of notifications is to name this watch.
        self.progress_due = request.progress_notify
        self._no_put = rpc.WatchCreateRequest.NOPUT in request.filters
        self._no_delete = rpc.WatchCreateRequest.NODELETE in request.filters
        encoded = stream.encoded
        self._encode = encoded.with_prev if request.prev_kv else encoded.plain
        self.parts: list[_Part] = []
        self._size_bytes = 0
        self.watcher: Watcher | None = None

    def hear(self, events: Sequence[Event], revision: int) -> None:
        """What the hub tells: all that this watch is to know of `revision`."""
        if self._no_put or self._no_delete:
            events = [e for e in events if not (self._no_delete if e.deleted else self._no_put)]
            if not events:
                return
        pieces = None
        if len(events) == 1:
            data = self._encode(events[0])
        else:
            pieces = [self._encode(event) for event in events]
            data = b"".join(pieces)
            if not self.fragment or len(data) <= FRAGMENT_SIZE_BYTES:
                pieces = None
        if not self.parts:
            self._stream.waiting.append(self)
        self.parts.append((revision, data, pieces))
        self._size_bytes += len(data)
        self._stream.collected(self, len(data))

    def compacted(self, compact_revision: int) -> None:
        """What the hub tells when what was to be told is gone."""
        self._stream.compacted(self, compact_revision)
        self._stream.wake()

    def leave(self) -> None:
        if self.watcher is not None:
            self.watcher.cancel()
            self.watcher = None

    def take(self) -> list[_Part]:
        """The parts of the next message: whole revisions, one at least. One that goes out in
        fragments comes alone."""
        parts = self.parts
        if self._size_bytes <= _MESSAGE_SIZE_BYTES:
            self.parts, self._size_bytes = [], 0
            return parts
        taken, size_bytes = 0, 0
        for _, data, pieces in parts:
            if pieces is not None and taken:
                break
            taken += 1
            size_bytes += len(data)
            if size_bytes >= _MESSAGE_SIZE_BYTES:
                break
        self.parts = parts[taken:]
        self._size_bytes -= size_bytes
        return parts[:taken]

    def is_synced(self, revision: int) -> bool:
        """Whether its caller, once all that waits is written, knows everything up to `revision`.
        A watch that begins later is not told of revisions before it (etcd-io/etcd#20221)."""
        watcher = self.watcher
        return watcher is not None and watcher.synced and self.start_revision <= revision


class WatchService:
    """`progress_interval_s`: how often a watch without events is told of its progress, where it
    asked for that."""

    def __init__(
        self,
        node: "Node",
        headers: Headers,
        calls: Calls,
        streams: Streams,
        progress_interval_s: float,
    ) -> None:
        self._node = node
        self._headers = headers
        self._calls = calls
        self._streams = streams
        self._progress_interval_s = progress_interval_s
        self._encoded = EncodedEvents()
        self._pace = _Pace()
        self._opened = 0

    async def watch(self, _: object, context: Context) -> None:
        try:
            self._calls.check(context, learner=False)
            await self._serve(context)
        except Exception as error:
            await refuse(context, error)

    async def _serve(self, context: Context) -> None:
        self._opened += 1
        # Streams that were opened together do not all tell of their progress together.
        interval_s = self._progress_interval_s * (1 + 0.1 * (self._opened * 0.618 % 1))
        stream = _Stream(self._node, self._headers, self._encoded, interval_s)
        ended = self._streams.add(context)
        reading = asyncio.ensure_future(_read(context, stream))
        writing = asyncio.ensure_future(_write(context, stream, self._pace))
        try:
            parts = (reading, writing, ended)
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            stream.close()
            self._streams.remove(ended)
            for task in (reading, writing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task


async def _read(context: Context, stream: "_Stream") -> None:
    async for request in requests(context):
        stream.ask(rpc.WatchRequest.FromString(request))
        await stream.room()


async def _write(context: Context, stream: "_Stream", pace: "_Pace") -> None:
    while True:
        if not pace.take():
            await pace.turn()
        message = stream.next_message()
        if message is None:
            pace.give_back()
            await stream.something()
        else:
            await context.write(message)


class _Pace:
    """How many messages go out in a window of time, on all streams together. A message costs the
    loop more than the events in it: what waits for its turn grows meanwhile, instead of keeping
    the loop from the writes that it tells of. Nothing waits before so many are sent."""

    def __init__(self) -> None:
        self._left = _WINDOW_MESSAGES
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Whether a message may go out now."""
        if self._left == 0:
            return False
        self._left -= 1
        if self._timer is None:
            self._arm()
        return True

    def give_back(self) -> None:
        """There was no message."""
        self._left += 1

    async def turn(self) -> None:
        """Wait until a message may go out, behind those who already wait."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_WINDOW_S, self._open)

    def _open(self) -> None:
        self._timer = None
        self._left = _WINDOW_MESSAGES
        while self._waiting and self._left:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self._left -= 1
        if self._left < _WINDOW_MESSAGES:
            self._arm()


class _Stream:
    """What one caller watches, and what is still to be told. The writer asks for `next_message`
    until there is none, and then waits for `something`."""

    def __init__(
        self, node: "Node", headers: Headers, encoded: EncodedEvents, progress_interval_s: float
    ) -> None:
        self.encoded = encoded
        # Watches that have parts, in the order in which they got the first of them.
        self.waiting: deque[_Watch] = deque()
        self._node = node
        self._headers = headers
        self._progress_interval_s = progress_interval_s
        self._watches: dict[int, _Watch] = {}
        self._next_id = 0
        # Go out before any event that was not taken yet.
        self._answers: deque[bytes] = deque()
        self._buffered_bytes = 0
        # Watches that have left the hub until there is room again.
        self._behind: list[_Watch] = []
        self._progress_asked = 0
        self._progress_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None
        self._awaited: asyncio.Future[None] | None = None
        self._full: asyncio.Future[None] | None = None

    # -- what the caller asks

    def ask(self, request: rpc.WatchRequest) -> None:
        """A request that says nothing is overlooked, as in etcd."""
        which = request.WhichOneof("request_union")
        if which == "create_request":
            self._create(request.create_request)
        elif which == "cancel_request":
            self._cancel(request.cancel_request.watch_id)
        elif which == "progress_request":
            self._progress_asked += 1
        self.wake()

    async def room(self) -> None:
        """Wait while more answers wait than a caller may leave unread."""
        if len(self._answers) >= _ANSWERS_MAX:
            self._full = asyncio.get_running_loop().create_future()
            await self._full

    def _create(self, request: rpc.WatchCreateRequest) -> None:
        reason = self._objection(request)
        if reason:
            self._answer(
                rpc.WatchResponse(
                    watch_id=NO_WATCH, created=True, canceled=True, cancel_reason=reason
                )
            )
            return
        watch_id = request.watch_id or self._free_id()
        watch = self._watches[watch_id] = _Watch(self, watch_id, request)
        self._answer(rpc.WatchResponse(watch_id=watch_id, created=True))
        self._join(watch)
        if watch.progress_notify and self._progress_timer is None:
            self._arm_progress()

    def _objection(self, request: rpc.WatchCreateRequest) -> str:
        end = request.range_end
        if request.start_revision < 0:
            return Compacted.text
        if end not in (b"", _NO_END) and (request.key or _FIRST_KEY) >= end:
            return _EMPTY_RANGE
        return _DUPLICATE_ID if request.watch_id and request.watch_id in self._watches else ""

    def _free_id(self) -> int:
        while self._next_id in self._watches:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    def _cancel(self, watch_id: int) -> None:
        watch = self._watches.pop(watch_id, None)
        if watch is None:
            return
        watch.leave()
        if watch.parts:
            self.waiting.remove(watch)
            self._buffered_bytes -= sum(len(data) for _, data, _ in watch.parts)
        if watch in self._behind:
            self._behind.remove(watch)
        self._answer(rpc.WatchResponse(watch_id=watch_id, canceled=True))

    # -- what the hub tells

    def _join(self, watch: _Watch) -> None:
        """Hear of what the watch is about, from its next revision on; a watch whose next
        revision is compacted is over."""
        try:
            watch.watcher = self._node.watch(
                watch.key,
                watch.range_end,
                watch.next_revision,
                watch.hear,
                watch.compacted,
            )
        except Compacted as error:
            self.compacted(watch, error.compact_revision)

    def compacted(self, watch: _Watch, compact_revision: int) -> None:
        """The watch had still to hear of what is gone: it is over, once its caller has what it
        did hear."""
        watch.leave()
        if watch.parts:
            # Coming back fails then, and ends it.
            watch.next_revision = watch.parts[-1][0] + 1
            self._behind.append(watch)
            return
        del self._watches[watch.watch_id]
        self._answer(
            rpc.WatchResponse(
                watch_id=watch.watch_id, canceled=True, compact_revision=compact_revision
            )
        )

    def collected(self, watch: _Watch, size_bytes: int) -> None:
        """A watch has another part."""
        self._buffered_bytes += size_bytes
        if self._buffered_bytes > BUFFER_MAX_BYTES:
            watch.leave()
            watch.next_revision = watch.parts[-1][0] + 1
            self._behind.append(watch)
        if self._awaited is not None:
            self.wake()

    # -- what is written

    async def something(self) -> None:
        self._awaited = asyncio.get_running_loop().create_future()
        await self._awaited

    def wake(self) -> None:
        if self._awaited is not None:
            if not self._awaited.done():
                self._awaited.set_result(None)
            self._awaited = None

    def next_message(self) -> bytes | None:
        """None when there is nothing to be written now."""
        if self._behind and self._buffered_bytes <= BUFFER_MAX_BYTES // 2:
            self._come_back()
        if self._answers:
            if self._full is not None and not self._full.done():
                self._full.set_result(None)
            return self._answers.popleft()
        if self.waiting:
            return self._next_events()
        if self._progress_asked:
            return self._progress()
        return None

    def _come_back(self) -> None:
        """Watches whose parts are all written hear of what they missed, out of history."""
        behind, self._behind = self._behind, []
        for watch in behind:
            if watch.parts:
                self._behind.append(watch)
            else:
                self._join(watch)

    def _next_events(self) -> bytes:
        """Of the watch that waits longest."""
        watch = self.waiting.popleft()
        parts = watch.take()
        if watch.parts:
            self.waiting.append(watch)
        watch.progress_due = False
        start = self._headers.field(parts[-1][0]) + watch.id_field
        events = b"".join([data for _, data, _ in parts])
        self._buffered_bytes -= len(events)
        pieces = parts[0][2]
        if pieces is None:
            return start + events
        *fragments, last = _fragments(pieces)
        # Nothing may come between them: they go where answers go.
        self._answers.extend(start + _FRAGMENT + fragment for fragment in fragments)
        self._answers.append(start + last)
        return self._answers.popleft()

    def _answer(self, response: rpc.WatchResponse) -> None:
        revision = self._node.state.keyspace.revision
        self._answers.append(self._headers.field(revision) + response.SerializeToString())

    # -- progress

    def _progress(self) -> bytes | None:
        """The answer to a WatchProgressRequest: all there is up to its revision is written."""
        revision = self._node.state.keyspace.revision
        watches = self._watches.values()
        if not watches or any(watch.start_revision > revision for watch in watches):
            # etcd does not answer these at all.
            self._progress_asked = 0
            return None
        if not all(watch.is_synced(revision) for watch in watches):
            self._retry_progress()
            return None
        self._progress_asked -= 1
        response = rpc.WatchResponse(watch_id=NO_WATCH)
        return self._headers.field(revision) + response.SerializeToString()

    def _retry_progress(self) -> None:
        if self._retry_timer is not None:
            self._retry_timer.cancel()
        loop = asyncio.get_running_loop()
        self._retry_timer = loop.call_later(_PROGRESS_RETRY_S, self.wake)

    def _arm_progress(self) -> None:
        loop = asyncio.get_running_loop()
        self._progress_timer = loop.call_later(self._progress_interval_s, self._notify)

    def _notify(self) -> None:
        """Tell the watches that asked for it, and had no event since the last round, that there
        was none."""
        self._progress_timer = None
        revision = self._node.state.keyspace.revision
        notified = [watch for watch in self._watches.values() if watch.progress_notify]
        for watch in notified:
            if watch.progress_due and not watch.parts and watch.is_synced(revision):
                self._answer(rpc.WatchResponse(watch_id=watch.watch_id))
            watch.progress_due = True
        if notified:
            self._arm_progress()
        self.wake()

    def close(self) -> None:
        for timer in (self._progress_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        for watch in self._watches.values():
            watch.leave()


_FRAGMENT: Final = rpc.WatchResponse(fragment=True).SerializeToString()


def _fragments(events: Sequence[bytes]) -> Iterator[bytes]:
    """The events in pieces of at most `FRAGMENT_SIZE_BYTES`, and of one event at least."""
    piece: list[bytes] = []
    size_bytes = 0
    for event in events:
        if piece and size_bytes + len(event) > FRAGMENT_SIZE_BYTES:
            yield b"".join(piece)
            piece, size_bytes = [], 0
        piece.append(event)
        size_bytes += len(event)
    yield b"".join(piece)
