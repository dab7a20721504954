"""Linearizable reads without a log entry (thesis, 6.4)."""

import random
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

# Batches of reads of which the leader's answer may still come.
_ASKED_MAX = 1024


class Asked(NamedTuple):
    """`asker` is the member that wants to read; `context` its own name for the read."""

    asker: int
    context: int


class LeaderReads:
    """Reads wait for a round of heartbeats that starts after they were asked: whoever answers it
    has not voted for a later leader, so nothing was committed that this one does not know. One
    round at a time serves all that came meanwhile."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._rounds: deque[tuple[int, int, list[Asked]]] = deque()

    def ask(self, asked: Asked) -> None:
        self._waiting.append(asked)

    @property
    def wants_round(self) -> bool:
        return bool(self._waiting) and not self._rounds

    @property
    def waits_for_round(self) -> bool:
        return bool(self._rounds)

    def round_starts(self, round_: int, commit: int) -> None:
        if self._waiting:
            self._rounds.append((round_, commit, self._waiting))
            self._waiting = []

    def round_confirmed(self, round_: int) -> list[tuple[Asked, int]]:
        """Which reads are answered by it, and with which index."""
        answered: list[tuple[Asked, int]] = []
        while self._rounds and self._rounds[0][0] <= round_:
            _, commit, asked = self._rounds.popleft()
            answered += [(one, commit) for one in asked]
        return answered


class FollowerReads:
    """Reads that came between two Readies go to the leader as one. Their name on the wire starts
    at a number drawn by chance: a late answer to what was asked before a restart is for nobody."""

    def __init__(self, rng: random.Random) -> None:
        self._next = rng.getrandbits(62)
        self._waiting: list[int] = []
        self._asked: dict[int, Sequence[int]] = {}

    def ask(self, context: int) -> None:
        self._waiting.append(context)

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def take(self) -> int:
        """The name under which the leader is asked for all that wait."""
        self._next += 1
        self._asked[self._next] = self._waiting
        self._waiting = []
        if len(self._asked) > _ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        return self._next

    def answered(self, name: int) -> Sequence[int]:
        """The contexts it was asked for; none when it was answered before."""
        return self._asked.pop(name, ())

    def forget(self) -> None:
        """Another leader, or none: whoever waits asks again."""
        self._waiting = []
        self._asked.clear()
