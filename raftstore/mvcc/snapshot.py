"""The whole state at one revision as a stream of slices, and back.

First the keys as of the compacted revision, then every change since: who loads it can read and
watch every revision that could be read before. Writes go on between two slices: what a revision
said does not change, and the caller frees no history while a stream is open.
"""

from collections.abc import Iterator

import msgspec

from raftstore.mvcc.commands import AlarmKind
from raftstore.mvcc.keyspace import FIRST_REVISION
from raftstore.mvcc.members import MemberRecord
from raftstore.mvcc.statemachine import StateMachine
from raftstore.mvcc.values import KeyValue

SLICE_KEYS_MAX = 128
SLICE_SIZE_BYTES = 64 * 1024


class Head(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`leases`: id to TTL in seconds. Their keys say themselves which lease they hang on.
    `alarms`: member id and kind."""

    revision: int
    compact_revision: int
    leases: dict[int, int]
    members: list[MemberRecord] = []
    alarms: list[tuple[int, AlarmKind]] = []
    removed: list[int] = []


class Keys(msgspec.Struct, frozen=True, array_like=True, tag=2):
    kvs: list[KeyValue]


class Kept(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The changes of the compacted revision itself: a watch may begin there."""

    versions: list[KeyValue]


class Changes(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Per revision, from `first_revision` on without a gap, what it changed."""

    first_revision: int
    revisions: list[list[KeyValue]]


_encode = msgspec.msgpack.encode
_decoder: msgspec.msgpack.Decoder[Head | Keys | Kept | Changes] = msgspec.msgpack.Decoder(
    Head | Keys | Kept | Changes
)


def stream(state: StateMachine) -> Iterator[bytes]:
    """The state as it is now, in slices of about `SLICE_SIZE_BYTES`."""
    keyspace = state.keyspace
    head = Head(
        keyspace.revision,
        keyspace.compact_revision,
        state.leases.all_ttl_s(),
        list(state.members.values()),
        sorted(state.alarms),
        sorted(state.removed),
    )
    # Not a generator itself: what is streamed is settled by the call, not by the first slice.
    return _stream(state, head)


def _stream(state: StateMachine, head: Head) -> Iterator[bytes]:
    keyspace = state.keyspace
    yield _encode(head)
    base = max(head.compact_revision, FIRST_REVISION)
    cursor: bytes | None = b""
    while cursor is not None:
        kvs, cursor = keyspace.slice_at(cursor, None, base, SLICE_KEYS_MAX)
        for part in _by_size(kvs):
            yield _encode(Keys(part))
        if not kvs:
            yield b""
    if base > FIRST_REVISION:
        yield _encode(Kept(list(keyspace.changes_of(base))))
    first, size_bytes, revisions = base + 1, 0, []
    for revision in range(base + 1, head.revision + 1):
        versions = list(keyspace.changes_of(revision))
        revisions.append(versions)
        size_bytes += sum(len(kv.value) + len(kv.key) + 32 for kv in versions)
        if size_bytes >= SLICE_SIZE_BYTES:
            yield _encode(Changes(first, revisions))
            first, size_bytes, revisions = revision + 1, 0, []
    yield _encode(Changes(first, revisions))


def _by_size(kvs: list[KeyValue]) -> Iterator[list[KeyValue]]:
    part: list[KeyValue] = []
    size_bytes = 0
    for kv in kvs:
        part.append(kv)
        size_bytes += len(kv.value) + len(kv.key)
        if size_bytes >= SLICE_SIZE_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part


class SnapshotMismatch(Exception):
    """The slices are not those of one whole stream."""


class Loader:
    """Builds the state that `stream` was taken of; feed it every slice, in order."""

    def __init__(self) -> None:
        self._state = StateMachine()
        self._head: Head | None = None
        self._keys_done = False

    def feed(self, data: bytes) -> None:
        """Raises SnapshotMismatch."""
        if not data:
            return
        part = _decoder.decode(data)
        keyspace = self._state.keyspace
        if isinstance(part, Head):
            self._head = part
        elif isinstance(part, Keys):
            for kv in part.kvs:
                keyspace.load_key(kv)
        elif isinstance(part, Kept):
            self._finish_keys(tuple(part.versions))
        else:
            self._finish_keys(())
            if part.first_revision != keyspace.revision + 1:
                raise SnapshotMismatch(f"changes from {part.first_revision} do not follow on")
            try:
                for versions in part.revisions:
                    keyspace.load_change(versions)
            except KeyError as error:
                raise SnapshotMismatch(f"{error.args[0]!r} ends without having begun") from error

    def finish(self) -> StateMachine:
        """The state, once every slice was fed."""
        head, state = self._head, self._state
        if head is None or state.keyspace.revision != head.revision:
            raise SnapshotMismatch("slices are missing")
        for lease_id, ttl_s in head.leases.items():
            state.leases.grant(lease_id, ttl_s)
        for key, kv in state.keyspace.live.items():
            state.leases.move(key, 0, kv.lease)
        state.restore(head.members, head.alarms, head.removed)
        return state

    def _finish_keys(self, kept: tuple[KeyValue, ...]) -> None:
        if self._head is None:
            raise SnapshotMismatch("the head is missing")
        if not self._keys_done:
            self._keys_done = True
            self._state.keyspace.finish_keys(self._head.compact_revision, kept)
