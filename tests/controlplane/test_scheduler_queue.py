"""The scheduling queue on virtual time: order, back-off, parking and what ends it."""

import asyncio

from base.clock import LoopClock
from controlplane.scheduler import verdicts
from controlplane.scheduler.queue import QueuedPod, SchedulingQueue
from tests.controlplane.scheduler_maker import make_pod

RESOURCES = frozenset(("NodeResourcesFit",))
SELECTOR = frozenset(("NodeAffinity",))


async def popped(queue: SchedulingQueue) -> QueuedPod | None:
    """The next pod, None where there is none now."""
    task = asyncio.create_task(queue.pop())
    await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return None


async def test_the_more_important_first_then_the_longer_waiting() -> None:
    queue = SchedulingQueue(LoopClock())
    pods = [make_pod("a"), make_pod("b", priority=10), make_pod("c"), make_pod("d", priority=10)]
    for pod in pods:
        queue.add(pod)
        await asyncio.sleep(1)
    order = [(await queue.pop()).info.key for _ in pods]
    assert [key[-1] for key in order] == ["b", "d", "a", "c"]


async def test_a_parked_pod_waits_for_an_event_that_may_help() -> None:
    queue = SchedulingQueue(LoopClock())
    queue.add(make_pod("big"))
    queue.park(await queue.pop(), RESOURCES)
    await asyncio.sleep(30)
    queue.move(verdicts.POD_LABELS_CHANGED)  # does not make room
    assert await popped(queue) is None
    queue.move(verdicts.POD_GONE)
    again = await popped(queue)
    assert again is not None
    assert again.attempts == 2
    queue.close()


async def test_an_event_during_the_back_off_is_not_lost() -> None:
    queue = SchedulingQueue(LoopClock())
    loop = asyncio.get_running_loop()
    queue.add(make_pod("big"))
    queued = await queue.pop()
    for expected_s in (1, 2, 4, 8, 10, 10):
        queue.park(queued, RESOURCES)
        started_s = loop.time()
        queue.move(verdicts.NODE_ADDED)
        assert await popped(queue) is None
        queued = await queue.pop()
        assert expected_s - 0.01 <= loop.time() - started_s <= expected_s + 0.01
    queue.close()


async def test_a_failed_binding_is_tried_again_after_its_back_off() -> None:
    queue = SchedulingQueue(LoopClock())
    queue.add(make_pod("p"))
    queued = await queue.pop()
    queue.put_back(queued)
    assert await popped(queue) is None
    assert await queue.pop() is queued
    assert 0.99 <= asyncio.get_running_loop().time() <= 1.01
    queue.close()


async def test_nothing_is_parked_for_more_than_five_minutes() -> None:
    queue = SchedulingQueue(LoopClock())
    queue.add(make_pod("odd"))
    queue.park(await queue.pop(), SELECTOR)
    started_s = asyncio.get_running_loop().time()
    await queue.pop()
    assert 299 < asyncio.get_running_loop().time() - started_s < 301
    queue.close()


async def test_a_changed_pod_is_tried_again() -> None:
    queue = SchedulingQueue(LoopClock())
    queue.add(make_pod("p"))
    queue.park(await queue.pop(), SELECTOR)
    await asyncio.sleep(5)
    queue.add(make_pod("p", nodeSelector={}))
    assert await popped(queue) is not None
    queue.close()


async def test_a_pod_is_in_one_place_and_removed_from_all() -> None:
    queue = SchedulingQueue(LoopClock())
    pod = make_pod("p")
    for _ in range(100):
        queue.add(pod)
    assert queue.counts() == {"active": 1, "backoff": 0, "unschedulable": 0}
    queued = await queue.pop()
    queue.park(queued, RESOURCES)
    assert queue.counts() == {"active": 0, "backoff": 0, "unschedulable": 1}
    queue.move(verdicts.POD_GONE)
    assert queue.counts() == {"active": 0, "backoff": 1, "unschedulable": 0}
    await asyncio.sleep(2)
    assert queue.counts() == {"active": 1, "backoff": 0, "unschedulable": 0}
    queue.park(await queue.pop(), RESOURCES)
    await asyncio.sleep(60)
    queue.move(verdicts.POD_GONE)  # straight to the active ones: the back-off is over
    assert queue.counts() == {"active": 1, "backoff": 0, "unschedulable": 0}
    queued = await queue.pop()
    queue.remove(pod.uid)
    assert queue.counts() == {"active": 0, "backoff": 0, "unschedulable": 0}
    queue.park(queued, RESOURCES)  # a late answer about a pod that is gone
    assert queue.counts() == {"active": 0, "backoff": 0, "unschedulable": 0}
    await asyncio.sleep(60)
    assert await popped(queue) is None
    queue.close()
