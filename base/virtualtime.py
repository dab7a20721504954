"""An event loop whose clock jumps to the next timer instead of waiting for it.

Tests of hours run in milliseconds and end the same way each time. The loop has a selector (so
pipes and sockets made by asyncio itself work) but a test that waits for the outside world on it
is told so: with nothing ready and no timer left, it can only wait for ever.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Every task waits and no timer is set: nothing inside this loop can wake any of them."""


class _InstantSelector(selectors.DefaultSelector):
    """Polls; when the loop would have slept, moves its clock instead."""

    def __init__(self, loop: "VirtualTimeLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            raise Deadlock("no task can run and no timer is set")
        self._loop.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only when every task waits."""

    def __init__(self) -> None:
        self._virtual_now_s = 0.0
        super().__init__(_InstantSelector(self))

    def time(self) -> float:
        return self._virtual_now_s

    def advance(self, duration_s: float) -> None:
        self._virtual_now_s += max(0.0, duration_s)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a fresh virtual-time loop; a task it leaves behind is an error."""
    loop = VirtualTimeLoop()
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(main)
        refuse_leftover_tasks(loop)
        return result
    finally:
        _cancel_all(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def refuse_leftover_tasks(loop: asyncio.AbstractEventLoop, but: object = None) -> None:
    """Raise when a task other than `but` outlived the coroutine that the loop was run for."""
    tasks = asyncio.all_tasks(loop)
    leftover = [t.get_coro() for t in tasks if t is not but and not t.done()]
    if leftover:
        raise RuntimeError(f"left running: {leftover}")


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
