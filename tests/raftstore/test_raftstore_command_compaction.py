"""Auto compaction in virtual time: what is forgotten, when, and by whom."""

import asyncio

import pytest

from base.clock import LoopClock
from raftstore.daemon.autocompaction import REVISION_INTERVAL_S, compact_for_ever
from raftstore.daemon.flags import AutoCompaction
from raftstore.errors import NoLeader
from raftstore.mvcc.errors import Compacted

HOUR_S = 3600.0


class Store:
    """A revision a second, none at the start; says when it was compacted and to where."""

    def __init__(self) -> None:
        self.leads = True
        self.refusals: list[Exception] = []
        self.compactions: list[tuple[int, int]] = []

    @property
    def revision(self) -> int:
        return int(asyncio.get_running_loop().time())

    async def compact(self, revision: int) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.compactions.append((self.revision, revision))


async def compacted(store: Store, kept: AutoCompaction, duration_s: float) -> list[tuple[int, int]]:
    task = asyncio.create_task(compact_for_ever(store, LoopClock(), kept))
    await asyncio.sleep(duration_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return store.compactions


async def test_a_period_is_kept() -> None:
    found = await compacted(Store(), AutoCompaction(600.0), 2500)
    assert [now for now, _ in found] == pytest.approx([660, 1260, 1860, 2460], abs=61)
    assert all(590 <= now - revision <= 610 for now, revision in found)


async def test_a_long_period_is_kept_hour_by_hour() -> None:
    found = await compacted(Store(), AutoCompaction(10 * HOUR_S), 13.5 * HOUR_S)
    assert [round(now / HOUR_S) for now, _ in found] == [10, 11, 12, 13]
    assert all(now - revision == pytest.approx(10 * HOUR_S, abs=1) for now, revision in found)


async def test_revisions_are_kept() -> None:
    found = await compacted(Store(), AutoCompaction(revisions=100), 2 * REVISION_INTERVAL_S + 1)
    assert found == [(300, 200), (600, 500)]


async def test_nothing_is_forgotten_before_there_is_enough() -> None:
    assert await compacted(Store(), AutoCompaction(revisions=1000), 900) == []


async def test_a_follower_leaves_it_to_the_leader() -> None:
    store = Store()
    store.leads = False
    assert await compacted(store, AutoCompaction(60.0), 600) == []


async def test_what_failed_is_tried_again() -> None:
    store = Store()
    store.refusals = [NoLeader()]
    found = await compacted(store, AutoCompaction(600.0), 800)
    assert [now for now, _ in found] == [720]


async def test_what_somebody_else_compacted_is_done() -> None:
    store = Store()
    store.refusals = [Compacted(60)]
    found = await compacted(store, AutoCompaction(600.0), 1300)
    assert [now for now, _ in found] == [1260]


async def test_everything_is_kept_where_nothing_was_asked() -> None:
    assert await compacted(Store(), AutoCompaction(), 10 * HOUR_S) == []
