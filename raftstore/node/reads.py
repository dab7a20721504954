"""Linearizable reads: wait until this member has applied all that was acknowledged before.

One question at a time goes to the leader (thesis, 6.4); who asks meanwhile shares the next one. A
question that may have been lost is asked again.
"""

import asyncio

from base.clock import Clock
from raftstore.core import NotLeader, Raft
from raftstore.errors import NodeError, RequestTimedOut

_Waiter = tuple["asyncio.Future[None]", float]


class Reads:
    def __init__(self, raft: Raft, clock: Clock, timeout_s: float, retry_ticks: int) -> None:
        self._raft = raft
        self._clock = clock
        self._timeout_s = timeout_s
        self._retry_ticks = retry_ticks
        self._context = 0
        # The context those who wait for the leader were first asked for with.
        self._first_context = 0
        self._asked_ticks = 0
        # For the next question, for the one that is out, and for an index to be applied.
        self._next: list[_Waiter] = []
        self._asked: list[_Waiter] = []
        self._applying: list[tuple[int, list[_Waiter]]] = []

    @property
    def is_waiting(self) -> bool:
        return bool(self._next or self._asked or self._applying)

    def wait(self) -> "asyncio.Future[None]":
        """Done when what is applied here is no older than this call. Or a NodeError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.append((future, self._clock.monotonic_s() + self._timeout_s))
        return future

    def ask(self) -> None:
        """Ask for those who wait, unless a question is out."""
        if self._next and not self._asked:
            self._asked, self._next = self._next, []
            self._first_context = self._context + 1
            self._ask()

    def _ask(self) -> None:
        self._asked_ticks = 0
        self._context += 1
        try:
            self._raft.read_index(self._context)
        except NotLeader:
            # No leader is known: again at the next tick.
            self._asked_ticks = self._retry_ticks

    def leader_changed(self) -> None:
        """Whoever was asked may have forgotten."""
        if self._asked:
            self._ask()

    def answered(self, context: int, index: int) -> None:
        """The leader's answer to any of the times that they were asked for; one to an older
        question says nothing about who asked later."""
        if context >= self._first_context and self._asked:
            self._applying.append((index, self._asked))
            self._asked = []

    def applied(self, index: int) -> None:
        if not self._applying:
            return
        waiting, self._applying = self._applying, []
        for wanted, waiters in waiting:
            if wanted > index:
                self._applying.append((wanted, waiters))
                continue
            for future, _ in waiters:
                if not future.done():
                    future.set_result(None)

    def tick(self) -> None:
        """One tick has passed: ask again where the answer is late, and give up what is too late."""
        self.expire(self._clock.monotonic_s())
        self._asked_ticks += 1
        if self._asked and self._asked_ticks > self._retry_ticks:
            self._ask()

    def expire(self, now_s: float) -> None:
        for waiters in (self._next, self._asked, *(waiters for _, waiters in self._applying)):
            for future, deadline_s in waiters:
                if deadline_s <= now_s and not future.done():
                    future.set_exception(RequestTimedOut())
            waiters[:] = [waiter for waiter in waiters if not waiter[0].done()]

    def fail_all(self, error: NodeError) -> None:
        groups = (self._next, self._asked, *(waiters for _, waiters in self._applying))
        for future, _ in (waiter for waiters in groups for waiter in waiters):
            if not future.done():
                future.set_exception(error)
        self._next, self._asked, self._applying = [], [], []
