"""The KV service: reads, writes, transactions, compaction."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import Compact, Range, RangeResult
from raftstore.mvcc.check import TXN_OPS_MAX, check_txn
from raftstore.mvcc.ranges import is_large, range_steps
from raftstore.mvcc.statemachine import is_read_only
from raftstore.server import wire
from raftstore.server.errors import NotSupportedForLearner
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# Encoding this many holds the loop for about a millisecond.
_SLICE_KEYS: Final = 512
_SLICE_SIZE_BYTES: Final = 512 * 1024


class KvService:
    def __init__(self, node: "Node", headers: Headers, ops_max: int = TXN_OPS_MAX) -> None:
        self._node = node
        self._headers = headers
        self._ops_max = ops_max

    async def put(self, request: bytes) -> bytes:
        put = wire.put_request(rpc.PutRequest.FromString(request))
        result: Any = await self._node.propose(put)
        return self._headers.field(result.revision) + wire.encode_put(result)

    async def range(self, request: bytes) -> bytes:
        result = await self._read(request)
        header = self._headers.field(result.revision)
        if len(result.kvs) <= 1:
            return header + wire.encode_range(result)
        parts = [header]
        async for part in self._slices(result):
            parts.append(part)
        parts.append(wire.encode_range_end(result))
        return b"".join(parts)

    async def range_stream(self, request: bytes) -> AsyncGenerator[bytes, None]:
        """The answer in parts: put together they are what `range` answers."""
        result = await self._read(request)
        header = self._headers.field(result.revision)
        async for part in self._slices(result):
            yield _stream_part(header + part)
        yield _stream_part(header + wire.encode_range_end(result))

    async def delete_range(self, request: bytes) -> bytes:
        delete = wire.delete_request(rpc.DeleteRangeRequest.FromString(request))
        result: Any = await self._node.propose(delete)
        return self._headers.field(result.revision) + wire.encode_delete(result)

    async def txn(self, request: bytes) -> bytes:
        message = rpc.TxnRequest.FromString(request)
        txn = wire.txn_request(message, self._ops_max)
        check_txn(txn, self._ops_max)
        if is_read_only(txn):
            if not wire.is_serializable(message):
                await self._node.read_barrier()
            result: Any = self._node.read_txn(txn)
        else:
            result = await self._node.propose(txn)
        return self._headers.field(result.revision) + wire.encode_txn(result)

    async def compact(self, request: bytes) -> bytes:
        """`physical` waits until what is compacted is freed on this member."""
        message = rpc.CompactionRequest.FromString(request)
        result = await self._node.propose(Compact(message.revision))
        if message.physical:
            await until_freed(self._node)
        return self._headers.field(result.revision)

    async def _read(self, request: bytes) -> RangeResult:
        message = rpc.RangeRequest.FromString(request)
        wanted = wire.range_request(message)
        if not message.serializable:
            if self._node.is_learner:
                raise NotSupportedForLearner
            await self._node.read_barrier()
        if is_large(self._node.state.keyspace, wanted):
            return await self._read_large(wanted)
        return self._node.range(wanted)

    async def _read_large(self, wanted: Range) -> RangeResult:
        node = self._node
        state = node.state
        steps = range_steps(state.keyspace, wanted)
        while node.state is state and node.failure is None:
            try:
                next(steps)
            except StopIteration as done:
                found: RangeResult = done.value
                return found
            await asyncio.sleep(0)
        # The node has stopped, and says so, or it took over the state of another: once more.
        node.range(Range(wanted.key, count_only=True))
        return await self._read_large(wanted)

    async def _slices(self, result: RangeResult) -> AsyncGenerator[bytes, None]:
        first = True
        for kvs in wire.by_size(result.kvs, _SLICE_KEYS, _SLICE_SIZE_BYTES):
            if not first:
                await asyncio.sleep(0)
            first = False
            yield wire.encode_kvs(kvs)


async def until_freed(node: "Node") -> None:
    """Wait until what is compacted is freed; snapshots and watchers of the past hold that up."""
    while node.failure is None and node.state.keyspace.unpruned:  # noqa: ASYNC110
        # The freeing is in slices that tell nobody of their end.
        await asyncio.sleep(_FREED_POLL_S)


_FREED_POLL_S: Final = 0.01


def _stream_part(range_response: bytes) -> bytes:
    """The bytes of a RangeResponse as the one field of a RangeStreamResponse."""
    message = rpc.RangeStreamResponse()
    message.range_response.MergeFromString(range_response)
    return message.SerializeToString()
