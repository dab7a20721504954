"""Caches that are behind their store, as they may be where it is on another machine: what a caller
was told of is what the next one reads, and missed history is read anew. On virtual time."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from base.clock import LoopClock
from controlplane.registry.watchers import WatchEnded
from controlplane.store import Compacted, Event
from controlplane.store.embedded import EmbeddedStore, open_embedded
from controlplane.store.protocol import Lost, Sink, Watcher
from kubeapi.errors import StatusError
from tests.controlplane.inprocess import InProcess, api_over

LAG_S = 0.5


class LaggingStore(EmbeddedStore):
    """Tells of changes `LAG_S` after they were acknowledged, and can lose its place."""

    def __init__(self, store: EmbeddedStore) -> None:
        super().__init__(store.node, LoopClock())
        self._lost: Lost | None = None
        self._watcher: Watcher | None = None

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Sink,
        lost: Lost | None = None,
    ) -> Watcher:
        def later(events: Sequence[Event], revision: int) -> None:
            asyncio.get_running_loop().call_later(LAG_S, sink, events, revision)

        self._lost = lost
        self._watcher = super().watch(key, range_end, start_revision, later, lost)
        return self._watcher

    def go_deaf(self) -> None:
        assert self._watcher is not None
        self._watcher.cancel()

    def lose_history(self) -> None:
        assert self._lost is not None
        self._lost(Compacted(self.revision))


@asynccontextmanager
async def two_apis(
    directory: Path,
) -> AsyncIterator[tuple[InProcess, InProcess, LaggingStore]]:
    """Two control planes; the second one's store is also returned."""
    rng = random.Random(1)
    store = await open_embedded(directory / "store", LoopClock(), rng)
    behind = LaggingStore(store)
    async with (
        api_over(LaggingStore(store), LoopClock(), rng) as one,
        api_over(behind, LoopClock(), rng) as two,
    ):
        await asyncio.sleep(1)
        yield one, two, behind
        await asyncio.sleep(1)
    await store.close()


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def test_a_writer_reads_its_write(tmp_path: Path) -> None:
    async with two_apis(tmp_path) as (one, _, _):
        for number in range(3):
            made = await one.create("v1/configmaps", configmap(f"c{number}"))
            assert await one.get("v1/configmaps", f"c{number}") == made
        await one.delete("v1/configmaps", "c0")
        assert len(await one.list("v1/configmaps", namespace="default")) == 2
        with pytest.raises(StatusError, match="not found"):
            await one.get("v1/configmaps", "c0")


async def test_what_one_was_told_the_other_knows(tmp_path: Path) -> None:
    async with two_apis(tmp_path) as (one, two, _):
        await one.create("v1/configmaps", configmap("c"))
        assert (await two.get("v1/configmaps", "c"))["metadata"]["name"] == "c"
        await two.patch("v1/configmaps", "c", {"data": {"a": "1"}})
        await one.patch("v1/configmaps", "c", {"data": {"b": "2"}})
        assert (await two.get("v1/configmaps", "c"))["data"] == {"a": "1", "b": "2"}
        latest = await one.update("v1/configmaps", configmap("c", z="3"))
        assert (await two.update("v1/configmaps", latest | {"data": {"y": "4"}}))["data"] == {
            "y": "4"
        }
        await two.delete("v1/configmaps", "c")
        assert (await one.create("v1/configmaps", configmap("c")))["metadata"]["name"] == "c"
        await one.create("v1/configmaps", configmap("d"))
        await two.delete("v1/configmaps", "d")


async def test_two_that_patch_the_same_lose_nothing(tmp_path: Path) -> None:
    async with two_apis(tmp_path) as (one, two, _):
        await one.create("v1/configmaps", configmap("c"))
        await asyncio.gather(
            *(
                api.patch("v1/configmaps", "c", {"data": {f"{name}{n}": "x"}})
                for n in range(3)
                for name, api in (("one", one), ("two", two))
            )
        )
        assert len((await one.get("v1/configmaps", "c"))["data"]) == 6


async def test_missed_history_is_read_anew(tmp_path: Path) -> None:
    async with two_apis(tmp_path) as (one, two, behind):
        await one.create("v1/configmaps", configmap("kept"))
        await one.create("v1/configmaps", configmap("gone"))
        info = two.call("watch", "v1/configmaps").info
        cache = two.api.registry.cache_of(info)
        await two.list("v1/configmaps")
        since = two.api.registry.revision
        watcher = cache.watch("", None, since)
        behind.go_deaf()
        await one.patch("v1/configmaps", "kept", {"data": {"a": "1"}})
        await one.delete("v1/configmaps", "gone")
        await one.create("v1/configmaps", configmap("new"))
        behind.lose_history()
        await asyncio.sleep(1)
        names = [c["metadata"]["name"] for c in await two.list("v1/configmaps")]
        assert names == ["kept", "new"]
        assert (await two.get("v1/configmaps", "kept"))["data"] == {"a": "1"}
        watcher.waiting()
        with pytest.raises(WatchEnded):
            await watcher.next_batch()
        with pytest.raises(StatusError, match="too old resource version"):
            cache.watch("", None, since)
        await one.create("v1/configmaps", configmap("later"))
        assert (await two.get("v1/configmaps", "later"))["metadata"]["name"] == "later"
