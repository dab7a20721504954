"""What all controllers stand on: the loop over keys, expectations, batches, events."""

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from base.clock import LoopClock
from controlplane.controllers import batches
from controlplane.controllers.expectations import Expectations
from controlplane.controllers.reconciler import DONE, ControlLoop, Result, TerminalError
from controlplane.controllers.recorder import Correlator, EventRecorder
from controlplane.controllers.supervise import cancel, keep_running
from kubeapi.errors import StatusError, conflict
from kubeapi.types import core_v1
from tests.controlplane.inprocess import running_api


async def running(loop: ControlLoop, duration_s: float) -> None:
    task = asyncio.create_task(loop.run())
    await asyncio.sleep(duration_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def make_loop(reconcile: object, workers: int = 4) -> ControlLoop:
    return ControlLoop("test", reconcile, LoopClock(), random.Random(1), workers=workers)  # type: ignore[arg-type]


async def test_a_hundred_enqueues_of_a_busy_key_are_two_runs_at_most() -> None:
    runs: list[float] = []

    async def reconcile(key: str) -> Result:
        runs.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        return DONE

    loop = make_loop(reconcile)

    async def enqueue() -> None:
        for _ in range(100):
            loop.enqueue("a")
            await asyncio.sleep(0.005)

    await asyncio.gather(running(loop, 10), enqueue())
    assert len(runs) == 2


async def test_one_key_never_runs_twice_at_once_and_others_do() -> None:
    now: list[str] = []
    most, doubled = 0, False

    async def reconcile(key: str) -> Result:
        nonlocal most, doubled
        doubled = doubled or key in now
        now.append(key)
        most = max(most, len(now))
        await asyncio.sleep(1)
        now.remove(key)
        return DONE

    loop = make_loop(reconcile, workers=3)
    for _ in range(3):
        for key in "abcd":
            loop.enqueue(key)
    await running(loop, 10)
    assert most == 3
    assert not doubled


@pytest.mark.parametrize("error", [conflict("pods", "p", "changed"), KeyError("x"), TimeoutError()])
async def test_failures_are_retried_with_growing_delays(error: Exception) -> None:
    times: list[float] = []

    async def reconcile(key: str) -> Result:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 8:
            raise error
        return DONE

    loop = make_loop(reconcile)
    loop.enqueue("a")
    await running(loop, 60)
    assert len(times) == 8
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert all(later > earlier for earlier, later in itertools.pairwise(gaps))


async def test_a_terminal_error_ends_it_until_the_next_change() -> None:
    runs = 0

    async def reconcile(key: str) -> Result:
        nonlocal runs
        runs += 1
        raise TerminalError("never")

    loop = make_loop(reconcile)
    loop.enqueue("a")
    await running(loop, 3600)
    assert runs == 1


async def test_a_result_brings_the_key_back() -> None:
    times: list[float] = []

    async def reconcile(key: str) -> Result:
        times.append(asyncio.get_running_loop().time())
        return Result(requeue_after_s=10)

    loop = make_loop(reconcile)
    loop.enqueue("a")
    await running(loop, 35)
    assert times == [0, 10, 20, 30]


async def test_a_run_that_hangs_is_ended_and_tried_again() -> None:
    runs = 0

    async def reconcile(key: str) -> Result:
        nonlocal runs
        runs += 1
        await asyncio.get_running_loop().create_future()
        return DONE

    loop = make_loop(reconcile, workers=1)
    loop.enqueue("a")
    await running(loop, 300)
    assert runs == 3


async def test_what_crashes_is_started_again() -> None:
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        await asyncio.sleep(1)
        raise RuntimeError("broken")

    clock = LoopClock()
    tasks = [asyncio.create_task(keep_running("x", run, clock, random.Random(1)))]
    await asyncio.sleep(20)
    assert 3 <= starts <= 6
    await cancel(tasks)


async def test_expectations_hold_until_all_is_seen_or_five_minutes() -> None:
    expectations = Expectations(LoopClock())
    assert expectations.satisfied("a")
    expectations.expect_creations("a", 2)
    expectations.creation_observed("a")
    assert not expectations.satisfied("a")
    assert expectations.satisfied("b")
    expectations.creation_observed("a")
    assert expectations.satisfied("a")
    expectations.expect_deletions("a", {"x", "y"})
    expectations.deletion_observed("a", "x")
    expectations.deletion_observed("a", "x")
    assert not expectations.satisfied("a")
    await asyncio.sleep(299)
    assert not expectations.satisfied("a")
    await asyncio.sleep(2)
    assert expectations.satisfied("a")


async def test_slow_start_stops_at_the_first_batch_that_fails() -> None:
    calls = 0

    async def refused() -> None:
        nonlocal calls
        calls += 1
        raise StatusError(403, "Forbidden", "quota")

    succeeded, failures = await batches.slow_start(100, refused)
    assert (succeeded, len(failures), calls) == (0, 1, 1)

    async def allowed() -> None:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise StatusError(403, "Forbidden", "quota")

    calls = 0
    succeeded, failures = await batches.slow_start(100, allowed)
    assert (succeeded, calls) == (10, 15)  # 1 + 2 + 4 + 8

    async def fine() -> None:
        pass

    assert await batches.slow_start(100, fine) == (100, [])


async def test_only_so_many_calls_at_once() -> None:
    now = most = 0

    async def call(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(1)
        now -= 1

    assert await batches.for_each(range(100), call, limit=7) == []
    assert most == 7


ABOUT = core_v1.ObjectReference(kind="Pod", namespace="default", name="p", uid="u")


def test_similar_events_are_combined() -> None:
    correlator = Correlator()
    told = [correlator.correlate(ABOUT, ("Warning", "R", f"m{i}"), 1000.0) for i in range(12)]
    assert [message for _, message, _ in told[:9]] == [f"m{i}" for i in range(9)]
    assert [m for _, m, _ in told[9:]] == [
        f"(combined from similar events): m{i}" for i in (9, 10, 11)
    ]
    assert len({key for key, _, _ in told}) == 10
    later = correlator.correlate(ABOUT, ("Warning", "R", "m99"), 2000.0)
    assert later[1] == "m99"


def test_an_object_has_a_burst_of_25_events() -> None:
    correlator = Correlator()
    allowed = [correlator.correlate(ABOUT, ("Normal", "R", "m"), 1000.0)[2] for _ in range(30)]
    assert sum(allowed) == 25
    assert correlator.correlate(ABOUT, ("Normal", "R", "m"), 1000.0 + 301)[2]
    other = core_v1.ObjectReference(kind="Pod", namespace="default", name="q", uid="v")
    assert correlator.correlate(other, ("Normal", "R", "m"), 1000.0)[2]


async def test_the_same_event_is_counted_and_written_again_when_it_is_gone(tmp_path: Path) -> None:
    async with running_api(tmp_path / "store") as api:
        user = "system:serviceaccount:kube-system:replicaset-controller"
        clock = LoopClock()
        recorder = EventRecorder(api.client(user), clock, "replicaset-controller")
        task = asyncio.create_task(recorder.run())
        for _ in range(3):
            recorder.event(ABOUT, "Warning", "FailedCreate", "no")
            await asyncio.sleep(5)
        [event] = await api.list("v1/events", namespace="default")
        assert event["count"] == 3
        assert event["firstTimestamp"] < event["lastTimestamp"]
        assert event["source"] == {"component": "replicaset-controller"}
        assert event["reportingComponent"] == "replicaset-controller"
        assert event["involvedObject"] == {
            "kind": "Pod", "namespace": "default", "name": "p", "uid": "u",
        }  # fmt: skip
        name = event["metadata"]["name"]
        assert name.startswith("p.")
        assert int(name[2:], 16) == int(clock.now_s() - 15) * 10**9
        await api.delete("v1/events", name)
        recorder.event(ABOUT, "Warning", "FailedCreate", "no")
        await asyncio.sleep(1)
        [event] = await api.list("v1/events", namespace="default")
        assert event["count"] == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
