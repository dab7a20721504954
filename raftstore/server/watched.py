"""One watch of a stream: which events are its own, encoded once for everyone who hears of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import Event, KeyValue, Watcher
from raftstore.server.wire import encode_event

if TYPE_CHECKING:
    from raftstore.server.watchstream import Stream

# A message is closed at the first revision that makes it larger than this.
MESSAGE_SIZE_BYTES: Final = 512 * 1024
# A message to a watch that asked for fragments: etcd's largest request and its overhead.
FRAGMENT_SIZE_BYTES: Final = 1_572_864 + 512 * 1024
# etcd: no key is the smallest there is.
FIRST_KEY: Final = b"\0"
_ENCODED_MAX: Final = 1024


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


Part = tuple[int, bytes, "list[bytes] | None"]
"""What one revision has to tell a watch: the revision, its encoded events together, and one by one
where they have to go out in fragments. A plain tuple: one is made for every event and watch."""


class Watch:
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

    def __init__(self, stream: "Stream", watch_id: int, request: rpc.WatchCreateRequest) -> None:
        self._stream = stream
        self.watch_id = watch_id
        self.id_field = rpc.WatchResponse(watch_id=watch_id).SerializeToString()
        self.key = request.key or FIRST_KEY
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
        self.parts: list[Part] = []
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

    def take(self) -> list[Part]:
        """The parts of the next message: whole revisions, one at least. One that goes out in
        fragments comes alone."""
        parts = self.parts
        if self._size_bytes <= MESSAGE_SIZE_BYTES:
            self.parts, self._size_bytes = [], 0
            return parts
        taken, size_bytes = 0, 0
        for _, data, pieces in parts:
            if pieces is not None and taken:
                break
            taken += 1
            size_bytes += len(data)
            if size_bytes >= MESSAGE_SIZE_BYTES:
                break
        self.parts = parts[taken:]
        self._size_bytes -= size_bytes
        return parts[:taken]

    def is_synced(self, revision: int) -> bool:
        """Whether its caller, once all that waits is written, knows everything up to `revision`.
        A watch that begins later is not told of revisions before it (etcd-io/etcd#20221)."""
        watcher = self.watcher
        return watcher is not None and watcher.synced and self.start_revision <= revision


def fragments(events: Sequence[bytes]) -> Iterator[bytes]:
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
