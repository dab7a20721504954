"""The Lock service: whoever has waited longest holds it (etcd `api/v3lock`)."""

from typing import TYPE_CHECKING

from pinnace_wire import etcd_lock_pb2 as lockpb
from raftstore.mvcc import DeleteRange, RangeResult
from raftstore.server.errors import LockRefused
from raftstore.server.queueing import Queue, Refusing
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node


class LockService:
    def __init__(self, node: "Node", headers: Headers) -> None:
        self._node = node
        self._headers = headers

    async def lock(self, request: bytes) -> bytes:
        """Answers when the caller holds the lock; a caller who leaves before has not asked."""
        message = lockpb.LockRequest.FromString(request)
        with Refusing():
            queue = Queue(self._node, message.name + b"/")
            lease_id = await queue.lease(message.lease)
            key = queue.key(lease_id)
            joined = await queue.join(key, b"", lease_id)
            present = joined.results[0]
            # Where the key was there before, its owner asks once more.
            revision = joined.revision
            if isinstance(present, RangeResult):
                revision = present.kvs[0].create_revision
            try:
                await queue.until_first(revision)
            except BaseException:
                queue.abandon(key, revision)
                raise
            if await queue.present(key) is None:
                raise LockRefused("mutex: session is expired")
        now = self._node.state.keyspace.revision
        return self._headers.field(now) + lockpb.LockResponse(key=key).SerializeToString()

    async def unlock(self, request: bytes) -> bytes:
        message = lockpb.UnlockRequest.FromString(request)
        with Refusing():
            if not message.key:
                raise LockRefused("etcdserver: key is not provided")
            result = await self._node.propose(DeleteRange(message.key))
        return self._headers.field(result.revision)
