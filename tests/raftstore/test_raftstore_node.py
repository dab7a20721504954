"""The driver: nothing is answered before it is durable, and what was answered is never lost."""

import asyncio
import errno
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from fake_files import FakeFiles
from prometheus_client import CollectorRegistry, generate_latest

from base.clock import LoopClock, SystemClock
from raftstore.disk import CorruptRecord, DiskFailed, SystemFiles
from raftstore.errors import RequestTimedOut, Stopped, TooManyRequests
from raftstore.mvcc import (
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    Event,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Put,
    Range,
    Txn,
)
from raftstore.node import Node
from raftstore.node.lessor import EXPIRE_MAX, Lessor
from raftstore.node.member import READY_ENTRIES_MAX, Options
from raftstore.node.syncing import SyncPacer

STORE = Path("/store")
INLINE = Options(use_threads=False, segment_size_bytes=8192, snapshot_log_min_bytes=1 << 30)


async def open_node(files: FakeFiles, options: Options = INLINE, seed: int = 1) -> Node:
    return await Node.open(STORE, LoopClock(), random.Random(seed), options, files)


def values(node: Node) -> dict[bytes, bytes]:
    return {kv.key: kv.value for kv in node.range(Range(b"\0", b"\0")).kvs}


async def test_a_new_store_leads_at_once() -> None:
    node = await open_node(FakeFiles())
    # The founding entry is of term 1.
    assert node.leader_term == 2
    assert node.range(Range(b"a", b"\0")).revision == 1
    await node.close()


async def test_a_restart_finds_everything_and_leads_a_later_term() -> None:
    files = FakeFiles()
    node = await open_node(files)
    await node.propose(LeaseGrant(7, 60))
    for number in range(50):
        await node.propose(Put(b"key%02d" % number, b"x" * 400, 7 if number == 3 else 0))
    await node.propose(DeleteRange(b"key05"))
    await node.propose(Compact(20))
    before, revision = values(node), node.state.keyspace.revision
    await node.close()
    node = await open_node(files)
    assert (values(node), node.state.keyspace.revision) == (before, revision)
    assert node.state.keyspace.compact_revision == 20
    assert node.state.leases.keys(7) == [b"key03"]
    assert node.leader_term == 3
    await node.close()


async def test_writers_of_one_turn_share_a_sync() -> None:
    files = FakeFiles()
    node = await open_node(files)
    before = files.syncs
    await asyncio.gather(*(node.propose(Put(b"%d" % n)) for n in range(64)))
    assert files.syncs == before + 1
    await node.close()


async def test_nothing_is_answered_and_nobody_hears_before_the_sync() -> None:
    files = FakeFiles()
    node = await open_node(files)
    heard: list[int] = []
    node.watch(b"k", b"", 0, lambda events, revision: heard.append(revision))
    future = node.propose(Put(b"k", b"v"))
    seen = []

    def before(what: str, path: Path) -> None:
        seen.append((what, future.done(), list(heard), values(node)))

    files.before = before
    await future
    assert seen == [("write", False, [], {}), ("sync", False, [], {})]
    assert heard == [2]
    files.before = lambda what, path: None
    await node.close()


async def test_a_watcher_has_heard_before_the_writer_is_answered() -> None:
    node = await open_node(FakeFiles())
    heard: list[int] = []
    node.watch(b"k", b"l", 0, lambda events, revision: heard.append(revision))
    for revision in range(2, 20):
        result = await node.propose(Put(b"k"))
        assert heard[-1] == result.revision == revision
    await node.close()


async def test_a_watch_of_the_past_catches_up_and_goes_on() -> None:
    node = await open_node(FakeFiles())
    for number in range(3000):
        node.propose(Put(b"k", b"%d" % number))
    await node.propose(Put(b"k", b"last"))
    heard: list[int] = []
    node.watch(b"k", b"", 2, lambda events, revision: heard.append(revision))
    assert heard == []
    await asyncio.sleep(0)
    assert 0 < len(heard) < 3001
    await asyncio.sleep(0.01)
    assert heard == list(range(2, 3003))
    await node.propose(Put(b"k", b"more"))
    assert heard[-1] == 3003
    await node.close()


async def test_a_refused_command_is_answered_with_its_error() -> None:
    node = await open_node(FakeFiles())
    with pytest.raises(MvccError, match="etcdserver: requested lease not found"):
        await node.propose(Put(b"k", b"", 99))
    with pytest.raises(MvccError, match="etcdserver: request is too large"):
        node.propose(Put(b"k", b"x" * 2_000_000))
    assert (await node.propose(Put(b"k"))).revision == 2
    await node.close()


async def test_what_could_not_be_read_back_never_reaches_the_log() -> None:
    node = await open_node(FakeFiles())
    with pytest.raises(msgspec.ValidationError):
        node.propose(Put("text", b""))  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        node.propose(LeaseGrant(1 << 64, 10))
    assert (await node.propose(Put(b"k"))).revision == 2
    await node.close()


async def test_closing_in_the_middle_of_a_snapshot() -> None:
    options = Options(use_threads=False, snapshot_log_min_bytes=50_000)
    files = FakeFiles()
    node = await open_node(files, options)
    await asyncio.gather(*(node.propose(Put(b"%d" % n, b"x" * 1000)) for n in range(400)))
    await asyncio.sleep(0)
    assert node._maintenance._snapshot is not None
    await node.close()
    assert files.names(STORE / "snap") == []
    node = await open_node(files, options)
    assert len(values(node)) == 400
    await node.close()


async def test_the_queue_of_proposals_is_bounded() -> None:
    options = Options(use_threads=False, pending_max=3)
    node = await open_node(FakeFiles(), options)
    futures = [node.propose(Put(b"k")) for _ in range(3)]
    with pytest.raises(TooManyRequests, match="etcdserver: too many requests"):
        node.propose(Put(b"k"))
    await asyncio.gather(*futures)
    await node.propose(Put(b"k"))
    await node.close()


async def test_a_writer_that_gave_up_disturbs_nobody() -> None:
    node = await open_node(FakeFiles())
    first, second = node.propose(Put(b"a")), node.propose(Put(b"b"))
    first.cancel()
    assert (await second).revision == 3
    await node.close()


async def test_close_finishes_what_is_in_the_log() -> None:
    files = FakeFiles()
    node = await open_node(files)
    future = node.propose(Put(b"k", b"v"))
    await node.close()
    assert (await future).revision == 2
    with pytest.raises(Stopped):
        node.propose(Put(b"k"))
    node = await open_node(files)
    assert values(node) == {b"k": b"v"}
    await node.close()


def failing(what: str, error: int, text: str) -> Callable[[str, Path], None]:
    def before(operation: str, path: Path) -> None:
        if operation == what:
            raise OSError(error, text)

    return before


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        ("sync", errno.EIO, "Input/output error"),
        ("write", errno.ENOSPC, "No space left on device"),
    ],
)
async def test_a_failing_disk_stops_the_member(
    what: str, error: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = FakeFiles()
    node = await open_node(files)
    await node.propose(Put(b"kept", b"1"))
    files.before = failing(what, error, text)
    doubtful = node.propose(Put(b"doubtful", b"1"))
    also = node.propose(Put(b"also", b"1"))
    with pytest.raises(Stopped, match=text):
        await doubtful
    with pytest.raises(Stopped):
        await also
    assert isinstance(node.failure, DiskFailed)
    assert node.stopped.is_set()
    assert node.leader_term == 0
    # The disk works again; that does not tell what it holds.
    files.before = lambda what, path: None
    for call in (lambda: node.propose(Put(b"k")), lambda: node.range(Range(b"kept"))):
        with pytest.raises(Stopped):
            call()
    assert len(caplog.records) == 1
    assert "\n" not in caplog.text.strip()
    await node.close()
    node = await open_node(files)
    assert values(node)[b"kept"] == b"1"
    await node.close()


async def test_a_damaged_store_does_not_open() -> None:
    files = FakeFiles()
    node = await open_node(files)
    await node.propose(Put(b"a", b"1"))
    await node.propose(Put(b"b", b"2"))
    await node.close()
    path = next(p for p in sorted(files.names_now) if p.suffix == ".wal")
    data = files.names_now[path].data
    data[data.index(b"a")] ^= 1
    with pytest.raises(CorruptRecord):
        await open_node(files)
    # The lock is not left behind.
    data[data.index(b"`")] ^= 1
    node = await open_node(files)
    await node.close()


async def test_a_snapshot_is_taken_when_the_log_outgrows_the_last() -> None:
    options = Options(use_threads=False, segment_size_bytes=16_384, snapshot_log_min_bytes=20_000)
    files = FakeFiles()
    node = await open_node(files, options)
    for number in range(600):
        await node.propose(Put(b"key%02d" % (number % 40), b"%03d" % number + b"x" * 500))
    await asyncio.sleep(1)
    assert node.metrics.snapshot_save_s.count >= 1
    assert len(files.names(STORE / "snap")) == 1
    log_bytes = sum(len(files.read(STORE / "wal" / n)) for n in files.names(STORE / "wal"))
    snapshot_bytes = len(files.read(STORE / "snap" / files.names(STORE / "snap")[0]))
    assert log_bytes < 3 * snapshot_bytes + 40_000
    before, revision = values(node), node.state.keyspace.revision
    heard = [e for r in range(2, revision + 1) for e in node.state.keyspace.events_of(r)]
    await node.close()
    node = await open_node(files, options)
    assert (values(node), node.state.keyspace.revision) == (before, revision)
    assert heard == [e for r in range(2, revision + 1) for e in node.state.keyspace.events_of(r)]
    await node.close()


async def test_a_failed_snapshot_stops_the_member() -> None:
    options = Options(use_threads=False, snapshot_log_min_bytes=2000)
    files = FakeFiles()
    node = await open_node(files, options)

    def before(what: str, path: Path) -> None:
        if path.parent.name == "snap":
            raise OSError(errno.ENOSPC, "No space left on device")

    files.before = before
    for _ in range(10):
        node.propose(Put(b"k", b"x" * 500))
    await node.stopped.wait()
    assert isinstance(node.failure, DiskFailed)
    await node.close()


async def test_compaction_frees_memory_beside_the_writes() -> None:
    node = await open_node(FakeFiles())
    for number in range(5000):
        node.propose(Put(b"k", b"%d" % number))
    await node.propose(Compact(4900))
    assert node.state.keyspace.unpruned > 0
    await asyncio.sleep(1)
    assert node.state.keyspace.unpruned == 0
    assert node.state.keyspace.size_bytes < 1000
    await node.close()


async def test_nothing_is_freed_that_a_watcher_or_a_snapshot_still_reads() -> None:
    node = await open_node(FakeFiles())
    for number in range(100):
        node.propose(Put(b"k", b"%d" % number))
    await node.propose(Compact(90))
    heard: list[int] = []
    maintenance = node._maintenance
    node.watch(b"k", b"", 95, lambda events, revision: heard.append(revision))
    maintenance._prune()
    assert node.state.keyspace.unpruned == 88
    await asyncio.sleep(0)
    assert heard == list(range(95, 102))
    node.member.history_holds += 1
    maintenance._prune()
    assert node.state.keyspace.unpruned == 88
    node.member.history_holds -= 1
    maintenance._prune()
    assert node.state.keyspace.unpruned == 0
    await node.close()


async def test_an_idle_store_sleeps() -> None:
    """On virtual time, a timer that comes back would show."""
    node = await open_node(FakeFiles())
    await node.propose(Put(b"k"))
    loop = asyncio.get_running_loop()
    assert not [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    await node.close()


class TestLeases:
    async def test_a_lease_that_is_not_renewed_ends_through_the_log(self) -> None:
        files = FakeFiles()
        node = await open_node(files)
        await node.propose(LeaseGrant(7, 10))
        await node.propose(Put(b"k", b"", 7))
        heard: list[Event] = []
        node.watch(b"k", b"", 0, lambda events, revision: heard.extend(events))
        await asyncio.sleep(9.9)
        assert values(node) == {b"k": b""}
        assert await node.lease_remaining_s(7) == pytest.approx(0.1)
        await asyncio.sleep(0.2)
        assert values(node) == {}
        assert [event.deleted for event in heard] == [True]
        assert 7 not in node.state.leases
        await node.close()
        node = await open_node(files)
        assert values(node) == {}
        await node.close()

    async def test_renewal(self) -> None:
        node = await open_node(FakeFiles())
        await node.propose(LeaseGrant(7, 10))
        for _ in range(5):
            await asyncio.sleep(8)
            assert await node.renew_lease(7) == 10
        await asyncio.sleep(10.1)
        with pytest.raises(MvccError, match="etcdserver: requested lease not found"):
            await node.renew_lease(7)
        await node.close()

    async def test_a_restart_grants_the_whole_ttl_again(self) -> None:
        files = FakeFiles()
        node = await open_node(files)
        await node.propose(LeaseGrant(7, 10))
        await asyncio.sleep(8)
        await node.close()
        node = await open_node(files)
        await asyncio.sleep(8)
        assert 7 in node.state.leases
        await asyncio.sleep(2.1)
        assert 7 not in node.state.leases
        await node.close()

    async def test_revoked_by_its_owner_first(self) -> None:
        node = await open_node(FakeFiles())
        await node.propose(LeaseGrant(7, 10))
        await node.propose(LeaseRevoke(7))
        await node.propose(LeaseGrant(7, 30))
        await asyncio.sleep(20)
        assert 7 in node.state.leases
        await asyncio.sleep(11)
        assert 7 not in node.state.leases
        await node.close()


class TestLessor:
    def test_names_each_ended_lease_once(self) -> None:
        lessor = Lessor()
        lessor.granted(1, 5, 0.0)
        lessor.granted(2, 5, 1.0)
        assert lessor.due(4.9) == []
        assert lessor.due(5.5) == [1]
        assert lessor.due(5.5) == []
        assert lessor.renew(1, 5.5) is None
        lessor.revoked(1)
        assert lessor.renew(2, 5.5) == 5
        assert lessor.due(7.0) == []
        assert lessor.due(10.5) == [2]

    def test_a_mass_expiry_leaves_room(self) -> None:
        lessor = Lessor()
        lessor.promote(dict.fromkeys(range(1, 1200), 5), 0.0)
        named = lessor.due(5.0)
        assert len(named) == EXPIRE_MAX
        assert lessor.next_deadline_s() == 5.0
        named += lessor.due(5.0) + lessor.due(5.0)
        assert sorted(named) == list(range(1, 1200))

    def test_a_promotion_starts_every_lease_anew(self) -> None:
        lessor = Lessor()
        lessor.granted(1, 5, 0.0)
        lessor.promote({1: 5}, 4.0)
        assert lessor.due(8.9) == []
        assert lessor.due(9.0) == [1]


def test_one_slow_sync_does_not_change_the_pace() -> None:
    pacer = SyncPacer()
    for duration_s in (0.0002, 0.0002, 0.02, 0.0002):
        pacer.observe(duration_s)
    assert pacer.is_quick
    for _ in range(5):
        pacer.observe(0.004)
    assert not pacer.is_quick
    for _ in range(5):
        pacer.observe(0.0001)
    assert pacer.is_quick


def test_the_loop_waits_for_one_writer_and_not_while_several_write() -> None:
    pacer = SyncPacer()
    waits = [pacer.may_wait(1) for _ in range(64)]
    assert waits.count(False) == 2, "now and then it looks whether others write"
    assert not pacer.may_wait(2)
    for _ in range(9):
        pacer.observe(0.005)
    assert not pacer.may_wait(1), "a slow disk is never waited for"


class PowerLoss(BaseException):
    """Stops the process: no handler of the code under test may run on."""


@pytest.mark.parametrize("seed", range(60))
async def test_power_loss_loses_no_acknowledged_write(seed: int) -> None:
    """Writers count keys up by compare-and-put; the machine stops before some operation of the
    disk, three times over; each time all that was answered must be there."""
    rng = random.Random(seed)
    options = Options(use_threads=False, segment_size_bytes=4096, snapshot_log_min_bytes=6000)
    files = FakeFiles()
    answered: dict[bytes, int] = {}
    for _ in range(3):
        steps = rng.randrange(3, 120)
        try:
            node = await open_node(files, options, seed)
            check_answered(node, answered)
            await run_writers(node, files, rng, answered, steps)
        except PowerLoss:
            pass
        abandon(node)
        files.crash(rng)
    node = await open_node(files, options, seed)
    check_answered(node, answered)
    await node.close()


def check_answered(node: Node, answered: dict[bytes, int]) -> None:
    found = {key: int(value[:8]) for key, value in values(node).items()}
    for key, count in answered.items():
        assert found[key] >= count


async def run_writers(
    node: Node, files: FakeFiles, rng: random.Random, answered: dict[bytes, int], steps: int
) -> None:
    lost = asyncio.get_running_loop().create_future()

    def before(what: str, path: Path) -> None:
        nonlocal steps
        steps -= 1
        if steps <= 0:
            if not lost.done():
                lost.set_result(None)
            raise OSError(errno.EIO, "power is lost")

    async def write(key: bytes) -> None:
        while True:
            kvs = node.range(Range(key)).kvs
            count = int(kvs[0].value[:8]) + 1 if kvs else 1
            revision = kvs[0].mod_revision if kvs else 0
            unchanged = Compare(key, CompareTarget.MOD, CompareOperator.EQUAL, revision)
            value = b"%08d" % count + b"x" * rng.randrange(300)
            result = await node.propose(Txn([unchanged], [Put(key, value)]))
            assert result.succeeded
            answered[key] = count

    files.before = before
    writers = [asyncio.ensure_future(write(b"key%d" % number)) for number in range(4)]
    await lost
    for writer in writers:
        with pytest.raises(Stopped):
            await writer
    raise PowerLoss


def abandon(node: Node) -> None:
    """The process is gone: nothing of it may run on."""
    node._expiry.close()
    if node._maintenance._prune_timer is not None:
        node._maintenance._prune_timer.cancel()


class SlowFiles(SystemFiles):
    """A real disk whose syncs take as long as the test says."""

    def __init__(self) -> None:
        self.delay_s = 0.002

    def create(self, path: Path, reserve_bytes: int):
        return SlowFile(super().create(path, reserve_bytes), self)


class SlowFile:
    def __init__(self, file, files: SlowFiles) -> None:
        self._file = file
        self._files = files
        self.write = file.write
        self.close = file.close

    def sync(self) -> None:
        import time

        time.sleep(self._files.delay_s)
        self._file.sync()


@pytest.mark.realtime
async def test_a_slow_disk_is_waited_for_in_a_thread(tmp_path: Path) -> None:
    files = SlowFiles()
    node = await Node.open(tmp_path, SystemClock(), random.Random(1), Options(), files)
    await node.propose(Put(b"warm"))
    await node.propose(Put(b"warm"))
    assert node._writer._thread is not None
    files.delay_s = 0.05
    future = node.propose(Put(b"k", b"v"))
    turns = 0
    while not future.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10
    await node.close()
    node = await Node.open(tmp_path, SystemClock(), random.Random(1))
    assert values(node)[b"k"] == b"v"
    await node.close()


@pytest.mark.realtime
async def test_a_sync_that_hangs_fails_the_writes_that_wait(tmp_path: Path) -> None:
    files = SlowFiles()
    options = Options(request_timeout_s=0.05)
    node = await Node.open(tmp_path, SystemClock(), random.Random(1), options, files)
    await node.propose(Put(b"warm"))
    await node.propose(Put(b"warm"))
    files.delay_s = 0.2
    with pytest.raises(RequestTimedOut, match="etcdserver: request timed out"):
        await node.propose(Put(b"k", b"v"))
    files.delay_s = 0.0
    assert (await node.propose(Put(b"next"))).revision == 5
    await node.close()


async def test_a_flood_of_writes_leaves_the_loop_to_others() -> None:
    files = FakeFiles()
    node = await open_node(files, Options(use_threads=False))
    futures = [node.propose(Put(b"%d" % n)) for n in range(5000)]
    turns, left = 0, [5000]
    while left[-1]:
        await asyncio.sleep(0)
        turns += 1
        left.append(sum(not future.done() for future in futures))
    assert max(a - b for a, b in pairwise(left)) <= READY_ENTRIES_MAX
    assert turns < 1000
    await node.close()
    node = await open_node(files)
    assert len(values(node)) == 5000
    futures = [node.propose(Put(b"%d" % n, b"2")) for n in range(2000)]
    await node.close()
    assert all(future.done() for future in futures)


async def test_metrics_can_be_scraped() -> None:
    node = await open_node(FakeFiles())
    registry = CollectorRegistry()
    registry.register(node.metrics)
    page = generate_latest(registry).decode()
    for name in (
        "etcd_disk_wal_fsync_duration_seconds_bucket",
        "etcd_disk_wal_write_bytes_total",
        "etcd_server_proposals_applied_total",
        "etcd_server_leader_changes_seen_total",
    ):
        assert f"\n{name}" in page
    await node.close()


async def test_metrics_carry_etcds_names() -> None:
    node = await open_node(FakeFiles())
    await node.propose(Put(b"k", b"v"))
    families = {family.name: family for family in node.metrics.collect()}
    assert families["etcd_disk_wal_fsync_duration_seconds"].type == "histogram"
    sample = {name: family.samples[0].value for name, family in families.items()}
    assert sample["etcd_server_has_leader"] == 1
    assert sample["etcd_server_is_leader"] == 1
    assert sample["etcd_debugging_mvcc_keys_total"] == 1
    assert sample["etcd_mvcc_db_total_size_in_bytes"] == 2
    # The founding entry, the leader's own, and the put.
    assert sample["etcd_server_proposals_applied_total"] == 3
    assert sample["etcd_disk_wal_write_bytes"] > 0
    await node.close()
