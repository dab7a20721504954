"""Writes on their way to a leader: none is lost, none is made twice, whoever refuses them when."""

import asyncio
import random
from collections.abc import Sequence
from typing import cast

import pytest

from base.clock import LoopClock
from raftstore.core import (
    AppendEntriesResponse,
    Config,
    HardState,
    Heartbeat,
    Membership,
    Raft,
    RequestVoteResponse,
    Role,
    SnapshotMeta,
    Stored,
)
from raftstore.errors import LeaderChanged, NotTheLeader, RequestTimedOut
from raftstore.mvcc import Result
from raftstore.node import proposals as module
from raftstore.node.proposals import Proposals, propose_in_term
from raftstore.peers.messages import Forward, ForwardRefused

TIMEOUT_S = 7.0


def settle(raft: Raft) -> None:
    while raft.has_ready():
        raft.ready()
        raft.advance()


def raft_of_three() -> Raft:
    stored = Stored(HardState(1, 0, 0), SnapshotMeta(0, 0, Membership((1, 2, 3))))
    return Raft(Config(1), stored, random.Random(0))


def follow(raft: Raft, leader: int, term: int) -> None:
    raft.step(Heartbeat(leader, 1, term, 0, 0))
    settle(raft)


def lead(raft: Raft) -> int:
    """Member 1 leads; returns its term. Member 2 has all that it has."""
    while raft.role is Role.FOLLOWER:
        raft.tick()
    settle(raft)
    raft.step(RequestVoteResponse(2, 1, raft.term + 1, True, pre=True))
    settle(raft)
    raft.step(RequestVoteResponse(2, 1, raft.term, True))
    settle(raft)
    acknowledge(raft)
    assert raft.role is Role.LEADER
    return raft.term


def acknowledge(raft: Raft) -> None:
    raft.step(AppendEntriesResponse(2, 1, raft.term, True, raft.log.last_index))
    settle(raft)


def log_of(raft: Raft) -> list[bytes]:
    held = raft.log.slice(raft.log.held_from(), raft.log.last_index)
    return [entry.data for entry in held if entry.data]


class Writer:
    """A member's proposals, and what they have sent."""

    def __init__(self, raft: Raft) -> None:
        self.raft = raft
        self.sent: list[Forward] = []
        self.proposals = Proposals(
            raft, random.Random(5), LoopClock(), TIMEOUT_S, lambda to, m: self.sent.append(m)
        )

    def add(self, data: bytes) -> tuple[int, "asyncio.Future[Result]"]:
        proposal_id = self.proposals.new_id()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.proposals.add(proposal_id, data, future)
        return proposal_id, future

    def hand_over(self) -> list[tuple[int, list[bytes]]]:
        """What that sends: the term it is for, and the data."""
        self.sent.clear()
        self.proposals.hand_over()
        return [(m.term, [data for _, data in m.proposals]) for m in self.sent]

    def refuse(self, term: int, *ids: int) -> None:
        self.proposals.refused(ForwardRefused(2, 1, term, list(ids)))


async def test_what_is_refused_is_handed_over_again_after_a_pause() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 2, 3)
    one, _ = writer.add(b"a")
    two, _ = writer.add(b"b")
    assert writer.hand_over() == [(3, [b"a", b"b"])]
    assert writer.hand_over() == []
    writer.refuse(3, one)
    assert writer.hand_over() == []
    writer.proposals.tick()
    assert writer.hand_over() == [(3, [b"a"])]
    writer.proposals.tick()
    assert writer.hand_over() == []
    writer.refuse(3, two, 12345)
    writer.proposals.tick()
    assert writer.hand_over() == [(3, [b"b"])]


@pytest.mark.parametrize("late_term", [3, 5])
async def test_a_refusal_counts_for_the_term_that_it_speaks_of(late_term: int) -> None:
    """One of an earlier handing over comes late: the present one may have been appended."""
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 2, 3)
    one, _ = writer.add(b"a")
    writer.hand_over()
    writer.proposals.term_applied(4)
    follow(raft, 3, 4)
    assert writer.hand_over() == [(4, [b"a"])]
    if late_term > 4:
        follow(raft, 2, late_term)
    writer.refuse(late_term, one)
    writer.proposals.tick()
    assert writer.hand_over() == []


@pytest.mark.parametrize("how", ["waits", "is refused"])
async def test_what_is_applied_or_given_up_is_handed_over_no_more(how: str) -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    if how == "is refused":
        follow(raft, 2, 3)
    applied, _ = writer.add(b"applied")
    late, gave_up = writer.add(b"late")
    assert len(writer.hand_over()) == (how == "is refused")
    writer.refuse(3, applied, late)
    assert writer.proposals.applied(applied) is not None
    assert writer.proposals.applied(applied) is None
    writer.proposals.expire(asyncio.get_running_loop().time() + TIMEOUT_S)
    assert isinstance(gave_up.exception(), RequestTimedOut)
    assert len(writer.proposals) == 0
    follow(raft, 2, 3)
    writer.proposals.tick()
    assert writer.hand_over() == []


async def test_only_a_later_term_says_that_what_was_handed_over_is_lost() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 2, 3)
    writer.add(b"a")
    writer.hand_over()
    for term in (2, 3):
        writer.proposals.term_applied(term)
        assert writer.hand_over() == []
    writer.proposals.term_applied(4)
    assert writer.hand_over() == [(3, [b"a"])]


async def test_a_snapshot_leaves_in_doubt_what_was_handed_over_and_nothing_else() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 2, 3)
    _, handed_over = writer.add(b"a")
    _, taken_back = writer.add(b"b")
    refused, _ = writer.add(b"c")
    writer.hand_over()
    writer.refuse(3, refused)
    writer.add(b"d")
    writer.proposals.skipped()
    assert isinstance(handed_over.exception(), LeaderChanged)
    assert isinstance(taken_back.exception(), LeaderChanged)
    writer.proposals.tick()
    assert sorted(data for _, datas in writer.hand_over() for data in datas) == [b"c", b"d"]


async def test_what_waits_again_after_a_change_of_leaders_is_not_in_doubt() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 2, 3)
    _, future = writer.add(b"a")
    writer.hand_over()
    writer.proposals.term_applied(4)
    writer.proposals.skipped()
    assert not future.done()
    assert writer.hand_over() == [(3, [b"a"])]


async def test_a_writer_that_has_gone_is_not_answered() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    _, gone = writer.add(b"a")
    gone.cancel()
    _, other = writer.add(b"b")
    assert writer.proposals.fail_all(LeaderChanged()) == 2
    assert isinstance(other.exception(), LeaderChanged)


async def test_much_is_handed_over_in_pieces_each_write_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FORWARD_SIZE_MAX_BYTES", 4)
    raft = raft_of_three()
    writer = Writer(raft)
    for number in range(5):
        writer.add(b"%02d" % number)
    follow(raft, 2, 3)
    assert writer.hand_over() == [(3, [b"00", b"01"]), (3, [b"02", b"03"]), (3, [b"04"])]
    numbers = [message.number for message in writer.sent]
    assert numbers == sorted(set(numbers))


async def test_a_leader_appends_in_the_order_of_the_writers() -> None:
    """Also those that came while it was handing over, which then failed."""
    raft = raft_of_three()
    lead(raft)
    writer = Writer(raft)
    raft.transfer_leadership(3)
    writer.add(b"a")
    writer.hand_over()
    writer.add(b"b")
    assert log_of(raft) == []
    for _ in range(10):
        raft.step(AppendEntriesResponse(2, 1, raft.term, True, raft.log.last_index))
        raft.tick()
        settle(raft)
    writer.add(b"c")
    writer.hand_over()
    writer.add(b"d")
    assert log_of(raft) == [b"a", b"b", b"c", b"d"]
    assert writer.sent == []


def forward(number: int, term: int, datas: Sequence[bytes], life: int = 1) -> Forward:
    return Forward(2, 1, term, life, number, [(70 + n, data) for n, data in enumerate(datas)])


async def test_a_forward_is_taken_by_the_leader_of_its_term_and_by_nobody_else() -> None:
    raft = raft_of_three()
    writer = Writer(raft)
    follow(raft, 3, 2)
    refused = ForwardRefused(1, 2, 2, [70, 71])
    assert writer.proposals.take_forward(forward(1, 2, [b"a", b"b"])) == refused
    term = lead(raft)
    for number, other in ((2, term - 1), (3, term + 1)):
        refused = ForwardRefused(1, 2, other, [70])
        assert writer.proposals.take_forward(forward(number, other, [b"a"])) == refused
    assert log_of(raft) == []
    assert writer.proposals.take_forward(forward(4, term, [b"a", b"b"])) is None
    assert log_of(raft) == [b"a", b"b"]


async def test_a_forward_is_taken_once_in_each_life_of_its_sender() -> None:
    raft = raft_of_three()
    term = lead(raft)
    take = Writer(raft).proposals.take_forward
    for number, life in ((1, 1), (1, 1), (2, 1), (1, 1), (1, 9), (2, 1), (1, 9)):
        assert take(forward(number, term, [b"%d/%d" % (number, life)], life)) is None
    assert log_of(raft) == [b"1/1", b"2/1", b"1/9"]


async def test_the_lives_that_are_remembered_are_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIVES_MAX", 2)
    raft = raft_of_three()
    term = lead(raft)
    take = Writer(raft).proposals.take_forward
    for life in (1, 2, 3, 2, 3):
        take(forward(1, term, [b"%d" % life], life))
    assert log_of(raft) == [b"1", b"2", b"3"]


async def test_a_leader_that_is_handing_over_sends_back_all() -> None:
    raft = raft_of_three()
    term = lead(raft)
    raft.transfer_leadership(3)
    refused = Writer(raft).proposals.take_forward(forward(1, term, [b"a", b"b"]))
    assert refused == ForwardRefused(1, 2, term, [70, 71])
    assert log_of(raft) == []


async def test_a_leader_that_commits_nothing_takes_no_more_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_UNCOMMITTED_MAX", 1)
    raft = raft_of_three()
    term = lead(raft)
    take = Writer(raft).proposals.take_forward
    assert take(forward(1, term, [b"a"])) is None
    assert take(forward(2, term, [b"b"])) is None
    assert take(forward(3, term, [b"c"])) == ForwardRefused(1, 2, term, [70])
    settle(raft)
    acknowledge(raft)
    assert take(forward(4, term, [b"c"])) is None
    assert log_of(raft) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("difference", [-1, 1])
async def test_what_a_leader_says_of_its_term_is_not_said_in_another(difference: int) -> None:
    raft = raft_of_three()
    follow(raft, 3, 2)
    with pytest.raises(NotTheLeader):
        propose_in_term(raft, 2, b"x")
    term = lead(raft)
    with pytest.raises(NotTheLeader):
        propose_in_term(raft, term + difference, b"x")
    propose_in_term(raft, term, b"y")
    raft.transfer_leadership(3)
    with pytest.raises(NotTheLeader):
        propose_in_term(raft, term, b"z")
    assert log_of(raft) == [b"y"]


async def test_the_next_deadline_is_that_of_the_oldest_write() -> None:
    writer = Writer(raft_of_three())
    assert writer.proposals.next_deadline_s is None
    start_s = asyncio.get_running_loop().time()
    _, first = writer.add(b"a")
    await asyncio.sleep(1)
    _, second = writer.add(b"b")
    assert cast(float, writer.proposals.next_deadline_s) == pytest.approx(start_s + TIMEOUT_S)
    writer.proposals.expire(start_s + TIMEOUT_S)
    assert (first.done(), second.done()) == (True, False)
    assert isinstance(first.exception(), RequestTimedOut)
