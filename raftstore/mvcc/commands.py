"""Requests and their results (etcd's `KV`, `Lease`, `Cluster` and `Maintenance` services), and
their form in the log.

A command is MessagePack of a tagged array: small, quick, and a command that this version does not
know fails to decode instead of being read as another.
"""

from enum import IntEnum

import msgspec

from raftstore.mvcc.values import KeyValue


class SortOrder(IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareOperator(IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class Range(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """Keys in [key, range_end). An empty `range_end`: just `key`; b"\\0": all from `key` on.
    `revision` 0 reads the present. Bounds on revisions are inclusive, 0 is none."""

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class Put(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """`ignore_value` and `ignore_lease` keep the key's present ones (the key must exist)."""

    key: bytes
    value: bytes = b""
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class DeleteRange(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class Compare(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """With a `range_end`, the compare must hold for every key of the range."""

    key: bytes
    target: CompareTarget
    operator: CompareOperator
    value: int | bytes
    range_end: bytes = b""


class Txn(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    compare: list[Compare]
    success: list["Range | Put | DeleteRange | Txn"]
    failure: list["Range | Put | DeleteRange | Txn"] = []


class Compact(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    revision: int


class LeaseGrant(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    lease_id: int
    ttl_s: int


class LeaseRevoke(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    lease_id: int


class PublishMember(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """A member that has started says what it is called and where clients reach it."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]


class UpdateMember(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=9):
    """Where the other members reach it from now on."""

    member_id: int
    peer_urls: tuple[str, ...]


class AlarmKind(IntEnum):
    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


class SetAlarm(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=10):
    """Raise or disarm an alarm of a member. It holds for all of them."""

    member_id: int
    alarm: AlarmKind
    active: bool


Operation = Range | Put | DeleteRange | Txn
Command = (
    Put
    | DeleteRange
    | Txn
    | Compact
    | LeaseGrant
    | LeaseRevoke
    | PublishMember
    | UpdateMember
    | SetAlarm
)


class Proposal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a COMMAND entry of the log holds. By `id` the member where it was asked for finds who
    waits for its result; 0: nobody."""

    id: int
    command: Command


class RangeResult(msgspec.Struct, frozen=True):
    """`count` is how many keys the range holds, whatever the limit; `more`: the limit cut it."""

    revision: int
    kvs: list[KeyValue]
    count: int
    more: bool = False


class PutResult(msgspec.Struct, frozen=True):
    revision: int
    prev_kv: KeyValue | None = None


class DeleteRangeResult(msgspec.Struct, frozen=True):
    """`prev_kvs` is filled where the request asked for it."""

    revision: int
    deleted: int
    prev_kvs: list[KeyValue]


class TxnResult(msgspec.Struct, frozen=True):
    """`results` has one entry per operation that ran, in order."""

    revision: int
    succeeded: bool
    results: list["RangeResult | PutResult | DeleteRangeResult | TxnResult"]


class Empty(msgspec.Struct, frozen=True):
    """The result of a command that answers nothing but the revision."""

    revision: int


Result = RangeResult | PutResult | DeleteRangeResult | TxnResult | Empty

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Proposal] = msgspec.msgpack.Decoder(Proposal)


def encode_proposal(proposal_id: int, command: Command) -> bytes:
    """`decode_proposal` must be tried on it before it is logged: a value of a wrong type is only
    found there."""
    return _encode(Proposal(proposal_id, command))


decode_proposal = _decoder.decode
