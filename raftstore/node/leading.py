"""What only the leader can say or do, asked of it from any member.

Before it answers, the leader makes sure that it still is one: a deposed leader that renews a lease
would promise what its successor does not know of.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from raftstore.core import NOBODY, Entry, MembershipInDoubt, NotLeader
from raftstore.errors import (
    BadTransferee,
    LeaderChanged,
    MemberNotFound,
    NodeError,
    NoLeader,
    NotTheLeader,
    PeerUrlExists,
    RequestTimedOut,
    Unreachable,
)
from raftstore.mvcc import AlarmKind, MemberRecord, UpdateMember
from raftstore.node.consistency import find_corrupt
from raftstore.node.expiry import LeaseExpiry
from raftstore.node.member import Member
from raftstore.node.membership import View, check_urls, plan_change
from raftstore.peers.messages import (
    AddMember,
    LeaseRemaining,
    LeaseRenew,
    MembershipQuestion,
    PromoteMember,
    Question,
    RemoveMember,
)
from raftstore.peers.transport import Transport

if TYPE_CHECKING:
    from raftstore.node import Node

# Asked twice they do the same as once.
_REPEATABLE = (LeaseRenew, LeaseRemaining)


class Leading:
    def __init__(
        self, node: "Node", member: Member, expiry: LeaseExpiry, transport: Transport
    ) -> None:
        self._node = node
        self._member = member
        self._raft = member.raft
        self._expiry = expiry
        self._transport = transport
        # Changes of the membership on their way: index of the entry to its term and who waits.
        self._changes: dict[int, tuple[int, asyncio.Future[None]]] = {}
        self._answers: dict[type, Callable[[Any], Awaitable[Any]]] = {
            LeaseRenew: self._renew,
            LeaseRemaining: self._remaining,
            AddMember: self._change,
            RemoveMember: self._change,
            PromoteMember: self._change,
        }

    # -- asking

    async def ask(self, question: Question) -> Any:
        """The leader's answer, whoever leads. Raises what the leader raised, and NodeError."""
        clock, options = self._member.clock, self._member.options
        deadline_s = clock.monotonic_s() + options.request_timeout_s
        while True:
            try:
                return await self._ask_once(question)
            except (NotTheLeader, NoLeader, Unreachable) as error:
                if isinstance(error, Unreachable) and not isinstance(question, _REPEATABLE):
                    raise RequestTimedOut(str(error)) from error
                if clock.monotonic_s() >= deadline_s:
                    raise RequestTimedOut from error
            await clock.sleep(options.tick_s)

    async def _ask_once(self, question: Question) -> Any:
        leader = self._node.leader
        if leader == self._raft.id:
            return await self.answer(question)
        if leader == NOBODY:
            raise NoLeader
        return await self._transport.ask(leader, question)

    # -- answering

    async def answer(self, question: Question) -> Any:
        """Raises NotTheLeader where this member does not lead now."""
        if not self._node.leader_term:
            raise NotTheLeader
        return await self._answers[type(question)](question)

    async def _confirm(self) -> None:
        """Still the leader, as a majority says. Who took long to hear that may have been
        stopped meanwhile, and have a successor that counts already."""
        clock, options = self._member.clock, self._member.options
        term, start_s = self._node.leader_term, clock.monotonic_s()
        await self._node.read_barrier()
        late = clock.monotonic_s() - start_s > options.tick_s * options.election_ticks / 2
        if late or not term or self._node.leader_term != term:
            raise NotTheLeader

    async def _renew(self, question: LeaseRenew) -> int:
        await self._confirm()
        return self._expiry.renew(question.lease_id)

    async def _remaining(self, question: LeaseRemaining) -> float:
        await self._confirm()
        return self._expiry.remaining_s(question.lease_id)

    # -- the membership

    async def _change(self, question: MembershipQuestion) -> list[MemberRecord]:
        if isinstance(question, AddMember) and not question.member_id:
            new_id = self._node.new_member_id()
            question = AddMember(new_id, question.peer_urls, question.is_learner)
        await self._confirm()
        try:
            async with asyncio.timeout(self._member.options.request_timeout_s):
                await self._propose_change(question)
        except TimeoutError:
            raise RequestTimedOut from None
        return list(self._node.members_of_log().values())

    async def _propose_change(self, question: MembershipQuestion) -> None:
        raft = self._raft
        while True:
            was_alone = raft.membership.voters == (raft.id,)
            try:
                entry = raft.propose_membership(plan_change(question, self._view()))
                break
            except NotLeader:
                raise NotTheLeader from None
            except MembershipInDoubt:
                # Another change is under way: this one is planned on what that leaves.
                await self._member.clock.sleep(self._member.options.tick_s)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes[entry.index] = entry.term, future
        self._node.schedule()
        try:
            if was_alone and isinstance(question, AddMember) and not question.is_learner:
                await self._until_durable(entry)
            else:
                await future
        finally:
            self._changes.pop(entry.index, None)

    async def _until_durable(self, entry: Entry) -> None:
        """To commit the second voter takes the second voter, who is started when this is answered.
        Nobody but this member can lead without the entry, once it is on its disk."""
        while self._raft.log.stable < entry.index:
            await self._member.clock.sleep(self._member.options.tick_s)

    def _view(self) -> View:
        raft = self._raft
        active = {peer for peer, progress in raft.progress.items() if progress.recent_active}
        return View(
            raft.membership,
            self._node.members_of_log(),
            frozenset(active | {raft.id}),
            {peer: progress.match_index for peer, progress in raft.progress.items()},
            raft.log.last_index,
        )

    def membership_applied(self, entry: Entry) -> None:
        """A change of the membership is committed and in the state."""
        term, future = self._changes.pop(entry.index, (0, None))
        if future is None or future.done():
            return
        if term == entry.term:
            future.set_result(None)
        else:
            future.set_exception(LeaderChanged())

    async def update_member(self, command: UpdateMember) -> None:
        members = self._member.state.members
        check_urls(command.peer_urls)
        await self._node.read_barrier()
        if command.member_id not in members:
            raise MemberNotFound
        for record in members.values():
            taken = set(record.peer_urls).intersection(command.peer_urls)
            if taken and record.member_id != command.member_id:
                raise PeerUrlExists
        await self._node.propose(command)

    # -- leadership

    async def transfer(self, to: int) -> None:
        if not self._node.leader_term:
            raise NotTheLeader
        if to == self._raft.id:
            return
        try:
            self._raft.transfer_leadership(to)
        except NotLeader:
            raise NotTheLeader from None
        except ValueError:
            raise BadTransferee from None
        self._node.schedule()
        options = self._member.options
        for _ in range(3 * options.election_ticks):
            if self._node.leader not in (NOBODY, self._raft.id):
                return
            await self._member.clock.sleep(options.tick_s)
        raise RequestTimedOut

    async def check_consistency(self) -> list[int]:
        if not self._node.leader_term:
            raise NotTheLeader
        revision = self._member.state.keyspace.revision
        corrupt = await find_corrupt(self._member, self._transport, revision)
        for member_id in corrupt:
            if (member_id, AlarmKind.CORRUPT) not in self._member.state.alarms:
                await self._node.set_alarm(member_id, AlarmKind.CORRUPT, active=True)
        return corrupt

    # -- the end of waiting

    def skipped(self) -> None:
        """A snapshot has replaced entries unseen."""
        self.fail_all(LeaderChanged())

    def fail_all(self, error: NodeError) -> None:
        changes, self._changes = self._changes, {}
        for _, future in changes.values():
            if not future.done():
                future.set_exception(error)
