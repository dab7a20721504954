"""One member at work: the core's Ready made durable, applied and answered, on an event loop.

Proposals that arrive in one turn of the loop share one sync (group commit). A write is answered
when it is durable and applied, and its watchers have heard of it; after a failed write or sync
nothing is answered any more. A member alone needs no ticks, so an idle store does not wake up.
"""

import asyncio
import random
from concurrent.futures import Future
from logging import getLogger
from pathlib import Path

from base.clock import Clock
from raftstore.core import Entry, NotLeader, Ready, Role
from raftstore.disk import DiskError, FileSystem
from raftstore.errors import NodeError, RequestTimedOut, Stopped, TooManyRequests
from raftstore.expiry import LeaseExpiry
from raftstore.maintenance import Maintenance
from raftstore.member import READY_ENTRIES_MAX, Member, Options, open_member
from raftstore.mvcc import (
    Command,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Range,
    RangeResult,
    Result,
    Txn,
    TxnResult,
    Watcher,
    decode_command,
    encode_command,
)
from raftstore.mvcc.check import REQUEST_SIZE_MAX_BYTES
from raftstore.mvcc.errors import RequestTooLarge
from raftstore.mvcc.watch import Sink
from raftstore.syncing import LogWriter

_log = getLogger("raftstore")

# What a turn tells of past revisions, at most.
_CATCH_UP_REVISIONS = 1000


class Node:
    """A store with one member, open. All methods belong to the loop it was opened on."""

    def __init__(self, member: Member, rng: random.Random) -> None:
        self.state = member.state
        self.hub = member.hub
        self.metrics = member.metrics
        self.failure: BaseException | None = None
        self.stopped = asyncio.Event()
        self._member = member
        self._raft = member.raft
        self._rng = rng
        self._options = member.options
        self._loop = asyncio.get_running_loop()
        self._leases = LeaseExpiry(member.state, member.clock, member.metrics, self.propose)
        self._writer = LogWriter(
            member.storage.wal,
            member.clock,
            member.metrics,
            use_threads=member.options.use_threads,
        )
        self._maintenance = Maintenance(member, self._fail)
        # By index of the entry: a sole member is never deposed, so no other takes its place.
        self._pending: dict[int, asyncio.Future[Result]] = {}
        self._applied_term = 0
        self._led_term = 0
        self._turn: asyncio.Handle | None = None
        self._saving: asyncio.Future[None] | None = None
        self._save_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._expose_gauges()

    @classmethod
    async def open(
        cls,
        directory: Path,
        clock: Clock,
        rng: random.Random,
        options: Options | None = None,
        files: FileSystem | None = None,
    ) -> "Node":
        """Open the store in `directory`, or make it; on return it leads and has applied all it
        knew. Raises DiskError."""
        member = open_member(directory, clock, rng, options or Options(), files, _sink_failed)
        node = cls(member, rng)
        try:
            await node._settle()
        except asyncio.CancelledError:
            await node.close()
            raise
        if node.failure is not None:
            await node.close()
            raise node.failure
        return node

    # -- writes

    def propose(self, command: Command) -> "asyncio.Future[Result]":
        """Put `command` (checked by `mvcc.check`) into the log. The future gives its result, an
        MvccError that it was refused with, or a NodeError when its fate is not known."""
        self._check_running()
        data = encode_command(command)
        # What the log holds must be readable for ever: a value of a wrong type fails here.
        decode_command(data)
        if len(data) > REQUEST_SIZE_MAX_BYTES:
            raise RequestTooLarge
        if len(self._pending) >= self._options.pending_max:
            self.metrics.proposals_failed += 1
            raise TooManyRequests
        try:
            entry = self._raft.propose(data)
        except NotLeader as error:
            raise NodeError(str(error)) from error
        future: asyncio.Future[Result] = self._loop.create_future()
        self._pending[entry.index] = future
        self._schedule()
        return future

    def new_lease_id(self) -> int:
        return self._rng.randrange(1, 1 << 63)

    # -- reads, of what is applied: a sole member knows of nothing newer that was answered

    def range(self, request: Range) -> RangeResult:
        self._check_running()
        return self.state.range(request)

    def read_txn(self, txn: Txn) -> TxnResult:
        self._check_running()
        return self.state.read_txn(txn)

    def watch(self, key: bytes, range_end: bytes, start_revision: int, sink: Sink) -> Watcher:
        """`sink` hears of nothing before this returns. Raises Compacted."""
        self._check_running()
        watcher = self.hub.watch(key, range_end, start_revision, sink)
        if self.hub.is_catching_up:
            self._schedule()
        return watcher

    def renew_lease(self, lease_id: int) -> int:
        """The lease's TTL in seconds, counted from now. Raises LeaseNotFound."""
        self._check_running()
        return self._leases.renew(lease_id)

    def lease_remaining_s(self, lease_id: int) -> float:
        """Raises LeaseNotFound."""
        return self._leases.remaining_s(lease_id)

    @property
    def leader_term(self) -> int:
        """The term in which this member leads and has applied all that earlier ones left; 0
        where it does not."""
        return self._led_term if self.failure is None and not self._closed else 0

    @property
    def sync_median_s(self) -> float:
        return self._writer.sync_median_s

    async def close(self) -> None:
        """Finish what is in the log, and let the directory go."""
        if self._closed:
            return
        self._closed = True
        self._leases.close()
        if self._turn is not None:
            self._turn.cancel()
        await self._maintenance.close()
        await self._settle()
        try:
            if self.failure is None:
                self._writer.close()
        except DiskError as error:
            self._fail(error)
        self._fail_pending(Stopped())
        self._member.storage.close()
        self.stopped.set()

    # -- the turn: Ready after Ready, until there is none, the disk is being waited for, or others
    # must have the loop

    async def _settle(self) -> None:
        """Turn after turn, until there is nothing left to do."""
        self._drive()
        while self._saving is not None or (self.failure is None and self._raft.has_ready()):
            if self._saving is not None:
                await asyncio.wait([self._saving])
            else:
                await asyncio.sleep(0)
                self._drive()

    def _schedule(self) -> None:
        if self._turn is None and self._saving is None and not self._closed:
            self._turn = self._loop.call_soon(self._drive)

    def _drive(self) -> None:
        self._turn = None
        applied = 0
        try:
            while self._may_go_on() and applied < READY_ENTRIES_MAX and self._raft.has_ready():
                ready = self._raft.ready()
                saving = self._writer.save(ready)
                if saving is None:
                    self._finish(ready)
                    applied += len(ready.committed)
                else:
                    self._wait_for(saving, ready)
            if self._may_go_on():
                self._after_turn()
        except Exception as error:
            self._fail(error)

    def _may_go_on(self) -> bool:
        return self.failure is None and self._saving is None

    def _wait_for(self, saving: "Future[None]", ready: Ready) -> None:
        self._saving = asyncio.wrap_future(saving)
        self._saving.add_done_callback(lambda done: self._saved(done, ready))
        timeout_s = self._options.request_timeout_s
        self._save_timer = self._loop.call_later(timeout_s, self._saving_is_late)

    def _saved(self, saved: "asyncio.Future[None]", ready: Ready) -> None:
        self._saving = None
        if self._save_timer is not None:
            self._save_timer.cancel()
        try:
            saved.result()
            if self.failure is None:
                self._finish(ready)
        except Exception as error:
            self._fail(error)
        self._drive()

    def _saving_is_late(self) -> None:
        """Those who wait learn that they do not know; the sync goes on."""
        _log.error("a sync of the log takes longer than %.0f s", self._options.request_timeout_s)
        self._fail_pending(RequestTimedOut())

    def _finish(self, ready: Ready) -> None:
        for entry in ready.committed:
            self._apply(entry)
        self._raft.advance()
        if ready.committed:
            self._raft.release_applied()

    def _apply(self, entry: Entry) -> None:
        future = self._pending.pop(entry.index, None)
        if entry.term != self._applied_term:
            self._applied_term = entry.term
            self._lead_if_caught_up()
        if not entry.data:
            return
        command = decode_command(entry.data)
        try:
            result, events = self.state.apply(command)
        except MvccError as error:
            _refuse(future, error)
            return
        if events:
            self.hub.publish(self.state.keyspace.revision, events)
        if type(command) in _LEASE_COMMANDS:
            self._leases.applied(command)
        if future is not None and not future.done():
            future.set_result(result)

    def _lead_if_caught_up(self) -> None:
        """The first entry of its own term is applied: what earlier leaders acknowledged is too
        (paper, section 8)."""
        raft = self._raft
        if raft.role is Role.LEADER and raft.term == self._applied_term != self._led_term:
            self._led_term = raft.term
            self.metrics.leader_changes += 1
            self._leases.promote()

    def _after_turn(self) -> None:
        if not self.hub.catch_up(_CATCH_UP_REVISIONS) or self._raft.has_ready():
            self._schedule()
        self._maintenance.after_apply()

    # -- the end

    def _fail(self, error: BaseException) -> None:
        """The disk is in doubt, or the log holds what cannot be applied: answer nothing more."""
        if self.failure is None:
            self.failure = error
            _log.error("the store has stopped: %s", error, exc_info=_unexpected(error))
            self._leases.close()
            self._writer.abandon()
            self._fail_pending(Stopped(str(error)))
            self.stopped.set()

    def _fail_pending(self, error: NodeError) -> None:
        pending, self._pending = self._pending, {}
        self.metrics.proposals_failed += len(pending)
        for future in pending.values():
            _refuse(future, error)

    def _check_running(self) -> None:
        if self.failure is not None:
            raise Stopped(str(self.failure))
        if self._closed:
            raise Stopped

    def _expose_gauges(self) -> None:
        raft, keyspace = self._raft, self.state.keyspace
        self.metrics.gauges.update(
            {
                "etcd_server_has_leader": lambda: float(self._led_term != 0),
                "etcd_server_is_leader": lambda: float(self.leader_term != 0),
                "etcd_server_proposals_pending": lambda: float(len(self._pending)),
                "etcd_server_proposals_committed_total": lambda: float(raft.log.committed),
                "etcd_server_proposals_applied_total": lambda: float(raft.log.applied),
                "etcd_mvcc_db_total_size_in_bytes": lambda: float(keyspace.size_bytes),
                "etcd_debugging_mvcc_keys_total": lambda: float(len(keyspace.live)),
                "etcd_debugging_mvcc_watcher_total": lambda: float(self.hub.watcher_count),
                "etcd_debugging_mvcc_current_revision": lambda: float(keyspace.revision),
                "etcd_debugging_mvcc_compact_revision": lambda: float(keyspace.compact_revision),
            }
        )


_LEASE_COMMANDS = (LeaseGrant, LeaseRevoke)


def _refuse(future: "asyncio.Future[Result] | None", error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


def _sink_failed(error: Exception) -> None:
    """A defect of whoever watches; the store's own work goes on."""
    context = {"message": "a watcher of the store raised", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


def _unexpected(error: BaseException) -> BaseException | None:
    """A failed disk says all in its message; anything else is a defect and shows where."""
    return None if isinstance(error, DiskError) else error
