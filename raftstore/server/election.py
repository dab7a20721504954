"""The Election service: the leader is whoever has waited longest (etcd `api/v3election`)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from pinnace_wire import etcd_election_pb2 as electionpb
from raftstore.mvcc import Event, KeyValue, RangeResult
from raftstore.server.errors import LockRefused
from raftstore.server.queueing import Queue, Refusing, prefix_end
from raftstore.server.wire import Headers, key_value

if TYPE_CHECKING:
    from raftstore.node import Node

_NOT_LEADER = "election: not leader"
_NO_LEADER = "election: no leader"
_NO_LEADER_FIELD = '"leader" field must be provided'
# Of what a leader proclaims, an observer who does not read gets the latest.
_UNREAD_MAX = 64


class ElectionService:
    def __init__(self, node: "Node", headers: Headers) -> None:
        self._node = node
        self._headers = headers

    async def campaign(self, request: bytes) -> bytes:
        """Answers when the caller leads; a caller who leaves before does not stand."""
        message = electionpb.CampaignRequest.FromString(request)
        with Refusing():
            queue = Queue(self._node, message.name + b"/")
            lease_id = await queue.lease(message.lease)
            key = queue.key(lease_id)
            joined = await queue.join(key, message.value, lease_id)
            revision = joined.revision
            present = joined.results[0]
            try:
                if isinstance(present, RangeResult):
                    revision = present.kvs[0].create_revision
                    if present.kvs[0].value != message.value:
                        await self._proclaim(queue, key, revision, message.value, lease_id)
                await queue.until_first(revision)
            except BaseException:
                queue.abandon(key, revision)
                raise
        leader = electionpb.LeaderKey(name=message.name, key=key, rev=revision, lease=lease_id)
        answer = electionpb.CampaignResponse(leader=leader)
        return self._headers.field(joined.revision) + answer.SerializeToString()

    async def proclaim(self, request: bytes) -> bytes:
        message = electionpb.ProclaimRequest.FromString(request)
        if not message.HasField("leader"):
            raise LockRefused(_NO_LEADER_FIELD)
        leader = message.leader
        with Refusing():
            queue = Queue(self._node, leader.name)
            revision = await self._proclaim(
                queue, leader.key, leader.rev, message.value, leader.lease
            )
        return self._headers.field(revision)

    async def _proclaim(
        self, queue: Queue, key: bytes, revision: int, value: bytes, lease_id: int
    ) -> int:
        result = await queue.update(key, revision, value, lease_id)
        if not result.succeeded:
            raise LockRefused(_NOT_LEADER)
        return result.revision

    async def leader(self, request: bytes) -> bytes:
        message = electionpb.LeaderRequest.FromString(request)
        with Refusing():
            found = await Queue(self._node, message.name + b"/").first()
        if not found.kvs:
            raise LockRefused(_NO_LEADER)
        return self._leader_response(found.kvs[0], found.revision)

    async def resign(self, request: bytes) -> bytes:
        """Whoever does not lead any more has nothing to give up."""
        message = electionpb.ResignRequest.FromString(request)
        if not message.HasField("leader"):
            raise LockRefused(_NO_LEADER_FIELD)
        leader = message.leader
        with Refusing():
            result = await Queue(self._node, leader.name).leave(leader.key, leader.rev)
        return self._headers.field(result.revision)

    async def observe(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """The present leader, what it proclaims, and whoever follows it; not every one of them to
        a slow reader, but always the last."""
        message = electionpb.LeaderRequest.FromString(request)
        prefix = message.name + b"/"
        queue = Queue(self._node, prefix)
        while True:
            with Refusing():
                found = await queue.first()
                if not found.kvs:
                    await self._until_some(prefix, found.revision + 1)
                    continue
                leader = found.kvs[0]
                changes = _Changes(self._node, leader.key, found.revision + 1)
            try:
                yield self._leader_response(leader, found.revision)
                while (changed := await changes.next()) is not None:
                    yield self._leader_response(changed, changed.mod_revision)
            finally:
                changes.close()

    async def _until_some(self, prefix: bytes, start_revision: int) -> None:
        changes = _Changes(self._node, prefix, start_revision, prefix_end(prefix))
        try:
            await changes.next()
        finally:
            changes.close()

    def _leader_response(self, kv: KeyValue, revision: int) -> bytes:
        answer = electionpb.LeaderResponse(kv=key_value(kv))
        return self._headers.field(revision) + answer.SerializeToString()


class _Changes:
    """The versions that a key, or the keys of a range, get from a revision on. Raises Compacted."""

    def __init__(
        self, node: "Node", key: bytes, start_revision: int, range_end: bytes = b""
    ) -> None:
        self._versions: asyncio.Queue[KeyValue | None] = asyncio.Queue()
        self._watcher = node.watch(key, range_end, start_revision, self._hear, self._compacted)

    async def next(self) -> KeyValue | None:
        """None for the end of a key."""
        return await self._versions.get()

    def close(self) -> None:
        self._watcher.cancel()

    def _hear(self, events: Sequence[Event], _: int) -> None:
        for event in events:
            if self._versions.qsize() >= _UNREAD_MAX:
                self._versions.get_nowait()
            self._versions.put_nowait(None if event.deleted else event.kv)

    def _compacted(self, _: int) -> None:
        self._versions.put_nowait(None)
