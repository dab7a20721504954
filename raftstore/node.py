"""One member at work: the core's Ready made durable, sent, applied and answered, on an event loop.

Proposals that arrive in one turn of the loop share one sync (group commit). A write is answered
when it is committed and applied here, and this member's watchers have heard of it; after a failed
write or sync nothing is answered any more. A member alone needs no ticks, so an idle store does
not wake up.
"""

import asyncio
import contextlib
import gc
import random
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from logging import getLogger
from pathlib import Path
from typing import Any

from msgspec import msgpack

from base.clock import Clock
from raftstore.consistency import hash_kv
from raftstore.core import (
    NOBODY,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    InstallSnapshot,
    MembershipChange,
    Message,
    Ready,
    Role,
)
from raftstore.disk import DiskError, FileSystem, Founding
from raftstore.errors import NodeError, Removed, RequestTimedOut, Stopped, TooManyRequests
from raftstore.expiry import LeaseExpiry
from raftstore.founding import founding_alone
from raftstore.leading import Leading
from raftstore.maintenance import Maintenance
from raftstore.member import READY_ENTRIES_MAX, Member, Options, open_member
from raftstore.mvcc import (
    AlarmKind,
    Command,
    LeaseGrant,
    LeaseRevoke,
    MemberRecord,
    MvccError,
    Range,
    RangeResult,
    Result,
    SetAlarm,
    StateMachine,
    Txn,
    TxnResult,
    UpdateMember,
    Watcher,
    decode_proposal,
    encode_proposal,
)
from raftstore.mvcc.errors import NoSpace, RequestTooLarge
from raftstore.mvcc.hashing import HashResult
from raftstore.mvcc.members import changed_members
from raftstore.mvcc.watch import CompactedSink, Sink
from raftstore.nodemetrics import expose_gauges
from raftstore.offloop import OffLoop
from raftstore.peers.messages import (
    Cluster,
    Forward,
    ForwardRefused,
    HashKv,
    LeaseRemaining,
    LeaseRenew,
    Members,
    MembershipQuestion,
    PeerMessage,
    Question,
)
from raftstore.peers.transport import Alone, Transport
from raftstore.proposals import Proposals, propose_in_term
from raftstore.quota import Quota
from raftstore.reads import Reads
from raftstore.retention import LogRetention
from raftstore.syncing import LogWriter
from raftstore.transfers import HeldSlices, Received, Receiving, present_snapshot

_log = getLogger("raftstore")

# What a turn tells of past revisions, at most.
_CATCH_UP_REVISIONS = 1000
# How long a commit is kept from a member that has nothing else to hear.
_HOLD_S = 0.003
# While the disk hangs, how often to look who has waited too long.
_LATE_LOOK_S = 0.5
# Messages of others that wait for their turn; what comes beyond is lost, and sent again by Raft.
_INBOX_MAX = 20_000


class Node:
    """A member of a store, open. All methods belong to the loop it was opened on."""

    def __init__(self, member: Member, rng: random.Random, transport: Transport) -> None:
        self.hub = member.hub
        self.metrics = member.metrics
        self.failure: BaseException | None = None
        self.stopped = asyncio.Event()
        self._member = member
        self._raft = raft = member.raft
        self._rng = rng
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
        self._proposals = Proposals(
            raft, rng, member.clock, options.request_timeout_s, self._send_one
        )
        self._reads = Reads(
            raft, member.clock, options.request_timeout_s, max(1, options.election_ticks // 2)
        )
        self._leading = Leading(self, member, self._expiry, transport)
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
        self._installing: asyncio.Task[None] | None = None
        # The addresses that a member was given when it came to join.
        self._peers: Mapping[int, Sequence[str]] = {}
        # The addresses of members that were removed a moment ago.
        self._leaving: dict[int, tuple[str, ...]] = {}
        self._grace_timers: list[asyncio.TimerHandle] = []
        # What others are to hear of the commit, and the last entry that each has handed over.
        self._held: dict[int, Heartbeat] = {}
        self._held_timer: asyncio.TimerHandle | None = None
        self._handed_over: dict[int, int] = {}
        self._closed = False
        expose_gauges(self, self._proposals)

    @classmethod
    async def open(
        cls,
        directory: Path,
        clock: Clock,
        rng: random.Random,
        options: Options | None = None,
        files: FileSystem | None = None,
        founding: Founding | None = None,
        transport: Transport | None = None,
        peers: Mapping[int, Sequence[str]] | None = None,
    ) -> "Node":
        """Open the store in `directory`, or make it as `founding` says (without one: a cluster of
        this member alone). A sole voter leads on return and has applied all it knew. `peers` are
        the addresses of others, for a member that joins. Raises DiskError."""
        member = open_member(
            directory,
            clock,
            rng,
            options or Options(),
            files,
            founding or founding_alone(rng),
            _sink_failed,
        )
        node = cls(member, rng, transport or Alone())
        node._transport.start(node)
        node._peers = peers or {}
        node._tell_members()
        try:
            await node._settle()
        except asyncio.CancelledError:
            await node.close()
            raise
        if node.failure is not None:
            await node.close()
            raise node.failure
        node._need_ticks()
        return node

    # -- what there is to see

    @property
    def state(self) -> StateMachine:
        return self._member.state

    @property
    def member(self) -> Member:
        return self._member

    @property
    def member_id(self) -> int:
        return self._raft.id

    @property
    def cluster_id(self) -> int:
        return self._member.storage.identity.cluster_id

    @property
    def term(self) -> int:
        return self._raft.term

    @property
    def leader(self) -> int:
        """Who leads as far as this member knows, or 0."""
        return self._raft.leader

    @property
    def leader_term(self) -> int:
        """The term in which this member leads and has applied all that earlier ones left; 0
        where it does not."""
        if self.failure is not None or self._closed or self._raft.role is not Role.LEADER:
            return 0
        return self._led_term if self._led_term == self._raft.term else 0

    @property
    def is_learner(self) -> bool:
        return self._raft.id in self._raft.membership.learners

    @property
    def raft_index(self) -> int:
        return self._raft.log.committed

    @property
    def applied_index(self) -> int:
        return self._raft.log.applied

    @property
    def quota_bytes(self) -> int:
        return self._options.quota_bytes

    @property
    def size_bytes(self) -> int:
        return self.state.keyspace.size_bytes

    @property
    def sync_median_s(self) -> float:
        return self._writer.sync_median_s

    # -- writes

    def propose(self, command: Command) -> "asyncio.Future[Result]":
        """Put `command` (checked by `mvcc.check`) into the log, through whoever leads. The future
        gives its result, an MvccError that it was refused with, or a NodeError when its fate is
        not known."""
        self._check_running()
        proposals = self._proposals
        proposal_id = proposals.new_id()
        data = encode_proposal(proposal_id, command)
        # What the log holds must be readable for ever: a value of a wrong type fails here.
        decode_proposal(data)
        if len(data) > self._options.request_size_max_bytes:
            raise RequestTooLarge
        if len(proposals) >= self._options.pending_max:
            self.metrics.proposals_failed += 1
            raise TooManyRequests
        if self._quota.exceeded_by(command, len(data)):
            self._raise_alarm()
            raise NoSpace
        future: asyncio.Future[Result] = self._loop.create_future()
        proposals.add(proposal_id, data, future)
        self.schedule()
        return future

    async def set_alarm(self, member_id: int, kind: AlarmKind, *, active: bool) -> None:
        await self.propose(SetAlarm(member_id, kind, active))

    def new_lease_id(self) -> int:
        return self._rng.randrange(1, 1 << 63)

    def new_member_id(self) -> int:
        return self._rng.getrandbits(63) | 1

    # -- reads, of what is applied here

    async def read_barrier(self) -> None:
        """Return when what is read here is no older than this call (linearizable: thesis, 6.4).
        Raises NodeError."""
        self._check_running()
        log, alone = self._raft.log, self._raft.membership.voters == (self._raft.id,)
        if alone and self.leader_term and log.applied == log.committed:
            # Nothing was acknowledged, by a learner either, that is not committed here.
            return
        future = self._reads.wait()
        self.schedule()
        await future

    def range(self, request: Range) -> RangeResult:
        self._check_running()
        return self._member.state.range(request)

    def read_txn(self, txn: Txn) -> TxnResult:
        self._check_running()
        return self._member.state.read_txn(txn)

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Sink,
        on_compacted: CompactedSink | None = None,
    ) -> Watcher:
        """`sink` hears of nothing before this returns; `on_compacted` when the leader's snapshot
        lacks revisions that the watcher had still to hear of. Raises Compacted."""
        self._check_running()
        watcher = self.hub.watch(key, range_end, start_revision, sink, on_compacted)
        if self.hub.is_catching_up:
            self.schedule()
        return watcher

    async def hash_kv(self, revision: int) -> HashResult:
        """The hash of the keys at `revision` (0: now). Raises Compacted, FutureRevision."""
        self._check_running()
        return await hash_kv(self._member, revision)

    # -- what the leader is asked for, from any member

    async def renew_lease(self, lease_id: int) -> int:
        """The lease's TTL in seconds, counted from now. Raises LeaseNotFound, NodeError."""
        ttl_s: int = await self._leading.ask(LeaseRenew(lease_id))
        return ttl_s

    async def lease_remaining_s(self, lease_id: int) -> float:
        """Raises LeaseNotFound, NodeError."""
        remaining_s: float = await self._leading.ask(LeaseRemaining(lease_id))
        return remaining_s

    async def change_membership(self, question: MembershipQuestion) -> list[MemberRecord]:
        """The members after the change. Raises ClusterError, NodeError."""
        members: list[MemberRecord] = await self._leading.ask(question)
        return members

    async def update_member(self, member_id: int, peer_urls: tuple[str, ...]) -> None:
        """Raises ClusterError, NodeError."""
        await self._leading.update_member(UpdateMember(member_id, peer_urls))

    async def transfer_leadership(self, to: int) -> None:
        """Return when another one leads. Raises NotTheLeader, BadTransferee, RequestTimedOut."""
        await self._leading.transfer(to)

    async def check_consistency(self) -> list[int]:
        """Compare the members' hashes, as the leader; raise the CORRUPT alarm for those that
        differ from most. Returns these. Raises NotTheLeader, NodeError."""
        return await self._leading.check_consistency()

    async def defragment(self) -> None:
        """Give back what the disk holds needlessly: a snapshot takes the place of the log."""
        self._check_running()
        await self._maintenance.snapshot_now()

    async def snapshot_slices(self) -> AsyncIterator[bytes]:
        """A backup of the present state, as the bytes of its file."""
        from raftstore.disk.backup import backup_stream

        self._check_running()
        while self._installing is not None:
            # Raft speaks of the next state already.
            await asyncio.wait([self._installing])
        member = self._member
        held = HeldSlices(member)
        try:
            for data in backup_stream(held, present_snapshot(member)):
                if data:
                    yield data
                else:
                    await asyncio.sleep(0)
        finally:
            held.close()

    async def close(self) -> None:
        """Finish what is in the log, and let the directory go."""
        if self._closed:
            return
        self._send_held()
        self._closed = True
        self._expiry.close()
        for timer in (self._turn, self._tick_timer, self._deadline_timer, *self._grace_timers):
            if timer is not None:
                timer.cancel()
        await self._receiving.close()
        await self._maintenance.close()
        await self._settle()
        await self._transport.close()
        if self._installing is not None:
            await asyncio.wait([self._installing])
        self._off_loop.close()
        try:
            if self.failure is None:
                self._writer.close()
        except DiskError as error:
            self._fail(error)
        self._fail_waiting(Stopped())
        self._member.storage.close()
        self.stopped.set()

    # -- Receiver: what the transport brings

    def receive(self, messages: Iterable[PeerMessage]) -> None:
        if self.failure is None and not self._closed and len(self._inbox) < _INBOX_MAX:
            self._inbox.extend(messages)
            self.schedule()

    async def receive_snapshot(
        self, message: InstallSnapshot, slices: AsyncIterator[bytes]
    ) -> None:
        """Raises SnapshotMismatch, NodeError."""
        self._check_running()
        if message.snapshot.index > self._raft.log.committed:
            try:
                await self._receiving.take(message, slices)
            except DiskError as error:
                self._fail(error)
                raise Stopped(str(error)) from error
        # However much waits: a state that is not asked for again keeps others from being received.
        self._inbox.append(message)
        self.schedule()

    async def answer(self, question: Question) -> Any:
        self._check_running()
        if isinstance(question, HashKv):
            return await self.hash_kv(question.revision)
        if isinstance(question, Members):
            await self._catch_up_with_leader()
            return Cluster(self.cluster_id, list(self.members_of_log().values()))
        return await self._leading.answer(question)

    async def _catch_up_with_leader(self) -> None:
        """As well as can be: who asks for the members may be the one that the quorum lacks."""
        if self.leader != NOBODY:
            with contextlib.suppress(NodeError, TimeoutError):
                async with asyncio.timeout(self._options.tick_s * self._options.election_ticks):
                    await self.read_barrier()

    def snapshot_sent(self, peer: int, *, ok: bool) -> None:
        self._retention.sent(peer)
        self._raft.report_snapshot(peer, ok)
        self.schedule()

    def unreachable(self, peer: int) -> None:
        self._raft.report_unreachable(peer)

    def knows_member(self, member_id: int) -> bool | None:
        if member_id in self._raft.membership:
            return True
        return False if member_id in self.state.removed else None

    def removed(self) -> None:
        """Another member says that this one was removed; the log may not have told it."""
        if self._raft.id not in self._raft.membership or self._raft.role is not Role.LEADER:
            self._fail(Removed(self._raft.id))

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
            self._turn = self._loop.call_soon(self._drive)

    def _drive(self) -> None:
        self._turn = None
        raft = self._raft
        applied = 0
        try:
            self._take_inbox()
            while self._may_go_on() and applied < READY_ENTRIES_MAX and raft.has_ready():
                ready = raft.ready()
                self._send(ready.messages)
                if ready.snapshot is not None:
                    self._installing = self._loop.create_task(self._install(ready))
                    self._installing.add_done_callback(self._installed)
                    return
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
                    self._transport.send(message.sender, [refused])
                if raft.role is Role.LEADER:
                    self._handed_over[message.sender] = raft.log.last_index
            elif isinstance(message, ForwardRefused):
                self._proposals.refused(message)
            else:
                raft.step(message)
                if type(message) is InstallSnapshot:
                    self._receiving.keep(raft.log.unstable_snapshot)
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
        self._send(ready.messages_after_sync)
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
            self._tell_members()
        if future is not None and not future.done():
            future.set_result(result)

    def _apply_membership(self, entry: Entry) -> None:
        change = msgpack.decode(entry.data, type=MembershipChange)
        before = self.state.members
        self.state.apply_membership(change)
        self._leading.membership_applied(entry)
        gone = [member_id for member_id in before if member_id not in change.membership]
        if gone:
            # Whoever goes, and where that is the leader the others, must still hear that this is
            # committed.
            self._leaving |= {member_id: before[member_id].peer_urls for member_id in gone}
            grace_s = self._options.tick_s * self._options.election_ticks
            self._grace_timers.append(self._loop.call_later(grace_s, self._let_go, gone))
        self._tell_members()
        self._need_ticks()

    def _let_go(self, members: Collection[int]) -> None:
        if self._closed:
            return
        for member_id in members:
            self._leaving.pop(member_id, None)
        # A member that is joining reads how others left, before it reads that it was added.
        if self._raft.id in members and self._raft.id not in self._raft.membership:
            self._fail(Removed(self._raft.id))
        self._tell_members()

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
        self._handed_over.clear()
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
        self._leading.skipped()
        self._tell_members()
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

    def _send_snapshot(self, message: InstallSnapshot) -> None:
        snapshot = present_snapshot(self._member)
        self._retention.sending(message.to, snapshot.index)
        whole = InstallSnapshot(message.sender, message.to, message.term, snapshot)
        self._transport.send_snapshot(whole, HeldSlices(self._member))

    # -- to the others

    def _send(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        of_peer: dict[int, list[PeerMessage]] = {}
        for message in messages:
            if isinstance(message, InstallSnapshot):
                self._send_snapshot(message)
            elif type(message) is Heartbeat and not message.round and self._may_hold(message):
                self._held[message.to] = message
            else:
                of_peer.setdefault(message.to, []).append(message)
        for peer, its_messages in of_peer.items():
            held = self._held.pop(peer, None)
            if held is not None:
                its_messages.insert(0, held)
            self._transport.send(peer, its_messages)
        if self._held and self._held_timer is None:
            self._held_timer = self._loop.call_later(_HOLD_S, self._send_held)

    def _may_hold(self, commit: Heartbeat) -> bool:
        """Whether the word of a commit may wait for what else there is to say: each frame costs
        both ends as much as a write. Not where a write of that member waits for it."""
        wanted = self._handed_over.get(commit.to)
        if wanted is None:
            return not self._closed
        if wanted <= commit.leader_commit:
            del self._handed_over[commit.to]
        return False

    def _send_held(self) -> None:
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        held, self._held = self._held, {}
        if self.failure is None and not self._closed:
            for peer, message in held.items():
                self._transport.send(peer, [message])

    def _send_one(self, peer: int, message: PeerMessage) -> None:
        self._transport.send(peer, [message])

    def meet(self, peers: Mapping[int, Sequence[str]]) -> None:
        """Where the others are, for a member whose log does not say yet that it was added."""
        self._peers = peers
        self._tell_members()

    def members_of_log(self) -> Mapping[int, MemberRecord]:
        """The members as of the last change in the log: it holds before it is committed (thesis,
        4.1), and may need who is new for that."""
        log, members = self._raft.log, self.state.members
        if log.memberships.latest_index <= log.applied:
            return members
        for entry in log.slice(log.applied + 1, log.last_index):
            if entry.kind is EntryKind.MEMBERSHIP:
                change = msgpack.decode(entry.data, type=MembershipChange)
                members = changed_members(members, change)
        return members

    def _membership_changed(self) -> None:
        self._seen_membership = self._raft.membership
        self._tell_members()
        self._need_ticks()

    def _tell_members(self) -> None:
        # Whoever is about to go is still told things.
        records = {**self.state.members, **self.members_of_log()}
        others: dict[int, Sequence[str]] = {m: record.peer_urls for m, record in records.items()}
        others |= self._leaving
        if self._raft.id not in records:
            # It has the beginning of the log, which may not know of who leads now.
            others |= self._peers
        others.pop(self._raft.id, None)
        self._transport.set_members(others)

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

    def _raise_alarm(self) -> None:
        alarm = self._quota.alarm()
        if alarm is not None:
            future: asyncio.Future[Result] = self._loop.create_future()
            future.add_done_callback(_ignore_outcome)
            future.add_done_callback(self._quota.raised)
            proposal_id = self._proposals.new_id()
            self._proposals.add(proposal_id, encode_proposal(proposal_id, alarm), future)
            self.schedule()

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
            self._fail_waiting(Stopped(str(error)))
            self.stopped.set()

    def _fail_waiting(self, error: NodeError) -> None:
        self.metrics.proposals_failed += self._proposals.fail_all(error)
        self._reads.fail_all(error)
        self._leading.fail_all(error)

    def _check_running(self) -> None:
        if self.failure is not None:
            raise Stopped(str(self.failure))
        if self._closed:
            raise Stopped


_LEASE_COMMANDS = (LeaseGrant, LeaseRevoke)


def _refuse(future: "asyncio.Future[Result] | None", error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)


def _ignore_outcome(future: "asyncio.Future[Result]") -> None:
    if not future.cancelled():
        future.exception()


def _sink_failed(error: Exception) -> None:
    """A defect of whoever watches; the store's own work goes on."""
    context = {"message": "a watcher of the store raised", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


def _unexpected(error: BaseException) -> BaseException | None:
    """A failed disk says all in its message; anything else is a defect and shows where."""
    return None if isinstance(error, DiskError | Removed) else error
