"""The log in memory: entries after the snapshot, and how far they are durable, committed, applied.

Invariant: snapshot.index <= applied <= committed <= last_index, and applied <= stable.
"""

from bisect import bisect_right
from collections.abc import Sequence

from raftstore.core.membership import MembershipHistory
from raftstore.core.messages import Entry, EntryKind, Membership, SnapshotMeta

_MEMBERSHIP = EntryKind.MEMBERSHIP


class RaftLog:
    def __init__(self, snapshot: SnapshotMeta, entries: Sequence[Entry], committed: int) -> None:
        self.snapshot = snapshot
        self.memberships = MembershipHistory(snapshot.index, snapshot.membership)
        self._entries: list[Entry] = []
        # The entry at `_offset` is the last one that is no longer held; only its term is.
        self._offset = snapshot.index
        self._offset_term = snapshot.term
        self._extend(entries)
        self.stable = self.last_index
        self.committed = max(committed, snapshot.index)
        self.applied = snapshot.index
        # A snapshot from the leader that is not durable yet.
        self.unstable_snapshot: SnapshotMeta | None = None

    @property
    def last_index(self) -> int:
        return self._offset + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self._offset_term

    def term(self, index: int) -> int | None:
        """The term of the entry at `index`; None where it is not known here."""
        if index == self._offset:
            return self._offset_term
        if self._offset < index <= self.last_index:
            return self._entries[index - self._offset - 1].term
        return None

    def membership_at(self, index: int) -> Membership:
        """Who is in the cluster as of the entry at `index`, which is held or the last that was."""
        return self.memberships.at(index)

    def slice(self, first: int, last: int) -> list[Entry]:
        """Entries `first` to `last`, both included; they must be held."""
        assert first > self._offset, "compacted entries were asked for"
        return self._entries[first - self._offset - 1 : last - self._offset]

    def batch(self, first: int, size_max_bytes: int) -> list[Entry]:
        """Entries from `first` on, of at most that much data, or one."""
        entries = self._entries
        start = stop = first - self._offset - 1
        assert start >= 0, "compacted entries were asked for"
        size_bytes = 0
        while stop < len(entries):
            size_bytes += len(entries[stop].data)
            if size_bytes > size_max_bytes and stop > start:
                break
            stop += 1
        return entries[start:stop]

    def held_from(self) -> int:
        """The first index that is still held."""
        return self._offset + 1

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends so holds at least what this one does (paper, 5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def last_not_after(self, index: int, term: int) -> int:
        """The last entry up to `index` whose term is `term` or earlier. A log whose entry at
        `index` has that term can share nothing with this one behind it: terms never fall, so that
        one question skips all entries of a term (paper, end of 5.3). Where it is no longer held:
        some index before what is."""
        hi = min(index, self.last_index) - self._offset
        place = bisect_right(self._entries, term, hi=max(hi, 0), key=lambda entry: entry.term)
        if place > 0 or (hi >= 0 and self._offset_term <= term):
            return self._offset + place
        return max(min(index, self._offset - 1), 0)

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)
        if entry.kind is _MEMBERSHIP:
            self.memberships.append(entry)

    def append_from_leader(self, entries: Sequence[Entry]) -> None:
        """Add what is new; from the first conflict on, ours is dropped (paper, 5.3)."""
        if entries and entries[0].index == self.last_index + 1:
            self._extend(entries)
            return
        for place, entry in enumerate(entries):
            if self.term(entry.index) != entry.term:
                self._truncate(entry.index)
                self._extend(entries[place:])
                return

    def _extend(self, entries: Sequence[Entry]) -> None:
        self._entries.extend(entries)
        for entry in entries:
            if entry.kind is _MEMBERSHIP:
                self.memberships.append(entry)

    def _truncate(self, index: int) -> None:
        assert index > self.committed, "a committed entry would be dropped"
        del self._entries[index - self._offset - 1 :]
        self.memberships.truncate(index)
        self.stable = min(self.stable, index - 1)

    def unstable(self, entries_max: int) -> list[Entry]:
        """The first entries that are not durable."""
        first = self.stable - self._offset
        return self._entries[first : first + entries_max]

    def became_stable(self, last: Entry) -> None:
        """`last` and all before it are durable, unless a leader has replaced it meanwhile."""
        if last.index > self.stable and self.term(last.index) == last.term:
            self.stable = last.index

    def commit_to(self, index: int) -> None:
        self.committed = max(self.committed, min(index, self.last_index))

    def to_apply(self, entries_max: int) -> list[Entry]:
        """The first committed entries that are durable here and not applied yet."""
        last = min(self.committed, self.stable, self.applied + entries_max)
        return self.slice(self.applied + 1, last) if last > self.applied else []

    def applied_to(self, index: int) -> None:
        """A snapshot may have gone further meanwhile."""
        self.applied = max(self.applied, index)

    def restore(self, snapshot: SnapshotMeta) -> None:
        """Everything here is replaced by what the leader's snapshot holds (paper, section 7)."""
        self.snapshot = self.unstable_snapshot = snapshot
        self.memberships = MembershipHistory(snapshot.index, snapshot.membership)
        self._entries = []
        self._offset, self._offset_term = snapshot.index, snapshot.term
        self.stable = self.committed = self.applied = snapshot.index

    def snapshot_taken(self, snapshot: SnapshotMeta) -> None:
        """One from the leader may have been installed while this one was being written."""
        if snapshot.index > self.snapshot.index:
            self.snapshot = snapshot

    def release(self, index: int) -> None:
        """Forget entries up to `index` in memory; they must be applied."""
        assert index <= self.applied, "an entry that is not applied would be forgotten"
        if index > self._offset:
            self._offset_term = self._entries[index - self._offset - 1].term
            del self._entries[: index - self._offset]
            self._offset = index
            self.memberships.forget(index)
