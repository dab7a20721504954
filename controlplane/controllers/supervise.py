"""Keeps a never-ending coroutine running: a crash is logged and tried again, never silent."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from base.backoff import Backoff
from base.clock import Clock
from kubeapi.informer import SharedInformers

log = logging.getLogger(__name__)

# What has run for so long did start well: the next crash waits the shortest delay again.
HEALTHY_AFTER_S = 60.0
SYNC_WARNING_S = 10.0


async def keep_running(
    name: str, run: Callable[[], Awaitable[None]], clock: Clock, rng: random.Random
) -> None:
    """Run `run` until cancelled, again after a back-off whenever it ends."""
    backoff = Backoff(0.5, 60.0, rng=rng)
    while True:
        started_s = clock.monotonic_s()
        try:
            await run()
            log.error("%s ended by itself", name)
        except Exception:
            log.exception("%s crashed", name)
        if clock.monotonic_s() - started_s > HEALTHY_AFTER_S:
            backoff.reset()
        await clock.sleep(backoff.next_delay_s())


async def wait_synced(informers: SharedInformers) -> None:
    """Wait until every cache is filled, and say so where that takes long."""
    while True:
        try:
            async with asyncio.timeout(SYNC_WARNING_S):
                await informers.wait_synced()
            return
        except TimeoutError:
            log.warning("still waiting for the first list of %s", ", ".join(informers.unsynced()))


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are through."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
