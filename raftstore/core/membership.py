"""Who is in the cluster, entry by entry, and which changes are safe.

A membership holds from the moment its entry is in the log, committed or not (thesis, 4.1); where
that entry is dropped, the one before holds again. Two that follow each other differ by one voter
at most, so that a majority of one meets every majority of the other.
"""

import msgspec

from raftstore.core.messages import Entry, EntryKind, Membership, MembershipChange

_MEMBERSHIP = EntryKind.MEMBERSHIP
_decoder = msgspec.msgpack.Decoder(MembershipChange)


class MembershipInDoubt(Exception):
    """The change would not be safe now. `why` is for whoever asked."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def membership_entry(index: int, term: int, change: MembershipChange) -> Entry:
    return Entry(index, term, msgspec.msgpack.encode(change), _MEMBERSHIP)


def membership_of(entry: Entry) -> Membership:
    return _decoder.decode(entry.data).membership


def check_step(old: Membership, new: Membership) -> None:
    """Raises ValueError for what is no membership, MembershipInDoubt for more than one step."""
    if not new.voters:
        raise ValueError("a membership needs a voter")
    if len(set(new.members)) != len(new.members):
        raise ValueError(f"a member is named twice: {new}")
    if list(new.voters) != sorted(new.voters) or list(new.learners) != sorted(new.learners):
        raise ValueError(f"members are not sorted: {new}")
    if len(set(old.voters) ^ set(new.voters)) > 1:
        raise MembershipInDoubt("one voter is added or removed at a time")


class MembershipHistory:
    """Never empty: the first is that of the snapshot, or of the last entry that is not held."""

    def __init__(self, index: int, membership: Membership) -> None:
        self._steps = [(index, membership)]

    @property
    def latest(self) -> Membership:
        return self._steps[-1][1]

    @property
    def latest_index(self) -> int:
        """The index of the entry that `latest` comes from."""
        return self._steps[-1][0]

    def at(self, index: int) -> Membership:
        """The one that holds when the log ends at `index`; it must not be forgotten."""
        for first, membership in reversed(self._steps):
            if first <= index:
                return membership
        raise AssertionError(f"the membership at {index} is no longer known")

    def append(self, entry: Entry) -> None:
        self._steps.append((entry.index, membership_of(entry)))

    def truncate(self, index: int) -> None:
        """The entries from `index` on are dropped."""
        while self._steps[-1][0] >= index:
            self._steps.pop()

    def forget(self, index: int) -> None:
        """No one will ask for what was before `index`."""
        while len(self._steps) > 1 and self._steps[1][0] <= index:
            del self._steps[0]
