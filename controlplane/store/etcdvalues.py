"""The protocol's values as etcd's messages, and back."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from controlplane.store.protocol import (
    Compare,
    CompareTarget,
    Event,
    KeyValue,
    Op,
    RangeResult,
    TxnResult,
)
from pinnace_wire import etcd_kv_pb2, etcd_rpc_pb2

_TARGETS = {
    CompareTarget.VERSION: etcd_rpc_pb2.Compare.VERSION,
    CompareTarget.CREATE: etcd_rpc_pb2.Compare.CREATE,
    CompareTarget.MOD: etcd_rpc_pb2.Compare.MOD,
    CompareTarget.VALUE: etcd_rpc_pb2.Compare.VALUE,
    CompareTarget.LEASE: etcd_rpc_pb2.Compare.LEASE,
}

_OPERATORS = {
    "=": etcd_rpc_pb2.Compare.EQUAL,
    "!=": etcd_rpc_pb2.Compare.NOT_EQUAL,
    "<": etcd_rpc_pb2.Compare.LESS,
    ">": etcd_rpc_pb2.Compare.GREATER,
}


def txn_request(
    compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op]
) -> etcd_rpc_pb2.TxnRequest:
    return etcd_rpc_pb2.TxnRequest(
        compare=[_compare(compare) for compare in compares],
        success=[_operation(op) for op in success],
        failure=[_operation(op) for op in failure],
    )


def _compare(compare: Compare) -> etcd_rpc_pb2.Compare:
    message = etcd_rpc_pb2.Compare(
        result=_OPERATORS[compare.operator], target=_TARGETS[compare.target], key=compare.key
    )
    setattr(message, compare.target.value, compare.value)
    return message


def _operation(op: Op) -> etcd_rpc_pb2.RequestOp:
    if op.kind == "put":
        put = etcd_rpc_pb2.PutRequest(key=op.key, value=op.value, lease=op.lease)
        return etcd_rpc_pb2.RequestOp(request_put=put)
    if op.kind == "delete":
        delete = etcd_rpc_pb2.DeleteRangeRequest(key=op.key, range_end=op.range_end, prev_kv=True)
        return etcd_rpc_pb2.RequestOp(request_delete_range=delete)
    if op.kind == "range":
        read = etcd_rpc_pb2.RangeRequest(key=op.key, range_end=op.range_end)
        return etcd_rpc_pb2.RequestOp(request_range=read)
    raise ValueError(f"an operation of a transaction is put, delete or range, not {op.kind!r}")


def txn_result(response: etcd_rpc_pb2.TxnResponse) -> TxnResult:
    revision = response.header.revision
    results = [_operation_result(part, revision) for part in response.responses]
    return TxnResult(response.succeeded, revision, results)


def _operation_result(part: etcd_rpc_pb2.ResponseOp, revision: int) -> RangeResult | None:
    if part.HasField("response_range"):
        found = part.response_range
        kvs = [key_value(kv) for kv in found.kvs]
        return RangeResult(kvs, revision, found.count, found.more)
    if part.HasField("response_delete_range"):
        deleted = part.response_delete_range
        return RangeResult([key_value(kv) for kv in deleted.prev_kvs], revision, deleted.deleted)
    return None


def key_value(kv: etcd_kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def revisions(events: Sequence[etcd_kv_pb2.Event]) -> Iterator[tuple[int, list[Event]]]:
    """The events of a watch's response, revision by revision."""
    for revision, group in groupby(events, key=lambda event: event.kv.mod_revision):
        yield revision, [_event(event) for event in group]


def _event(event: etcd_kv_pb2.Event) -> Event:
    prev = key_value(event.prev_kv) if event.HasField("prev_kv") else None
    return Event(key_value(event.kv), event.type == etcd_kv_pb2.Event.DELETE, prev)
