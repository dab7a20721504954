"""What a log must be to be taken for one: each case is damage that no crash leaves, or a log that
a snapshot does not belong to, and all of it looked whole to some check by itself."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_files import FakeFiles

from raftstore.core.messages import Entry, EntryKind, HardState, Membership, SnapshotMeta
from raftstore.disk import CorruptRecord, Founding, Identity, NotOurs, Opened, Storage, records
from raftstore.disk.segments import HARD_STATE, HEAD, hard_state_payload, head_payload

STORE = Path("/store")
WAL = STORE / "wal"
IDENTITY = Identity(7, 8)
FOUNDERS = Founding(IDENTITY, [Entry(1, 1, b"who", EntryKind.MEMBERSHIP)], HardState(1, 0, 1))
THREE = Membership((1, 2, 3))


def open_store(
    files: FakeFiles, founding: Founding | None = None, segment_size_bytes: int = 2048
) -> tuple[Storage, Opened]:
    storage, opened = Storage.open(files, STORE, founding, segment_size_bytes)
    list(opened.slices)
    storage.begin_writing()
    return storage, opened


def entries(first: int, last: int, term: int) -> list[Entry]:
    return [Entry(i, term, b"%d/%d " % (i, term) * 20) for i in range(first, last + 1)]


def store_of_segments() -> FakeFiles:
    """Three segments; the vote of term 3 is in the last one only, and so are entries 33 to 40."""
    files = FakeFiles()
    storage, _ = open_store(files, FOUNDERS)
    for entry in entries(2, 40, 1):
        storage.wal.append(None, [entry])
    storage.wal.append(HardState(3, 2, 5), ())
    storage.wal.sync()
    storage.close()
    assert len(files.names(WAL)) == 3
    return files


def segment(files: FakeFiles, place: int) -> bytearray:
    inode = files.names_now[WAL / files.names(WAL)[place]]
    assert inode is not None
    return inode.data


def emptied(data: bytearray) -> None:
    data.clear()


def zeroed(data: bytearray) -> None:
    data[:] = bytes(len(data))


def cut_within_its_head(data: bytearray) -> None:
    del data[40:]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("damage", [emptied, zeroed, cut_within_its_head])
def test_a_segment_without_its_head_is_damage_and_not_the_end_of_the_log(
    damage: Callable[[bytearray], None], place: int
) -> None:
    """A segment appears with its head or not at all. Taken for an empty one it would lose a vote
    and entries that were answered."""
    files = store_of_segments()
    damage(segment(files, place))
    with pytest.raises(CorruptRecord):
        open_store(files)


STATE = HardState(1, 0, 1)
HEAD_PAYLOAD = head_payload(IDENTITY, 3, STATE)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (HEAD, b"pinnace wal 9\0\0\0" + HEAD_PAYLOAD[16:]),
        (HEAD, head_payload(IDENTITY, 2, STATE)),
        (HEAD, HEAD_PAYLOAD + bytes(8)),
        (HEAD, HEAD_PAYLOAD[:-8]),
        (HARD_STATE, hard_state_payload(STATE)),
        (HARD_STATE, HEAD_PAYLOAD),
    ],
    ids=["other version", "other number", "longer", "shorter", "no head", "head of another kind"],
)
def test_a_segment_with_a_foreign_head_is_refused_by_name(kind: int, payload: bytes) -> None:
    files = store_of_segments()
    segment(files, 2)[:] = records.encode(kind | records.BATCH_START, payload, 3, 0)
    with pytest.raises(CorruptRecord, match="not a log segment of this version"):
        open_store(files)


def test_the_tail_of_an_earlier_segment_is_not_torn_off_by_a_crash() -> None:
    """It was synced before the next one was begun. Without the check old entries would come back
    in the place of those that replaced them: the next segment's follow on either."""
    files = FakeFiles()
    storage, _ = open_store(files, FOUNDERS, 1 << 15)
    storage.wal.append(None, entries(2, 60, 1))
    storage.wal.sync()
    whole = storage.wal.written_bytes
    storage.wal.append(HardState(3, 2, 17), entries(18, 30, 3))
    while len(files.names(WAL)) == 1:
        storage.wal.append(HardState(3, 2, 17), ())
    storage.wal.append(HardState(3, 2, 31), entries(31, 31, 3))
    storage.wal.sync()
    storage.close()
    _, opened = open_store(copy.deepcopy(files))
    assert [entry.term for entry in opened.entries] == [1] * 17 + [3] * 14
    data = segment(files, 0)
    data[whole:] = bytes(len(data) - whole)
    with pytest.raises(CorruptRecord, match="cut short"):
        open_store(files)


@pytest.mark.parametrize(
    ("at_snapshot", "behind"), [(2, []), (3, entries(31, 40, 3)), (4, []), (5, [])]
)
def test_only_the_log_that_a_snapshot_was_taken_of_goes_on_behind_it(
    at_snapshot: int, behind: list[Entry]
) -> None:
    """Also where the other entry is of a later term: its leader died before anyone else had it
    (paper, figure 8)."""
    files = FakeFiles()
    storage, _ = open_store(files, FOUNDERS)
    storage.wal.append(None, entries(2, 20, 2) + entries(21, 40, at_snapshot))
    storage.wal.append(HardState(6, 2, 20), ())
    storage.wal.sync()
    storage.begin_snapshot(SnapshotMeta(30, 3, THREE)).finish()
    storage.close()
    storage, opened = open_store(files)
    assert list(opened.entries) == behind
    assert opened.hard_state.term == 6
    more = entries(31 + len(behind), 50, 6)
    storage.wal.append(None, more)
    storage.wal.sync()
    storage.close()
    _, opened = open_store(files)
    assert list(opened.entries) == behind + more


def test_a_vote_outlives_its_segment_in_the_next_life_of_its_member() -> None:
    """Entries alone follow it after a restart: the head of each new segment carries it on."""
    files = store_of_segments()
    storage, _ = open_store(files)
    for entry in entries(41, 80, 3):
        storage.wal.append(None, [entry])
    storage.wal.sync()
    meta = SnapshotMeta(80, 3, THREE)
    writer = storage.begin_snapshot(meta)
    writer.finish()
    storage.remove(storage.snapshot_finished(meta, writer.size_bytes))
    assert len(files.names(WAL)) == 1
    storage.close()
    _, opened = open_store(files)
    assert (opened.hard_state.term, opened.hard_state.vote) == (3, 2)


def test_an_installed_log_begins_behind_all_segments_that_were_there() -> None:
    """Before they are removed: whatever they begin with, none stands behind the new one."""
    files = store_of_segments()
    storage, _ = open_store(files)
    meta = SnapshotMeta(20, 2, THREE)
    writer = storage.begin_snapshot(meta)
    writer.finish()
    storage.install_snapshot(meta, HardState(3, 2, 20), writer.size_bytes)
    storage.close()
    storage, opened = open_store(files)
    assert (opened.snapshot, list(opened.entries)) == (meta, [])
    assert opened.hard_state == HardState(3, 2, 20)
    assert len(files.names(WAL)) == 1


def test_a_snapshot_without_a_format_is_not_founded_over() -> None:
    """Its log may be lost as well; a member founded anew would have forgotten all."""
    files = FakeFiles()
    storage, _ = open_store(files, FOUNDERS)
    storage.begin_snapshot(SnapshotMeta(20, 2, THREE)).finish()
    storage.close()
    files.remove(STORE / "FORMAT")
    with pytest.raises(NotOurs, match="a log or snapshot but no FORMAT"):
        open_store(files, FOUNDERS)


def test_a_store_is_told_of_when_its_name_and_its_folders_are_durable() -> None:
    """A directory that is gone after a power loss would be founded anew, its votes forgotten."""
    files = FakeFiles()
    synced: list[Path] = []
    before_format: list[Path] = []

    def note(what: str, path: Path) -> None:
        if what == "sync directory":
            synced.append(path)
        if what == "rename" and path.name == "FORMAT":
            before_format.extend(synced)
            synced.clear()

    files.before = note
    open_store(files, FOUNDERS)
    assert {WAL, STORE} <= set(before_format)
    assert {STORE, STORE.parent} <= set(synced)
