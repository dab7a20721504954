"""etcd's keyspace as plain values: what the requests of a history must have answered.

Written from etcd's documentation and source (`api/v3rpc`, `server/etcdserver/txn`), not from
`raftstore.mvcc`, of which it shares only the classes of the requests. A `Timeline` holds every
revision there was; `evaluate` says what a request answers and changes in the state of one.
"""

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from raftstore.mvcc import (
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    KeyValue,
    LeaseRevoke,
    Put,
    PutResult,
    Range,
    RangeResult,
    SortOrder,
    SortTarget,
    Txn,
    TxnResult,
)

FIRST_REVISION = 1


class Kv(NamedTuple):
    """A key as one revision left it; `version` 0: that was its end."""

    key: bytes
    value: bytes
    created: int
    modified: int
    version: int
    lease: int = 0


class Refused(Exception):
    """The request is refused; the text names the class of the error."""


def plain(kv: KeyValue | None) -> Kv | None:
    if kv is None:
        return None
    return Kv(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def answer_of(result: Any) -> Any:
    """A result of the store as plain values, without the revision."""
    if isinstance(result, PutResult):
        return ("put", plain(result.prev_kv))
    if isinstance(result, DeleteRangeResult):
        return ("delete", result.deleted, [plain(kv) for kv in result.prev_kvs])
    if isinstance(result, RangeResult):
        return ("range", [plain(kv) for kv in result.kvs], result.count, result.more)
    if isinstance(result, TxnResult):
        return ("txn", result.succeeded, [answer_of(inner) for inner in result.results])
    return ("empty",)


def wrote(result: Any) -> bool:
    """Whether the result tells of a change: then its revision is the one it made."""
    if isinstance(result, TxnResult):
        return any(wrote(inner) for inner in result.results)
    return isinstance(result, PutResult) or (
        isinstance(result, DeleteRangeResult) and result.deleted > 0
    )


class Timeline:
    """Every key at every revision."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self._versions: dict[bytes, list[Kv]] = {}
        self._changes: list[tuple[Kv, ...]] = []

    def append(self, changes: Iterable[Kv]) -> None:
        """The changes of the next revision."""
        self.revision += 1
        self._changes.append(tuple(changes))
        for kv in self._changes[-1]:
            self._versions.setdefault(kv.key, []).append(kv)

    def changes(self, revision: int) -> tuple[Kv, ...]:
        return self._changes[revision - FIRST_REVISION - 1]

    def at(self, key: bytes, revision: int) -> Kv | None:
        versions = self._versions.get(key, [])
        place = bisect_right(versions, revision, key=lambda kv: kv.modified)
        return versions[place - 1] if place and versions[place - 1].version else None

    def names(self) -> list[bytes]:
        return sorted(self._versions)

    def held_by(self, lease: int, revision: int) -> list[bytes]:
        """The keys that hang on `lease`, in order."""
        kvs = (self.at(key, revision) for key in self.names())
        return [kv.key for kv in kvs if kv is not None and kv.lease == lease]


@dataclass
class _View:
    """The state of one revision, and over it what the request has changed so far."""

    timeline: Timeline
    revision: int
    changed: dict[bytes, Kv] = field(default_factory=dict)
    changes: list[Kv] = field(default_factory=list)

    def get(self, key: bytes) -> Kv | None:
        kv = self.changed.get(key)
        if kv is not None:
            return kv if kv.version else None
        return self.timeline.at(key, self.revision)

    def within(self, key: bytes, range_end: bytes) -> list[Kv]:
        keys = sorted({*self.timeline.names(), *self.changed})
        found = (self.get(k) for k in keys if inside(k, key, range_end))
        return [kv for kv in found if kv is not None]

    def change(self, kv: Kv) -> None:
        self.changed[kv.key] = kv
        self.changes.append(kv)


def inside(key: bytes, start: bytes, range_end: bytes) -> bool:
    if not range_end:
        return key == start
    return key >= start and (range_end == b"\0" or key < range_end)


def evaluate(timeline: Timeline, revision: int, request: Any) -> tuple[Any, list[Kv]]:
    """(answer as of `answer_of`, changes) of `request` in the state of `revision`. Raises Refused
    where it is refused for what the keyspace holds; leases are the business of the oracle."""
    view = _View(timeline, revision)
    if isinstance(request, LeaseRevoke):
        for key in timeline.held_by(request.lease_id, revision):
            view.change(_end(key, revision))
        return ("empty",), view.changes
    before = _View(timeline, revision)
    _check_puts(request, before)
    return _run(request, view, before), view.changes


def _check_puts(request: Any, before: _View) -> None:
    if isinstance(request, Txn):
        for operation in _branch(request, before)[1]:
            _check_puts(operation, before)
    elif isinstance(request, Put):
        keeps = request.ignore_value or request.ignore_lease
        if keeps and before.get(request.key) is None:
            raise Refused("KeyNotFound")


def _branch(txn: Txn, before: _View) -> tuple[bool, Sequence[Any]]:
    """Compares look at the state before the whole transaction, also those of an inner one."""
    succeeded = all(_holds(compare, before) for compare in txn.compare)
    return succeeded, txn.success if succeeded else txn.failure


def _run(request: Any, view: _View, before: _View) -> Any:
    if isinstance(request, Put):
        return _put(request, view)
    if isinstance(request, DeleteRange):
        return _delete(request, view)
    if isinstance(request, Range):
        return _range(request, view)
    assert isinstance(request, Txn)
    succeeded, operations = _branch(request, before)
    return ("txn", succeeded, [_run(inner, view, before) for inner in operations])


def _put(put: Put, view: _View) -> Any:
    prev = view.get(put.key)
    revision = view.revision + 1
    value = prev.value if prev and put.ignore_value else put.value
    lease = prev.lease if prev and put.ignore_lease else put.lease
    created = prev.created if prev else revision
    version = prev.version + 1 if prev else 1
    view.change(Kv(put.key, value, created, revision, version, lease))
    return ("put", prev if put.prev_kv else None)


def _delete(delete: DeleteRange, view: _View) -> Any:
    gone = view.within(delete.key, delete.range_end)
    for kv in gone:
        view.change(_end(kv.key, view.revision))
    return ("delete", len(gone), gone if delete.prev_kv else [])


def _end(key: bytes, revision: int) -> Kv:
    return Kv(key, b"", 0, revision + 1, 0)


def _range(request: Range, view: _View) -> Any:
    if request.revision > 0:
        view = _View(view.timeline, request.revision)
    kvs = view.within(request.key, request.range_end)
    count = len(kvs)
    if request.count_only:
        return ("range", [], count, False)
    bounds = (
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    )
    # Without an order and a filter the limit counts before the sort.
    if request.limit and request.sort_order is SortOrder.NONE and not any(bounds):
        kvs = kvs[: request.limit + 1]
    kvs = [kv for kv in kvs if _within_bounds(kv, *bounds)]
    descending = request.sort_order is SortOrder.DESCEND
    kvs = sorted(kvs, key=_SORTS[request.sort_target], reverse=descending)
    more = 0 < request.limit < len(kvs)
    if more:
        kvs = kvs[: request.limit]
    if request.keys_only:
        kvs = [kv._replace(value=b"") for kv in kvs]
    return ("range", kvs, count, more)


def _within_bounds(kv: Kv, min_mod: int, max_mod: int, min_create: int, max_create: int) -> bool:
    return min_mod <= kv.modified <= (max_mod or kv.modified) and min_create <= kv.created <= (
        max_create or kv.created
    )


def _holds(compare: Compare, before: _View) -> bool:
    kvs = before.within(compare.key, compare.range_end)
    if not kvs:
        if compare.target is CompareTarget.VALUE:
            return False
        kvs = [Kv(b"", b"", 0, 0, 0)]
    test, of = _OPERATORS[compare.operator], _TARGETS[compare.target]
    return all(test(of(kv), compare.value) for kv in kvs)


_OPERATORS: dict[CompareOperator, Callable[[Any, Any], bool]] = {
    CompareOperator.EQUAL: operator.eq,
    CompareOperator.GREATER: operator.gt,
    CompareOperator.LESS: operator.lt,
    CompareOperator.NOT_EQUAL: operator.ne,
}
_TARGETS: dict[CompareTarget, Callable[[Kv], Any]] = {
    CompareTarget.VERSION: lambda kv: kv.version,
    CompareTarget.CREATE: lambda kv: kv.created,
    CompareTarget.MOD: lambda kv: kv.modified,
    CompareTarget.VALUE: lambda kv: kv.value,
    CompareTarget.LEASE: lambda kv: kv.lease,
}
_SORTS: dict[SortTarget, Callable[[Kv], Any]] = {
    SortTarget.KEY: lambda kv: kv.key,
    SortTarget.VERSION: lambda kv: kv.version,
    SortTarget.CREATE: lambda kv: kv.created,
    SortTarget.MOD: lambda kv: kv.modified,
    SortTarget.VALUE: lambda kv: kv.value,
}
