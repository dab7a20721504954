"""The contract of a reconciler and the loop that runs it.

A reconciler is a coroutine of a key: no event and no object reaches it, so it can only depend on
what is (controller-runtime's `reconcile.Reconciler`). The loop retries what fails with a growing
delay, never runs one key twice at a time, and keeps Kubernetes' `workqueue_*` metrics.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from base.clock import Clock
from base.workqueue import WorkQueue
from kubeapi.errors import StatusError

log = logging.getLogger(__name__)

# A run that takes longer waits for something that will not come; it is tried again.
RECONCILE_TIMEOUT_S = 120.0

ADDS = Counter("workqueue_adds", "Keys handled by a queue", ["name"])
RETRIES = Counter("workqueue_retries", "Keys handled again after a failure", ["name"])
DEPTH = Gauge("workqueue_depth", "Keys that wait in a queue", ["name"])
WORK_S = Histogram(
    "workqueue_work_duration_seconds",
    "Time that one run of a key takes",
    ["name"],
    buckets=(0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A run that went well; with `requeue_after_s`, the key comes again after that time."""

    requeue_after_s: float = 0.0


DONE = Result()


class TerminalError(Exception):
    """Trying again cannot help until the object changes; the key is not retried."""


Reconcile = Callable[[str], Awaitable[Result]]


class ControlLoop:
    """A queue of keys and the workers that reconcile them."""

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        clock: Clock,
        rng: random.Random,
        *,
        workers: int = 5,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._queue: WorkQueue[str] = WorkQueue(clock, rng)
        self._adds = ADDS.labels(name)
        self._retries = RETRIES.labels(name)
        self._depth = DEPTH.labels(name)
        self._work_s = WORK_S.labels(name)

    def enqueue(self, key: str, after_s: float = 0.0) -> None:
        """Have `key` reconciled, at once or (a sooner wish wins) after a delay."""
        self._adds.inc()
        if after_s > 0:
            self._queue.add_after(key, after_s)
        else:
            self._queue.add(key)
        self._depth.set(len(self._queue))

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work(), name=self.name)
        except asyncio.CancelledError:
            # Only then: after a crash the loop goes on with the keys that wait for their time.
            self._queue.close()
            raise

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._depth.set(len(self._queue))
            started_s = self._clock.monotonic_s()
            try:
                await self._run_once(key)
            finally:
                self._queue.done(key)
                self._work_s.observe(self._clock.monotonic_s() - started_s)

    async def _run_once(self, key: str) -> None:
        try:
            async with asyncio.timeout(RECONCILE_TIMEOUT_S):
                result = await self._reconcile(key)
        except TerminalError as error:
            log.warning("%s %s: %s (not tried again)", self.name, key, error)
            self._queue.forget(key)
        except Exception as error:
            self._retries.inc()
            self._log_failure(key, error, self._queue.retry(key))
        else:
            self._queue.forget(key)
            if result.requeue_after_s > 0:
                self._queue.add_after(key, result.requeue_after_s)

    def _log_failure(self, key: str, error: Exception, delay_s: float) -> None:
        # A conflict only says that the cache was behind: Kubernetes' controllers retry it too.
        if isinstance(error, StatusError) and error.code == 409:
            log.debug("%s %s: %s, again in %.3f s", self.name, key, error, delay_s)
        elif isinstance(error, StatusError | TimeoutError):
            log.warning("%s %s: %s, again in %.3f s", self.name, key, error or "timeout", delay_s)
        else:
            log.error("%s %s: again in %.3f s", self.name, key, delay_s, exc_info=error)
