"""One member at work: the core's Ready made durable, sent, applied and answered, on an event loop.

Turn after turn: what others said goes to the core, its Ready to the disk and to the others, what
is committed to the state and to those who wait. Proposals that arrive in one turn share one sync
(group commit). After a failed write or sync nothing is answered any more. A member alone needs no
ticks, so an idle store does not wake up.
"""

import asyncio
import gc
import random
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future
from logging import getLogger
from pathlib import Path

from msgspec import msgpack

from raftstore.core import (
    NOBODY,
    Entry,
    EntryKind,
    HardState,
    InstallSnapshot,
    MembershipChange,
    Ready,
    Role,
)
from raftstore.disk import DiskError
from raftstore.errors import NodeError, Removed, RequestTimedOut, Stopped
from raftstore.mvcc import (
    Command,
    LeaseGrant,
    LeaseRevoke,
    MemberRecord,
    MvccError,
    Result,
    UpdateMember,
    decode_proposal,
    encode_proposal,
)
from raftstore.node.addresses import Addresses
from raftstore.node.expiry import LeaseExpiry
from raftstore.node.maintenance import Maintenance
from raftstore.node.member import READY_ENTRIES_MAX, Member
from raftstore.node.offloop import OffLoop
from raftstore.node.outgoing import Outgoing
from raftstore.node.proposals import Proposals, propose_in_term
from raftstore.node.quota import Quota
from raftstore.node.reads import Reads
from raftstore.node.retention import LogRetention
from raftstore.node.syncing import LogWriter
from raftstore.node.transfers import Received, Receiving
from raftstore.peers.messages import Forward, ForwardRefused, PeerMessage
from raftstore.peers.transport import Transport

_log = getLogger("raftstore")

# What a turn tells of past revisions, at most.
_CATCH_UP_REVISIONS = 1000
# How many turns of the loop the next sync waits for more to write, where the last one had more
# than one entry; how long at most, and for how many writes.
_PATIENCE_TURNS = 32
_PATIENCE_S = 0.002
_CROWD = 64
# While the disk hangs, how often to look who has waited too long.
_LATE_LOOK_S = 0.5


class Driver:
    """The turns; `Node` is what others see of it."""

    def __init__(self, member: Member, rng: random.Random, transport: Transport) -> None:
        self.hub = member.hub
        self.metrics = member.metrics
        self.failure: BaseException | None = None
        self.stopped = asyncio.Event()
        self._member = member
        self._raft = raft = member.raft
        self._options = options = member.options
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._expiry = LeaseExpiry(member, self._propose_as_leader)
        self._writer = LogWriter(
            member.storage.wal, member.clock, member.metrics, use_threads=options.use_threads
        )
        self._off_loop = OffLoop("raftstore-receive", use_threads=options.use_threads)
        self._receiving = Receiving(member, self._off_loop)
        self._maintenance = Maintenance(member, self._fail, self.schedule)
        self._retention = LogRetention(member)
        self._outgoing = Outgoing(member, transport, self._retention)
        self._addresses = Addresses(member, transport)
        timeout_s = options.request_timeout_s
        self._proposals = Proposals(raft, rng, member.clock, timeout_s, self._outgoing.send_one)
        retry_ticks = max(1, options.election_ticks // 2)
        self._reads = Reads(raft, member.clock, timeout_s, retry_ticks)
        self._quota = Quota(member)
        self._inbox: deque[PeerMessage] = deque()
        self._applied_term = 0
        self._led_term = 0
        self._seen_role = (0, NOBODY, Role.FOLLOWER)
        self._seen_membership = raft.membership
        self._turn: asyncio.Handle | None = None
        self._saving: asyncio.Future[None] | None = None
        self._save_timer: asyncio.TimerHandle | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._tick_is_due = False
        self._patience = 0
        self._waiting_since_s = 0.0
        self._installing: asyncio.Task[None] | None = None
        self._grace_timers: list[asyncio.TimerHandle] = []
        self._closed = False

    @property
    def leader_term(self) -> int:
        """The term in which this member leads and has applied all that earlier ones left; 0
        where it does not."""
        if self.failure is not None or self._closed or self._raft.role is not Role.LEADER:
            return 0
        return self._led_term if self._led_term == self._raft.term else 0

    # -- the turn: Ready after Ready, until there is none, the disk is being waited for, or others
    # must have the loop

    async def _settle(self) -> None:
        """Turn after turn, until there is nothing left to do."""
        self._drive()
        while self._is_busy or (self.failure is None and self._raft.has_ready()):
            if self._saving is not None:
                await asyncio.wait([self._saving])
            elif self._installing is not None:
                await asyncio.wait([self._installing])
            else:
                await asyncio.sleep(0)
                self._drive()

    @property
    def _is_busy(self) -> bool:
        """A Ready is in hand: the disk is at work on it."""
        return self._saving is not None or self._installing is not None

    def schedule(self) -> None:
        """Something happened to the core: have its Ready done, in this loop's next turn."""
        if self._turn is None and not self._is_busy and not self._closed:
            self._turn = self._loop.call_soon(self._drive_or_wait)

    def _drive_or_wait(self) -> None:
        """Where several write, let the loop go round a few times first. It takes in about one
        request each time while there are any, and passes at once where there are none: what
        arrives shares the sync, and the frames to the others, which cost more than a write."""
        if self._patience > 0 and 0 < len(self._proposals) < _CROWD:
            now_s = self._member.clock.monotonic_s()
            if self._patience == _PATIENCE_TURNS:
                self._waiting_since_s = now_s
            if now_s - self._waiting_since_s < _PATIENCE_S:
                self._patience -= 1
                self._turn = self._loop.call_soon(self._drive_or_wait)
                return
        self._drive()

    def _drive(self) -> None:
        self._turn = None
        raft = self._raft
        applied = 0
        try:
            self._take_inbox()
            while self._may_go_on() and applied < READY_ENTRIES_MAX and raft.has_ready():
                ready = raft.ready()
                self._outgoing.send(ready.messages)
                if ready.snapshot is not None:
                    self._installing = self._loop.create_task(self._install(ready))
                    self._installing.add_done_callback(self._installed)
                    return
                saving = self._writer.save(ready)
                if ready.entries:
                    self._patience = _PATIENCE_TURNS if len(ready.entries) > 1 else 0
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
        return self.failure is None and not self._is_busy

    def _take_inbox(self) -> None:
        """What others said, and only then the time: who was stopped for a while must not take its
        own silence for the leader's."""
        raft, inbox = self._raft, self._inbox
        while inbox:
            message = inbox.popleft()
            if isinstance(message, Forward):
                refused = self._proposals.take_forward(message)
                if refused is not None:
                    self._outgoing.send_one(message.sender, refused)
                if raft.role is Role.LEADER:
                    self._outgoing.wrote(message.sender, raft.log.last_index)
            elif isinstance(message, ForwardRefused):
                self._proposals.refused(message)
            elif isinstance(message, InstallSnapshot):
                self._take_snapshot(message)
            else:
                raft.step(message)
        if self._tick_is_due:
            self._tick_is_due = False
            raft.tick()
            self._reads.tick()
            self._proposals.tick()
        if self._seen_role != (raft.term, raft.leader, raft.role):
            self._role_changed()
        if self._seen_membership is not raft.membership:
            self._membership_changed()
        self._proposals.hand_over()
        self._reads.ask()

    def _take_snapshot(self, message: InstallSnapshot) -> None:
        """Raft hears only of a state that is here, or that it has no use for."""
        raft, received = self._raft, self._receiving.received
        is_here = received is not None and received.snapshot == message.snapshot
        if is_here or message.snapshot.index <= raft.log.committed:
            raft.step(message)
            self._receiving.keep(raft.log.unstable_snapshot)

    def _membership_changed(self) -> None:
        self._seen_membership = self._raft.membership
        self._addresses.tell()
        self._need_ticks()

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
        if self._patience > 0 and not self._closed:
            self.schedule()
        else:
            self._drive()

    def _saving_is_late(self) -> None:
        """Those who wait learn that they do not know, and so do those who come; the sync goes
        on."""
        timeout_s = self._options.request_timeout_s
        _log.error("a sync of the log takes longer than %.0f s", timeout_s)
        self._fail_waiting(RequestTimedOut())
        self._save_timer = self._loop.call_later(_LATE_LOOK_S, self._expire_while_saving)

    def _expire_while_saving(self) -> None:
        now_s = self._member.clock.monotonic_s()
        self._proposals.expire(now_s)
        self._reads.expire(now_s)
        self._save_timer = self._loop.call_later(_LATE_LOOK_S, self._expire_while_saving)

    def _finish(self, ready: Ready) -> None:
        self._outgoing.send(ready.messages_after_sync)
        for entry in ready.committed:
            self._apply(entry)
        self._raft.advance()
        if ready.committed:
            self._retention.applied(ready.committed)
            self._reads.applied(self._raft.log.applied)
        for context, index in ready.reads:
            self._reads.answered(context, index)
        if ready.reads:
            self._reads.applied(self._raft.log.applied)
            self._reads.ask()
        if self._seen_role != (self._raft.term, self._raft.leader, self._raft.role):
            self._role_changed()

    def _apply(self, entry: Entry) -> None:
        if entry.term != self._applied_term:
            self._applied_term = entry.term
            self._proposals.term_applied(entry.term)
            self._lead_if_caught_up()
        if entry.kind is EntryKind.MEMBERSHIP:
            self._apply_membership(entry)
            return
        if not entry.data:
            return
        proposal = decode_proposal(entry.data)
        future = self._proposals.applied(proposal.id)
        command = proposal.command
        state = self._member.state
        try:
            result, events = state.apply(command)
        except MvccError as error:
            _refuse(future, error)
            if type(command) is LeaseRevoke:
                self._expiry.refused(command)
            return
        if events:
            self.hub.publish(state.keyspace.revision, events)
        if type(command) in _LEASE_COMMANDS:
            self._expiry.applied(command)
        elif type(command) is UpdateMember:
            self._addresses.tell()
        if future is not None and not future.done():
            future.set_result(result)

    def _apply_membership(self, entry: Entry) -> None:
        change = msgpack.decode(entry.data, type=MembershipChange)
        state = self._member.state
        gone = [r for m, r in state.members.items() if m not in change.membership]
        state.apply_membership(change)
        self._membership_applied(entry)
        if gone:
            # Whoever goes, and where that is the leader the others, must still hear that this is
            # committed.
            self._addresses.keep(gone)
            grace_s = self._options.tick_s * self._options.election_ticks
            self._grace_timers.append(self._loop.call_later(grace_s, self._let_go, gone))
        self._addresses.tell()
        self._need_ticks()

    def _let_go(self, gone: Collection[MemberRecord]) -> None:
        if self._closed:
            return
        member_id = self._raft.id
        # A member that is joining reads how others left, before it reads that it was added.
        was_removed = any(record.member_id == member_id for record in gone)
        if was_removed and member_id not in self._raft.membership:
            self._fail(Removed(member_id))
        self._addresses.let_go(gone)

    def _lead_if_caught_up(self) -> None:
        """The first entry of its own term is applied: what earlier leaders acknowledged is too
        (paper, section 8)."""
        raft = self._raft
        if raft.role is Role.LEADER and raft.term == self._applied_term != self._led_term:
            self._led_term = raft.term
            self._expiry.promote()

    def _role_changed(self) -> None:
        raft = self._raft
        _, leader_before, _ = self._seen_role
        self._seen_role = raft.term, raft.leader, raft.role
        if raft.leader not in (NOBODY, leader_before):
            self.metrics.leader_changes += 1
        self._outgoing.role_changed()
        if self._led_term and not (raft.role is Role.LEADER and raft.term == self._led_term):
            self._led_term = 0
            self._expiry.demote()
        if raft.leader != NOBODY:
            self._proposals.hand_over()
            self._reads.leader_changed()
        self._need_ticks()

    def _after_turn(self) -> None:
        if not self.hub.catch_up(_CATCH_UP_REVISIONS) or self._inbox or self._raft.has_ready():
            self.schedule()
        self._maintenance.after_apply()
        if self._deadline_timer is None and len(self._proposals):
            self._watch_deadlines()
        if self.leader_term and self._raft.transferee == NOBODY:
            for alarm in self._quota.all_clear(self.leader_term):
                self._propose_as_leader(alarm)

    # -- the leader's snapshot

    async def _install(self, ready: Ready) -> None:
        """Make another state this member's, in place of log and state so far."""
        received = self._receiving.received
        assert received is not None, "Raft took a snapshot that was not received"
        assert received.snapshot == ready.snapshot, "Raft took another snapshot"
        await self._maintenance.drop_snapshot()
        needless = await self._off_loop.run(self._install_on_disk, ready, received)
        self._receiving.keep(None)
        self._member.state = received.state
        self.hub.restore(received.state.keyspace)
        # What was loaded stays: a collection that looks through a million keys takes too long.
        gc.freeze()
        self._maintenance.installed(received.snapshot.index)
        self._retention.installed()
        self._applied_term = received.snapshot.term
        self._proposals.skipped()
        self._entries_skipped()
        self._addresses.tell()
        self._finish(ready)
        self._reads.applied(self._raft.log.applied)
        await self._off_loop.run(self._member.storage.remove, needless)

    def _install_on_disk(self, ready: Ready, received: Received) -> list[Path]:
        hard_state = self._writer.take_hard_state(ready.hard_state)
        storage = self._member.storage
        # The log that begins anew has none of the entries that this Ready may commit as well.
        index = min(hard_state.commit, received.snapshot.index)
        begins = HardState(hard_state.term, hard_state.vote, index)
        needless = storage.install_snapshot(received.snapshot, begins, received.size_bytes)
        if ready.entries:
            storage.wal.append(hard_state, ready.entries)
            storage.wal.sync()
        return needless

    def _installed(self, task: asyncio.Task[None]) -> None:
        self._installing = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        self._need_ticks()
        self._drive()

    # -- time

    def _need_ticks(self) -> None:
        """A member alone has nobody to hear from, once it leads: the leader that left may have
        gone without a word."""
        raft = self._raft
        alone = raft.membership.members == (raft.id,) and raft.role is Role.LEADER
        if alone and self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None
        elif not alone and self._tick_timer is None and not self._closed:
            self._tick_timer = self._loop.call_later(self._options.tick_s, self._tick)

    def _tick(self) -> None:
        """However late it is called, it is one tick."""
        self._tick_timer = None
        self._tick_is_due = True
        self._need_ticks()
        self.schedule()

    def _watch_deadlines(self) -> None:
        self._deadline_timer = None
        now_s = self._member.clock.monotonic_s()
        self._proposals.expire(now_s)
        deadline_s = self._proposals.next_deadline_s
        if deadline_s is not None and not self._closed and self.failure is None:
            wait_s = max(0.01, deadline_s - now_s)
            self._deadline_timer = self._loop.call_later(wait_s, self._watch_deadlines)

    # -- as the leader

    def _propose_as_leader(self, command: Command) -> None:
        """Raises NotTheLeader."""
        propose_in_term(self._raft, self.leader_term, encode_proposal(0, command))
        self.schedule()

    # -- what `Node` wants to hear of

    def _membership_applied(self, entry: Entry) -> None:
        """A change of the membership is committed and in the state."""

    def _entries_skipped(self) -> None:
        """A snapshot has replaced entries unseen."""

    # -- the end

    def _fail(self, error: BaseException) -> None:
        """The disk is in doubt, or the log holds what cannot be applied: answer nothing more."""
        if self.failure is None:
            self.failure = error
            _log.error("the store has stopped: %s", error, exc_info=_unexpected(error))
            self._expiry.close()
            if self._tick_timer is not None:
                self._tick_timer.cancel()
            self._writer.abandon()
            self._outgoing.drop()
            self._fail_waiting(Stopped(str(error)))
            self.stopped.set()

    def _fail_waiting(self, error: NodeError) -> None:
        self.metrics.proposals_failed += self._proposals.fail_all(error)
        self._reads.fail_all(error)

    def _check_running(self) -> None:
        if self.failure is not None:
            raise Stopped(str(self.failure))
        if self._closed:
            raise Stopped


_LEASE_COMMANDS = (LeaseGrant, LeaseRevoke)


def _refuse(future: "asyncio.Future[Result] | None", error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


def _unexpected(error: BaseException) -> BaseException | None:
    """A failed disk says all in its message; anything else is a defect and shows where."""
    return None if isinstance(error, DiskError | Removed) else error
