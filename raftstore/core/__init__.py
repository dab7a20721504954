"""The Raft algorithm, pure: values in, values out.

    raft.tick() / raft.step(message) / raft.propose(data)     something happened
    ready = raft.ready()                                      what must now be done, in order:
        make `snapshot`, `entries` and `hard_state` durable; send `messages` at any time, and
        `messages_after_sync` only once that is durable; apply `committed`; answer `reads` when
        what they say is applied
    raft.advance()                                            it is done

Words and rules are those of "In Search of an Understandable Consensus Algorithm" (Ongaro and
Ousterhout, extended version: "paper") and of Ongaro's thesis. Neighbours: `raftstore.node` drives
it, `raftstore.disk` keeps what it says. It never reads a clock, a file or a socket, and two cores
with one seed and one script give the same answers. Who the members are is in the log.
"""

from raftstore.core.membership import MembershipInDoubt, membership_entry, membership_of
from raftstore.core.messages import (
    NOBODY,
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Membership,
    MembershipChange,
    Message,
    ReadIndex,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
    TimeoutNow,
)
from raftstore.core.progress import Progress, ProgressState
from raftstore.core.raft import NotLeader, Raft, Role
from raftstore.core.ready import Config, Ready, Stored

__all__ = [
    "NOBODY",
    "AppendEntries",
    "AppendEntriesResponse",
    "Config",
    "Entry",
    "EntryKind",
    "HardState",
    "Heartbeat",
    "HeartbeatResponse",
    "InstallSnapshot",
    "Membership",
    "MembershipChange",
    "MembershipInDoubt",
    "Message",
    "NotLeader",
    "Progress",
    "ProgressState",
    "Raft",
    "ReadIndex",
    "ReadIndexResponse",
    "Ready",
    "RequestVote",
    "RequestVoteResponse",
    "Role",
    "SnapshotMeta",
    "Stored",
    "TimeoutNow",
    "membership_entry",
    "membership_of",
]
