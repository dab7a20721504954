"""Linearizable reads: who is answered by which question, and what happens to questions that are
lost, late or in vain."""

import asyncio
import random

import pytest

from base.clock import LoopClock
from raftstore.core import (
    Config,
    HardState,
    Heartbeat,
    Membership,
    Raft,
    ReadIndex,
    SnapshotMeta,
    Stored,
)
from raftstore.errors import LeaderChanged, RequestTimedOut
from raftstore.node.reads import Reads

TIMEOUT_S = 7.0
RETRY_TICKS = 3


class Asking:
    """A member that follows, and the contexts that its leader was asked with."""

    def __init__(self, *, led: bool = True) -> None:
        stored = Stored(HardState(1, 0, 0), SnapshotMeta(0, 0, Membership((1, 2, 3))))
        self.raft = Raft(Config(1), stored, random.Random(0))
        self.reads = Reads(self.raft, LoopClock(), TIMEOUT_S, RETRY_TICKS)
        self.asked: list[int] = []
        core_asks = self.raft.read_index

        def read_index(context: int) -> None:
            core_asks(context)
            self.asked.append(context)

        self.raft.read_index = read_index  # type: ignore[method-assign]
        if led:
            self.follow()

    def follow(self) -> None:
        self.raft.step(Heartbeat(2, 1, 1, 0, 0))

    def took(self) -> list[int]:
        taken, self.asked = self.asked, []
        return taken


async def test_a_question_serves_who_came_before_it_and_nobody_who_came_later() -> None:
    asking = Asking()
    reads = asking.reads
    first, second = reads.wait(), reads.wait()
    reads.ask()
    (one,) = asking.took()
    late = reads.wait()
    reads.ask()
    assert asking.took() == []
    reads.answered(one, 5)
    reads.ask()
    (two,) = asking.took()
    # The same answer again is none to the second question.
    reads.answered(one, 5)
    reads.applied(4)
    assert not first.done()
    reads.applied(5)
    assert (first.done(), second.done(), late.done()) == (True, True, False)
    reads.answered(two, 5)
    reads.applied(5)
    assert late.done()
    assert not reads.is_waiting


async def test_answers_that_wait_for_different_entries_wait_each_for_its_own() -> None:
    asking = Asking()
    reads = asking.reads
    futures = []
    for index in (9, 6):
        futures.append(reads.wait())
        reads.ask()
        (context,) = asking.took()
        reads.answered(context, index)
    reads.applied(6)
    assert [future.done() for future in futures] == [False, True]
    assert reads.is_waiting
    reads.applied(9)
    assert futures[0].done()


async def test_a_question_is_asked_again_when_it_may_be_lost_and_any_answer_counts() -> None:
    asking = Asking()
    reads = asking.reads
    future = reads.wait()
    reads.ask()
    (first,) = asking.took()
    for _ in range(RETRY_TICKS):
        reads.tick()
    assert asking.took() == []
    reads.tick()
    (second,) = asking.took()
    assert second != first
    # The pause begins anew.
    for _ in range(RETRY_TICKS):
        reads.tick()
    assert asking.took() == []
    reads.leader_changed()
    assert len(asking.took()) == 1
    # All were asked after the read came.
    reads.answered(first, 3)
    reads.applied(3)
    assert future.done()
    # Nothing is out: nobody is asked.
    reads.leader_changed()
    for _ in range(2 * RETRY_TICKS):
        reads.tick()
    assert asking.took() == []


async def test_an_answer_that_nobody_waits_for_answers_nobody() -> None:
    asking = Asking()
    reads = asking.reads
    reads.answered(7, 1)
    assert not reads.is_waiting
    future = reads.wait()
    reads.answered(7, 1)
    reads.applied(1)
    assert not future.done()


async def test_without_a_leader_a_read_waits_for_one() -> None:
    asking = Asking(led=False)
    future = asking.reads.wait()
    assert asking.reads.is_waiting
    asking.reads.ask()
    assert asking.reads.is_waiting
    assert asking.took() == []
    asking.follow()
    asking.reads.tick()
    (context,) = asking.took()
    asking.reads.answered(context, 0)
    asking.reads.applied(0)
    assert future.done()


@pytest.mark.parametrize("stage", ["not asked", "asked", "being applied"])
async def test_a_read_is_given_up_at_its_deadline_wherever_it_waits(stage: str) -> None:
    asking = Asking()
    reads = asking.reads
    gone, late = reads.wait(), reads.wait()
    gone.cancel()
    if stage != "not asked":
        reads.ask()
    if stage == "being applied":
        reads.answered(asking.took()[0], 9)
    await asyncio.sleep(TIMEOUT_S)
    reads.tick()
    assert isinstance(late.exception(), RequestTimedOut)
    reads.applied(9)
    asking.took()
    # Whoever comes next is asked for as ever.
    reads.ask()
    after = reads.wait()
    reads.ask()
    (context,) = asking.took()
    reads.answered(context, 1)
    reads.applied(1)
    assert after.done()


async def test_all_reads_fail_when_the_member_stops() -> None:
    asking = Asking()
    reads = asking.reads
    waiters = []
    for index in (8, None):
        waiters += [reads.wait(), reads.wait()]
        reads.ask()
        if index is not None:
            reads.answered(asking.took()[0], index)
    waiters.append(reads.wait())
    waiters[0].cancel()
    reads.fail_all(LeaderChanged())
    assert all(isinstance(w.exception(), LeaderChanged) for w in waiters[1:])
    assert not reads.is_waiting


async def test_a_member_names_each_question_anew() -> None:
    asking = Asking()
    contexts = set()
    for _ in range(5):
        asking.raft.read_index(1)
        messages = asking.raft.ready().messages
        contexts |= {m.context for m in messages if isinstance(m, ReadIndex)}
        asking.raft.advance()
    assert len(contexts) == 5
