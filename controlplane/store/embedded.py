"""The Store protocol over a raftstore in this process.

Requests become commands of the log and its answers the protocol's values; what a request is
refused with keeps etcd's words. Nothing is kept here: the raftstore's node is the store.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from prometheus_client.registry import Collector

from base.clock import Clock, LoopClock
from controlplane.store import raftleader
from controlplane.store.protocol import (
    Compacted,
    Compare,
    CompareTarget,
    Event,
    KeyValue,
    Leadership,
    Lost,
    Op,
    RangeResult,
    Sink,
    Store,
    StoreError,
    TooLarge,
    TxnResult,
    Watcher,
)
from raftstore import mvcc
from raftstore.daemon import flags as raftstore_flags
from raftstore.daemon import process as raftstore_process
from raftstore.daemon.flagtable import FlagError
from raftstore.disk import DiskError
from raftstore.errors import NodeError
from raftstore.mvcc import check
from raftstore.mvcc.errors import Compacted as MvccCompacted
from raftstore.mvcc.errors import LeaseNotFound, RequestTooLarge
from raftstore.mvcc.statemachine import is_read_only
from raftstore.node import Node
from raftstore.node.member import Options

_TARGETS = {
    CompareTarget.VERSION: mvcc.CompareTarget.VERSION,
    CompareTarget.CREATE: mvcc.CompareTarget.CREATE,
    CompareTarget.MOD: mvcc.CompareTarget.MOD,
    CompareTarget.VALUE: mvcc.CompareTarget.VALUE,
    CompareTarget.LEASE: mvcc.CompareTarget.LEASE,
}

_SLICE_KEYS = 2000

_OPERATORS = {
    "=": mvcc.CompareOperator.EQUAL,
    "!=": mvcc.CompareOperator.NOT_EQUAL,
    "<": mvcc.CompareOperator.LESS,
    ">": mvcc.CompareOperator.GREATER,
}


async def open_embedded(data_dir: Path, clock: Clock, rng: random.Random) -> "EmbeddedStore":
    """Open the store in `data_dir`, or make it; it leads when this returns. Raises StoreError,
    in one line for the operator."""
    # Under virtual time no thread can be waited for: the disk is waited for on the loop.
    options = Options(use_threads=not isinstance(clock, LoopClock))
    try:
        return EmbeddedStore(await Node.open(data_dir, clock, rng, options), clock)
    except DiskError as error:
        raise StoreError(str(error)) from error


async def open_member(
    flags: raftstore_flags.Flags, clock: Clock, rng: random.Random
) -> "EmbeddedStore":
    """Open or make one of several members, which looks for the others from now on. Raises
    StoreError, in one line for the operator."""
    try:
        running = await raftstore_process.open_store(flags, clock, rng)
    except (raftstore_process.StartError, FlagError) as error:
        raise StoreError(str(error)) from error
    return EmbeddedStore(running.node, clock, running.close)


class EmbeddedStore(Store):
    """`node` shows what is not of the protocol; `close` ends more than it, where given."""

    def __init__(
        self, node: Node, clock: Clock, close: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.node = node
        self._clock = clock
        self._close = close or node.close

    @property
    def metrics(self) -> Collector:
        return self.node.metrics

    async def check(self) -> str:
        if self.node.failure is not None or self.node.stopped.is_set():
            return "etcdserver: server stopped"
        return "" if self.node.leader else "etcdserver: no leader"

    async def failed(self) -> str:
        await self.node.stopped.wait()
        if self.node.failure is None:
            await asyncio.get_running_loop().create_future()
        return str(self.node.failure)

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        command = mvcc.Txn(
            [_compare(compare) for compare in compares],
            [_operation(op) for op in success],
            [_operation(op) for op in failure],
        )
        try:
            check.check_txn(command)
            if is_read_only(command):
                await self.node.read_barrier()
                return _txn_result(self.node.read_txn(command))
            return _txn_result(await self.node.propose(command))
        except (mvcc.MvccError, NodeError) as error:
            raise _translated(error) from error

    async def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        request = mvcc.Range(
            key, range_end, limit, revision, keys_only=keys_only, count_only=count_only
        )
        try:
            check.check_range(request)
            if not revision:
                await self.node.read_barrier()
            result = self.node.range(request)
        except (mvcc.MvccError, NodeError) as error:
            raise _translated(error) from error
        kvs: list[KeyValue] = []
        for first in range(0, len(result.kvs), _SLICE_KEYS):
            # What was read does not change; others get their turn between the slices.
            if first:
                await asyncio.sleep(0)
            kvs += [_key_value(kv) for kv in result.kvs[first : first + _SLICE_KEYS]]
        return RangeResult(kvs, result.revision, result.count, result.more)

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Sink,
        lost: Lost | None = None,
    ) -> Watcher:
        try:
            return self.node.watch(
                key,
                range_end,
                start_revision,
                partial(_forward, sink),
                None if lost is None else lambda revision: lost(Compacted(revision)),
            )
        except (mvcc.MvccError, NodeError) as error:
            raise _translated(error) from error

    async def latest_revision(self) -> int:
        try:
            await self.node.read_barrier()
        except NodeError as error:
            raise _translated(error) from error
        return self.revision

    async def compact(self, revision: int) -> None:
        await self._propose(mvcc.Compact(revision))

    async def lease_grant(self, ttl_s: int, lease_id: int = 0) -> int:
        lease_id = lease_id or self.node.new_lease_id()
        await self._propose(mvcc.LeaseGrant(lease_id, ttl_s))
        return lease_id

    async def lease_keepalive(self, lease_id: int) -> int:
        try:
            return await self.node.renew_lease(lease_id)
        except LeaseNotFound:
            return 0
        except NodeError as error:
            raise _translated(error) from error

    async def lease_revoke(self, lease_id: int) -> None:
        await self._propose(mvcc.LeaseRevoke(lease_id))

    @property
    def leader_term(self) -> int:
        """The term in which this member leads, 0 where it does not."""
        return self.node.leader_term

    async def lead(self, name: str, identity: str) -> Leadership:
        """Tied to raft: who leads there leads here, in the same term."""
        return await raftleader.lead(self, lambda: self.leader_term, self._clock, name, identity)

    @property
    def revision(self) -> int:
        return self.node.state.keyspace.revision

    async def close(self) -> None:
        await self._close()

    async def _propose(self, command: mvcc.Command) -> None:
        try:
            await self.node.propose(command)
        except (mvcc.MvccError, NodeError) as error:
            raise _translated(error) from error


def _translated(error: Exception) -> StoreError:
    if isinstance(error, MvccCompacted):
        return Compacted(error.compact_revision)
    if isinstance(error, RequestTooLarge):
        return TooLarge(str(error))
    return StoreError(str(error))


def _compare(compare: Compare) -> mvcc.Compare:
    target, operator = _TARGETS[compare.target], _OPERATORS[compare.operator]
    return mvcc.Compare(compare.key, target, operator, compare.value)


def _operation(op: Op) -> mvcc.Put | mvcc.DeleteRange | mvcc.Range:
    if op.kind == "put":
        return mvcc.Put(op.key, op.value, op.lease)
    if op.kind == "delete":
        return mvcc.DeleteRange(op.key, op.range_end, prev_kv=True)
    if op.kind == "range":
        return mvcc.Range(op.key, op.range_end)
    raise ValueError(f"an operation of a transaction is put, delete or range, not {op.kind!r}")


def _key_value(kv: mvcc.KeyValue) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _forward(
    sink: Callable[[Sequence[Event], int], None], events: Sequence[mvcc.Event], revision: int
) -> None:
    sink([_event(event) for event in events], revision)


def _event(event: mvcc.Event) -> Event:
    prev = None if event.prev is None else _key_value(event.prev)
    return Event(_key_value(event.kv), event.deleted, prev)


def _range_result(result: mvcc.RangeResult) -> RangeResult:
    kvs = [_key_value(kv) for kv in result.kvs]
    return RangeResult(kvs, result.revision, result.count, result.more)


def _txn_result(result: mvcc.Result) -> TxnResult:
    assert isinstance(result, mvcc.TxnResult)
    results = [_operation_result(part) for part in result.results]
    return TxnResult(result.succeeded, result.revision, results)


def _operation_result(result: mvcc.Result) -> RangeResult | None:
    if isinstance(result, mvcc.RangeResult):
        return _range_result(result)
    if isinstance(result, mvcc.DeleteRangeResult):
        kvs = [_key_value(kv) for kv in result.prev_kvs]
        return RangeResult(kvs, result.revision, result.deleted)
    return None
