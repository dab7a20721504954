"""What keeps log and memory from growing: snapshots, and freeing what is compacted.

Both run in slices beside the writes and in each other's absence: a snapshot streams history that
must not be freed meanwhile.
"""

import asyncio
from collections.abc import Callable

from raftstore.mvcc.snapshot import SLICE_SIZE_BYTES
from raftstore.node.member import Member
from raftstore.node.offloop import OffLoop
from raftstore.node.transfers import HeldSlices, present_snapshot

_PRUNE_REVISIONS = 1000
_PRUNE_PAUSE_S = 0.005


class Maintenance:
    """`fail` stops the member: a snapshot that cannot be written means a disk in doubt. `pruned`
    hears that memory was freed."""

    def __init__(
        self,
        member: Member,
        fail: Callable[[BaseException], None],
        pruned: Callable[[], None],
    ) -> None:
        self._member = member
        self._storage = member.storage
        self._fail = fail
        self._pruned = pruned
        self._off_loop = OffLoop("raftstore-snapshot", use_threads=member.options.use_threads)
        self._log_bytes_at_snapshot = 0
        self._index_at_snapshot = member.raft.log.snapshot.index
        self._snapshot: asyncio.Task[None] | None = None
        self._prune_timer: asyncio.TimerHandle | None = None
        self._closed = False
        # The state is being replaced: Raft speaks of the next one already.
        self._replacing = False

    def after_apply(self) -> None:
        """Start what is due."""
        if self._closed:
            return
        if self._snapshot is None and self._is_due():
            self._begin_snapshot()
        if self._prune_timer is None and self._member.state.keyspace.unpruned:
            loop = asyncio.get_running_loop()
            self._prune_timer = loop.call_later(_PRUNE_PAUSE_S, self._prune)

    async def snapshot_now(self) -> None:
        """Take a snapshot, or wait for the one that is being taken: the log before it goes."""
        if self._snapshot is None and not self._closed and not self._replacing:
            self._begin_snapshot()
        if self._snapshot is not None:
            await asyncio.wait([self._snapshot])

    def _begin_snapshot(self) -> None:
        self._snapshot = asyncio.get_running_loop().create_task(self._take_snapshot())
        self._snapshot.add_done_callback(self._snapshot_ended)

    async def drop_snapshot(self) -> None:
        """A snapshot under way is dropped: the log has it all. None is taken until `installed`."""
        self._replacing = True
        if self._snapshot is not None:
            self._snapshot.cancel()
            await asyncio.wait([self._snapshot])

    def installed(self, index: int) -> None:
        """The leader's snapshot stands here now."""
        self._log_bytes_at_snapshot = self._storage.wal.written_bytes
        self._index_at_snapshot = index
        self._replacing = False

    async def close(self) -> None:
        self._closed = True
        if self._prune_timer is not None:
            self._prune_timer.cancel()
        await self.drop_snapshot()
        self._off_loop.close()

    def _is_due(self) -> bool:
        log, options = self._member.raft.log, self._member.options
        if log.applied == self._index_at_snapshot:
            return False
        if 0 < options.snapshot_entries <= log.applied - self._index_at_snapshot:
            return True
        log_bytes = self._storage.wal.written_bytes - self._log_bytes_at_snapshot
        return log_bytes > max(options.snapshot_log_min_bytes, self._storage.snapshot_size_bytes)

    def _prune(self) -> None:
        self._prune_timer = None
        member = self._member
        wanted = member.history_holds > 0 or member.hub.is_catching_up
        if wanted or not member.state.keyspace.prune(_PRUNE_REVISIONS):
            loop = asyncio.get_running_loop()
            self._prune_timer = loop.call_later(_PRUNE_PAUSE_S, self._prune)
        else:
            self._pruned()

    async def _take_snapshot(self) -> None:
        member = self._member
        start_s = member.clock.monotonic_s()
        snapshot = present_snapshot(member)
        log_bytes = self._storage.wal.written_bytes
        slices = HeldSlices(member)
        try:
            writer = await self._off_loop.run(self._storage.begin_snapshot, snapshot)
            try:
                batch: list[bytes] = []
                for data in slices:
                    batch.append(data)
                    if not data or sum(map(len, batch)) >= SLICE_SIZE_BYTES:
                        await self._off_loop.run(writer.write, [data for data in batch if data])
                        batch = []
                await self._off_loop.run(writer.write, batch)
                await self._off_loop.run(writer.finish)
            except BaseException:
                writer.abandon()
                raise
        finally:
            slices.close()
        needless = self._storage.snapshot_finished(snapshot, writer.size_bytes)
        await self._off_loop.run(self._storage.remove, needless)
        self._log_bytes_at_snapshot = log_bytes
        self._index_at_snapshot = snapshot.index
        member.raft.snapshot_taken(snapshot)
        member.metrics.snapshot_save_s.observe(member.clock.monotonic_s() - start_s)

    def _snapshot_ended(self, task: asyncio.Task[None]) -> None:
        self._snapshot = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
