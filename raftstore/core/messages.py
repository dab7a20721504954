"""Entries, what a member must not forget, and what members tell each other (paper, figure 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

NOBODY = 0


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Empty data: what a leader appends when it is elected (paper, section 8)."""

    index: int
    term: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """What survives a restart. `vote` is who got this member's vote in `term`, or NOBODY.
    `commit` may lag: it is learnt anew."""

    term: int = 0
    vote: int = NOBODY
    commit: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """The last entry a snapshot stands for (paper, section 7). No term or vote of a member."""

    index: int = 0
    term: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """`term` is the sender's; of a PreVote, the one it would campaign in."""

    sender: int
    to: int
    term: int


@dataclass(frozen=True, slots=True)
class RequestVote(Message):
    """`pre`: would you vote for me? Asked before the term is raised (thesis, section 9.6)."""

    last_log_index: int
    last_log_term: int
    pre: bool = False


@dataclass(frozen=True, slots=True)
class RequestVoteResponse(Message):
    granted: bool
    pre: bool = False


@dataclass(frozen=True, slots=True)
class AppendEntries(Message):
    """Without entries: a heartbeat."""

    prev_log_index: int
    prev_log_term: int
    entries: Sequence[Entry]
    leader_commit: int


@dataclass(frozen=True, slots=True)
class AppendEntriesResponse(Message):
    """`match_index`: with success, the last entry known to be the leader's; else the highest
    index at which the leader should try next."""

    success: bool
    match_index: int


@dataclass(frozen=True, slots=True)
class InstallSnapshot(Message):
    """The driver sends the state itself along with it. Answered by AppendEntriesResponse."""

    snapshot: SnapshotMeta
