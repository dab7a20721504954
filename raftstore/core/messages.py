"""Entries, what a member must not forget, and what members tell each other (paper, figure 2)."""

from collections.abc import Sequence
from enum import IntEnum

import msgspec

NOBODY = 0


class Membership(msgspec.Struct, frozen=True, array_like=True):
    """Who is in the cluster. Learners get the log and have no vote (thesis, 4.2.1). Both sorted."""

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()

    def __contains__(self, member: int) -> bool:
        return member in self.voters or member in self.learners

    @property
    def members(self) -> tuple[int, ...]:
        return (*self.voters, *self.learners)


class EntryKind(IntEnum):
    COMMAND = 0
    MEMBERSHIP = 1


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A COMMAND without data is what a leader appends when it is elected (paper, section 8). The
    data of a MEMBERSHIP entry is a `MembershipChange`."""

    index: int
    term: int
    data: bytes
    kind: EntryKind = EntryKind.COMMAND


class MembershipChange(msgspec.Struct, frozen=True, array_like=True):
    """The membership from this entry on, and what the state machine wants to know about it."""

    membership: Membership
    context: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True):
    """What survives a restart. `vote` is who got this member's vote in `term`, or NOBODY.
    `commit` may lag: it is learnt anew."""

    term: int = 0
    vote: int = NOBODY
    commit: int = 0


class SnapshotMeta(msgspec.Struct, frozen=True, array_like=True):
    """The last entry a snapshot stands for (paper, section 7), and who was in the cluster then.
    No term or vote of a member."""

    index: int = 0
    term: int = 0
    membership: Membership = Membership()


class RequestVote(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`pre`: would you vote for me? Asked before the term is raised (thesis, section 9.6); `term`
    is then the one it would campaign in. `transfer`: the leader itself asked for this election,
    so that who hears from it need not protect it (thesis, 3.10 and 4.2.3)."""

    sender: int
    to: int
    term: int
    last_log_index: int
    last_log_term: int
    pre: bool = False
    transfer: bool = False


class RequestVoteResponse(msgspec.Struct, frozen=True, array_like=True, tag=2):
    sender: int
    to: int
    term: int
    granted: bool
    pre: bool = False


class AppendEntries(msgspec.Struct, frozen=True, array_like=True, tag=3):
    sender: int
    to: int
    term: int
    prev_log_index: int
    prev_log_term: int
    entries: Sequence[Entry]
    leader_commit: int


class AppendEntriesResponse(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """With success, `match_index` is the last entry known to be the leader's. Else it is the
    highest index at which the leader should try next, `match_term` the term of the entry there,
    and `rejected_index` the `prev_log_index` that did not match: an answer to an older message is
    told by it."""

    sender: int
    to: int
    term: int
    success: bool
    match_index: int
    match_term: int = 0
    rejected_index: int = 0


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """`leader_commit` is nothing that the member is not known to have. `round` counts the leader's
    heartbeats: who answers one has seen no later term when it was sent, which confirms the reads
    that waited for it (thesis, 6.4). Round 0 only tells of the commit, and is not answered."""

    sender: int
    to: int
    term: int
    leader_commit: int
    round: int


class HeartbeatResponse(msgspec.Struct, frozen=True, array_like=True, tag=6):
    sender: int
    to: int
    term: int
    round: int


class InstallSnapshot(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The driver sends the state itself along with it. Answered by AppendEntriesResponse."""

    sender: int
    to: int
    term: int
    snapshot: SnapshotMeta


class TimeoutNow(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The leader hands over: campaign at once (thesis, 3.10)."""

    sender: int
    to: int
    term: int


class ReadIndex(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A follower asks the leader what it must have applied to answer a read (thesis, 6.4)."""

    sender: int
    to: int
    term: int
    context: int


class ReadIndexResponse(msgspec.Struct, frozen=True, array_like=True, tag=10):
    sender: int
    to: int
    term: int
    context: int
    index: int


Message = (
    RequestVote
    | RequestVoteResponse
    | AppendEntries
    | AppendEntriesResponse
    | Heartbeat
    | HeartbeatResponse
    | InstallSnapshot
    | TimeoutNow
    | ReadIndex
    | ReadIndexResponse
)
