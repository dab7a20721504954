"""apply(command) -> (result, events): the replicated state machine.

Deterministic: a result, an error, the next revision follow from the commands before and nothing
else. A command that is refused has changed nothing (etcd `server/etcdserver/apply`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from raftstore.core.messages import MembershipChange
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
    Operation,
    PublishMember,
    Put,
    PutResult,
    Range,
    RangeResult,
    Result,
    SetAlarm,
    Txn,
    TxnResult,
    UpdateMember,
)
from raftstore.mvcc.errors import Corrupt, KeyNotFound, NoSpace, UnknownMember
from raftstore.mvcc.keyspace import Keyspace
from raftstore.mvcc.leases import Leases
from raftstore.mvcc.members import MemberRecord, changed_members
from raftstore.mvcc.ranges import bounds, run_range
from raftstore.mvcc.values import Event, KeyValue

_NO_EVENTS: tuple[Event, ...] = ()

_Apply = Callable[[Any], tuple[Result, Sequence[Event]]]


class StateMachine:
    """Everything is read freely; only `apply` and `apply_membership` change it. An alarm is
    (member id, kind)."""

    def __init__(self) -> None:
        self.keyspace = Keyspace()
        self.leases = Leases()
        self.members: dict[int, MemberRecord] = {}
        # Whom the others must not let in again.
        self.removed: set[int] = set()
        self.alarms: set[tuple[int, AlarmKind]] = set()
        self._usual: dict[type, _Apply] = {
            Put: self._apply_put,
            DeleteRange: self._apply_delete,
            Txn: self._apply_txn,
            Compact: self._apply_compact,
            LeaseGrant: self._apply_lease_grant,
            LeaseRevoke: self._apply_lease_revoke,
            PublishMember: self._apply_publish_member,
            UpdateMember: self._apply_update_member,
            SetAlarm: self._apply_set_alarm,
        }
        self._apply = self._usual

    def apply(self, command: Command) -> tuple[Result, Sequence[Event]]:
        """The result and what changed, in order. Raises MvccError, and then nothing changed."""
        return self._apply[type(command)](command)

    def apply_membership(self, change: MembershipChange) -> None:
        """A MEMBERSHIP entry of the log."""
        before, self.members = self.members, changed_members(self.members, change)
        self.removed |= before.keys() - self.members.keys()

    def restore(
        self,
        members: Iterable[MemberRecord],
        alarms: Iterable[tuple[int, AlarmKind]],
        removed: Iterable[int],
    ) -> None:
        """What a snapshot says besides keys and leases."""
        self.members = {record.member_id: record for record in members}
        self.removed = set(removed)
        self.alarms = set(alarms)
        self._heed_alarms()

    def range(self, request: Range) -> RangeResult:
        """Read what is applied here. Raises Compacted, FutureRevision."""
        return run_range(self.keyspace, request, self.keyspace.revision)

    def read_txn(self, txn: Txn) -> TxnResult:
        """Run a transaction that writes nothing (`is_read_only`), outside the log."""
        path = self._choose(txn)
        self._check_ranges(path)
        return self._run(path, 0, [])

    # -- one method per command

    def _apply_put(self, put: Put) -> tuple[Result, Sequence[Event]]:
        if put.lease:
            self.leases.check(put.lease)
        self._check_put(put)
        revision = self.keyspace.revision + 1
        event = self._put(put, revision)
        events = (event,)
        self.keyspace.record(revision, events)
        return PutResult(revision, event.prev if put.prev_kv else None), events

    def _apply_delete(self, delete: DeleteRange) -> tuple[Result, Sequence[Event]]:
        revision = self.keyspace.revision + 1
        events = self._delete(delete, revision)
        if events:
            self.keyspace.record(revision, events)
        return self._delete_result(delete, events, self.keyspace.revision), events

    def _apply_txn(self, txn: Txn) -> tuple[Result, Sequence[Event]]:
        path = self._choose(txn)
        self._check_puts(path)
        self._check_ranges(path)
        events: list[Event] = []
        revision = self.keyspace.revision + 1
        result = self._run(path, revision, events)
        if events:
            self.keyspace.record(revision, events)
        return result, events

    def _apply_compact(self, compact: Compact) -> tuple[Result, Sequence[Event]]:
        self.keyspace.compact(compact.revision)
        return self._empty(), _NO_EVENTS

    def _apply_lease_grant(self, grant: LeaseGrant) -> tuple[Result, Sequence[Event]]:
        self.leases.grant(grant.lease_id, grant.ttl_s)
        return self._empty(), _NO_EVENTS

    def _apply_lease_revoke(self, revoke: LeaseRevoke) -> tuple[Result, Sequence[Event]]:
        keys = self.leases.revoke(revoke.lease_id)
        if not keys:
            return self._empty(), _NO_EVENTS
        revision = self.keyspace.revision + 1
        events = [self.keyspace.delete(key, revision) for key in keys]
        self.keyspace.record(revision, events)
        return self._empty(), events

    def _apply_publish_member(self, publish: PublishMember) -> tuple[Result, Sequence[Event]]:
        self._change_member(publish.member_id, name=publish.name, client_urls=publish.client_urls)
        return self._empty(), _NO_EVENTS

    def _apply_update_member(self, update: UpdateMember) -> tuple[Result, Sequence[Event]]:
        self._change_member(update.member_id, peer_urls=update.peer_urls)
        return self._empty(), _NO_EVENTS

    def _change_member(self, member_id: int, **changes: Any) -> None:
        record = self.members.get(member_id)
        if record is None:
            raise UnknownMember
        self.members[member_id] = msgspec.structs.replace(record, **changes)

    # -- alarms: while one is raised, what it forbids is refused in its place in the log, so that
    # every member refuses the same

    def _apply_set_alarm(self, request: SetAlarm) -> tuple[Result, Sequence[Event]]:
        alarm = (request.member_id, request.alarm)
        if not request.active:
            self.alarms.discard(alarm)
        elif request.alarm is not AlarmKind.NONE:
            self.alarms.add(alarm)
        self._heed_alarms()
        return self._empty(), _NO_EVENTS

    def _heed_alarms(self) -> None:
        raised = {kind for _, kind in self.alarms}
        if AlarmKind.CORRUPT in raised:
            self._apply = self._usual | dict.fromkeys(_OF_THE_KEYS, _refuse_corrupt)
        elif AlarmKind.NOSPACE in raised:
            self._apply = self._usual | {
                Put: _refuse_no_space,
                LeaseGrant: _refuse_no_space,
                Txn: self._apply_txn_without_put,
            }
        else:
            self._apply = self._usual

    def _apply_txn_without_put(self, txn: Txn) -> tuple[Result, Sequence[Event]]:
        """Whichever branch the put is in, as in etcd (`applierV3Capped`; that looks over the ones
        in nested transactions)."""
        if has_put(txn):
            raise NoSpace
        return self._apply_txn(txn)

    # -- transactions: first the branches are chosen and checked, then they run

    def _choose(self, txn: Txn) -> "_Path":
        succeeded = all(self._holds(compare) for compare in txn.compare)
        operations = txn.success if succeeded else txn.failure
        nested = [self._choose(o) if type(o) is Txn else None for o in operations]
        return _Path(succeeded, operations, nested)

    def _check_puts(self, path: "_Path") -> None:
        for operation, inner in zip(path.operations, path.nested, strict=True):
            if inner is not None:
                self._check_puts(inner)
            elif isinstance(operation, Put):
                self._check_put(operation)

    def _check_ranges(self, path: "_Path") -> None:
        for operation, inner in zip(path.operations, path.nested, strict=True):
            if inner is not None:
                self._check_ranges(inner)
            elif isinstance(operation, Range):
                self.keyspace.check_revision(operation.revision)

    def _run(self, path: "_Path", revision: int, events: list[Event]) -> TxnResult:
        results: list[RangeResult | PutResult | DeleteRangeResult | TxnResult] = []
        for operation, inner in zip(path.operations, path.nested, strict=True):
            if inner is not None:
                results.append(self._run(inner, revision, events))
            else:
                results.append(self._run_operation(operation, revision, events))
        seen = revision if events else self.keyspace.revision
        return TxnResult(seen, path.succeeded, results)

    def _run_operation(
        self, operation: Operation, revision: int, events: list[Event]
    ) -> RangeResult | PutResult | DeleteRangeResult:
        if isinstance(operation, Put):
            event = self._put(operation, revision)
            events.append(event)
            return PutResult(revision, event.prev if operation.prev_kv else None)
        if isinstance(operation, DeleteRange):
            deleted = self._delete(operation, revision)
            events.extend(deleted)
            seen = revision if events else self.keyspace.revision
            return self._delete_result(operation, deleted, seen)
        assert isinstance(operation, Range)
        seen = revision if events else self.keyspace.revision
        return run_range(self.keyspace, operation, seen)

    def _holds(self, compare: Compare) -> bool:
        """With a range, it must hold for each key of it. What is missing has zeros, and no value
        at all: comparing that is never true (etcd `applyCompare`)."""
        live = self.keyspace.live
        if compare.range_end:
            start, end = bounds(compare.key, compare.range_end)
            found = [live[key] for key in self.keyspace.live_keys.slice(start, end)]
        else:
            found = [live[compare.key]] if compare.key in live else []
        if not found:
            return compare.target is not CompareTarget.VALUE and _compare(compare, _MISSING)
        return all(_compare(compare, kv) for kv in found)

    # -- single operations

    def _check_put(self, put: Put) -> None:
        if (put.ignore_value or put.ignore_lease) and put.key not in self.keyspace.live:
            raise KeyNotFound
        if put.lease:
            self.leases.check(put.lease)

    def _put(self, put: Put, revision: int) -> Event:
        value, lease = put.value, put.lease
        if put.ignore_value:
            value = self.keyspace.live[put.key].value
        if put.ignore_lease:
            lease = self.keyspace.live[put.key].lease
        event = self.keyspace.put(put.key, value, lease, revision)
        old_lease = 0 if event.prev is None else event.prev.lease
        if old_lease != lease:
            self.leases.move(event.kv.key, old_lease, lease)
        return event

    def _delete(self, delete: DeleteRange, revision: int) -> list[Event]:
        keyspace = self.keyspace
        if delete.range_end:
            keys = keyspace.live_keys.slice(*bounds(delete.key, delete.range_end))
        else:
            keys = [delete.key] if delete.key in keyspace.live else []
        events = [keyspace.delete(key, revision) for key in keys]
        for event in events:
            if event.prev is not None and event.prev.lease:
                self.leases.move(event.kv.key, event.prev.lease, 0)
        return events

    def _delete_result(
        self, delete: DeleteRange, events: Sequence[Event], revision: int
    ) -> DeleteRangeResult:
        prev_kvs = [e.prev for e in events if e.prev is not None] if delete.prev_kv else []
        return DeleteRangeResult(revision, len(events), prev_kvs)

    def _empty(self) -> Empty:
        return Empty(self.keyspace.revision)


class _Path:
    """The branch of a transaction that runs, and those of the transactions inside it."""

    __slots__ = ("nested", "operations", "succeeded")

    def __init__(
        self, succeeded: bool, operations: Sequence[Operation], nested: Sequence["_Path | None"]
    ) -> None:
        self.succeeded = succeeded
        self.operations = operations
        self.nested = nested


def is_read_only(txn: Txn) -> bool:
    """Whether no branch writes: then it needs no place in the log."""
    return all(
        is_read_only(operation) if isinstance(operation, Txn) else isinstance(operation, Range)
        for operation in (*txn.success, *txn.failure)
    )


def has_put(txn: Txn) -> bool:
    """In whichever branch."""
    return any(
        has_put(operation) if isinstance(operation, Txn) else isinstance(operation, Put)
        for operation in (*txn.success, *txn.failure)
    )


# What a CORRUPT alarm forbids (etcd `applierV3Corrupt`).
_OF_THE_KEYS = (Put, DeleteRange, Txn, Compact, LeaseGrant, LeaseRevoke)


def _refuse_corrupt(command: Command) -> tuple[Result, Sequence[Event]]:
    raise Corrupt


def _refuse_no_space(command: Command) -> tuple[Result, Sequence[Event]]:
    raise NoSpace


_MISSING = KeyValue(b"", b"", 0, 0, 0, 0)

_TARGETS: dict[CompareTarget, Callable[[KeyValue], Any]] = {
    CompareTarget.VERSION: lambda kv: kv.version,
    CompareTarget.CREATE: lambda kv: kv.create_revision,
    CompareTarget.MOD: lambda kv: kv.mod_revision,
    CompareTarget.VALUE: lambda kv: kv.value,
    CompareTarget.LEASE: lambda kv: kv.lease,
}

_OPERATORS: dict[CompareOperator, Callable[[Any, Any], bool]] = {
    CompareOperator.EQUAL: lambda present, wanted: present == wanted,
    CompareOperator.GREATER: lambda present, wanted: present > wanted,
    CompareOperator.LESS: lambda present, wanted: present < wanted,
    CompareOperator.NOT_EQUAL: lambda present, wanted: present != wanted,
}


def _compare(compare: Compare, kv: KeyValue) -> bool:
    return _OPERATORS[compare.operator](_TARGETS[compare.target](kv), compare.value)
