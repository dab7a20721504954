"""The whole state at one revision as a stream of slices, and back.

First the keys as of the compacted revision, then every change since: who loads it can read and
watch every revision that could be read before. Writes go on between two slices: what a revision
said does not change, and the caller frees no history while a stream is open.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from raftstore.mvcc.commands import AlarmKind
from raftstore.mvcc.keyspace import FIRST_REVISION, Keyspace
from raftstore.mvcc.members import MemberRecord
from raftstore.mvcc.statemachine import StateMachine
from raftstore.mvcc.values import Event, KeyValue

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
    """Changes of the compacted revision itself: a watch may begin there."""

    versions: list[KeyValue]


class Changes(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Per revision, from `first_revision` on without a gap, what it changed. `goes_on`: the last
    of these revisions has more changes, or none, at the beginning of the next slice."""

    first_revision: int
    revisions: list[list[KeyValue]]
    goes_on: bool


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


def head_of(data: bytes) -> Head:
    """What the first slice says. Raises SnapshotMismatch."""
    try:
        head = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise SnapshotMismatch(f"not a slice of a state: {error}") from error
    if not isinstance(head, Head):
        raise SnapshotMismatch("the head is missing")
    return head


def with_members(slices: Iterator[bytes], members: Sequence[MemberRecord]) -> Iterator[bytes]:
    """The same keys and leases in another cluster: no alarm is raised there, nobody was removed.
    Raises SnapshotMismatch."""
    head = head_of(next(slices, b""))
    yield _encode(msgspec.structs.replace(head, members=list(members), alarms=[], removed=[]))
    yield from slices


def stream_at(state: StateMachine, revision: int) -> Iterator[bytes]:
    """The state's present as if it were a later `revision` at which it was compacted: who knows of
    revisions in between, from a time that the state does not, cannot take them for its own."""
    keyspace = state.keyspace
    yield _encode(Head(revision, revision, state.leases.all_ttl_s()))
    yield from _keys_at(keyspace, keyspace.revision)
    yield _encode(Changes(revision + 1, [], False))


def _stream(state: StateMachine, head: Head) -> Iterator[bytes]:
    keyspace = state.keyspace
    yield _encode(head)
    base = max(head.compact_revision, FIRST_REVISION)
    yield from _keys_at(keyspace, base)
    if base > FIRST_REVISION:
        for part in by_size(keyspace.changes_of(base)):
            yield _encode(Kept(part))
    for changes in _changes(keyspace, base + 1, head.revision):
        yield _encode(changes)


def _keys_at(keyspace: Keyspace, revision: int) -> Iterator[bytes]:
    """Where none of the keys looked at lived then, the slice is empty: others may go on."""
    cursor: bytes | None = b""
    while cursor is not None:
        kvs, cursor = keyspace.slice_at(cursor, None, revision, SLICE_KEYS_MAX)
        for part in by_size(kvs):
            yield _encode(Keys(part))
        if not kvs:
            yield b""


def _changes(keyspace: Keyspace, first: int, last: int) -> Iterator[Changes]:
    """One revision may have any number of changes, so a slice may end within one."""
    begins, size_bytes = first, 0
    revisions: list[list[KeyValue]] = []
    for revision in range(first, last + 1):
        versions: list[KeyValue] = []
        revisions.append(versions)
        for kv in keyspace.changes_of(revision):
            versions.append(kv)
            size_bytes += _size_bytes(kv)
            if size_bytes >= SLICE_SIZE_BYTES:
                yield Changes(begins, revisions, True)
                begins, size_bytes = revision, 0
                versions = []
                revisions = [versions]
    yield Changes(begins, revisions, False)


def by_size(kvs: Sequence[KeyValue]) -> Iterator[list[KeyValue]]:
    """In parts of about `SLICE_SIZE_BYTES`."""
    part: list[KeyValue] = []
    size_bytes = 0
    for kv in kvs:
        part.append(kv)
        size_bytes += _size_bytes(kv)
        if size_bytes >= SLICE_SIZE_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part


def _size_bytes(kv: KeyValue) -> int:
    return len(kv.value) + len(kv.key) + 32


class SnapshotMismatch(Exception):
    """The slices are not those of one whole stream."""


class Loader:
    """Builds the state that `stream` was taken of; feed it every slice, in order."""

    def __init__(self) -> None:
        self._state = StateMachine()
        self._head: Head | None = None
        self._kept: list[KeyValue] = []
        self._changes_begun = False
        # Of the revision whose changes are being loaded.
        self._events: list[Event] = []

    def feed(self, data: bytes) -> None:
        """Raises SnapshotMismatch."""
        if not data:
            return
        try:
            part = _decoder.decode(data)
            self._feed[type(part)](self, part)
        except (msgspec.DecodeError, KeyError) as error:
            raise SnapshotMismatch(f"not a slice of a state: {error}") from error

    def finish(self) -> StateMachine:
        """The state, once every slice was fed."""
        head, state = self._head, self._state
        if head is None or self._events or state.keyspace.revision != head.revision:
            raise SnapshotMismatch("slices are missing")
        state.restore(head.members, head.alarms, head.removed)
        return state

    def _feed_head(self, head: Head) -> None:
        self._head = head
        for lease_id, ttl_s in head.leases.items():
            self._state.leases.grant(lease_id, ttl_s)

    def _feed_keys(self, keys: Keys) -> None:
        self._state.keyspace.load_keys(keys.kvs)
        for kv in keys.kvs:
            if kv.lease:
                self._move(kv.key, 0, kv.lease)

    def _feed_kept(self, kept: Kept) -> None:
        self._kept += kept.versions

    def _feed_changes(self, changes: Changes) -> None:
        keyspace = self._state.keyspace
        if not self._changes_begun:
            self._changes_begun = True
            keyspace.begin_changes(self._known_head().compact_revision, tuple(self._kept))
        if changes.first_revision != keyspace.revision + 1:
            raise SnapshotMismatch(f"changes from {changes.first_revision} do not follow on")
        last = len(changes.revisions) - 1
        for place, versions in enumerate(changes.revisions):
            self._events += map(self._load_version, versions)
            if place < last or not changes.goes_on:
                keyspace.record(keyspace.revision + 1, self._events)
                self._events = []

    def _load_version(self, kv: KeyValue) -> Event:
        if kv.version == 0 and kv.key not in self._state.keyspace.live:
            raise SnapshotMismatch(f"{kv.key!r} ends without having begun")
        event = self._state.keyspace.load_version(kv)
        self._move(kv.key, 0 if event.prev is None else event.prev.lease, kv.lease)
        return event

    def _move(self, key: bytes, old_lease: int, new_lease: int) -> None:
        """A lease that history knows may have ended since."""
        leases = self._state.leases
        leases.move(key, old_lease, new_lease if new_lease in leases else 0)

    def _known_head(self) -> Head:
        if self._head is None:
            raise SnapshotMismatch("the head is missing")
        return self._head

    _feed: ClassVar[dict[type, Callable[["Loader", Any], None]]] = {
        Head: _feed_head,
        Keys: _feed_keys,
        Kept: _feed_kept,
        Changes: _feed_changes,
    }
