"""The state machine: etcd's keyspace with revisions, in memory.

`StateMachine.apply(command)` takes what the log committed and returns a result and the events it
caused; two members that apply the same commands hold the same state. Reads, watches and snapshots
look at revisions and never wait. It never reads a clock (leases end because the leader put their
end into the log), never does I/O and never knows how the log is kept.
"""

from raftstore.mvcc.commands import (
    AlarmKind,
    Command,
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    Empty,
    LeaseGrant,
    LeaseRevoke,
    Proposal,
    PublishMember,
    Put,
    PutResult,
    Range,
    RangeResult,
    Result,
    SetAlarm,
    SortOrder,
    SortTarget,
    Txn,
    TxnResult,
    UpdateMember,
    decode_proposal,
    encode_proposal,
)
from raftstore.mvcc.errors import MvccError
from raftstore.mvcc.keyspace import Keyspace
from raftstore.mvcc.members import MemberRecord, decode_members, encode_members
from raftstore.mvcc.statemachine import StateMachine
from raftstore.mvcc.values import Event, KeyValue
from raftstore.mvcc.watch import Watcher, WatchHub

__all__ = [
    "AlarmKind",
    "Command",
    "Compact",
    "Compare",
    "CompareOperator",
    "CompareTarget",
    "DeleteRange",
    "DeleteRangeResult",
    "Empty",
    "Event",
    "KeyValue",
    "Keyspace",
    "LeaseGrant",
    "LeaseRevoke",
    "MemberRecord",
    "MvccError",
    "Proposal",
    "PublishMember",
    "Put",
    "PutResult",
    "Range",
    "RangeResult",
    "Result",
    "SetAlarm",
    "SortOrder",
    "SortTarget",
    "StateMachine",
    "Txn",
    "TxnResult",
    "UpdateMember",
    "WatchHub",
    "Watcher",
    "decode_members",
    "decode_proposal",
    "encode_members",
    "encode_proposal",
]
