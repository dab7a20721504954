"""The keyed queue: no key twice at once, none lost, delays on virtual time."""

import asyncio
import random

from base.clock import LoopClock
from base.workqueue import WorkQueue


def queue() -> WorkQueue[str]:
    return WorkQueue(LoopClock(), random.Random(1), retry_first_s=1.0, retry_max_s=8.0)


async def test_a_key_added_many_times_runs_once() -> None:
    q = queue()
    for _ in range(100):
        q.add("a")
    assert len(q) == 1
    assert await q.get() == "a"
    assert len(q) == 0


async def test_a_key_added_while_it_runs_comes_once_more_after_done() -> None:
    q = queue()
    q.add("a")
    await q.get()
    for _ in range(100):
        q.add("a")
    assert len(q) == 0
    q.done("a")
    assert len(q) == 1


async def test_a_waiting_worker_wakes() -> None:
    q = queue()
    worker = asyncio.create_task(q.get())
    await asyncio.sleep(0)
    q.add("a")
    assert await worker == "a"


async def test_of_two_delays_the_earlier_counts() -> None:
    q = queue()
    loop = asyncio.get_running_loop()
    q.add_after("a", 10.0)
    q.add_after("a", 3.0)
    q.add_after("a", 20.0)
    assert await q.get() == "a"
    assert 2.9 < loop.time() < 3.1
    q.done("a")
    await asyncio.sleep(60)
    assert len(q) == 0
    q.close()


async def test_retries_wait_longer_each_time_until_forgotten() -> None:
    q = queue()
    delays = [q.retry("a") for _ in range(6)]
    assert [round(d + 0.45) for d in delays] == [1, 2, 4, 8, 8, 8]
    q.forget("a")
    assert q.retry("a") <= 1.0
    q.close()
