"""Old revisions are forgotten after five minutes, as kube-apiserver's compactor does it.

Until then a list can be continued page by page as of its revision.
"""

import asyncio
import logging
from typing import Final

from base.clock import Clock
from controlplane.registry.registry import Registry
from controlplane.store import Compacted, StoreError

log = logging.getLogger("compaction")

INTERVAL_S: Final = 300.0


class Compactor:
    """Each interval, forgets what was overwritten before the interval began."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="compaction")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        previous = self._registry.revision
        while True:
            await self._clock.sleep(INTERVAL_S)
            current = self._registry.revision
            if current == previous:
                continue
            try:
                await self._registry.store.compact(previous)
            except Compacted:
                log.info("somebody else compacted the store up to revision %d", previous)
            except StoreError as error:
                log.warning("the store could not be compacted: %s", error)
            previous = current
