"""etcd's keyspace as one would write it without a care for speed: every revision is a whole copy.

What `raftstore.mvcc` is compared with. It shares the request types and nothing else.
"""

from collections.abc import Callable

from raftstore.mvcc import (
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    Event,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)

State = dict[bytes, KeyValue]


class Refused(Exception):
    pass


class NaiveStore:
    def __init__(self) -> None:
        self.states: list[State] = [{}, {}]
        self.events: list[list[Event]] = [[], []]
        self.compacted = 0
        self.leases: set[int] = set()

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    def apply(self, command: object) -> tuple[object, list[Event]]:
        """(what the command answers, as plain values; events). Raises Refused(name)."""
        events: list[Event] = []
        state = dict(self.states[-1])
        answer = self._run(command, state, events)
        if events:
            self.states.append(state)
            self.events.append(events)
        return answer, events

    def _run(self, command: object, state: State, events: list[Event]) -> object:
        if isinstance(command, Compact):
            if command.revision <= self.compacted:
                raise Refused("Compacted")
            if command.revision > self.revision:
                raise Refused("FutureRevision")
            self.compacted = command.revision
            return None
        if isinstance(command, LeaseGrant):
            if command.lease_id in self.leases:
                raise Refused("LeaseExists")
            self.leases.add(command.lease_id)
            return None
        if isinstance(command, LeaseRevoke):
            if command.lease_id not in self.leases:
                raise Refused("LeaseNotFound")
            self.leases.remove(command.lease_id)
            for key in sorted(k for k, kv in state.items() if kv.lease == command.lease_id):
                self._end(key, state, events)
            return None
        if isinstance(command, Put) and command.lease and command.lease not in self.leases:
            raise Refused("LeaseNotFound")
        self._check(command, dict(state), Put)
        self._check(command, dict(state), Range)
        return self._operation(command, state, events)

    def _check(self, operation: object, state: State, kind: type) -> None:
        if isinstance(operation, Txn):
            holds = all(self._holds(compare, state) for compare in operation.compare)
            for inner in operation.success if holds else operation.failure:
                self._check(inner, state, kind)
        if kind is Put and isinstance(operation, Put):
            if (operation.ignore_value or operation.ignore_lease) and operation.key not in state:
                raise Refused("KeyNotFound")
            if operation.lease and operation.lease not in self.leases:
                raise Refused("LeaseNotFound")
        if kind is Range and isinstance(operation, Range):
            self._check_revision(operation.revision)

    def _check_revision(self, revision: int) -> None:
        if revision > self.revision:
            raise Refused("FutureRevision")
        if 0 < revision < self.compacted:
            raise Refused("Compacted")

    def _operation(self, operation: object, state: State, events: list[Event]) -> object:
        before = dict(state)
        if isinstance(operation, Put):
            prev = state.get(operation.key)
            revision = self.revision + 1
            value = prev.value if prev and operation.ignore_value else operation.value
            lease = prev.lease if prev and operation.ignore_lease else operation.lease
            made = prev.create_revision if prev else revision
            version = prev.version + 1 if prev else 1
            kv = KeyValue(operation.key, value, made, revision, version, lease)
            state[operation.key] = kv
            events.append(Event(kv, prev))
            return prev if operation.prev_kv else None
        if isinstance(operation, DeleteRange):
            keys = [k for k in sorted(state) if _inside(k, operation.key, operation.range_end)]
            for key in keys:
                self._end(key, state, events)
            return len(keys), [before[k] for k in keys] if operation.prev_kv else []
        if isinstance(operation, Range):
            return self.range(operation, state)
        assert isinstance(operation, Txn)
        holds = all(self._holds(compare, self.states[-1]) for compare in operation.compare)
        taken = operation.success if holds else operation.failure
        return holds, [self._operation(inner, state, events) for inner in taken]

    def _end(self, key: bytes, state: State, events: list[Event]) -> None:
        prev = state.pop(key)
        events.append(Event(KeyValue(key, b"", 0, self.revision + 1, 0), prev))

    def _holds(self, compare: Compare, state: State) -> bool:
        kvs = [kv for k, kv in state.items() if _inside(k, compare.key, compare.range_end)]
        if not kvs:
            if compare.target == CompareTarget.VALUE:
                return False
            kvs = [KeyValue(b"", b"", 0, 0, 0)]
        return all(
            _OPERATORS[compare.operator](_TARGETS[compare.target](kv), compare.value) for kv in kvs
        )

    def range(self, request: Range, now: State | None = None) -> object:
        """(kvs, count, more)"""
        self._check_revision(request.revision)
        state = self.states[request.revision] if request.revision else now
        if state is None:
            state = self.states[-1]
        kvs = [state[k] for k in sorted(state) if _inside(k, request.key, request.range_end)]
        count = len(kvs)
        if request.count_only:
            return [], count, False
        filters = (
            request.min_mod_revision
            or request.max_mod_revision
            or request.min_create_revision
            or request.max_create_revision
        )
        if request.sort_order == SortOrder.NONE and request.limit and not filters:
            kvs = kvs[: request.limit + 1]
        if request.min_mod_revision:
            kvs = [kv for kv in kvs if kv.mod_revision >= request.min_mod_revision]
        if request.max_mod_revision:
            kvs = [kv for kv in kvs if kv.mod_revision <= request.max_mod_revision]
        if request.min_create_revision:
            kvs = [kv for kv in kvs if kv.create_revision >= request.min_create_revision]
        if request.max_create_revision:
            kvs = [kv for kv in kvs if kv.create_revision <= request.max_create_revision]
        by = _SORTS[request.sort_target]
        kvs = sorted(kvs, key=by, reverse=request.sort_order == SortOrder.DESCEND)
        more = bool(request.limit) and len(kvs) > request.limit
        if request.limit:
            kvs = kvs[: request.limit]
        if request.keys_only:
            kvs = [
                KeyValue(k.key, b"", k.create_revision, k.mod_revision, k.version, k.lease)
                for k in kvs
            ]
        return kvs, count, more

    def heard(self, key: bytes, range_end: bytes, first: int, last: int) -> list[tuple]:
        """What a watch hears of revisions `first` to `last`: (revision, [(kv, deleted)])."""
        said = []
        for revision in range(first, last + 1):
            events = [e for e in self.events[revision] if _inside(e.kv.key, key, range_end)]
            if events:
                said.append((revision, [(e.kv, e.deleted) for e in events]))
        return said


def _inside(key: bytes, start: bytes, end: bytes) -> bool:
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)


_TARGETS: dict[CompareTarget, Callable[[KeyValue], object]] = {
    CompareTarget.VERSION: lambda kv: kv.version,
    CompareTarget.CREATE: lambda kv: kv.create_revision,
    CompareTarget.MOD: lambda kv: kv.mod_revision,
    CompareTarget.VALUE: lambda kv: kv.value,
    CompareTarget.LEASE: lambda kv: kv.lease,
}
_OPERATORS: dict[CompareOperator, Callable[..., bool]] = {
    CompareOperator.EQUAL: lambda a, b: a == b,
    CompareOperator.GREATER: lambda a, b: a > b,
    CompareOperator.LESS: lambda a, b: a < b,
    CompareOperator.NOT_EQUAL: lambda a, b: a != b,
}
_SORTS: dict[SortTarget, Callable[[KeyValue], object]] = {
    SortTarget.KEY: lambda kv: kv.key,
    SortTarget.VERSION: lambda kv: kv.version,
    SortTarget.CREATE: lambda kv: kv.create_revision,
    SortTarget.MOD: lambda kv: kv.mod_revision,
    SortTarget.VALUE: lambda kv: kv.value,
}
