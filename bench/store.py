"""The embedded store in this process: how many writes, how quick, at what price.

    python bench/store.py [--puts 60000] [--keys 100000] [--rounds 5] [--directory DIR]

`--keys 1000000` is a store of 1 GB. The etcd API on the wire, beside etcd: `store_wire.py`.

Prints the median of the rounds: puts of 1 KB per second with 64 writers, one writer's put, the
disk's own sync, CPU per put, what keys cost in memory, and how long the store takes to open. A
put is a transaction with a compare, as the API server's are; one watcher hears all of them.
"""

import argparse
import asyncio
import gc
import multiprocessing
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import uvloop

from base.clock import SystemClock
from controlplane.store.embedded import EmbeddedStore, open_embedded
from controlplane.store.protocol import Compare, Op
from raftstore.disk import SystemFiles

Round = Callable[[Path, int], Coroutine[None, None, dict[str, float]]]

VALUE = bytes(random.Random(1).randrange(32, 127) for _ in range(1024))
WRITERS = 64


async def put_new(store: EmbeddedStore, key: bytes) -> None:
    await store.txn([Compare.mod_revision(key, 0)], [Op.put(key, VALUE)])


def anonymous_memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status has no RssAnon")


def disk_sync_ms(directory: Path) -> float:
    """The median of bare 1 KB writes with fdatasync, as the log makes them."""
    path = directory / "probe"
    file = SystemFiles().create(path, 1 << 20)
    durations = []
    for _ in range(200):
        start_s = time.perf_counter()
        file.write(VALUE)
        file.sync()
        durations.append(time.perf_counter() - start_s)
    file.close()
    path.unlink()
    return statistics.median(durations) * 1000


async def one_writer(store: EmbeddedStore, label: str) -> tuple[float, float]:
    """p50 and p99 of one writer's put, in ms."""
    durations = []
    for number in range(2000):
        start_s = time.perf_counter()
        await put_new(store, b"/bench/one/%s/%d" % (label.encode(), number))
        durations.append(time.perf_counter() - start_s)
    durations.sort()
    return durations[1000] * 1000, durations[1980] * 1000


async def many_writers(store: EmbeddedStore, label: str, puts: int) -> tuple[float, float]:
    """Puts per second and CPU microseconds per put, with 64 writers."""

    async def write(writer: int) -> None:
        for number in range(puts // WRITERS):
            await put_new(store, b"/bench/many/%s/%d/%d" % (label.encode(), writer, number))

    start_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    done = puts // WRITERS * WRITERS
    duration_s = time.perf_counter() - start_s
    return done / duration_s, (time.process_time() - cpu_s) / done * 1e6


class LoopLag:
    """The longest time the loop did not come round."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            start_s = time.perf_counter()
            await asyncio.sleep(0.002)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - start_s - 0.002) * 1000)

    def stop(self) -> float:
        self._task.cancel()
        return self.longest_ms


async def open_here(directory: Path) -> tuple[EmbeddedStore, float]:
    start_s = time.perf_counter()
    store = await open_embedded(directory, SystemClock(), random.Random(1))
    # As the daemons do once they are open.
    gc.freeze()
    return store, (time.perf_counter() - start_s) * 1000


async def speed_round(directory: Path, puts: int) -> dict[str, float]:
    shutil.rmtree(directory, ignore_errors=True)
    store, open_new_ms = await open_here(directory)
    heard = [0]
    store.watch(b"/bench/", b"/bench0", 0, lambda events, revision: _count(heard, len(events)))
    p50_ms, p99_ms = await one_writer(store, "r")
    lag = LoopLag()
    per_second, cpu_us = await many_writers(store, "r", puts)
    longest_ms = lag.stop()
    sync_ms = store.node.sync_median_s * 1000
    assert heard[0] == store.revision - 1, "the watcher missed a write"
    await store.close()
    store, open_ms = await open_here(directory)
    await store.close()
    return {
        "puts/s, 64 writers": per_second,
        "CPU us per put": cpu_us,
        "one writer, put p50 ms": p50_ms,
        "one writer, put p99 ms": p99_ms,
        "sync p50 ms (in the store)": sync_ms,
        "longest loop pause ms": longest_ms,
        "open, new, ms": open_new_ms,
        "open, after the puts, ms": open_ms,
    }


def _count(total: list[int], more: int) -> None:
    total[0] += more


async def longest_put(store: EmbeddedStore, while_: Coroutine[None, None, None]) -> float:
    """Of one writer, in ms, until `while_` has ended."""
    longest_s = 0.0
    ending = asyncio.ensure_future(while_)
    while not ending.done():
        start_s = time.perf_counter()
        await store.txn([], [Op.put(b"/bench/during", VALUE)])
        longest_s = max(longest_s, time.perf_counter() - start_s)
    return longest_s * 1000


async def memory_round(directory: Path, keys: int) -> dict[str, float]:
    """What keys of 1 KB cost: new ones, history compacted away."""
    shutil.rmtree(directory, ignore_errors=True)
    store, _ = await open_here(directory)
    before_mb = anonymous_memory_mb()

    async def write(writer: int) -> None:
        for number in range(writer, keys, WRITERS):
            key = b"/registry/core/configmaps/default/name-%08d" % number
            await store.txn([], [Op.put(key, b"%08d" % number + VALUE[8:])])

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    await store.compact(store.revision)
    while store.node.state.keyspace.unpruned:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    grown_mb = anonymous_memory_mb() - before_mb
    calm_ms = await longest_put(store, asyncio.sleep(1))
    start_s = time.perf_counter()
    during_ms = await longest_put(store, store.node.defragment())
    snapshot_s = time.perf_counter() - start_s
    data_mb = store.node.state.keyspace.size_bytes / 1e6
    await store.close()
    store, open_ms = await open_here(directory)
    await store.close()
    return {
        f"RssAnon MB for {keys} keys": grown_mb,
        "  as a multiple of the data": grown_mb * 1.048576 / data_mb,
        "longest put in a quiet second, ms": calm_ms,
        "longest put during a snapshot, ms": during_ms,
        "  the snapshot takes s": snapshot_s,
        f"open with {keys} keys, ms": open_ms,
    }


def run(round_: Round, directory: Path, count: int) -> dict[str, float]:
    """In a process of its own: memory that an earlier round freed would not show."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run_here, round_, directory, count).result()


def run_here(round_: Round, directory: Path, count: int) -> dict[str, float]:
    # As the control plane does.
    sys.setswitchinterval(0.0005)
    return uvloop.run(round_(directory, count))


def report(rounds: list[dict[str, float]]) -> None:
    for name in rounds[0]:
        values = sorted(one[name] for one in rounds)
        spread = f"   ({values[0]:,.2f} to {values[-1]:,.2f})" if len(values) > 1 else ""
        print(f"  {name:34} {statistics.median(values):>12,.2f}{spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--puts", type=int, default=60_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="on the disk to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory, prefix="pinnace-bench-") as name:
        directory = Path(name)
        print(f"python {platform.python_version()}, {WRITERS} writers, 1 KB values, {directory}")
        print(f"  bare write and sync p50 ms         {disk_sync_ms(directory):>12,.2f}")
        rounds = [run(speed_round, directory / "s", given.puts) for _ in range(given.rounds)]
        report(rounds)
        report([run(memory_round, directory / "m", given.keys)])


if __name__ == "__main__":
    main()
