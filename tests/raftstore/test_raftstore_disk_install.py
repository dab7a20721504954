"""Membership on the disk, and the leader's snapshot in the place of a log, whenever power fails."""

import contextlib
import copy
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_files import FakeFiles

from raftstore.core.messages import Entry, EntryKind, HardState, Membership, SnapshotMeta
from raftstore.disk import CorruptRecord, Founding, Identity, NotOurs, Opened, Storage
from raftstore.disk.snapshots import snapshot_name

STORE = Path("/store")
IDENTITY = Identity(0xFFFF_0000_0000_0007, 8)
JOINING = Founding(IDENTITY, (), HardState())
FOUNDERS = Founding(IDENTITY, [Entry(1, 1, b"who", EntryKind.MEMBERSHIP)], HardState(1, 0, 1))
THREE = Membership((1, 2, 0xFFFF_0000_0000_0003), (4,))
RECEIVED = SnapshotMeta(30, 3, THREE)
SLICES = [b"received" * 40, b"state" * 200]


class PowerLoss(Exception):
    pass


def stopping_after(steps: int) -> Callable[[str, Path], None]:
    left = iter(range(steps))

    def before(what: str, path: Path) -> None:
        if next(left, None) is None:
            raise PowerLoss

    return before


def open_store(files: FakeFiles, founding: Founding | None = None) -> tuple[Storage, Opened]:
    """Open, read everything, begin to write."""
    storage, opened = Storage.open(files, STORE, founding, 2048)
    list(opened.slices)
    storage.begin_writing()
    return storage, opened


def entries(first: int, last: int, term: int) -> list[Entry]:
    return [Entry(i, term, b"%d/%d " % (i, term) * 20) for i in range(first, last + 1)]


def store_with(log: Sequence[Entry], hard_state: HardState, founding: Founding) -> FakeFiles:
    files = FakeFiles()
    storage, _ = open_store(files, founding)
    for entry in log:
        storage.wal.append(None, [entry])
    storage.wal.append(hard_state, ())
    storage.wal.sync()
    storage.close()
    return files


def receive(storage: Storage, meta: SnapshotMeta, hard_state: HardState) -> None:
    writer = storage.begin_snapshot(meta)
    for data in SLICES:
        writer.write([data])
    writer.finish()
    storage.remove(storage.install_snapshot(meta, hard_state, writer.size_bytes))


# -- what is kept of a membership


def test_a_membership_entry_is_read_as_one() -> None:
    files = FakeFiles()
    storage, opened = open_store(files, FOUNDERS)
    assert opened.entries == FOUNDERS.entries
    changed = Entry(3, 2, b"changed", EntryKind.MEMBERSHIP)
    storage.wal.append(HardState(2, 1, 1), [Entry(2, 2, b""), changed])
    storage.wal.sync()
    storage.close()
    _, opened = open_store(files)
    assert opened.entries == [*FOUNDERS.entries, Entry(2, 2, b""), changed]
    assert [type(entry.kind) for entry in opened.entries] == [EntryKind] * 3


def test_a_snapshot_says_who_was_in_the_cluster() -> None:
    files = store_with(entries(1, 10, 1), HardState(1, 1, 10), JOINING)
    storage, _ = open_store(files)
    meta = SnapshotMeta(7, 1, THREE)
    writer = storage.begin_snapshot(meta)
    writer.finish()
    storage.remove(storage.snapshot_finished(meta, writer.size_bytes))
    storage.close()
    _, opened = open_store(files)
    assert opened.snapshot == meta
    assert opened.entries == entries(8, 10, 1)


def test_a_store_of_the_version_before_is_refused_by_name() -> None:
    files = store_with(entries(1, 3, 1), HardState(1, 1, 1), JOINING)
    files.create(STORE / "FORMAT", 0).write(b"pinnace raftstore 1\n")
    with pytest.raises(NotOurs, match="its FORMAT is 'pinnace raftstore 1', not the one of this"):
        open_store(files)


# -- a founding that power failed in


@pytest.mark.parametrize("founding", [JOINING, FOUNDERS])
def test_a_founding_that_died_is_begun_anew(founding: Founding) -> None:
    for steps in range(1, 40):
        for seed in range(4):
            files = FakeFiles()
            files.before = stopping_after(steps)
            try:
                storage, _ = open_store(files, founding)
                done = True
            except PowerLoss:
                done = False
            files.crash(random.Random(seed))
            # Given again, as a flag is.
            storage, opened = open_store(files, None if done else founding)
            assert opened.hard_state == founding.hard_state
            assert list(opened.entries) == list(founding.entries)
            assert storage.identity == IDENTITY
    assert done


@pytest.mark.parametrize(
    ("hard_state", "log"),
    [(HardState(2, 8, 0), ()), (HardState(1, 0, 1), [Entry(2, 1, b"x")]), (HardState(3, 0, 1), ())],
)
def test_a_store_that_was_used_is_not_founded_anew(
    hard_state: HardState, log: Sequence[Entry]
) -> None:
    """A vote alone is enough: to forget it would be to vote twice."""
    files = store_with(log, hard_state, FOUNDERS)
    files.remove(STORE / "FORMAT")
    with pytest.raises(NotOurs, match="a log or snapshot but no FORMAT"):
        open_store(files, FOUNDERS)


# -- a snapshot of the leader's


BEHIND = "it lags"
OTHER = "it has another entry there"
OTHER_LONG = "it has another entry there and segments behind"
EMPTY = "it has just joined"
LOGS: dict[str, tuple[Sequence[Entry], HardState, Founding]] = {
    EMPTY: ((), HardState(3, 0, 0), JOINING),
    BEHIND: (entries(2, 12, 1), HardState(2, 2, 9), FOUNDERS),
    OTHER: (entries(2, 30, 1) + entries(31, 32, 1), HardState(3, 2, 20), FOUNDERS),
    OTHER_LONG: (entries(2, 60, 2), HardState(3, 2, 20), FOUNDERS),
}
NEW_STATE = HardState(3, 2, 30)


@pytest.mark.parametrize("case", LOGS)
def test_the_log_goes_on_behind_an_installed_snapshot(case: str) -> None:
    files = store_with(*LOGS[case])
    storage, _ = open_store(files)
    receive(storage, RECEIVED, NEW_STATE)
    assert files.names(STORE / "snap") == [snapshot_name(RECEIVED)]
    assert len(files.names(STORE / "wal")) == 1
    storage.wal.append(HardState(4, 1, 31), entries(31, 50, 4))
    storage.wal.sync()
    storage.close()
    storage, opened = open_store(files)
    assert opened.snapshot == RECEIVED
    assert opened.entries == entries(31, 50, 4)
    assert opened.hard_state == HardState(4, 1, 31)
    # And a snapshot of its own later on.
    meta = SnapshotMeta(45, 4, THREE)
    writer = storage.begin_snapshot(meta)
    writer.finish()
    storage.remove(storage.snapshot_finished(meta, writer.size_bytes))
    storage.close()
    _, opened = open_store(files)
    assert opened.entries == entries(46, 50, 4)


@pytest.mark.parametrize("case", LOGS)
def test_power_loss_at_every_step_of_an_installation(case: str) -> None:
    """Before: the log as it was. After: the snapshot and what was written behind it. In between
    either, and never entries of the one behind the other."""
    before = store_with(*LOGS[case])
    old_log = [*LOGS[case][2].entries, *LOGS[case][0]]
    new_log = entries(31, 33, 4)
    seen: set[str] = set()
    for steps in range(60):
        for seed in range(6):
            files = copy.deepcopy(before)
            installed = written = False
            files.before = stopping_after(steps)
            try:
                storage, _ = open_store(files)
                receive(storage, RECEIVED, NEW_STATE)
                installed = True
                storage.wal.append(HardState(4, 1, 31), new_log)
                storage.wal.sync()
                written = True
            except PowerLoss:
                pass
            crash_while_reopening(files, random.Random(seed))
            storage, opened = open_store(files)
            if opened.snapshot.index:
                assert opened.snapshot == RECEIVED
                assert list(opened.entries) == new_log[: len(opened.entries)]
                assert opened.hard_state.term >= 2
                seen.add("new")
            else:
                assert not installed
                assert list(opened.entries) == old_log
                assert opened.hard_state == LOGS[case][1]
                seen.add("old")
            if installed:
                assert opened.snapshot == RECEIVED
                assert opened.hard_state.term >= NEW_STATE.term
            if written:
                assert (list(opened.entries), opened.hard_state) == (new_log, HardState(4, 1, 31))
                seen.add("written")
            goes_on(files, storage, opened)
    assert seen == {"old", "new", "written"}


def crash_while_reopening(files: FakeFiles, rng: random.Random) -> None:
    """Power fails, and once more while the store is being opened."""
    files.crash(rng)
    files.before = stopping_after(rng.randrange(1, 12))
    with contextlib.suppress(PowerLoss):
        open_store(files)
    files.crash(rng)


def goes_on(files: FakeFiles, storage: Storage, opened: Opened) -> None:
    """What is written next is there after the next start, and nothing else has come back."""
    first = opened.snapshot.index + len(opened.entries) + 1
    more = entries(first, first + 2, 5)
    storage.wal.append(HardState(5, 1, first - 1), more)
    storage.wal.sync()
    storage.close()
    storage, again = open_store(files)
    storage.close()
    assert list(again.entries) == [*opened.entries, *more]


def test_a_log_that_agrees_with_the_snapshot_keeps_what_is_behind_it() -> None:
    """A crash between the two steps, where the member had the entry after all."""
    log = entries(2, 20, 1) + entries(21, 40, 3)
    files = store_with(log, HardState(3, 2, 20), FOUNDERS)
    storage, _ = open_store(files)
    writer = storage.begin_snapshot(RECEIVED)
    writer.finish()
    storage.close()
    _, opened = open_store(files)
    assert opened.entries == entries(31, 40, 3)


def test_entries_behind_one_that_was_written_again_do_not_come_back() -> None:
    """A leader's entries replaced 18 to 60, and a snapshot covers all that it sent; but the
    segment still holds the others."""
    files = FakeFiles()
    storage, _ = Storage.open(files, STORE, FOUNDERS, 1 << 16)
    storage.wal.append(None, entries(2, 60, 1))
    storage.wal.append(HardState(3, 2, 30), entries(18, 30, 3))
    storage.wal.sync()
    writer = storage.begin_snapshot(RECEIVED)
    writer.finish()
    storage.remove(storage.snapshot_finished(RECEIVED, writer.size_bytes))
    storage.close()
    _, opened = open_store(files)
    assert opened.snapshot == RECEIVED
    assert list(opened.entries) == []


def test_a_segment_that_begins_behind_the_snapshot_is_not_taken_for_its_own() -> None:
    """The entry that differs is the last of the segment before."""
    before = store_with(*LOGS[OTHER_LONG])
    firsts = [int(name.split("-")[1].split(".")[0], 16) for name in before.names(STORE / "wal")]
    assert len(firsts) > 3
    for first in firsts[1:]:
        for term, kept in ((2, entries(first, 60, 2)), (3, [])):
            files = copy.deepcopy(before)
            storage, _ = open_store(files)
            storage.begin_snapshot(SnapshotMeta(first - 1, term, THREE)).finish()
            storage.close()
            if first <= 20 and term == 3:
                continue
            _, opened = open_store(files)
            assert opened.entries == kept


def test_a_commit_behind_a_log_that_does_not_join_is_refused() -> None:
    """What was committed cannot be another entry: this is damage, not an installation."""
    files = store_with(entries(2, 40, 1), HardState(1, 2, 35), FOUNDERS)
    storage, _ = open_store(files)
    storage.begin_snapshot(RECEIVED).finish()
    storage.close()
    with pytest.raises(CorruptRecord, match="entry 35 was committed, the log ends at 30"):
        open_store(files)
