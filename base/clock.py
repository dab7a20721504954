"""The only module that reads the machine's clocks (ruff bans the calls elsewhere).

uvloop's `loop.time()` moves in steps of 1 ms, so it schedules and never measures: durations and
wall times come from here, injected, so that tests can decide what time it is.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and the pause between them."""

    def now_s(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds of a clock that never jumps; only differences mean anything."""
        ...

    async def sleep(self, duration_s: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


class LoopClock:
    """Time as the running event loop tells it: virtual under `base.virtualtime`."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = epoch_s

    def now_s(self) -> float:
        return self._epoch_s + asyncio.get_running_loop().time()

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


def rfc3339(now_s: float) -> str:
    """Kubernetes' `Time`: UTC, whole seconds, `2006-01-02T15:04:05Z`."""
    return datetime.fromtimestamp(int(now_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(now_s: float) -> str:
    """Kubernetes' `MicroTime`: always six digits; client-go refuses any other count."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError where it is none."""
    return datetime.fromisoformat(text).timestamp()
