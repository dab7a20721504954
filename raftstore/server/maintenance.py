"""The Maintenance service: what a member says of itself, its alarms, hashes and backups."""

import hashlib
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import AlarmKind
from raftstore.server.errors import (
    InvalidDowngradeTargetVersion,
    NoInflightDowngrade,
    NoLeader,
    NotLeader,
    UnknownMethod,
    WrongDowngradeVersionFormat,
)
from raftstore.server.kv import until_freed
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# The etcd whose API this is, for clients that ask what they may use.
ETCD_VERSION: Final = "3.6.0"
_BLOB_SIZE_BYTES: Final = 64 * 1024
_VERSION: Final = re.compile(r"\d+\.\d+(\.\d+)?")


class MaintenanceService:
    def __init__(self, node: "Node", headers: Headers) -> None:
        self._node = node
        self._headers = headers

    async def status(self, request: bytes) -> bytes:
        rpc.StatusRequest.FromString(request)
        node = self._node
        answer = rpc.StatusResponse(
            version=ETCD_VERSION,
            dbSize=node.size_bytes,
            leader=node.leader,
            raftIndex=node.raft_index,
            raftTerm=node.term,
            raftAppliedIndex=node.applied_index,
            dbSizeInUse=node.size_bytes,
            isLearner=node.is_learner,
            storageVersion=ETCD_VERSION,
            dbSizeQuota=node.quota_bytes,
            downgradeInfo=rpc.DowngradeInfo(enabled=False),
        )
        if not node.leader:
            answer.errors.append(NoLeader.text)
        for member_id, kind in sorted(node.state.alarms):
            answer.errors.append(f"memberID:{member_id} alarm:{kind.name} ")
        return self._now() + answer.SerializeToString()

    async def alarm(self, request: bytes) -> bytes:
        message = rpc.AlarmRequest.FromString(request)
        alarms = await self._alarms(message)
        answer = rpc.AlarmResponse()
        for member_id, kind in sorted(alarms):
            answer.alarms.add(memberID=member_id, alarm=cast("Any", int(kind)))
        return self._now() + answer.SerializeToString()

    async def _alarms(self, message: rpc.AlarmRequest) -> Iterable[tuple[int, AlarmKind]]:
        """What is to be told: the alarms asked for, or the one that was changed."""
        node = self._node
        if message.action == rpc.AlarmRequest.GET:
            await node.read_barrier()
            wanted = int(message.alarm)
            return [alarm for alarm in node.state.alarms if wanted in (rpc.NONE, int(alarm[1]))]
        if message.alarm not in (rpc.NOSPACE, rpc.CORRUPT):
            return ()
        kind = AlarmKind(message.alarm)
        activate = message.action == rpc.AlarmRequest.ACTIVATE
        there = (message.memberID, kind) in node.state.alarms
        await node.set_alarm(message.memberID, kind, active=activate)
        return [(message.memberID, kind)] if activate or there else ()

    async def hash(self, request: bytes) -> bytes:
        """Of the keys, not of a file as in etcd: nothing else is kept that two members share."""
        rpc.HashRequest.FromString(request)
        result = await self._node.hash_kv(0)
        answer = rpc.HashResponse(hash=result.hash)
        return self._headers.field(result.revision) + answer.SerializeToString()

    async def hash_kv(self, request: bytes) -> bytes:
        message = rpc.HashKVRequest.FromString(request)
        result = await self._node.hash_kv(message.revision)
        answer = rpc.HashKVResponse(
            hash=result.hash,
            compact_revision=result.compact_revision,
            hash_revision=result.revision,
        )
        return self._now() + answer.SerializeToString()

    async def snapshot(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """A backup file in blobs, its SHA-256 the last. How much remains is an estimate until
        then: it is written while writes go on. Only the last answer says that nothing does."""
        rpc.SnapshotRequest.FromString(request)
        digest = hashlib.sha256()
        sent_bytes = 0
        slices = cast("AsyncGenerator[bytes, None]", self._node.snapshot_slices())
        async with aclosing(slices):
            async for blob in _blobs(slices):
                digest.update(blob)
                sent_bytes += len(blob)
                remaining_bytes = max(self._node.size_bytes - sent_bytes, digest.digest_size)
                yield self._blob(blob, remaining_bytes)
        yield self._blob(digest.digest(), 0)

    def _blob(self, blob: bytes, remaining_bytes: int) -> bytes:
        answer = rpc.SnapshotResponse(
            remaining_bytes=remaining_bytes, blob=blob, version=ETCD_VERSION
        )
        return self._now() + answer.SerializeToString()

    async def defragment(self, request: bytes) -> bytes:
        """In memory, what is compacted is freed; on the disk, a snapshot replaces the log."""
        rpc.DefragmentRequest.FromString(request)
        await until_freed(self._node)
        await self._node.defragment()
        return self._now()

    async def move_leader(self, request: bytes) -> bytes:
        message = rpc.MoveLeaderRequest.FromString(request)
        if self._node.leader != self._node.member_id:
            raise NotLeader
        await self._node.transfer_leadership(message.targetID)
        return self._now()

    async def downgrade(self, request: bytes) -> bytes:
        """There is no older version to go back to."""
        message = rpc.DowngradeRequest.FromString(request)
        if message.action == rpc.DowngradeRequest.CANCEL:
            raise NoInflightDowngrade
        if message.action not in (rpc.DowngradeRequest.VALIDATE, rpc.DowngradeRequest.ENABLE):
            raise UnknownMethod
        if not _VERSION.fullmatch(message.version):
            raise WrongDowngradeVersionFormat
        raise InvalidDowngradeTargetVersion

    def _now(self) -> bytes:
        return self._headers.field(self._node.state.keyspace.revision)


async def _blobs(slices: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces that a message holds well."""
    batch: list[bytes] = []
    size_bytes = 0
    async for data in slices:
        batch.append(data)
        size_bytes += len(data)
        if size_bytes >= _BLOB_SIZE_BYTES:
            yield b"".join(batch)
            batch, size_bytes = [], 0
    if batch:
        yield b"".join(batch)
