"""The log and the snapshots on disks that tear, flip bits, fill up and fail to sync."""

import copy
import errno
import os
import random
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fake_files import FakeFiles

from raftstore.core.messages import Entry, EntryKind, HardState, SnapshotMeta
from raftstore.disk import (
    CorruptRecord,
    DiskFailed,
    Founding,
    Identity,
    NotMade,
    NotOurs,
    NotWritable,
    Opened,
    Storage,
    StoreLocked,
    SystemFiles,
    records,
)
from raftstore.disk.segments import segment_name
from raftstore.disk.snapshots import snapshot_name

STORE = Path("/store")
SEGMENT = 4096
# A member that joins: its log begins empty.
FOUNDING = Founding(Identity(7, 8), (), HardState())


FOUNDERS = Founding(Identity(7, 8), [Entry(1, 1, b"who", EntryKind.MEMBERSHIP)], HardState(1, 0, 1))


def open_store(files: FakeFiles, segment_size_bytes: int = SEGMENT) -> tuple[Storage, Opened]:
    storage, opened = Storage.open(files, STORE, FOUNDING, segment_size_bytes)
    storage.begin_writing()
    return storage, opened


def entry(index: int, size_bytes: int = 20, term: int = 1) -> Entry:
    return Entry(index, term, b"%06d" % index + b"x" * size_bytes)


def write(storage: Storage, *entries: Entry, commit: int | None = None) -> None:
    storage.wal.append(None if commit is None else HardState(1, 9, commit), entries)
    storage.wal.sync()


def filled(count: int = 6) -> FakeFiles:
    """A closed store of `count` entries, each synced by itself, in one segment."""
    files = FakeFiles()
    storage, _ = open_store(files)
    for index in range(1, count + 1):
        write(storage, entry(index), commit=index - 1)
    storage.close()
    return files


def first_segment(files: FakeFiles) -> Path:
    return next(path for path in sorted(files.names_now) if path.suffix == ".wal")


def reopened(files: FakeFiles) -> Opened:
    storage, opened = open_store(files)
    storage.close()
    return opened


def opened_or_error(files: FakeFiles) -> Opened | CorruptRecord:
    try:
        return reopened(files)
    except CorruptRecord as error:
        return error


def copy_with(files: FakeFiles, path: Path, data: bytes) -> FakeFiles:
    copied = FakeFiles()
    for name, inode in files.names_now.items():
        copied.names_now[name] = inode
    inode = type(files.names_now[path])()
    inode.data = bytearray(data)
    copied.names_now[path] = inode
    return copied


def test_what_was_written_is_read_back() -> None:
    opened = reopened(filled())
    assert opened.entries == [entry(i) for i in range(1, 7)]
    assert opened.hard_state == HardState(1, 9, 5)
    assert not opened.was_torn


def test_a_founding_counts_once() -> None:
    files = FakeFiles()
    assert not Storage.is_made(files, STORE)
    storage, opened = Storage.open(files, STORE, FOUNDERS)
    storage.close()
    assert (opened.entries, opened.hard_state) == (FOUNDERS.entries, FOUNDERS.hard_state)
    assert Storage.is_made(files, STORE)
    for founding in (None, Founding(Identity(3, 4), (), HardState(9, 9, 0))):
        again, opened = Storage.open(files, STORE, founding)
        again.close()
        assert again.identity == FOUNDERS.identity
        assert (opened.entries, opened.hard_state) == (FOUNDERS.entries, FOUNDERS.hard_state)


def test_an_empty_directory_without_a_founding_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(NotMade, match="there is no store here; nothing was changed"):
        Storage.open(SystemFiles(), tmp_path, None)
    assert os.listdir(tmp_path) == []
    with pytest.raises(NotMade):
        Storage.open(SystemFiles(), tmp_path / "store", None)
    assert os.listdir(tmp_path) == []


def test_truncation_at_every_byte_cuts_only_what_was_torn() -> None:
    files = filled()
    path = first_segment(files)
    data = files.read(path)
    ends = [r.end_offset for r in records.scan(path, data, 1)]
    for size in range(ends[0], ends[-1] + 1):
        opened = reopened(copy_with(files, path, data[:size]))
        whole = sum(1 for end in ends[1::2] if end <= size)
        assert len(opened.entries) == whole, size
        assert opened.was_torn == (size not in ends), size


def test_a_log_without_its_head_is_refused() -> None:
    files = filled()
    path = first_segment(files)
    for size in range(80):
        with pytest.raises(CorruptRecord):
            reopened(copy_with(files, path, files.read(path)[:size]))


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_a_flipped_bit_anywhere_is_found_or_harmless(bit: int) -> None:
    files = filled()
    path = first_segment(files)
    data = files.read(path)
    whole = reopened(files)
    end = max(r.end_offset for r in records.scan(path, data, 1))
    found = 0
    for at in range(end + 64):
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        opened = opened_or_error(copy_with(files, path, bytes(flipped)))
        if isinstance(opened, CorruptRecord):
            assert str(opened).startswith(f"{path}: offset {opened.offset}: ")
            assert "\n" not in str(opened)
            found += 1
        else:
            # Padding, or room that is not written yet.
            assert (opened.entries, opened.hard_state) == (whole.entries, whole.hard_state), at
    assert found > end * 0.8


def test_damage_before_the_end_is_not_taken_for_a_torn_tail() -> None:
    """A sector of zeros tears a record; but what was synced later stands behind it."""
    files = FakeFiles()
    storage, _ = open_store(files)
    write(storage, entry(1, 1500))
    write(storage, entry(2))
    storage.close()
    path = first_segment(files)
    data = bytearray(files.read(path))
    data[512:1024] = bytes(512)
    with pytest.raises(CorruptRecord, match="checksum mismatch"):
        reopened(copy_with(files, path, bytes(data)))


def test_zeroed_sectors_at_the_start_of_the_last_batch_are_a_torn_tail() -> None:
    files = FakeFiles()
    storage, _ = open_store(files)
    write(storage, entry(1, 350))
    offset = storage.wal._offset
    write(storage, entry(2, 400), entry(3, 400), entry(4, 400))
    storage.close()
    path = first_segment(files)
    data = bytearray(files.read(path))
    edge = (offset // 512 + 1) * 512
    data[offset:edge] = bytes(edge - offset)
    opened = reopened(copy_with(files, path, bytes(data)))
    assert [e.index for e in opened.entries] == [1]


def test_a_block_of_another_place_does_not_pass() -> None:
    files = FakeFiles()
    storage, _ = open_store(files)
    for index in (1, 2, 3):
        write(storage, entry(index))
    storage.close()
    path = first_segment(files)
    data = bytearray(files.read(path))
    read = list(records.scan(path, bytes(data), 1))[1:]
    data[read[1].offset : read[1].end_offset] = data[read[0].offset : read[0].end_offset]
    with pytest.raises(CorruptRecord, match="bad header"):
        reopened(copy_with(files, path, bytes(data)))


def test_a_record_of_a_newer_version_is_refused() -> None:
    files = filled(1)
    path = first_segment(files)
    data = bytearray(files.read(path))
    end = max(r.end_offset for r in records.scan(path, bytes(data), 1))
    added = records.encode(77 | records.BATCH_START, b"?", 1, end)
    data[end : end + len(added)] = added
    with pytest.raises(CorruptRecord, match="unknown kind 77"):
        reopened(copy_with(files, path, bytes(data)))


def test_after_a_cut_the_log_goes_on_where_it_was_cut() -> None:
    files = filled(3)
    path = first_segment(files)
    data = files.read(path)
    *_, entry_end, _ = (r.end_offset for r in records.scan(path, data, 1))
    torn = copy_with(files, path, data[: entry_end - 3])
    storage, opened = open_store(torn)
    assert [e.index for e in opened.entries] == [1, 2]
    write(storage, entry(3, 5, term=2))
    storage.close()
    assert [(e.index, e.term) for e in reopened(torn).entries] == [(1, 1), (2, 1), (3, 2)]


def test_an_entry_written_again_replaces_all_behind_it() -> None:
    files = FakeFiles()
    storage, _ = open_store(files)
    write(storage, *(entry(index) for index in range(1, 6)), commit=0)
    write(storage, entry(3, term=2))
    storage.close()
    assert [(e.index, e.term) for e in reopened(files).entries] == [(1, 1), (2, 1), (3, 2)]


def test_an_entry_that_does_not_follow_on_is_refused() -> None:
    files = filled(2)
    storage, _ = open_store(files)
    write(storage, entry(4))
    storage.close()
    with pytest.raises(CorruptRecord, match="entry 4 follows on 2"):
        reopened(files)


def many_segments() -> tuple[FakeFiles, list[Path]]:
    files = FakeFiles()
    storage, _ = open_store(files)
    for index in range(1, 41):
        write(storage, entry(index, 500), commit=index - 1)
    storage.close()
    return files, [path for path in sorted(files.names_now) if path.suffix == ".wal"]


def test_segments_follow_each_other() -> None:
    files, segments = many_segments()
    assert len(segments) >= 4
    opened = reopened(files)
    assert [e.index for e in opened.entries] == list(range(1, 41))
    assert opened.hard_state == HardState(1, 9, 39)


def test_a_sync_covers_the_segment_that_was_left() -> None:
    files = FakeFiles()
    storage, _ = open_store(files)
    storage.wal.append(None, [entry(1, 5000)])
    storage.wal.append(None, [entry(2)])
    storage.wal.sync()
    for seed in range(10):
        crashed = copy.deepcopy(files)
        crashed.crash(random.Random(seed))
        assert [e.index for e in reopened(crashed).entries] == [1, 2]


def test_what_is_read_at_a_start_is_durable_from_then_on() -> None:
    """A process that was killed leaves what it wrote, unsynced, to the next: which acts on it."""
    for seed in range(10):
        files = FakeFiles()
        storage, _ = open_store(files)
        storage.wal.append(None, [entry(1), entry(2)])
        storage.close()
        assert [e.index for e in reopened(files).entries] == [1, 2]
        files.crash(random.Random(seed))
        assert [e.index for e in reopened(files).entries] == [1, 2]


def test_a_missing_segment_is_named() -> None:
    files, segments = many_segments()
    files.remove(segments[1])
    with pytest.raises(CorruptRecord, match="the segment before this one is missing") as error:
        reopened(files)
    assert error.value.path == segments[2]


def test_an_earlier_segment_that_is_cut_short_is_refused() -> None:
    files, segments = many_segments()
    data = files.read(segments[0])
    for size in (len(data) - 1, len(data) - 8, len(data) - 300):
        with pytest.raises(CorruptRecord) as error:
            reopened(copy_with(files, segments[0], data[:size]))
        assert error.value.path in segments[:2]


def test_a_file_of_somebody_else_is_named() -> None:
    for place in ("wal/notes.wal", "snap/x-1.snap"):
        files = filled()
        files.create(STORE / place, 0)
        with pytest.raises(CorruptRecord, match="not a file of this store") as error:
            reopened(files)
        assert error.value.path == STORE / place


def test_a_log_that_is_gone_is_refused() -> None:
    files, segments = many_segments()
    for path in segments:
        files.remove(path)
    with pytest.raises(CorruptRecord, match="the log is missing"):
        reopened(files)


def snapshot_of(storage: Storage, index: int, slices: Sequence[bytes]) -> SnapshotMeta:
    snapshot = SnapshotMeta(index, 1)
    writer = storage.begin_snapshot(snapshot)
    writer.write(list(slices))
    writer.finish()
    storage.remove(storage.snapshot_finished(snapshot, writer.size_bytes))
    return snapshot


def test_a_snapshot_removes_what_it_makes_needless() -> None:
    files, segments = many_segments()
    storage, _ = open_store(files)
    snapshot_of(storage, 20, [b"old"])
    snapshot_of(storage, 35, [b"one", b"two" * 100, b"three"])
    write(storage, entry(41, 500))
    storage.close()
    assert files.names(STORE / "snap") == [snapshot_name(SnapshotMeta(35, 1))]
    assert segments[0] not in files.names_now
    opened = reopened(files)
    assert list(opened.slices) == [b"one", b"two" * 100, b"three"]
    assert opened.snapshot == SnapshotMeta(35, 1)
    assert [e.index for e in opened.entries] == list(range(36, 42))
    assert opened.hard_state == HardState(1, 9, 39)


def slices_or_path(files: FakeFiles) -> list[bytes] | Path:
    """What the snapshot holds, or which file is named as damaged."""
    try:
        return list(reopened(files).slices)
    except CorruptRecord as error:
        return error.path


def test_damage_in_a_snapshot_is_found_at_every_byte() -> None:
    files = filled()
    storage, _ = open_store(files)
    snapshot = snapshot_of(storage, 6, [b"one", b"two" * 20])
    storage.close()
    path = STORE / "snap" / snapshot_name(snapshot)
    data = files.read(path)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 0x10
        assert slices_or_path(copy_with(files, path, bytes(flipped))) in (
            [b"one", b"two" * 20],
            path,
        )
        with pytest.raises(CorruptRecord):
            list(reopened(copy_with(files, path, data[:at])).slices)


def test_a_damaged_store_is_left_as_it_was() -> None:
    """Neither is a torn tail cut nor an old file removed before everything was found whole."""
    files = filled()
    storage, _ = open_store(files)
    snapshot = snapshot_of(storage, 3, [b"state"])
    storage.close()
    log = first_segment(files)
    torn = copy_with(files, log, files.read(log).rstrip(b"\0")[:-5])
    path = STORE / "snap" / snapshot_name(snapshot)
    files = copy_with(torn, path, files.read(path)[:-1])
    files.create(STORE / "snap" / snapshot_name(SnapshotMeta(1, 1)), 0)
    before = {name: files.read(name) for name, inode in files.names_now.items() if inode}
    storage, opened = Storage.open(files, STORE, FOUNDING)
    with pytest.raises(CorruptRecord):
        list(opened.slices)
    storage.close()
    assert {name: files.read(name) for name, inode in files.names_now.items() if inode} == before


def test_an_unfinished_snapshot_is_removed() -> None:
    files = filled()
    storage, _ = open_store(files)
    writer = storage.begin_snapshot(SnapshotMeta(3, 1))
    writer.write([b"half"])
    storage.close()
    opened = reopened(files)
    assert opened.snapshot == SnapshotMeta()
    assert files.names(STORE / "snap") == []


def test_a_log_that_begins_after_the_snapshot_is_refused() -> None:
    files, segments = many_segments()
    files.remove(segments[0])
    with pytest.raises(CorruptRecord, match="the log begins at entry"):
        reopened(files)


@pytest.mark.parametrize("seed", range(150))
def test_power_loss_at_any_moment_keeps_what_was_synced(seed: int) -> None:
    """Random batches with snapshots and segment changes; the machine stops before some operation
    of the disk; unsynced sectors survive or not. What `sync` returned for is there."""
    rng = random.Random(seed)
    files = FakeFiles()
    synced: list[Entry] = []
    for _ in range(3):
        files.before = stopping_after(rng.randrange(2, 60))
        try:
            storage, opened = open_store(files, 2048)
            if opened.snapshot.index:
                list(opened.slices)
            check_nothing_lost(opened, synced)
            synced = synced[: opened.snapshot.index] + list(opened.entries)
            run_batches(storage, rng, synced)
        except PowerLoss:
            pass
        files.crash(rng)
    check_nothing_lost(reopened(files), synced)


class PowerLoss(Exception):
    pass


def stopping_after(steps: int) -> Callable[[str, Path], None]:
    left = iter(range(steps))

    def before(what: str, path: Path) -> None:
        if next(left, None) is None:
            raise PowerLoss

    return before


def run_batches(storage: Storage, rng: random.Random, synced: list[Entry]) -> None:
    while True:
        first = len(synced) + 1
        batch = [entry(first + i, rng.randrange(700)) for i in range(rng.randrange(1, 4))]
        storage.wal.append(HardState(1, 9, len(synced)), batch)
        storage.wal.sync()
        synced += batch
        if rng.random() < 0.15:
            snapshot_of(storage, len(synced), [b"state" * 50])


def check_nothing_lost(opened: Opened, synced: list[Entry]) -> None:
    kept = list(opened.entries)
    first = opened.snapshot.index
    assert kept[: len(synced) - first] == synced[first:]


def test_a_failed_sync_is_the_end_of_writing() -> None:
    files = FakeFiles()
    storage, _ = open_store(files)
    write(storage, entry(1))

    def fail(what: str, path: Path) -> None:
        if what == "sync":
            raise OSError(errno.EIO, "Input/output error")

    files.before = fail
    storage.wal.append(None, [entry(2)])
    with pytest.raises(DiskFailed, match=r"sync failed: Input/output error$"):
        storage.wal.sync()
    files.before = lambda what, path: None
    with pytest.raises(DiskFailed):
        storage.wal.append(None, [entry(3)])
    with pytest.raises(DiskFailed):
        storage.wal.sync()


def write_many(storage: Storage) -> None:
    for index in range(1, 40):
        write(storage, entry(index, 500))


@pytest.mark.parametrize("what", ["write", "create", "rename"])
def test_a_full_disk_is_the_end_of_writing(what: str) -> None:
    files = FakeFiles()
    storage, _ = open_store(files)

    def fail(operation: str, path: Path) -> None:
        if operation == what:
            raise OSError(errno.ENOSPC, "No space left on device")

    files.before = fail
    with pytest.raises(DiskFailed, match="No space left on device"):
        write_many(storage)
    files.before = lambda what, path: None
    storage.close()
    # What was there before is there after the disk has room again.
    indexes = [e.index for e in reopened(files).entries]
    assert indexes == list(range(1, len(indexes) + 1))


# -- the real file system


def test_two_processes_cannot_open_one_store(tmp_path: Path) -> None:
    storage, _ = Storage.open(SystemFiles(), tmp_path / "store", FOUNDING)
    with pytest.raises(StoreLocked, match="open in another process"):
        Storage.open(SystemFiles(), tmp_path / "store", FOUNDING)
    storage.close()
    Storage.open(SystemFiles(), tmp_path / "store", FOUNDING)[0].close()


def test_files_are_private(tmp_path: Path) -> None:
    storage, _ = Storage.open(SystemFiles(), tmp_path / "store", FOUNDING)
    snapshot_of(storage, 1, [b"x"])
    storage.close()
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("mine")
    with pytest.raises(NotOurs, match=r"holds 'data.txt' and no FORMAT; nothing was changed"):
        Storage.open(SystemFiles(), tmp_path, FOUNDING)
    assert os.listdir(tmp_path) == ["data.txt"]


def test_another_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "FORMAT").write_text("pinnace raftstore 9\n")
    with pytest.raises(NotOurs, match="its FORMAT is 'pinnace raftstore 9'"):
        Storage.open(SystemFiles(), tmp_path, FOUNDING)


def test_a_store_that_lost_its_format_is_left_alone(tmp_path: Path) -> None:
    storage, _ = Storage.open(SystemFiles(), tmp_path, FOUNDING)
    write(storage, entry(1))
    storage.close()
    (tmp_path / "FORMAT").unlink()
    with pytest.raises(NotOurs, match="a log or snapshot but no FORMAT"):
        Storage.open(SystemFiles(), tmp_path, FOUNDING)
    assert (tmp_path / "wal" / segment_name(1, 1)).exists()


def test_a_start_that_died_at_once_is_begun_anew(tmp_path: Path) -> None:
    storage, _ = Storage.open(SystemFiles(), tmp_path, FOUNDING)
    storage.close()
    (tmp_path / "FORMAT").unlink()
    storage, opened = Storage.open(SystemFiles(), tmp_path, FOUNDING)
    storage.close()
    assert opened.entries == ()


def test_a_place_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable, match="cannot be used as a store: Not a directory"):
        Storage.open(SystemFiles(), tmp_path / "file" / "store", FOUNDING)


def test_the_log_survives_on_the_real_file_system(tmp_path: Path) -> None:
    storage, _ = Storage.open(SystemFiles(), tmp_path, FOUNDING, 4096)
    for index in range(1, 31):
        write(storage, entry(index, 500))
    snapshot_of(storage, 12, [b"state"])
    storage.close()
    storage, opened = Storage.open(SystemFiles(), tmp_path, FOUNDING, 4096)
    storage.close()
    assert list(opened.slices) == [b"state"]
    assert [e.index for e in opened.entries] == list(range(13, 31))
