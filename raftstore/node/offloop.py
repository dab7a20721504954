"""Calls that block, in a thread of their own; on the loop where it cannot wait for a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class OffLoop:
    """One thread, one call at a time."""

    def __init__(self, name: str, *, use_threads: bool) -> None:
        self._name = name
        self._use_threads = use_threads
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The call's result. When cancelled, it still waits for the call to end."""
        if not self._use_threads:
            await asyncio.sleep(0)
            return call(*arguments)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        future = asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The thread still has the file in hand.
            await asyncio.wait([future])
            raise

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
