"""The state machine: etcd's keyspace with revisions, in memory.

`StateMachine.apply(command)` takes what the log committed and returns a result and the events it
caused; two members that apply the same commands hold the same state. Reads, watches and snapshots
look at revisions and never wait. It never reads a clock (leases end because the leader put their
end into the log), never does I/O and never knows that there is a log.
"""

from raftstore.mvcc.commands import (
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
    Put,
    PutResult,
    Range,
    RangeResult,
    Result,
    SortOrder,
    SortTarget,
    Txn,
    TxnResult,
    decode_command,
    encode_command,
)
from raftstore.mvcc.errors import MvccError
from raftstore.mvcc.keyspace import Keyspace
from raftstore.mvcc.statemachine import StateMachine
from raftstore.mvcc.values import Event, KeyValue
from raftstore.mvcc.watch import Watcher, WatchHub

__all__ = [
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
    "MvccError",
    "Put",
    "PutResult",
    "Range",
    "RangeResult",
    "Result",
    "SortOrder",
    "SortTarget",
    "StateMachine",
    "Txn",
    "TxnResult",
    "WatchHub",
    "Watcher",
    "decode_command",
    "encode_command",
]
