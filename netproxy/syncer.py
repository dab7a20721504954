"""When the backend writes: at once on the first change, then at most once per interval, and
every half minute to see whether somebody else changed our rules."""

import asyncio
import logging
import random
from collections.abc import Callable

from base.backoff import Backoff
from base.clock import Clock
from netproxy.backends import Backend, BackendFailure
from netproxy.metrics import Metrics
from netproxy.model import RuleSet

logger = logging.getLogger("netproxy")


class Syncer:
    """One loop that brings the kernel to the rules; `wake` says that they may have changed."""

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        *,
        min_interval_s: float = 0.1,
        resync_every_s: float = 30.0,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._metrics = metrics
        self._min_interval_s = min_interval_s
        self._resync_every_s = resync_every_s
        self._backoff = Backoff(0.2, 30.0, rng=rng)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._metrics.change_queued(self._clock.monotonic_s())
        self._wake.set()

    async def run(self, rules: Callable[[], RuleSet]) -> None:
        """Keep the kernel at what `rules` gives. Ends only by cancellation."""
        self._wake.set()
        while True:
            if await self._woken() or not await self._intact():
                await self._sync(rules())

    async def _woken(self) -> bool:
        """Whether a change woke us, rather than the time for a look at the rules."""
        try:
            async with asyncio.timeout(self._resync_every_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _sync(self, rules: RuleSet) -> None:
        started_s = self._clock.monotonic_s()
        self._metrics.sync_started()
        try:
            await self._backend.apply(rules)
        except BackendFailure as failure:
            self._metrics.sync_failed()
            delay_s = self._backoff.next_delay_s()
            logger.error("rules could not be written, again in %.1f s: %s", delay_s, failure)
            self._wake.set()
            await self._clock.sleep(delay_s)
            return
        self._backoff.reset()
        self._metrics.synced(started_s, self._clock.monotonic_s(), self._clock.now_s())
        # What changes meanwhile comes together in the next write.
        await self._clock.sleep(self._min_interval_s)

    async def _intact(self) -> bool:
        try:
            if await self._backend.is_intact():
                self._metrics.checked(self._clock.now_s())
                return True
        except BackendFailure as failure:
            logger.error("rules could not be read: %s", failure)
            return True
        logger.warning("somebody changed our rules; writing them again")
        self._backend.forget()
        return False
