"""Keys that queue under a prefix, oldest first, each hung on its owner's lease: what locks and
elections are made of (etcd `client/v3/concurrency`)."""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from raftstore.errors import NodeError
from raftstore.mvcc import (
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    Event,
    KeyValue,
    LeaseGrant,
    MvccError,
    Put,
    Range,
    RangeResult,
    Result,
    SortOrder,
    SortTarget,
    Txn,
    TxnResult,
)
from raftstore.mvcc.errors import Compacted
from raftstore.server.errors import LockRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raftstore.node import Node

# etcd's sessions live this long where the caller brings no lease.
_SESSION_TTL_S: Final = 60


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"


class Queue:
    """`prefix` ends in a slash."""

    def __init__(self, node: "Node", prefix: bytes) -> None:
        self._node = node
        self._prefix = prefix

    async def lease(self, lease_id: int) -> int:
        """The caller's, or a new one."""
        if lease_id:
            return lease_id
        lease_id = self._node.new_lease_id()
        await self._node.propose(LeaseGrant(lease_id, _SESSION_TTL_S))
        return lease_id

    def key(self, lease_id: int) -> bytes:
        # As Go prints it: a negative id with its sign.
        return self._prefix + f"{lease_id:x}".encode()

    async def join(self, key: bytes, value: bytes, lease_id: int) -> TxnResult:
        """Put `key` unless it is there already; then its present version is the result's."""
        txn = Txn([_created(key, 0)], [Put(key, value, lease_id)], [Range(key)])
        return cast("TxnResult", await self._node.propose(txn))

    async def update(self, key: bytes, revision: int, value: bytes, lease_id: int) -> TxnResult:
        """Put `key` where it still is the one created at `revision`."""
        txn = Txn([_created(key, revision)], [Put(key, value, lease_id)])
        return cast("TxnResult", await self._node.propose(txn))

    async def leave(self, key: bytes, revision: int) -> TxnResult:
        txn = Txn([_created(key, revision)], [DeleteRange(key)])
        return cast("TxnResult", await self._node.propose(txn))

    def abandon(self, key: bytes, revision: int) -> None:
        """As `leave`, for a caller that is gone: nobody waits for it."""
        try:
            txn = Txn([_created(key, revision)], [DeleteRange(key)])
            self._node.propose(txn).add_done_callback(_ignore_outcome)
        except (MvccError, NodeError):
            # The lease still ends it.
            return

    async def first(self) -> RangeResult:
        """The key that has waited longest."""
        await self._node.read_barrier()
        return self._node.range(
            Range(
                self._prefix,
                prefix_end(self._prefix),
                limit=1,
                sort_order=SortOrder.ASCEND,
                sort_target=SortTarget.CREATE,
            )
        )

    async def present(self, key: bytes) -> KeyValue | None:
        await self._node.read_barrier()
        found = self._node.range(Range(key))
        return found.kvs[0] if found.kvs else None

    async def until_first(self, revision: int) -> None:
        """Wait until no key is left that was created before `revision`."""
        while True:
            await self._node.read_barrier()
            before = self._node.range(
                Range(
                    self._prefix,
                    prefix_end(self._prefix),
                    limit=1,
                    sort_order=SortOrder.DESCEND,
                    sort_target=SortTarget.CREATE,
                    max_create_revision=revision - 1,
                )
            )
            if not before.kvs:
                return
            await self._until_deleted(before.kvs[0].key, before.revision + 1)

    async def _until_deleted(self, key: bytes, start_revision: int) -> None:
        deleted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def hear(events: "Sequence[Event]", _: int) -> None:
            if any(event.deleted for event in events) and not deleted.done():
                deleted.set_result(None)

        def compacted(_: int) -> None:
            if not deleted.done():
                # Missed: look again at what is there.
                deleted.set_result(None)

        try:
            watcher = self._node.watch(key, b"", start_revision, hear, compacted)
        except Compacted:
            return
        try:
            await deleted
        finally:
            watcher.cancel()


class Refusing:
    """`with Refusing():` a refusal of the store leaves as etcd's lock service tells it: with its
    text, and no code of its own."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, (MvccError, NodeError)):
            raise LockRefused(str(error)) from error


def _created(key: bytes, revision: int) -> Compare:
    return Compare(key, CompareTarget.CREATE, CompareOperator.EQUAL, revision)


def _ignore_outcome(future: "asyncio.Future[Result]") -> None:
    if not future.cancelled():
        future.exception()
