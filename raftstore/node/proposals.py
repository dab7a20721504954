"""Writes that wait for their answer: handed to whoever leads, and answered when they are applied.

A proposal is appended by the leader of the term it was handed over in, or never. So when an entry
of a later term is applied, what was handed over before and not seen cannot come any more, and is
handed to the next leader without a doubt: no write is made twice, and a change of leaders costs
its writers time only.
"""

import asyncio
import random
from collections.abc import Callable

from base.clock import Clock
from raftstore.core import NOBODY, NotLeader, Raft, Role
from raftstore.errors import LeaderChanged, NodeError, NotTheLeader, RequestTimedOut
from raftstore.mvcc import Result
from raftstore.peers.messages import Forward, ForwardRefused

# A Forward carries about as much as an AppendEntries.
_FORWARD_SIZE_MAX_BYTES = 1 << 20
# Entries that a leader holds uncommitted before it takes no more from others.
_UNCOMMITTED_MAX = 20_000

# Starts of other members that are told apart.
_LIVES_MAX = 1000

_NOT_HANDED_OVER = 0


class _Pending:
    __slots__ = ("data", "deadline_s", "future", "term")

    def __init__(self, data: bytes, future: "asyncio.Future[Result]", deadline_s: float) -> None:
        self.data = data
        self.future = future
        self.deadline_s = deadline_s
        # In which it was handed over.
        self.term = _NOT_HANDED_OVER


class Proposals:
    """`forward` sends to another member."""

    def __init__(
        self,
        raft: Raft,
        rng: random.Random,
        clock: Clock,
        timeout_s: float,
        forward: Callable[[int, Forward], None],
    ) -> None:
        self._raft = raft
        self._clock = clock
        self._timeout_s = timeout_s
        self._forward = forward
        # Ids of two members, or of two starts of one, do not meet.
        self._life = self._next_id = rng.getrandbits(62) + 1
        self._next_number = 1
        # In the order of their deadlines.
        self._pending: dict[int, _Pending] = {}
        self._waiting: dict[int, None] = {}
        # Sent back by who was taken for the leader: not to be sent to and fro without a pause.
        self._refused: dict[int, None] = {}
        # The number of the last Forward of each life of a member: none is taken twice, nor refused
        # when it comes again, in whatever term.
        self._heard: dict[tuple[int, int], int] = {}
        # In terms up to this one it may have led, and taken what it does not remember.
        self._forgotten_term = raft.term if raft.role is Role.FOLLOWER else raft.term - 1

    def __len__(self) -> int:
        return len(self._pending)

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def add(self, proposal_id: int, data: bytes, future: "asyncio.Future[Result]") -> None:
        """`data` holds `proposal_id`. The future gets the result, an error of the request, or a
        NodeError when its fate is not known."""
        pending = _Pending(data, future, self._clock.monotonic_s() + self._timeout_s)
        self._pending[proposal_id] = pending
        if self._raft.role is Role.LEADER and not self._waiting:
            try:
                pending.term = self._raft.propose(data).term
                return
            except NotLeader:
                # It is handing over.
                pass
        self._waiting[proposal_id] = None

    def tick(self) -> None:
        self._waiting |= self._refused
        self._refused.clear()

    def hand_over(self) -> None:
        """Give what waits to the leader, if there is one."""
        raft = self._raft
        if not self._waiting or raft.leader == NOBODY:
            return
        waiting, self._waiting = self._waiting, {}
        if raft.role is Role.LEADER:
            self._append(waiting)
        else:
            self._send(list(waiting))

    def _append(self, waiting: dict[int, None]) -> None:
        for proposal_id in waiting:
            pending = self._pending[proposal_id]
            try:
                pending.term = self._raft.propose(pending.data).term
            except NotLeader:
                self._waiting[proposal_id] = None

    def _send(self, ids: list[int]) -> None:
        raft = self._raft
        batch: list[tuple[int, bytes]] = []
        size_bytes = 0
        for proposal_id in ids:
            pending = self._pending[proposal_id]
            pending.term = raft.term
            batch.append((proposal_id, pending.data))
            size_bytes += len(pending.data)
            if size_bytes >= _FORWARD_SIZE_MAX_BYTES:
                self._send_batch(batch)
                batch, size_bytes = [], 0
        if batch:
            self._send_batch(batch)

    def _send_batch(self, batch: list[tuple[int, bytes]]) -> None:
        raft = self._raft
        message = Forward(raft.id, raft.leader, raft.term, self._life, self._next_number, batch)
        self._next_number += 1
        self._forward(raft.leader, message)

    # -- what the log and the others say

    def applied(self, proposal_id: int) -> "asyncio.Future[Result] | None":
        """Its entry is being applied: who waits for it, if that is here."""
        pending = self._pending.pop(proposal_id, None)
        if pending is None:
            return None
        self._waiting.pop(proposal_id, None)
        self._refused.pop(proposal_id, None)
        return pending.future

    def term_applied(self, term: int) -> None:
        """An entry of `term` is applied: none of an earlier term can follow."""
        for proposal_id, pending in self._pending.items():
            if _NOT_HANDED_OVER < pending.term < term:
                pending.term = _NOT_HANDED_OVER
                self._waiting[proposal_id] = None

    def skipped(self) -> None:
        """A snapshot has replaced entries unseen: what was handed over may be among them."""
        self._fail([i for i, p in self._pending.items() if p.term], LeaderChanged())

    def take_forward(self, message: Forward) -> ForwardRefused | None:
        """Another member's proposals. What is refused here was not appended."""
        raft = self._raft
        if message.term <= self._forgotten_term or not self._is_new(message):
            return None
        ids = [proposal_id for proposal_id, _ in message.proposals]
        if raft.role is not Role.LEADER or raft.term != message.term:
            return ForwardRefused(raft.id, message.sender, message.term, ids)
        if raft.log.last_index - raft.log.committed > _UNCOMMITTED_MAX:
            return ForwardRefused(raft.id, message.sender, message.term, ids)
        for place, (_, data) in enumerate(message.proposals):
            try:
                raft.propose(data)
            except NotLeader:
                return ForwardRefused(raft.id, message.sender, message.term, ids[place:])
        return None

    def _is_new(self, message: Forward) -> bool:
        who = message.sender, message.life
        if message.number <= self._heard.get(who, 0):
            return False
        self._heard[who] = message.number
        if len(self._heard) > _LIVES_MAX:
            del self._heard[next(iter(self._heard))]
        return True

    def refused(self, message: ForwardRefused) -> None:
        for proposal_id in message.ids:
            pending = self._pending.get(proposal_id)
            if pending is not None and pending.term == message.term:
                pending.term = _NOT_HANDED_OVER
                self._refused[proposal_id] = None

    # -- the end of waiting

    @property
    def next_deadline_s(self) -> float | None:
        return next((pending.deadline_s for pending in self._pending.values()), None)

    def expire(self, now_s: float) -> None:
        late = []
        for proposal_id, pending in self._pending.items():
            if pending.deadline_s > now_s:
                break
            late.append(proposal_id)
        self._fail(late, RequestTimedOut())

    def fail_all(self, error: NodeError) -> int:
        """How many there were."""
        count = len(self._pending)
        self._fail(list(self._pending), error)
        return count

    def _fail(self, ids: list[int], error: NodeError) -> None:
        for proposal_id in ids:
            future = self.applied(proposal_id)
            if future is not None and not future.done():
                future.set_exception(error)


def propose_in_term(raft: Raft, term: int, data: bytes) -> None:
    """Append what only the leader of `term` may say. Raises NotTheLeader."""
    if raft.role is not Role.LEADER or raft.term != term:
        raise NotTheLeader
    try:
        raft.propose(data)
    except NotLeader:
        raise NotTheLeader from None
