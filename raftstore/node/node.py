"""A member of a store as others see it: clients through the API, the other members through the
transport. The work is done by its `Driver`, turn after turn.

A write is answered when it is committed and applied here, and this member's watchers have heard of
it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

from base.clock import Clock
from raftstore.core import (
    NOBODY,
    Entry,
    InstallSnapshot,
    Role,
)
from raftstore.disk import DiskError, FileSystem, Founding
from raftstore.errors import NodeError, Removed, Stopped, TooManyRequests
from raftstore.mvcc import (
    AlarmKind,
    Command,
    MemberRecord,
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
from raftstore.mvcc.watch import CompactedSink, Sink
from raftstore.node.consistency import hash_kv
from raftstore.node.driver import Driver
from raftstore.node.founding import founding_alone
from raftstore.node.gauges import expose_gauges
from raftstore.node.leading import Leading
from raftstore.node.member import Member, Options, open_member
from raftstore.node.transfers import HeldSlices, present_snapshot
from raftstore.peers.messages import (
    Cluster,
    HashKv,
    LeaseRemaining,
    LeaseRenew,
    Members,
    MembershipQuestion,
    PeerMessage,
    Question,
)
from raftstore.peers.transport import Alone, Transport

_log = getLogger("raftstore")

# What a turn tells of past revisions, at most.
_CATCH_UP_REVISIONS = 1000
# How long a commit is kept from a member that has nothing else to hear.
_HOLD_S = 0.003
# While the disk hangs, how often to look who has waited too long.
_LATE_LOOK_S = 0.5
# Messages of others that wait for their turn; what comes beyond is lost, and sent again by Raft.
_INBOX_MAX = 20_000


class Node(Driver):
    """All methods belong to the loop it was opened on."""

    def __init__(self, member: Member, rng: random.Random, transport: Transport) -> None:
        super().__init__(member, rng, transport)
        self._rng = rng
        self._leading = Leading(self, member, self._expiry, transport)
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
    ) -> "Node":
        """Open the store in `directory`, or make it as `founding` says (without one: a cluster of
        this member alone). A sole voter leads on return and has applied all it knew. A member
        that joins is told by `meet` where the others are. Raises DiskError."""
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
        node._addresses.tell()
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
        self._outgoing.close()
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

    def meet(self, peers: Mapping[int, Sequence[str]]) -> None:
        """Where the others are, for a member whose log does not say yet that it was added."""
        self._addresses.met = peers
        self._addresses.tell()

    def members_of_log(self) -> Mapping[int, MemberRecord]:
        """The members as of the last change in the log, committed or not."""
        return self._addresses.of_log()

    # -- what the driver says

    def _membership_applied(self, entry: Entry) -> None:
        self._leading.membership_applied(entry)

    def _entries_skipped(self) -> None:
        self._leading.skipped()

    def _fail_waiting(self, error: NodeError) -> None:
        super()._fail_waiting(error)
        self._leading.fail_all(error)

    def _raise_alarm(self) -> None:
        alarm = self._quota.alarm()
        if alarm is not None:
            future: asyncio.Future[Result] = self._loop.create_future()
            future.add_done_callback(_ignore_outcome)
            future.add_done_callback(self._quota.raised)
            proposal_id = self._proposals.new_id()
            self._proposals.add(proposal_id, encode_proposal(proposal_id, alarm), future)
            self.schedule()


def _ignore_outcome(future: "asyncio.Future[Result]") -> None:
    if not future.cancelled():
        future.exception()


def _sink_failed(error: Exception) -> None:
    """A defect of whoever watches; the store's own work goes on."""
    context = {"message": "a watcher of the store raised", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
