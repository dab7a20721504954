"""Many calls of one kind, a few at a time.

Hundreds of tasks started together would all run before the loop looks at its sockets again; a few
workers over one iterator keep each turn short and still fill the store's group commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

CONCURRENT_CALLS = 16


async def for_each(
    items: Iterable[T], call: Callable[[T], Awaitable[None]], limit: int = CONCURRENT_CALLS
) -> list[Exception]:
    """`await call(item)` for every item, at most `limit` at a time; what failed, in order."""
    failures: list[Exception] = []
    remaining = iter(items)

    async def work(source: Iterator[T]) -> None:
        for item in source:
            try:
                await call(item)
            except Exception as error:  # the caller decides what a failure means
                failures.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(work(remaining))
    return failures


async def slow_start(
    count: int, call: Callable[[], Awaitable[None]], first: int = 1
) -> tuple[int, list[Exception]]:
    """Call `count` times in batches of 1, 2, 4, ...; stop after a batch in which a call failed.

    A quota that is used up then costs one refused call, not hundreds (client-go,
    `slowStartBatch`). Returns how many calls went well, and the failures.
    """
    remaining, succeeded, batch = count, 0, min(count, first)
    while batch > 0:
        failures = await for_each(range(batch), lambda _: call())
        succeeded += batch - len(failures)
        if failures:
            return succeeded, failures
        remaining -= batch
        batch = min(2 * batch, remaining)
    return succeeded, []
