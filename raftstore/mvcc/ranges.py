"""Range: which keys, as of when, in what order, how many (etcd `etcdserver/txn/range.go`)."""

from collections.abc import Generator
from operator import attrgetter

from raftstore.mvcc.commands import Range, RangeResult, SortOrder, SortTarget
from raftstore.mvcc.keyspace import Keyspace
from raftstore.mvcc.values import KeyValue

# Reading so many keys takes a few milliseconds at most.
STEP_KEYS = 4096

_SORT_KEYS = {
    SortTarget.KEY: attrgetter("key"),
    SortTarget.VERSION: attrgetter("version"),
    SortTarget.CREATE: attrgetter("create_revision"),
    SortTarget.MOD: attrgetter("mod_revision"),
    SortTarget.VALUE: attrgetter("value"),
}


def bounds(key: bytes, range_end: bytes) -> tuple[bytes, bytes | None]:
    """A request's range as [start, end), None for no end."""
    if not range_end:
        return key, key + b"\0"
    return key, None if range_end == b"\0" else range_end


def run_range(keyspace: Keyspace, request: Range, revision: int) -> RangeResult:
    """`revision` is what the answer says it was read at: inside a transaction that has written,
    the one it is making. Raises Compacted and FutureRevision."""
    keyspace.check_revision(request.revision)
    if not request.range_end:
        kvs = _one_key(keyspace, request)
        count = len(kvs)
    elif request.revision <= 0:
        kvs, count = _present(keyspace, request)
    else:
        start, end = bounds(request.key, request.range_end)
        kvs, _ = keyspace.slice_at(start, end, request.revision)
        count = len(kvs)
    return _result(request, kvs, count, revision)


def is_large(keyspace: Keyspace, request: Range) -> bool:
    """Whether reading the range at once would keep others waiting: then in `range_steps`."""
    if not request.range_end or request.count_only or 0 < request.limit <= STEP_KEYS:
        return False
    return keyspace.live_keys.count(*bounds(request.key, request.range_end)) > STEP_KEYS


def range_steps(keyspace: Keyspace, request: Range) -> Generator[None, None, RangeResult]:
    """As `run_range` of the present, with a pause after every `STEP_KEYS` keys: other requests may
    run there. All of it is read at one revision; where that is compacted meanwhile, reading the
    present begins anew. Raises Compacted and FutureRevision."""
    keyspace.check_revision(request.revision)
    revision = keyspace.revision
    read_at = request.revision if request.revision > 0 else revision
    start, end = bounds(request.key, request.range_end)
    count = keyspace.live_keys.count(start, end)
    kvs: list[KeyValue] = []
    cursor: bytes | None = start
    while cursor is not None:
        found, cursor = keyspace.slice_at(cursor, end, read_at, STEP_KEYS)
        kvs += found
        if request.revision <= 0 and _is_enough(request, len(kvs)):
            break
        yield
        if keyspace.compact_revision > read_at:
            return (yield from range_steps(keyspace, request))
    if request.revision > 0:
        count = len(kvs)
    return _result(request, kvs, count, revision)


def _is_enough(request: Range, count: int) -> bool:
    return 0 < request.limit < count and not _needs_all(request)


def _result(request: Range, kvs: list[KeyValue], count: int, revision: int) -> RangeResult:
    """The answer, out of the keys of the range: all, or as many as its limit can need."""
    if request.count_only:
        return RangeResult(revision, [], count)
    if request.limit > 0 and not _needs_all(request):
        kvs = kvs[: request.limit + 1]
    kvs = _sort(request, _filter(request, kvs))
    more = 0 < request.limit < len(kvs)
    if more:
        kvs = kvs[: request.limit]
    if request.keys_only:
        kvs = [_without_value(kv) for kv in kvs]
    return RangeResult(revision, kvs, count, more)


def _one_key(keyspace: Keyspace, request: Range) -> list[KeyValue]:
    if request.revision > 0:
        kv = keyspace.at(request.key, request.revision)
    else:
        kv = keyspace.live.get(request.key)
    return [] if kv is None else [kv]


def _present(keyspace: Keyspace, request: Range) -> tuple[list[KeyValue], int]:
    """Of the present, only as many keys as the limit can need are looked at."""
    start, end = bounds(request.key, request.range_end)
    count = keyspace.live_keys.count(start, end)
    if request.count_only:
        return [], count
    # One more than asked for tells whether there are more.
    limit = request.limit + 1 if request.limit > 0 and not _needs_all(request) else 0
    live = keyspace.live
    return [live[key] for key in keyspace.live_keys.slice(start, end, limit)], count


def _needs_all(request: Range) -> bool:
    """Whether the limit counts after sorting and filtering. Without an order it counts before,
    whatever the target of the sort: so it is in etcd."""
    return request.sort_order is not SortOrder.NONE or _has_filter(request)


def _has_filter(request: Range) -> bool:
    return bool(
        request.min_mod_revision
        or request.max_mod_revision
        or request.min_create_revision
        or request.max_create_revision
    )


def _filter(request: Range, kvs: list[KeyValue]) -> list[KeyValue]:
    if not _has_filter(request):
        return kvs
    return [kv for kv in kvs if _within(request, kv)]


def _within(request: Range, kv: KeyValue) -> bool:
    mod_max = request.max_mod_revision or kv.mod_revision
    create_max = request.max_create_revision or kv.create_revision
    return (
        request.min_mod_revision <= kv.mod_revision <= mod_max
        and request.min_create_revision <= kv.create_revision <= create_max
    )


def _sort(request: Range, kvs: list[KeyValue]) -> list[KeyValue]:
    order = request.sort_order
    if order is SortOrder.NONE:
        # A target other than the key without an order sorts ascending, as etcd does.
        order = SortOrder.ASCEND
    if request.sort_target is SortTarget.KEY and order is SortOrder.ASCEND:
        return kvs
    reverse = order is SortOrder.DESCEND
    return sorted(kvs, key=_SORT_KEYS[request.sort_target], reverse=reverse)


def _without_value(kv: KeyValue) -> KeyValue:
    return KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease)
