"""What can be said against a request without looking at the store (etcd `api/v3rpc/key.go`).

Run before a request is proposed: what the log holds is well formed.
"""

from collections.abc import Callable, Sequence
from typing import Any

from raftstore.mvcc.commands import (
    Compare,
    CompareTarget,
    DeleteRange,
    Operation,
    Put,
    Range,
    Txn,
)
from raftstore.mvcc.errors import (
    DuplicateKey,
    EmptyKey,
    LeaseProvided,
    TooManyOps,
    ValueProvided,
)
from raftstore.mvcc.ranges import bounds

# etcd's --max-txn-ops and --max-request-bytes.
TXN_OPS_MAX = 128
REQUEST_SIZE_MAX_BYTES = 1_572_864


def check_range(request: Range) -> None:
    if not request.key:
        raise EmptyKey


def check_put(request: Put) -> None:
    if not request.key:
        raise EmptyKey
    if request.ignore_value and request.value:
        raise ValueProvided
    if request.ignore_lease and request.lease:
        raise LeaseProvided


def check_delete(request: DeleteRange) -> None:
    if not request.key:
        raise EmptyKey


def check_compare(compare: Compare) -> None:
    if not compare.key:
        raise EmptyKey
    wanted = bytes if compare.target is CompareTarget.VALUE else int
    if not isinstance(compare.value, wanted):
        raise TypeError(f"a compare of {compare.target.name} takes {wanted.__name__}")


def check_txn(request: Txn, ops_max: int = TXN_OPS_MAX) -> None:
    if len(request.success) == 1 and len(request.compare) <= 1 and not request.failure:
        # The shape of nearly every write of a control plane: nothing can be there twice.
        only = request.success[0]
        if type(only) is Put:
            for compare in request.compare:
                check_compare(compare)
            check_put(only)
            return
    _check_txn(request, ops_max)
    _check_duplicates(request.success)
    _check_duplicates(request.failure)


def _check_txn(request: Txn, ops_max: int) -> None:
    if max(len(request.compare), len(request.success), len(request.failure)) > ops_max:
        raise TooManyOps
    for compare in request.compare:
        check_compare(compare)
    for operation in (*request.success, *request.failure):
        if isinstance(operation, Txn):
            _check_txn(operation, ops_max)
        else:
            _CHECKS[type(operation)](operation)


_CHECKS: dict[type, Callable[[Any], None]] = {
    Range: check_range,
    Put: check_put,
    DeleteRange: check_delete,
}

_Interval = tuple[bytes, bytes | None]


def _check_duplicates(operations: Sequence[Operation]) -> tuple[set[bytes], list[_Interval]]:
    """Raise where one revision could write a key twice (etcd `checkIntervals`). A put may stand in
    both branches of a nested transaction: only one of them runs. etcd 3.4 overlooks a deletion
    without an end, and dies of a put with `ignore_value` behind it; here it is refused. Returns
    the keys put and the ranges deleted."""
    deleted = [bounds(o.key, o.range_end) for o in operations if isinstance(o, DeleteRange)]
    put: set[bytes] = set()
    for operation in operations:
        if isinstance(operation, Txn):
            then_put, then_deleted = _check_duplicates(operation.success)
            else_put, else_deleted = _check_duplicates(operation.failure)
            _refuse_overlap(then_put, put, deleted)
            _refuse_overlap(else_put, put, deleted)
            put |= then_put | else_put
            deleted += then_deleted + else_deleted
    for operation in operations:
        if isinstance(operation, Put):
            _refuse_overlap({operation.key}, put, deleted)
            put.add(operation.key)
    return put, deleted


def _refuse_overlap(keys: set[bytes], put: set[bytes], deleted: list[_Interval]) -> None:
    for key in keys:
        if key in put:
            raise DuplicateKey
        for start, end in deleted:
            if start <= key and (end is None or key < end):
                raise DuplicateKey
