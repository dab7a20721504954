"""The Raft algorithm, pure: values in, values out.

    raft.tick() / raft.step(message) / raft.propose(data)     something happened
    ready = raft.ready()                                      what must now be done, in order:
        make `snapshot`, `entries` and `hard_state` durable; send `messages` at any time, and
        `messages_after_sync` only once that is durable; apply `committed`
    raft.advance()                                            it is done

Words and rules are those of "In Search of an Understandable Consensus Algorithm" (Ongaro and
Ousterhout, extended version: "paper") and of Ongaro's thesis. Neighbours: `raftstore.node` drives
it, `raftstore.disk` keeps what it says. It never reads a clock, a file or a socket, and two cores
with one seed and one script give the same answers. Members are those it was made with.
"""

from raftstore.core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    HardState,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
)
from raftstore.core.raft import Config, NotLeader, Raft, Ready, Role, Stored

__all__ = [
    "AppendEntries",
    "AppendEntriesResponse",
    "Config",
    "Entry",
    "HardState",
    "InstallSnapshot",
    "Message",
    "NotLeader",
    "Raft",
    "Ready",
    "RequestVote",
    "RequestVoteResponse",
    "Role",
    "SnapshotMeta",
    "Stored",
]
