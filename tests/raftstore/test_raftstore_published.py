"""etcd's published consistency bugs, walked through on one member: docs/store-published-bugs.md.

Each test is named after the issue of etcd-io/etcd and tells its interleaving. The power is cut in a
copy of the disk, so that one run of a member is cut at every operation of its disk.
"""

import asyncio
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from fake_files import FakeFiles

from base.clock import LoopClock
from raftstore.mvcc import (
    Command,
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    Event,
    Put,
    Range,
    StateMachine,
    Txn,
    WatchHub,
)
from raftstore.mvcc.errors import LeaseNotFound
from raftstore.node import Node
from raftstore.node.member import Options

STORE = Path("/store")
SEEDS = range(3)
State = dict[bytes, bytes]


async def open_node(files: FakeFiles, snapshot_log_min_bytes: int = 1 << 30) -> Node:
    options = Options(
        use_threads=False,
        segment_size_bytes=8192,
        snapshot_log_min_bytes=snapshot_log_min_bytes,
    )
    return await Node.open(STORE, LoopClock(), random.Random(1), options, files)


def values(node: Node, revision: int = 0) -> State:
    return {kv.key: kv.value for kv in node.range(Range(b"\0", b"\0", revision=revision)).kvs}


def revision_of(node: Node) -> int:
    return node.state.keyspace.revision


class PowerCuts:
    """Copies of the disk as it is before each of its operations, each with what `witness` said
    of the world at that moment."""

    def __init__(self, files: FakeFiles, witness: Callable[[], object]) -> None:
        self._files = files
        self._witness = witness
        self._images: list[tuple[FakeFiles, object]] = []
        files.before = self._before

    def _before(self, what: str, path: Path) -> None:
        self._files.before = lambda what, path: None
        self._images.append((copy.deepcopy(self._files), self._witness()))
        self._files.before = self._before

    def stop(self) -> None:
        """The last copy is of what there is now."""
        self._before("stop", STORE)
        self._files.before = lambda what, path: None

    def __len__(self) -> int:
        return len(self._images)

    def each(self) -> Iterator[tuple[FakeFiles, object]]:
        """What is found after a cut: what was not synced is there in part."""
        for image, seen in self._images:
            for seed in SEEDS:
                files = copy.deepcopy(image)
                files.crash(random.Random(seed))
                yield files, seen


async def write_until_snapshot(node: Node) -> None:
    """Let the log grow by writes that are refused, so that neither keys nor revision change."""
    taken = node.metrics.snapshot_save_s.count
    while node.metrics.snapshot_save_s.count == taken:
        with pytest.raises(LeaseNotFound):
            await node.propose(Put(b"refused", b"x" * 5000, lease=404))
        await asyncio.sleep(0.01)


async def test_13766_a_snapshot_stands_for_the_entries_that_it_holds() -> None:
    """Under load, entries are committed and not applied yet when a snapshot begins. It stands for
    those applied. A restart from it must not skip the others."""
    files = FakeFiles()
    node = await open_node(files, snapshot_log_min_bytes=20_000)
    behind: list[int] = []
    begin_snapshot = node._member.storage.begin_snapshot

    def counted(*arguments: object) -> object:
        log = node._member.raft.log
        behind.append(log.committed - log.applied)
        return begin_snapshot(*arguments)  # type: ignore[arg-type]

    node._member.storage.begin_snapshot = counted  # type: ignore[method-assign,assignment]
    writes = [node.propose(Put(b"key%d" % (n % 40), b"%d " % n + b"x" * 200)) for n in range(1500)]
    await asyncio.gather(*writes)
    await asyncio.sleep(1)
    assert behind
    assert behind[0] > 0, "the load was too small for the bug to show"
    before = revision_of(node), values(node)
    for seed in SEEDS:
        cut = copy.deepcopy(files)
        cut.crash(random.Random(seed))
        again = await open_node(cut)
        assert (revision_of(again), values(again)) == before
        await again.close()
    await node.close()


async def test_14370_a_single_member_answers_after_the_sync() -> None:
    """Alone, a member is its own quorum. Whenever the power is cut, what a writer was answered
    and what a watcher heard is found again."""
    files = FakeFiles()
    node = await open_node(files)
    told: State = {}
    node.watch(b"\0", b"\0", 0, lambda events, revision: told.update(state_of(events)))
    cuts = PowerCuts(files, lambda: dict(told))

    async def write(name: bytes) -> None:
        for number in range(8):
            value = b"%02d " % number + b"x" * 300
            await node.propose(Put(name, value))
            told[name] = value

    await asyncio.gather(*(write(b"writer%d" % n) for n in range(3)))
    cuts.stop()
    assert len(cuts) >= 8
    for cut, seen in cuts.each():
        again = await open_node(cut)
        found = values(again)
        assert {key: found.get(key, b"")[:2] >= value[:2] for key, value in seen.items()} == (
            dict.fromkeys(seen, True)
        )
        await again.close()
    await node.close()


def state_of(events: Sequence[Event]) -> State:
    return {event.kv.key: event.kv.value for event in events}


async def test_14685_space_is_reclaimed_without_applying_an_entry_twice() -> None:
    """Each transaction compares what it then changes, so that a second application takes the
    other branch and another revision. The power is cut at every operation while the space of the
    log is reclaimed."""
    files = FakeFiles()
    node = await open_node(files, snapshot_log_min_bytes=12_000)
    cuts = PowerCuts(files, lambda: revision_of(node))
    for number in range(60):
        key = b"counter%d" % (number % 3)
        first = Compare(key, CompareTarget.VERSION, CompareOperator.EQUAL, number // 3)
        value = b"%d " % number + b"x" * 300
        result = await node.propose(Txn([first], [Put(key, value)], [Put(b"twice", value)]))
        assert result.succeeded
    cuts.stop()
    assert node.metrics.snapshot_save_s.count >= 1
    for cut, seen in cuts.each():
        again = await open_node(cut)
        assert revision_of(again) >= seen
        assert revision_of(again) <= revision_of(node)
        assert values(again) == values(node, revision_of(again))
        await again.close()
    await node.close()


def hub_of(state: StateMachine) -> WatchHub:
    def refuse(error: Exception) -> None:
        raise error

    return WatchHub(state.keyspace, refuse)


Heard = list[tuple[int, list[Event]]]


def hear(heard: Heard) -> Callable[[Sequence[Event], int], None]:
    return lambda events, revision: heard.append((revision, list(events)))


def apply(state: StateMachine, hub: WatchHub, command: Command) -> Heard:
    """Apply and publish; what it changed."""
    _, events = state.apply(command)
    if not events:
        return []
    hub.publish(state.keyspace.revision, events)
    return [(state.keyspace.revision, list(events))]


def unordered(number: int) -> Txn:
    """Keys in no order, put, deleted and created again by transactions inside transactions."""
    keys = [b"%d" % n for n in (7, 3, 9, 1, 5)]
    random.Random(number).shuffle(keys)
    again = Txn([], [Put(keys[1], b"again %d" % number)])
    inner = Txn([], [DeleteRange(keys[1]), Put(keys[2], b"inner %d" % number)])
    return Txn([], [Put(keys[0], b"%d" % number), inner, again, DeleteRange(keys[3])])


@pytest.mark.parametrize("slice_revisions", [1, 2, 3, 5, 100])
def test_17247_a_transaction_of_many_keys_is_heard_once(slice_revisions: int) -> None:
    """A watch catches up over transactions that wrote their keys in no order, slice by slice,
    while others are applied between the slices."""
    state = StateMachine()
    hub = hub_of(state)
    changes: Heard = []
    for number in range(12):
        changes += apply(state, hub, unordered(number))
    heard: Heard = []
    hub.watch(b"\0", b"\0", 2, hear(heard))
    for number in count(12):
        if hub.catch_up(slice_revisions) and number >= 20:
            break
        changes += apply(state, hub, unordered(number)) if number < 20 else []
    changes += apply(state, hub, unordered(0))
    assert heard == changes
    assert any(len(events) > 3 for _, events in changes)


@pytest.mark.parametrize("told_before", [0, 1, 6])
def test_17529_a_slow_watch_hears_what_is_compacted_meanwhile(told_before: int) -> None:
    """A watch has fallen behind; compaction passes the revision that it would hear next."""
    state = StateMachine()
    hub = hub_of(state)
    changes: Heard = []
    for number in range(20):
        changes += apply(state, hub, Put(b"k", b"%d" % number))
    heard: Heard = []
    hub.watch(b"k", b"", 2, hear(heard))
    hub.catch_up(told_before)
    state.apply(Compact(15))
    changes += apply(state, hub, Put(b"k", b"after"))
    assert hub.is_catching_up
    assert hub.catch_up(1000)
    assert [revision for revision, _ in heard] == [revision for revision, _ in changes]
    assert [[e.kv for e in events] for _, events in heard] == (
        [[e.kv for e in events] for _, events in changes]
    )


async def test_17529_a_member_frees_nothing_that_a_slow_watch_waits_for() -> None:
    """The same with a whole member, which would like to free the compacted revisions."""
    node = await open_node(FakeFiles())
    for number in range(3000):
        node.propose(Put(b"k", b"%d" % number))
    await node.propose(Put(b"k", b"last"))
    heard: list[int] = []
    node.watch(b"k", b"", 2, lambda events, revision: heard.append(revision))
    compacted = node.propose(Compact(2900))
    while node.hub.is_catching_up and node.failure is None:
        await asyncio.sleep(0)
        for _ in range(4):
            node._maintenance._prune()
    await compacted
    assert heard == list(range(2, 3003))
    await asyncio.sleep(1)
    assert node.state.keyspace.unpruned == 0
    await node.close()


async def test_17780_the_revision_of_a_compacted_deletion_is_not_given_out_again() -> None:
    """The last revision is a deletion and is compacted: no key tells of it any more. The power is
    cut at every operation of the snapshot that is taken then."""
    files = FakeFiles()
    node = await open_node(files, snapshot_log_min_bytes=12_000)
    for key in (b"stays", b"goes", b"goes", b"goes too"):
        await node.propose(Put(key, b"v"))
    deleted = await node.propose(DeleteRange(b"goes", b"goet"))
    await node.propose(Compact(deleted.revision))
    await asyncio.sleep(1)
    assert node.state.keyspace.unpruned == 0
    cuts = PowerCuts(files, lambda: None)
    await write_until_snapshot(node)
    cuts.stop()
    await node.close()
    for cut, _ in cuts.each():
        again = await open_node(cut)
        assert revision_of(again) == deleted.revision == 6
        assert again.state.keyspace.compact_revision == deleted.revision
        assert values(again) == {b"stays": b"v"}
        assert (await again.propose(Put(b"next"))).revision == deleted.revision + 1
        await again.close()


DELETIONS: dict[str, Command] = {
    "one key": DeleteRange(b"b"),
    "several keys": DeleteRange(b"a", b"d"),
    "in a transaction": Txn([], [DeleteRange(b"c"), Put(b"new"), DeleteRange(b"a")]),
    "created again": Txn([], [Txn([], [DeleteRange(b"b")]), Txn([], [Put(b"b", b"again")])]),
}


@pytest.mark.parametrize("deletion", DELETIONS.values(), ids=DELETIONS)
@pytest.mark.parametrize("freed", [False, True])
def test_18089_a_watch_from_the_compacted_revision_hears_its_deletions(
    deletion: Command, freed: bool
) -> None:
    """Compacted at a deletion, watched from there, also by a watch that falls behind at once."""
    state = StateMachine()
    hub = hub_of(state)
    for key in (b"a", b"b", b"c", b"b"):
        apply(state, hub, Put(key, b"v"))
    changes = apply(state, hub, deletion)
    revision = state.keyspace.revision
    state.apply(Compact(revision))
    if freed:
        assert state.keyspace.prune(1000)
    heard: Heard = []
    hub.watch(b"\0", b"\0", revision, hear(heard))
    changes += apply(state, hub, Put(b"later"))
    assert heard == []
    assert hub.catch_up(1000)
    changes += apply(state, hub, Put(b"later"))
    assert [(at, [e.kv for e in events]) for at, events in heard] == (
        [(at, [e.kv for e in events]) for at, events in changes]
    )


async def hears_the_deletion(node: Node, revision: int) -> bool:
    heard: Heard = []
    watcher = node.watch(b"\0", b"\0", revision, hear(heard))
    await asyncio.sleep(0.1)
    watcher.cancel()
    return (
        bool(heard)
        and heard[0][0] == revision
        and ([(event.kv.key, event.deleted) for event in heard[0][1]] == [(b"a", True)])
    )


async def test_19179_a_restart_keeps_the_deletion_at_the_compacted_revision() -> None:
    """The versions of a key go with one compaction, its deletion is compacted at by the next; then
    restarts, from the log alone and from snapshots."""
    files = FakeFiles()
    node = await open_node(files, snapshot_log_min_bytes=12_000)
    for key in (b"a", b"b", b"c", b"d"):
        await node.propose(Put(key, b"1"))
    await node.propose(Compact(5))
    await asyncio.sleep(1)
    revision = (await node.propose(DeleteRange(b"a"))).revision
    await node.propose(Compact(revision))
    await asyncio.sleep(1)
    assert await hears_the_deletion(node, revision)
    await node.close()

    node = await open_node(files, snapshot_log_min_bytes=12_000)
    assert await hears_the_deletion(node, revision), "after a restart from the log"
    for restart in range(2):
        await node.propose(Put(b"e", b"%d" % restart))
        await write_until_snapshot(node)
        await node.close()
        node = await open_node(files, snapshot_log_min_bytes=12_000)
        assert await hears_the_deletion(node, revision), f"after restart {restart} from a snapshot"
    await node.close()
