"""When rules are written: on virtual time, against a backend that only remembers."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from base.clock import LoopClock
from netproxy.backends import BackendFailure
from netproxy.metrics import Metrics
from netproxy.model import RuleSet
from netproxy.syncer import Syncer
from tests.netproxy.netproxy_objects import rules, service


class Remembering:
    """A backend that notes when it was asked for what."""

    def __init__(self) -> None:
        self.applied: list[tuple[float, RuleSet]] = []
        self.checked = 0
        self.forgotten = 0
        self.intact = True
        self.failures = 0
        self.takes_s = 0.0

    async def apply(self, rules: RuleSet) -> None:
        self.applied.append((asyncio.get_running_loop().time(), rules))
        await asyncio.sleep(self.takes_s)
        if self.failures:
            self.failures -= 1
            raise BackendFailure("busy")

    async def is_intact(self) -> bool:
        self.checked += 1
        return self.intact

    def forget(self) -> None:
        self.forgotten += 1
        self.intact = True

    async def cleanup(self) -> bool:
        return False

    def times(self) -> list[float]:
        return [round(when, 3) for when, _ in self.applied]


class World:
    def __init__(self) -> None:
        self.backend = Remembering()
        self.metrics = Metrics("iptables")
        self.rules = rules()
        self.syncer = Syncer(
            self.backend, LoopClock(), random.Random(1), self.metrics, min_interval_s=0.1
        )

    def change(self, name: str) -> None:
        self.rules = rules(service(name))
        self.syncer.wake()

    def count(self, name: str) -> float:
        for line in self.metrics.text().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.syncer.run(lambda: world.rules))
    await asyncio.sleep(1)
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_starts_by_writing_what_is() -> None:
    async with running() as world:
        assert world.backend.times() == [0.0]


async def test_the_first_change_is_written_at_once_and_a_burst_in_one() -> None:
    async with running() as world:
        world.change("a")
        await asyncio.sleep(0.001)
        for name in "bcdef":
            world.change(name)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        assert world.backend.times() == [0.0, 1.0, 1.1]
        assert world.backend.applied[-1][1] == rules(service("f"))


async def test_a_change_during_a_write_is_not_missed() -> None:
    async with running() as world:
        world.backend.takes_s = 0.5
        world.change("a")
        await asyncio.sleep(0.25)
        world.change("b")
        await asyncio.sleep(2)
        assert world.backend.applied[-1][1] == rules(service("b"))
        assert world.backend.times() == [0.0, 1.0, 1.6]


async def test_failures_are_tried_again_further_and_further_apart() -> None:
    async with running() as world:
        world.backend.failures = 5
        world.change("a")
        await asyncio.sleep(30)
        times = world.backend.times()[1:]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert len(times) == 6
        assert all(
            0.9 * d <= gap <= d for gap, d in zip(gaps, (0.2, 0.4, 0.8, 1.6, 3.2), strict=True)
        )
        assert world.count("kubeproxy_sync_proxy_rules_iptables_restore_failures_total") == 5
        # And the back-off begins anew.
        world.backend.failures = 1
        world.change("b")
        await asyncio.sleep(1)
        assert world.backend.applied[-1][1] == rules(service("b"))


async def test_every_half_minute_it_looks_and_repairs() -> None:
    async with running() as world:
        await asyncio.sleep(65)
        assert (world.backend.checked, world.backend.forgotten) == (2, 0)
        assert len(world.backend.applied) == 1
        world.backend.intact = False
        await asyncio.sleep(30)
        assert world.backend.forgotten == 1
        assert len(world.backend.applied) == 2


async def test_metrics_and_health() -> None:
    async with running() as world:
        clock = LoopClock()
        assert world.metrics.is_healthy(clock.monotonic_s())
        world.backend.takes_s = 0.25
        world.change("a")
        await asyncio.sleep(1)
        assert world.count("kubeproxy_sync_proxy_rules_duration_seconds_count") == 2
        assert world.count("kubeproxy_network_programming_duration_seconds_sum") == 0.25
        assert world.count("kubeproxy_sync_proxy_rules_last_timestamp_seconds") > 1_700_000_000
        world.backend.failures = 1000
        world.change("b")
        await asyncio.sleep(59)
        assert world.metrics.is_healthy(clock.monotonic_s())
        await asyncio.sleep(2)
        assert not world.metrics.is_healthy(clock.monotonic_s())
        world.backend.failures = 0
        await asyncio.sleep(60)
        assert world.metrics.is_healthy(clock.monotonic_s())
