"""Keys, their versions and the order of changes: what every read and watch looks at.

Three structures share the same `KeyValue` objects: the live keys, each key's older versions since
the compaction, and the changes per revision. Revisions have no gaps (every write transaction that
changes something takes the next one), so the changes of a revision are found by its number.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from raftstore.mvcc.errors import Compacted, FutureRevision
from raftstore.mvcc.sortedkeys import SortedKeys
from raftstore.mvcc.values import Event, KeyValue, tombstone

# The revision of a store that was never written, as in etcd.
FIRST_REVISION = 1

_TUPLE_VERSIONS_MAX = 8

_mod_revision = attrgetter("mod_revision")


class Keyspace:
    """`revision` is the last one written; `compact_revision` the oldest that can be read."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0
        self.live: dict[bytes, KeyValue] = {}
        self.live_keys = SortedKeys()
        # Versions that a later one replaced, oldest first, deletions among them. Few in a tuple:
        # the garbage collector lets go of one whose members it need not visit, and a million
        # lists would hold up the store for a fifth of a second.
        self._older: dict[bytes, tuple[KeyValue, ...] | list[KeyValue]] = {}
        self._dead_keys = SortedKeys()
        # Per revision from `_first_change` on: one version, or a tuple of them.
        self._changes: list[KeyValue | tuple[KeyValue, ...]] = []
        self._first_change = FIRST_REVISION + 1
        # The first revision whose changes, from the one at this place on, may have left
        # unreadable versions.
        self._prune_from = FIRST_REVISION + 1
        self._prune_place = 0
        self.size_bytes = 0

    # -- writing: the state machine calls put and delete, then record, once per revision

    def put(self, key: bytes, value: bytes, lease: int, revision: int) -> Event:
        prev = self.live.get(key)
        if prev is None:
            kv = KeyValue(key, value, revision, revision, 1, lease)
            if key in self._older:
                # Its name is there still, and counted.
                self._dead_keys.remove(key)
            else:
                self.size_bytes += len(key)
            self.live_keys.add(key)
            self.size_bytes += len(value)
        else:
            # The key of the version before is the same bytes: keep one of them in memory.
            key = prev.key
            kv = KeyValue(key, value, prev.create_revision, revision, prev.version + 1, lease)
            self._keep(key, (prev,))
            self.size_bytes += len(value)
        self.live[key] = kv
        return Event(kv, prev)

    def delete(self, key: bytes, revision: int) -> Event:
        """The end of a key that lives."""
        prev = self.live.pop(key)
        gone = tombstone(prev.key, revision)
        self._keep(prev.key, (prev, gone))
        self.live_keys.remove(key)
        self._dead_keys.add(prev.key)
        return Event(gone, prev)

    def _keep(self, key: bytes, versions: tuple[KeyValue, ...]) -> None:
        older = self._older.get(key)
        if older is None:
            self._older[key] = versions
        elif isinstance(older, list):
            older += versions
        elif len(older) < _TUPLE_VERSIONS_MAX:
            self._older[key] = (*older, *versions)
        else:
            self._older[key] = [*older, *versions]

    def record(self, revision: int, events: Sequence[Event]) -> None:
        """`events` are all the changes of `revision`, the one after the last."""
        assert revision == self.revision + 1, "a revision has no gap before it"
        self.revision = revision
        if len(events) == 1:
            self._changes.append(events[0].kv)
        else:
            self._changes.append(tuple(event.kv for event in events))

    # -- reading

    def check_revision(self, revision: int) -> None:
        """Raise where `revision` is not readable: etcd's errors."""
        if revision > self.revision:
            raise FutureRevision
        if 0 < revision < self.compact_revision:
            raise Compacted(self.compact_revision)

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """The key as it was at `revision`."""
        kv = self.live.get(key)
        if kv is not None and kv.mod_revision <= revision:
            return kv
        older = self._older.get(key)
        if not older:
            return None
        place = bisect_right(older, revision, key=_mod_revision)
        if place == 0 or older[place - 1].version == 0:
            return None
        return older[place - 1]

    def slice_at(
        self, start: bytes, end: bytes | None, revision: int, key_limit: int = 0
    ) -> tuple[list[KeyValue], bytes | None]:
        """The keys in [start, end) as of `revision`, from at most `key_limit` keys looked at;
        with it, the key to go on from, None when the range is done."""
        live = self.live_keys.slice(start, end, key_limit)
        dead = self._dead_keys.slice(start, end, key_limit)
        keys = sorted(live + dead)
        more = None
        if key_limit and (len(keys) > key_limit or key_limit in (len(live), len(dead))):
            # Not on from the next of `keys`: where one of the two was cut, others lie before it.
            del keys[key_limit:]
            more = keys[-1] + b"\0"
        found = [kv for key in keys if (kv := self.at(key, revision)) is not None]
        return found, more

    def changes_of(self, revision: int) -> tuple[KeyValue, ...]:
        """What `revision` changed; it must not be compacted away. Nothing, where a restored backup
        has left a gap before the compacted revision."""
        if revision < self._first_change:
            assert revision == self.compact_revision, "compacted changes were asked for"
            return ()
        change = self._changes[revision - self._first_change]
        return change if isinstance(change, tuple) else (change,)

    def events_of(self, revision: int) -> Iterator[Event]:
        """The events of a past revision. What an event replaced is told where it can be read."""
        readable = revision - 1 >= self.compact_revision
        # One nested transaction may delete what another one has put.
        before: dict[bytes, KeyValue | None] = {}
        for kv in self.changes_of(revision):
            if kv.key in before:
                prev = before[kv.key]
            else:
                prev = self.at(kv.key, revision - 1) if readable else None
            before[kv.key] = kv if kv.version else None
            yield Event(kv, prev)

    # -- compaction: at once in what can be read, in slices in memory

    def compact(self, revision: int) -> None:
        """Make everything before `revision` unreadable; `prune` then frees it."""
        if revision <= self.compact_revision:
            raise Compacted(self.compact_revision)
        if revision > self.revision:
            raise FutureRevision
        self.compact_revision = revision

    @property
    def unpruned(self) -> int:
        """How many compacted revisions are still in memory."""
        under_way = int(self._prune_from <= self.compact_revision)
        return max(self.compact_revision - self._first_change, under_way)

    def prune(self, limit: int) -> bool:
        """Free at most about `limit` versions that the compaction has made unreadable; whether
        that was all."""
        while self._prune_from <= self.compact_revision and limit > 0:
            limit = self._prune_revision(limit)
        # The changes of the compacted revision itself stay: a watch may begin there, and must see
        # a deletion too (etcd-io/etcd#19179).
        first = min(self._prune_from, self.compact_revision)
        if first > self._first_change:
            del self._changes[: first - self._first_change]
            self._first_change = first
        return self._prune_from > self.compact_revision

    def _prune_revision(self, limit: int) -> int:
        """What is left of `limit`. One revision may end any number of keys, and one key may have
        any number of versions: both go on at the next step."""
        changes = self.changes_of(self._prune_from)
        while self._prune_place < len(changes):
            if limit <= 0:
                return 0
            freed = self._prune_key(changes[self._prune_place].key, limit)
            if freed == limit:
                return 0
            limit -= freed + 1
            self._prune_place += 1
        self._prune_from += 1
        self._prune_place = 0
        return limit

    def _prune_key(self, key: bytes, limit: int) -> int:
        """Drop the oldest versions that no revision from the compaction on can see, at most
        `limit`; returns how many."""
        older = self._older.get(key)
        if older is None:
            return 0
        seen = bisect_right(older, self.compact_revision, key=_mod_revision) - 1
        live = self.live.get(key)
        if live is not None and live.mod_revision <= self.compact_revision:
            seen = len(older)
        elif seen >= 0 and older[seen].version == 0:
            seen += 1
        freed = max(0, min(seen, limit))
        for kv in older[:freed]:
            self.size_bytes -= len(kv.value)
        if isinstance(older, list):
            del older[:freed]
        else:
            self._older[key] = older = older[freed:]
        if not older:
            del self._older[key]
            if live is None:
                self._dead_keys.remove(key)
                self.size_bytes -= len(key)
        return freed

    # -- loading a snapshot: keys, then what the compacted revision changed, then changes since

    def load_keys(self, kvs: Sequence[KeyValue]) -> None:
        """Keys as of the snapshot's compacted revision, in order, behind those loaded before."""
        keys = [kv.key for kv in kvs]
        self.live.update(zip(keys, kvs, strict=True))
        self.live_keys.extend(keys)
        self.size_bytes += sum(len(kv.key) + len(kv.value) for kv in kvs)

    def begin_changes(self, compact_revision: int, kept: tuple[KeyValue, ...]) -> None:
        """All keys are loaded; `kept` are the changes of `compact_revision` itself."""
        self.compact_revision = compact_revision
        self.revision = max(FIRST_REVISION, compact_revision)
        self._first_change = self._prune_from = self.revision + 1
        if kept:
            self._first_change = compact_revision
            self._changes = [kept[0] if len(kept) == 1 else kept]

    def load_version(self, kv: KeyValue) -> Event:
        """A change of the next revision, to be recorded with the others. Raises KeyError where a
        key ends that does not live."""
        if kv.version == 0:
            return self.delete(kv.key, kv.mod_revision)
        return self.put(kv.key, kv.value, kv.lease, kv.mod_revision)
