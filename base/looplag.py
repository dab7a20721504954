"""How long the event loop keeps others waiting, as a metric.

A timer asks to be woken after `INTERVAL_S`; how much later it is woken is what any other callback
would have waited as well.
"""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from base.clock import Clock

INTERVAL_S: Final = 0.5
_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class LoopLag:
    """Measures while it is started; costs two callbacks a second."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._histogram = Histogram(
            "pinnace_event_loop_lag_seconds",
            "How much later than asked a timer of the event loop ran.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def start(self) -> None:
        self._due_s = self._clock.monotonic_s() + INTERVAL_S
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._measure)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self) -> None:
        self._histogram.observe(max(0.0, self._clock.monotonic_s() - self._due_s))
        self.start()
