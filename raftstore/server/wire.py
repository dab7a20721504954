"""etcd's messages to the store's commands, and results to the bytes of answers.

An answer is put together from encoded parts: its header, made anew each time, then what it says.
Protobuf reads fields that follow each other as one message, so what many are told (an event, a
slice of a range) is encoded once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from pinnace_wire import etcd_kv_pb2 as kvpb
from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import (
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    SortOrder,
    SortTarget,
    Txn,
    TxnResult,
)
from raftstore.mvcc.check import TXN_OPS_MAX, check_delete, check_put, check_range
from raftstore.mvcc.errors import EmptyKey, KeyNotFound, TooManyOps
from raftstore.server.errors import InvalidCompare, InvalidSortOption


class HeaderSource(Protocol):
    """What of a node stands in every answer."""

    @property
    def cluster_id(self) -> int: ...

    @property
    def member_id(self) -> int: ...

    @property
    def term(self) -> int: ...


class Headers:
    """Makes the header field that every answer begins with: it has number 1 in all of them."""

    def __init__(self, node: HeaderSource) -> None:
        self._node = node
        # Any answer with nothing but a header encodes to that field.
        self._answer = rpc.CompactionResponse()
        self._header = self._answer.header
        self._header.cluster_id = node.cluster_id
        self._header.member_id = node.member_id

    def field(self, revision: int) -> bytes:
        header = self._header
        header.revision = revision
        header.raft_term = self._node.term
        return self._answer.SerializeToString()

    def message(self, revision: int) -> rpc.ResponseHeader:
        """The header itself, where an answer is built whole."""
        header = rpc.ResponseHeader()
        header.CopyFrom(self._header)
        header.revision = revision
        header.raft_term = self._node.term
        return header


# -- requests to commands. Checks run here, in etcd's order: the first fault is what is answered


def range_request(message: rpc.RangeRequest) -> Range:
    """Raises MvccError, InvalidSortOption."""
    try:
        order, target = SortOrder(message.sort_order), SortTarget(message.sort_target)
    except ValueError:
        if not message.key:
            raise EmptyKey from None
        raise InvalidSortOption from None
    request = Range(
        message.key,
        message.range_end,
        message.limit,
        message.revision,
        order,
        target,
        message.keys_only,
        message.count_only,
        message.min_mod_revision,
        message.max_mod_revision,
        message.min_create_revision,
        message.max_create_revision,
    )
    check_range(request)
    return request


def put_request(message: rpc.PutRequest) -> Put:
    """Raises MvccError."""
    put = Put(
        message.key,
        message.value,
        message.lease,
        message.prev_kv,
        message.ignore_value,
        message.ignore_lease,
    )
    check_put(put)
    return put


def delete_request(message: rpc.DeleteRangeRequest) -> DeleteRange:
    """Raises MvccError."""
    delete = DeleteRange(message.key, message.range_end, message.prev_kv)
    check_delete(delete)
    return delete


def txn_request(message: rpc.TxnRequest, ops_max: int = TXN_OPS_MAX) -> Txn:
    """A transaction inside another has only what operations the outer one leaves (etcd
    `checkTxnRequest`). Raises MvccError, Refused. Keys put twice are `mvcc.check`'s to find."""
    ops = max(len(message.compare), len(message.success), len(message.failure))
    if ops > ops_max:
        raise TooManyOps
    for compare in message.compare:
        if not compare.key:
            raise EmptyKey
    left = ops_max - ops
    return Txn(
        [_compare(compare) for compare in message.compare],
        [_operation(operation, left) for operation in message.success],
        [_operation(operation, left) for operation in message.failure],
    )


def _operation(message: rpc.RequestOp, ops_max: int) -> Range | Put | DeleteRange | Txn:
    which = message.WhichOneof("request")
    if which == "request_put":
        return put_request(message.request_put)
    if which == "request_range":
        return range_request(message.request_range)
    if which == "request_delete_range":
        return delete_request(message.request_delete_range)
    if which == "request_txn":
        return txn_request(message.request_txn, ops_max)
    # An operation that says nothing: this is etcd's answer to it.
    raise KeyNotFound


_COMPARED: Final[dict[int, Callable[[rpc.Compare], int | bytes]]] = {
    CompareTarget.VERSION: lambda compare: compare.version,
    CompareTarget.CREATE: lambda compare: compare.create_revision,
    CompareTarget.MOD: lambda compare: compare.mod_revision,
    CompareTarget.VALUE: lambda compare: compare.value,
    CompareTarget.LEASE: lambda compare: compare.lease,
}


def _compare(message: rpc.Compare) -> Compare:
    """Where the value given is not the target's, it is compared with that one's zero."""
    try:
        target, operator = CompareTarget(message.target), CompareOperator(message.result)
    except ValueError:
        raise InvalidCompare from None
    return Compare(message.key, target, operator, _COMPARED[target](message), message.range_end)


def is_serializable(message: rpc.TxnRequest) -> bool:
    """Whether every read of a transaction is content with what this member has."""
    return all(
        operation.request_range.serializable
        if operation.HasField("request_range")
        else operation.HasField("request_txn") and is_serializable(operation.request_txn)
        for operation in (*message.success, *message.failure)
    )


# -- results to bytes, all without their header


def key_value(kv: KeyValue) -> kvpb.KeyValue:
    return kvpb.KeyValue(
        key=kv.key,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        value=kv.value,
        lease=kv.lease,
    )


def encode_kvs(kvs: Iterable[KeyValue]) -> bytes:
    """Key-values as they stand in a RangeResponse."""
    message = rpc.RangeResponse()
    add = message.kvs.add
    for kv in kvs:
        # One assignment a field is quicker than keyword arguments.
        made = add()
        made.key = kv.key
        made.create_revision = kv.create_revision
        made.mod_revision = kv.mod_revision
        made.version = kv.version
        made.value = kv.value
        if kv.lease:
            made.lease = kv.lease
    return message.SerializeToString()


def encode_range(result: RangeResult) -> bytes:
    return encode_kvs(result.kvs) + encode_range_end(result)


def encode_range_end(result: RangeResult) -> bytes:
    """What a RangeResponse says beside its key-values."""
    return rpc.RangeResponse(count=result.count, more=result.more).SerializeToString()


def encode_put(result: PutResult) -> bytes:
    if result.prev_kv is None:
        return b""
    return rpc.PutResponse(prev_kv=key_value(result.prev_kv)).SerializeToString()


def encode_delete(result: DeleteRangeResult) -> bytes:
    return _delete_response(result).SerializeToString()


def encode_txn(result: TxnResult) -> bytes:
    return _txn_response(result).SerializeToString()


def encode_event(kv: KeyValue, prev: KeyValue | None) -> bytes:
    """One event as it stands in a WatchResponse."""
    message = rpc.WatchResponse()
    event = message.events.add()
    if kv.version == 0:
        event.type = kvpb.Event.DELETE
    made = event.kv
    made.key = kv.key
    made.create_revision = kv.create_revision
    made.mod_revision = kv.mod_revision
    made.version = kv.version
    made.value = kv.value
    made.lease = kv.lease
    if prev is not None:
        event.prev_kv.CopyFrom(key_value(prev))
    return message.SerializeToString()


def _delete_response(result: DeleteRangeResult) -> rpc.DeleteRangeResponse:
    prev_kvs = [key_value(kv) for kv in result.prev_kvs]
    return rpc.DeleteRangeResponse(deleted=result.deleted, prev_kvs=prev_kvs)


def _txn_response(result: TxnResult) -> rpc.TxnResponse:
    responses = [_operation_response(part) for part in result.results]
    return rpc.TxnResponse(succeeded=result.succeeded, responses=responses)


_Part = RangeResult | PutResult | DeleteRangeResult | TxnResult


def _operation_response(part: _Part) -> rpc.ResponseOp:
    """Inside a transaction a header says the revision and nothing else, and that of a transaction
    inside it nothing at all: so it is in etcd."""
    made = rpc.ResponseOp()
    name, build = _PARTS[type(part)]
    response = getattr(made, name)
    response.CopyFrom(build(part))
    response.header.SetInParent()
    if not isinstance(part, TxnResult):
        response.header.revision = part.revision
    return made


def _range_response(result: RangeResult) -> rpc.RangeResponse:
    kvs = [key_value(kv) for kv in result.kvs]
    return rpc.RangeResponse(kvs=kvs, more=result.more, count=result.count)


def _put_response(result: PutResult) -> rpc.PutResponse:
    if result.prev_kv is None:
        return rpc.PutResponse()
    return rpc.PutResponse(prev_kv=key_value(result.prev_kv))


_PARTS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    RangeResult: ("response_range", _range_response),
    PutResult: ("response_put", _put_response),
    DeleteRangeResult: ("response_delete_range", _delete_response),
    TxnResult: ("response_txn", _txn_response),
}


def by_size(
    kvs: Sequence[KeyValue], count_max: int, size_max_bytes: int
) -> Iterable[list[KeyValue]]:
    """`kvs` in slices of at most `count_max`, each closed once it holds `size_max_bytes`."""
    part: list[KeyValue] = []
    size_bytes = 0
    for kv in kvs:
        part.append(kv)
        size_bytes += len(kv.key) + len(kv.value)
        if len(part) >= count_max or size_bytes >= size_max_bytes:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part
