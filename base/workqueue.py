"""A queue of keys: each key waits at most once and is worked on by at most one worker.

The contract of client-go's workqueue: a key added while it is being worked on waits until it is
done and then comes once more, so no change is missed and no key runs twice at once. Since a key
waits only once, the number of live objects bounds the queue.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from base.backoff import Backoff
from base.clock import Clock

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys in order of arrival, with delayed and backed-off re-adding."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        retry_first_s: float = 0.005,
        retry_max_s: float = 1000.0,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._retry_first_s = retry_first_s
        self._retry_max_s = retry_max_s
        self._waiting: deque[K] = deque()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._failures: dict[K, Backoff] = {}
        self._delayed: list[tuple[float, int, K]] = []
        self._delayed_until: dict[K, float] = {}
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wake: asyncio.Event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._waiting.append(key)
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Add `key` once `delay_s` has passed; of several times asked for, the earliest counts."""
        if delay_s <= 0:
            self.add(key)
            return
        due_s = self._clock.monotonic_s() + delay_s
        if self._delayed_until.get(key, float("inf")) <= due_s:
            return
        self._delayed_until[key] = due_s
        self._sequence += 1
        heapq.heappush(self._delayed, (due_s, self._sequence, key))
        self._arm()

    def retry(self, key: K) -> float:
        """Add `key` after its back-off, which grows with each call until `forget`. Returns it."""
        backoff = self._failures.get(key)
        if backoff is None:
            backoff = Backoff(self._retry_first_s, self._retry_max_s, rng=self._rng)
            self._failures[key] = backoff
        delay_s = backoff.next_delay_s()
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """The key's last run went well: its next failure waits the first delay again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, which is then being worked on until `done`."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        key = self._waiting.popleft()
        self._dirty.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._waiting.append(key)
            self._wake.set()

    def close(self) -> None:
        """Drop the timer of delayed keys, which would otherwise outlive its owner."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.close()
        if self._delayed:
            wait_s = max(0.0, self._delayed[0][0] - self._clock.monotonic_s())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._release_due)

    def _release_due(self) -> None:
        self._timer = None
        now_s = self._clock.monotonic_s()
        # A timer may fire up to one step of the loop's clock early; 1 ms late is no harm.
        while self._delayed and self._delayed[0][0] <= now_s + 0.001:
            due_s, _, key = heapq.heappop(self._delayed)
            if self._delayed_until.get(key) == due_s:
                del self._delayed_until[key]
                self.add(key)
        self._arm()
