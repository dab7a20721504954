"""What one caller watches, and what is still to be told it.

Whatever happens while the stream's writer writes is collected per watch, and goes out as one
message: a stream that falls behind gets fewer and larger ones. Where more is collected than a
stream may hold, the watch that asks for more leaves the hub and comes back from history once
there is room (etcd's unsynced watchers): memory stays bounded, and no revision is lost or told
twice.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc.errors import Compacted
from raftstore.server.watched import FIRST_KEY, EncodedEvents, Watch, fragments
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# Collected for one stream at most, beside the revision that went over it.
BUFFER_MAX_BYTES: Final = 2 * 1024 * 1024
# Says that an answer is about no watch, or about all of them (etcd `InvalidWatchID`).
NO_WATCH: Final = -1
# Answers that wait for a caller who does not read them: then no more requests are read.
_ANSWERS_MAX: Final = 1024
# How soon a stream that owes an answer about its progress looks again for watches that catch up.
_PROGRESS_RETRY_S: Final = 0.01

_DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
_EMPTY_RANGE: Final = "mvcc: watcher range is empty"
_NO_END: Final = b"\0"
_FRAGMENT: Final = rpc.WatchResponse(fragment=True).SerializeToString()


class Stream:
    """What one caller watches, and what is still to be told. The writer asks for `next_message`
    until there is none, and then waits for `something`."""

    def __init__(
        self, node: "Node", headers: Headers, encoded: EncodedEvents, progress_interval_s: float
    ) -> None:
        self.encoded = encoded
        # Watches that have parts, in the order in which they got the first of them.
        self.waiting: deque[Watch] = deque()
        self._node = node
        self._headers = headers
        self._progress_interval_s = progress_interval_s
        self._watches: dict[int, Watch] = {}
        self._next_id = 0
        # Go out before any event that was not taken yet.
        self._answers: deque[bytes] = deque()
        self._buffered_bytes = 0
        # Watches that have left the hub until there is room again.
        self._behind: list[Watch] = []
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
        watch = self._watches[watch_id] = Watch(self, watch_id, request)
        self._answer(rpc.WatchResponse(watch_id=watch_id, created=True))
        self._join(watch)
        if watch.progress_notify and self._progress_timer is None:
            self._arm_progress()

    def _objection(self, request: rpc.WatchCreateRequest) -> str:
        end = request.range_end
        if request.start_revision < 0:
            return Compacted.text
        if end not in (b"", _NO_END) and (request.key or FIRST_KEY) >= end:
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

    def _join(self, watch: Watch) -> None:
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

    def compacted(self, watch: Watch, compact_revision: int) -> None:
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

    def collected(self, watch: Watch, size_bytes: int) -> None:
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
        *first, last = fragments(pieces)
        # Nothing may come between them: they go where answers go.
        self._answers.extend(start + _FRAGMENT + fragment for fragment in first)
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
