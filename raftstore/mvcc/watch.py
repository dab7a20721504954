"""Watches: who hears of which keys, from which revision on.

A watcher that asked for past revisions catches up first, in slices that the caller doles out, and
then hears each revision as it is applied. Every revision reaches it once, whole and in order, also
where the state is replaced by a newer one under way.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from raftstore.mvcc.errors import Compacted
from raftstore.mvcc.keyspace import FIRST_REVISION, Keyspace
from raftstore.mvcc.ranges import bounds
from raftstore.mvcc.values import Event

# Is given the events of one revision, and that revision.
Sink = Callable[[Sequence[Event], int], None]
# Is given the compacted revision.
CompactedSink = Callable[[int], None]


class Watcher:
    """One subscription. It hears of nothing before `next_revision`, which grows while it catches
    up. `synced`: all that was applied, and that it wants, it has heard."""

    __slots__ = (
        "_hub",
        "active",
        "end",
        "next_revision",
        "on_compacted",
        "sink",
        "start",
        "synced",
    )

    def __init__(
        self,
        hub: "WatchHub",
        start: bytes,
        end: bytes | None,
        next_revision: int,
        sink: Sink,
        on_compacted: CompactedSink | None,
    ) -> None:
        self._hub = hub
        self.start = start
        self.end = end
        self.next_revision = next_revision
        self.sink = sink
        self.on_compacted = on_compacted
        self.active = True
        self.synced = False

    def wants(self, key: bytes) -> bool:
        return self.start <= key and (self.end is None or key < self.end)

    def cancel(self) -> None:
        if self.active:
            self.active = False
            self._hub.remove(self)


class WatchHub:
    """`on_sink_error` hears of sinks that raise; the others are told all the same."""

    def __init__(self, keyspace: Keyspace, on_sink_error: Callable[[Exception], None]) -> None:
        self._keyspace = keyspace
        self._on_sink_error = on_sink_error
        self._catching_up: list[Watcher] = []
        self._of_key: dict[bytes, tuple[Watcher, ...]] = {}
        self._of_range: dict[tuple[bytes, bytes | None], tuple[Watcher, ...]] = {}
        # The ranges cut into segments: `_segments[i]` hears the keys from `_cuts[i - 1]` up to
        # `_cuts[i]`. Built anew when a range comes or goes.
        self._cuts: list[bytes] = []
        self._segments: list[tuple[Watcher, ...]] = [()]
        self._stale = False
        self.watcher_count = 0

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Sink,
        on_compacted: CompactedSink | None = None,
    ) -> Watcher:
        """Hear of the range from `start_revision` (0: from the next revision) on. Nothing is
        heard before this returns. `on_compacted` is how the watcher learns that it is over,
        because `restore` brought a state without what it had still to hear. Raises Compacted."""
        keyspace = self._keyspace
        if 0 < start_revision < keyspace.compact_revision:
            raise Compacted(keyspace.compact_revision)
        start, end = bounds(key, range_end)
        # Nothing was written at the first revision.
        first = keyspace.revision + 1
        if start_revision > 0:
            first = max(start_revision, FIRST_REVISION + 1)
        watcher = Watcher(self, start, end, first, sink, on_compacted)
        self.watcher_count += 1
        self._add(watcher)
        return watcher

    def restore(self, keyspace: Keyspace) -> None:
        """The state was replaced by a newer one. Who has heard all of the old one goes on behind
        it, who was catching up where it was, and who waits for the future goes on waiting."""
        seen = self._keyspace.revision
        assert keyspace.revision >= seen, "a state is never replaced by an older one"
        watchers = [*self._catching_up, *self._all_synced()]
        self._keyspace = keyspace
        self._catching_up, self._of_key, self._of_range = [], {}, {}
        self._stale = True
        lost = []
        for watcher in watchers:
            if watcher.synced:
                watcher.next_revision = max(watcher.next_revision, seen + 1)
            if watcher.next_revision < keyspace.compact_revision:
                watcher.active = watcher.synced = False
                self.watcher_count -= 1
                lost.append(watcher)
            else:
                self._add(watcher)
        # They may watch anew, or cancel others, when they hear of it.
        for watcher in lost:
            self._tell_compacted(watcher)

    def _add(self, watcher: Watcher) -> None:
        watcher.synced = watcher.next_revision > self._keyspace.revision
        if not watcher.synced:
            self._catching_up.append(watcher)
            return
        table, where = self._place(watcher)
        table[where] = (*table.get(where, ()), watcher)
        self._stale = True

    def _all_synced(self) -> Iterator[Watcher]:
        for table in (self._of_key, self._of_range):
            yield from chain.from_iterable(table.values())

    def remove(self, watcher: Watcher) -> None:
        self.watcher_count -= 1
        if not watcher.synced:
            self._catching_up.remove(watcher)
            return
        table, where = self._place(watcher)
        rest = tuple(w for w in table[where] if w is not watcher)
        if rest:
            table[where] = rest
        else:
            del table[where]
        self._stale = True

    def publish(self, revision: int, events: Sequence[Event]) -> None:
        """Tell the watchers that are up to date of the revision that was just applied."""
        if self._stale:
            self._cut_ranges()
        if len(events) == 1:
            for watcher in self._watchers_of(events[0].kv.key):
                self._tell(watcher, events, revision)
            return
        heard: dict[Watcher, list[Event]] = {}
        for event in events:
            for watcher in self._watchers_of(event.kv.key):
                heard.setdefault(watcher, []).append(event)
        for watcher, its_events in heard.items():
            self._tell(watcher, its_events, revision)

    def catch_up(self, revision_limit: int) -> bool:
        """Tell watchers of past revisions, at most `revision_limit` of them in all; whether every
        watcher is up to date now."""
        while self._catching_up and revision_limit > 0:
            watcher = self._catching_up[0]
            upto = min(watcher.next_revision + revision_limit, self._keyspace.revision + 1)
            revision_limit -= upto - watcher.next_revision
            self._tell_past(watcher, upto)
            if watcher.active and watcher.next_revision > self._keyspace.revision:
                self._catching_up.remove(watcher)
                self._add(watcher)
        return not self._catching_up

    @property
    def is_catching_up(self) -> bool:
        """While it is, the history that somebody still waits for must not be freed."""
        return bool(self._catching_up)

    def _tell_past(self, watcher: Watcher, upto: int) -> None:
        keyspace = self._keyspace
        while watcher.active and watcher.next_revision < upto:
            revision = watcher.next_revision
            if any(watcher.wants(kv.key) for kv in keyspace.changes_of(revision)):
                events = [e for e in keyspace.events_of(revision) if watcher.wants(e.kv.key)]
                self._tell(watcher, events, revision)
            watcher.next_revision = revision + 1

    def _tell(self, watcher: Watcher, events: Sequence[Event], revision: int) -> None:
        if not watcher.active or watcher.next_revision > revision:
            return
        try:
            watcher.sink(events, revision)
        except Exception as error:
            self._on_sink_error(error)

    def _tell_compacted(self, watcher: Watcher) -> None:
        gone = Compacted(self._keyspace.compact_revision)
        try:
            if watcher.on_compacted is None:
                raise gone
            watcher.on_compacted(gone.compact_revision)
        except Exception as error:
            self._on_sink_error(error)

    def _place(self, watcher: Watcher) -> tuple[dict[object, tuple[Watcher, ...]], object]:
        if watcher.end == watcher.start + b"\0":
            return self._of_key, watcher.start  # type: ignore[return-value]
        return self._of_range, (watcher.start, watcher.end)  # type: ignore[return-value]

    def _watchers_of(self, key: bytes) -> tuple[Watcher, ...]:
        ranges = self._segments[bisect_right(self._cuts, key)]
        return ranges + self._of_key[key] if key in self._of_key else ranges

    def _cut_ranges(self) -> None:
        self._stale = False
        edges = {edge for range_ in self._of_range for edge in range_ if edge is not None}
        self._cuts = sorted(edges)
        self._segments = [()]
        begins, ends = _by_edge(self._of_range, 0), _by_edge(self._of_range, 1)
        open_ranges: dict[tuple[bytes, bytes | None], None] = {}
        for cut in self._cuts:
            for range_ in ends.get(cut, ()):
                open_ranges.pop(range_, None)
            # A range that ends where or before it begins holds nothing.
            open_ranges.update((r, None) for r in begins.get(cut, ()) if _below(cut, r[1]))
            inside = (self._of_range[range_] for range_ in open_ranges)
            self._segments.append(tuple(chain.from_iterable(inside)))


def _by_edge(
    ranges: Iterable[tuple[bytes, bytes | None]], edge: int
) -> dict[bytes, list[tuple[bytes, bytes | None]]]:
    found: dict[bytes, list[tuple[bytes, bytes | None]]] = {}
    for range_ in ranges:
        at = range_[edge]
        if at is not None:
            found.setdefault(at, []).append(range_)
    return found


def _below(key: bytes, end: bytes | None) -> bool:
    return end is None or key < end
