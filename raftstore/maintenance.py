"""What keeps log and memory from growing: snapshots, and freeing what is compacted.

Both run in slices beside the writes and in each other's absence: a snapshot streams history that
must not be freed meanwhile.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from raftstore.core import SnapshotMeta
from raftstore.member import Member
from raftstore.mvcc.snapshot import SLICE_SIZE_BYTES, stream

_PRUNE_REVISIONS = 1000
_PRUNE_PAUSE_S = 0.005


class Maintenance:
    """`fail` stops the member: a snapshot that cannot be written means a disk in doubt."""

    def __init__(self, member: Member, fail: Callable[[BaseException], None]) -> None:
        self._member = member
        self._keyspace = member.state.keyspace
        self._storage = member.storage
        self._fail = fail
        self._log_bytes_at_snapshot = 0
        self._snapshot: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._prune_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def after_apply(self) -> None:
        """Start what is due."""
        if self._closed:
            return
        if self._snapshot is None and self._log_bytes() > self._snapshot_due_bytes():
            self._snapshot = asyncio.get_running_loop().create_task(self._take_snapshot())
            self._snapshot.add_done_callback(self._snapshot_ended)
        if self._prune_timer is None and self._keyspace.unpruned:
            loop = asyncio.get_running_loop()
            self._prune_timer = loop.call_later(_PRUNE_PAUSE_S, self._prune)

    async def close(self) -> None:
        """A snapshot under way is dropped: the log has it all."""
        self._closed = True
        if self._prune_timer is not None:
            self._prune_timer.cancel()
        if self._snapshot is not None:
            self._snapshot.cancel()
            await asyncio.wait([self._snapshot])
        if self._thread is not None:
            self._thread.shutdown()

    def _log_bytes(self) -> int:
        return self._storage.wal.written_bytes - self._log_bytes_at_snapshot

    def _snapshot_due_bytes(self) -> int:
        return max(self._member.options.snapshot_log_min_bytes, self._storage.snapshot_size_bytes)

    def _prune(self) -> None:
        self._prune_timer = None
        wanted = self._snapshot is not None or self._member.hub.is_catching_up
        if wanted or not self._keyspace.prune(_PRUNE_REVISIONS):
            loop = asyncio.get_running_loop()
            self._prune_timer = loop.call_later(_PRUNE_PAUSE_S, self._prune)

    async def _take_snapshot(self) -> None:
        member = self._member
        start_s = member.clock.monotonic_s()
        log = member.raft.log
        snapshot = SnapshotMeta(log.applied, log.term(log.applied) or 0)
        slices = stream(member.state)
        log_bytes = self._storage.wal.written_bytes
        writer = await self._off_loop(self._storage.begin_snapshot, snapshot)
        try:
            batch: list[bytes] = []
            for data in slices:
                batch.append(data)
                if not data or sum(map(len, batch)) >= SLICE_SIZE_BYTES:
                    await self._off_loop(writer.write, [data for data in batch if data])
                    batch = []
            await self._off_loop(writer.write, batch)
            await self._off_loop(writer.finish)
        except BaseException:
            writer.abandon()
            raise
        needless = self._storage.snapshot_finished(snapshot, writer.size_bytes)
        await self._off_loop(self._storage.remove, needless)
        self._log_bytes_at_snapshot = log_bytes
        member.raft.snapshot_taken(snapshot)
        member.metrics.snapshot_save_s.observe(member.clock.monotonic_s() - start_s)

    def _snapshot_ended(self, task: asyncio.Task[None]) -> None:
        self._snapshot = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _off_loop(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if not self._member.options.use_threads:
            await asyncio.sleep(0)
            return call(*arguments)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="raftstore-snapshot")
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, call, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread still has the file in hand.
            await asyncio.wait([future])
            raise
