"""Backups, stores made from them, and a member that goes on alone: damaged, cut, half done."""

import copy
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from fake_files import FakeFiles

from raftstore.core.messages import (
    Entry,
    EntryKind,
    HardState,
    Membership,
    MembershipChange,
    SnapshotMeta,
)
from raftstore.disk import (
    BadBackup,
    CorruptRecord,
    Founding,
    Identity,
    NotMade,
    NotOurs,
    Opened,
    Storage,
    StoreLocked,
    SystemFiles,
)
from raftstore.disk.backup import backup_status, backup_stream, read_backup, with_checksum
from raftstore.disk.rescue import force_new_cluster, inspect
from raftstore.disk.restore import restore_backup
from raftstore.mvcc import (
    AlarmKind,
    Command,
    Compact,
    DeleteRange,
    LeaseGrant,
    MemberRecord,
    PublishMember,
    Put,
    Range,
    SetAlarm,
    StateMachine,
    WatchHub,
    decode_proposal,
    encode_members,
    encode_proposal,
)
from raftstore.mvcc.errors import Compacted
from raftstore.mvcc.hashing import hash_steps
from raftstore.mvcc.snapshot import Loader, stream

STORE = Path("/store")
FILE = Path("/backup.db")
SEGMENT = 1024
TAKEN_AT = SnapshotMeta(40, 7, Membership((1, 2, 3)))
# The one that restores, and another founder of the new cluster.
NEW = [MemberRecord(12, "two", ("https://b:2380",)), MemberRecord(11, "one", ("https://a:2380",))]


class PowerLoss(Exception):
    pass


def stopping_after(steps: int) -> Callable[[str, Path], None]:
    left = iter(range(steps))

    def before(what: str, path: Path) -> None:
        if next(left, None) is None:
            raise PowerLoss

    return before


def some_state() -> StateMachine:
    """Compacted at 4, now at 8, with a lease, members and an alarm."""
    state = StateMachine()
    records = [MemberRecord(n, f"old{n}", (f"https://old{n}:2380",)) for n in (1, 2, 3)]
    change = MembershipChange(Membership((1, 2, 3)), encode_members(records))
    state.apply_membership(change)
    state.apply_membership(MembershipChange(Membership((1, 2))))
    commands: Sequence[Command] = (
        LeaseGrant(5, 600),
        Put(b"a", b"1", 5),
        Put(b"b", b"1" * 300),
        DeleteRange(b"b"),
        Compact(4),
        Put(b"a", b"2", 5),
        Put(b"c", b"1"),
        DeleteRange(b"c"),
        Put(b"d", b"1"),
        SetAlarm(2, AlarmKind.NOSPACE, True),
    )
    for command in commands:
        state.apply(command)
    return state


def backup_of(state: StateMachine) -> bytes:
    return b"".join(with_checksum(backup_stream(stream(state), TAKEN_AT)))


def file_with(data: bytes) -> FakeFiles:
    files = FakeFiles()
    file = files.create(FILE, 0)
    file.write(data)
    file.sync()
    files.sync_directory(FILE.parent)
    return files


def loaded(slices: Iterator[bytes]) -> StateMachine:
    loader = Loader()
    for data in slices:
        loader.feed(data)
    return loader.finish()


def hash_of(state: StateMachine) -> int:
    steps = hash_steps(state, state.keyspace.revision)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value.hash


# -- the file


def test_a_backup_is_read_as_it_was_taken() -> None:
    state = some_state()
    files = file_with(backup_of(state))
    head, slices = read_backup(files, FILE)
    assert (head.revision, head.index, head.term) == (8, 40, 7)
    again = loaded(slices)
    assert again.keyspace.live == state.keyspace.live
    assert again.leases.keys(5) == [b"a"]
    status = backup_status(files, FILE)
    assert (status.revision, status.compact_revision, status.total_keys) == (8, 4, 2)
    assert (status.total_leases, status.size_bytes) == (1, len(files.read(FILE)))
    assert status.hash == hash_of(state)
    assert status.version == head.version != ""


def test_a_backup_ends_with_its_checksum() -> None:
    data = backup_of(some_state())
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    assert b"".join(backup_stream(stream(some_state()), TAKEN_AT)) == data[:-32]


def test_a_backup_taken_beside_writes_is_of_one_revision() -> None:
    state = some_state()
    parts = []
    for number, data in enumerate(with_checksum(backup_stream(stream(state), TAKEN_AT))):
        parts.append(data)
        state.apply(SetAlarm(2, AlarmKind.NOSPACE, False))
        state.apply(Put(b"later%d" % number))
    _, slices = read_backup(file_with(b"".join(parts)), FILE)
    assert loaded(slices).keyspace.live == some_state().keyspace.live


def test_damage_and_a_cut_are_told_at_every_byte() -> None:
    data = backup_of(some_state())
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 0x20
        for bad in (bytes(flipped), data[:at]):
            with pytest.raises(BadBackup) as refused:
                backup_status(file_with(bad), FILE)
            assert str(refused.value).startswith(f"{FILE}: ")
            assert "\n" not in str(refused.value)


def with_new_checksum(data: bytes) -> FakeFiles:
    """Whoever wrote this meant it: the checksum of the whole fits."""
    return file_with(data + hashlib.sha256(data).digest())


def test_what_is_not_a_whole_backup_is_told_even_where_its_checksum_fits() -> None:
    data = backup_of(some_state())[:-32]
    for bad, why in (
        (data[:-16], "offset"),
        (data + b"more", "does not end where it should"),
        (b"SQLite format 3\0" * 10, "not a backup of this store"),
        (data.replace(b"pinnace backup 1", b"pinnace backup 9"), "not a backup of this store"),
        (data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :], "offset"),
    ):
        with pytest.raises(BadBackup, match=why):
            backup_status(with_new_checksum(bad), FILE)


# -- a store made of it


def restored(
    files: FakeFiles, member_id: int = 11, bump: int = 0, token: int = 99
) -> tuple[Opened, StateMachine, Storage]:
    identity = restore_backup(files, FILE, STORE, Identity(token, member_id), NEW, bump, SEGMENT)
    opened, state, storage = opened_store(files)
    assert storage.identity == identity
    return opened, state, storage


def opened_store(files: FakeFiles) -> tuple[Opened, StateMachine, Storage]:
    """As a start does: everything committed is applied."""
    storage, opened = Storage.open(files, STORE, None, SEGMENT)
    state = loaded(opened.slices) if opened.snapshot.index else StateMachine()
    storage.begin_writing()
    for entry in opened.entries:
        if entry.index > opened.hard_state.commit:
            break
        if entry.kind is EntryKind.MEMBERSHIP:
            state.apply_membership(msgspec.msgpack.decode(entry.data, type=MembershipChange))
        elif entry.data:
            state.apply(decode_proposal(entry.data).command)
    return opened, state, storage


def test_a_restored_store_has_the_keys_and_other_members() -> None:
    old = some_state()
    files = file_with(backup_of(old))
    opened, state, _ = restored(files)
    assert state.keyspace.live == old.keyspace.live
    assert state.keyspace.revision == 8
    assert hash_of(state) == hash_of(old)
    assert state.leases.ttl_s(5) == 600
    assert state.leases.keys(5) == [b"a"]
    assert list(state.members.values()) == sorted(NEW, key=lambda record: record.member_id)
    assert (state.alarms, state.removed) == (set(), set())
    membership = Membership((11, 12))
    assert opened.snapshot == SnapshotMeta(40, 7, membership)
    (entry,) = opened.entries
    assert (entry.index, entry.term, entry.kind) == (41, 7, EntryKind.MEMBERSHIP)
    assert msgspec.msgpack.decode(entry.data, type=MembershipChange).membership == membership
    assert opened.hard_state == HardState(7, 0, 41)


def test_founding_members_restore_the_same_log() -> None:
    data = backup_of(some_state())
    one, state_one, storage_one = restored(file_with(data), 11)
    two, state_two, storage_two = restored(file_with(data), 12)
    assert (one.snapshot, one.entries, one.hard_state) == (
        two.snapshot,
        two.entries,
        two.hard_state,
    )
    assert hash_of(state_one) == hash_of(state_two)
    assert storage_one.identity.cluster_id == storage_two.identity.cluster_id
    assert (storage_one.identity.member_id, storage_two.identity.member_id) == (11, 12)


def test_members_restored_from_different_backups_do_not_meet() -> None:
    newer = some_state()
    newer.apply(SetAlarm(2, AlarmKind.NOSPACE, False))
    newer.apply(Put(b"a", b"3"))
    data = backup_of(some_state())
    ids = {
        restored(file_with(data))[2].identity.cluster_id,
        restored(file_with(backup_of(newer)))[2].identity.cluster_id,
        restored(file_with(data), bump=5)[2].identity.cluster_id,
        restored(file_with(data), token=98)[2].identity.cluster_id,
    }
    assert len(ids) == 4


def test_a_bumped_revision_hides_all_before_it() -> None:
    old = some_state()
    _, state, _ = restored(file_with(backup_of(old)), bump=1000)
    keyspace = state.keyspace
    assert (keyspace.revision, keyspace.compact_revision) == (1008, 1008)
    assert state.range(Range(b"\0", b"\0", revision=1008)).kvs == old.range(Range(b"\0", b"\0")).kvs
    with pytest.raises(Compacted):
        state.range(Range(b"a", revision=1007))
    heard: list[int] = []
    hub = WatchHub(keyspace, _raise)
    with pytest.raises(Compacted):
        hub.watch(b"\0", b"\0", 9, print)
    hub.watch(b"\0", b"\0", 1008, lambda events, revision: heard.append(revision))
    assert hub.catch_up(10)
    result, events = state.apply(Put(b"a", b"new"))
    hub.publish(result.revision, events)
    assert heard == [1009]
    # It can be hashed, kept, compacted and freed like any other.
    assert hash_of(state) == hash_of(loaded(stream(state)))
    state.apply(Compact(1009))
    assert keyspace.prune(100)
    assert hash_of(state) == hash_of(loaded(stream(state)))
    assert loaded(stream(state)).keyspace.live == keyspace.live


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("bump", [-1, 2**63])
def test_a_bump_that_makes_no_sense_is_refused(bump: int) -> None:
    files = file_with(backup_of(some_state()))
    with pytest.raises(ValueError, match="bumped"):
        restore_backup(files, FILE, STORE, Identity(9, 11), NEW, bump)
    assert not files.exists(STORE)


def test_a_member_that_is_not_in_the_cluster_is_refused() -> None:
    files = file_with(backup_of(some_state()))
    with pytest.raises(ValueError, match="not among the members"):
        restore_backup(files, FILE, STORE, Identity(9, 13), NEW)


def test_a_damaged_backup_makes_no_store() -> None:
    data = backup_of(some_state())
    files = file_with(data[:-5])
    with pytest.raises(BadBackup):
        restore_backup(files, FILE, STORE, Identity(9, 11), NEW)
    assert not files.exists(STORE)


@pytest.mark.parametrize("name", ["FORMAT", "notes.txt", "wal"])
def test_only_an_empty_directory_becomes_a_store(tmp_path: Path, name: str) -> None:
    backup, store = tmp_path / "backup", tmp_path / "store"
    backup.write_bytes(backup_of(some_state()))
    store.mkdir()
    (store / name).touch()
    with pytest.raises(NotOurs, match=f"it is not empty: it holds '{name}'"):
        restore_backup(SystemFiles(), backup, store, Identity(9, 11), NEW)
    assert [path.name for path in store.iterdir()] == [name]


@pytest.mark.parametrize("bump", [0, 10])
def test_power_loss_at_every_step_of_a_restoration(bump: int) -> None:
    """The store is there as a whole, or nobody can start it and it can be restored again."""
    before = file_with(backup_of(some_state()))
    finished = 0
    for steps in range(1, 40):
        for seed in range(5):
            files = copy.deepcopy(before)
            files.before = stopping_after(steps)
            try:
                restored(files, bump=bump)
                finished += 1
            except PowerLoss:
                pass
            files.crash(random.Random(seed))
            if not Storage.is_made(files, STORE):
                if files.exists(STORE / "snap"):
                    with pytest.raises(NotOurs):
                        Storage.open(files, STORE, Founding(Identity(1, 1), (), HardState()))
                restored(files, bump=bump)[2].close()
            opened, state, storage = opened_store(files)
            storage.close()
            assert state.range(Range(b"a")).kvs[0].value == b"2"
            assert opened.hard_state == HardState(7, 0, 41)
    assert finished > 5


# -- alone after the loss of a quorum


MEMBERS = [MemberRecord(n, f"m{n}", (f"https://m{n}:2380",)) for n in (1, 2, 3)]
FIRST = Entry(
    1,
    1,
    msgspec.msgpack.encode(MembershipChange(Membership((1, 2, 3)), encode_members(MEMBERS))),
    EntryKind.MEMBERSHIP,
)


def put(index: int, term: int) -> Entry:
    return Entry(index, term, encode_proposal(index, Put(b"k%d" % index, b"%d" % term)))


def survivor(with_snapshot: bool) -> FakeFiles:
    """Entries up to 30, of which 20 were known to be committed; some of it in a snapshot."""
    files = FakeFiles()
    founding = Founding(Identity(77, 2), [FIRST], HardState(1, 0, 1))
    storage, _ = Storage.open(files, STORE, founding, SEGMENT)
    storage.wal.append(HardState(4, 3, 20), [Entry(2, 4, b""), *(put(i, 4) for i in range(3, 31))])
    storage.wal.append(None, [put(31, 4)])
    storage.wal.sync()
    if with_snapshot:
        state = StateMachine()
        state.apply_membership(msgspec.msgpack.decode(FIRST.data, type=MembershipChange))
        for index in range(3, 13):
            state.apply(decode_proposal(put(index, 4).data).command)
        meta = SnapshotMeta(12, 4, Membership((1, 2, 3)))
        writer = storage.begin_snapshot(meta)
        writer.write(list(stream(state)))
        writer.finish()
        storage.remove(storage.snapshot_finished(meta, writer.size_bytes))
    storage.close()
    return files


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_an_inspection_tells_and_changes_nothing(with_snapshot: bool) -> None:
    files = survivor(with_snapshot)
    before = {path: files.read(path) for path, inode in files.names_now.items() if inode}
    found = inspect(files, STORE)
    assert found.identity == Identity(77, 2)
    assert (found.term, found.commit, found.last_index, found.last_term) == (4, 20, 31, 4)
    assert found.snapshot_index == (12 if with_snapshot else 0)
    assert (found.committed_revision, found.revision, found.key_count) == (19, 30, 29)
    assert found.members == tuple(MEMBERS)
    assert not found.was_torn
    assert {path: files.read(path) for path, inode in files.names_now.items() if inode} == before


def test_only_a_stopped_store_is_inspected() -> None:
    files = survivor(False)
    storage, _ = Storage.open(files, STORE, None, SEGMENT)
    for look in (inspect, lambda f, d: force_new_cluster(f, d, Identity(1, 2))):
        with pytest.raises(StoreLocked):
            look(files, STORE)
    storage.close()
    with pytest.raises(NotMade):
        inspect(FakeFiles(), STORE)


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_a_member_goes_on_alone_with_all_it_has(with_snapshot: bool) -> None:
    files = survivor(with_snapshot)
    found = force_new_cluster(files, STORE, Identity(88, 2), SEGMENT)
    assert found == inspect(survivor(with_snapshot), STORE)
    opened, state, storage = opened_store(files)
    assert storage.identity == Identity(88, 2)
    assert opened.hard_state == HardState(5, 0, 32)
    assert (opened.entries[-1].index, opened.entries[-1].term) == (32, 5)
    assert list(opened.entries[:-1])[-1] == put(31, 4)
    assert state.keyspace.revision == 30
    assert state.members == {2: MEMBERS[1]}
    assert state.removed == {1, 3}
    # And it goes on.
    storage.wal.append(HardState(6, 2, 33), [Entry(33, 6, b""), put(34, 6)])
    storage.wal.sync()
    storage.close()
    again, _, _ = opened_store(files)
    assert list(again.entries[-2:]) == [Entry(33, 6, b""), put(34, 6)]


def test_a_member_goes_on_under_another_id() -> None:
    files = survivor(True)
    force_new_cluster(files, STORE, Identity(88, 9), SEGMENT)
    opened, state, storage = opened_store(files)
    assert storage.identity == Identity(88, 9)
    change = msgspec.msgpack.decode(opened.entries[-1].data, type=MembershipChange)
    assert change.membership == Membership((9,))
    assert state.members == {9: MemberRecord(9, "m2", ("https://m2:2380",))}


def test_a_damaged_store_is_not_forced() -> None:
    files = survivor(True)
    path = next(path for path in sorted(files.names_now) if path.suffix == ".snap")
    data = bytearray(files.read(path))
    data[100] ^= 1
    files._inode(path).data[:] = data
    before = {path: files.read(path) for path, inode in files.names_now.items() if inode}
    with pytest.raises(CorruptRecord):
        force_new_cluster(files, STORE, Identity(88, 2), SEGMENT)
    assert {path: files.read(path) for path, inode in files.names_now.items() if inode} == before


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_power_loss_at_every_step_of_going_on_alone(with_snapshot: bool) -> None:
    before = survivor(with_snapshot)
    files = copy.deepcopy(before)
    files.crash(random.Random(1))
    seen = set()
    for steps in range(1, 40):
        for seed in range(5):
            files = copy.deepcopy(before)
            files.before = stopping_after(steps)
            finished = True
            try:
                force_new_cluster(files, STORE, Identity(88, 2), SEGMENT)
            except PowerLoss:
                finished = False
            files.crash(random.Random(seed))
            opened, _, storage = opened_store(files)
            storage.close()
            seen.add((storage.identity.cluster_id, finished))
            entries = list(opened.entries)
            if storage.identity.cluster_id == 88:
                assert opened.hard_state == HardState(5, 0, 32)
                assert entries.pop().kind is EntryKind.MEMBERSHIP
            else:
                assert opened.hard_state == HardState(4, 3, 20)
            assert entries[-1] == put(31, 4)
            assert len(entries) == 31 - opened.snapshot.index
    assert seen == {(77, False), (88, False), (88, True)}


def test_a_published_name_goes_along() -> None:
    files = survivor(False)
    storage, opened = Storage.open(files, STORE, None, SEGMENT)
    storage.begin_writing()
    said = encode_proposal(1, PublishMember(2, "renamed", ("https://m2:2379",)))
    storage.wal.append(None, [Entry(opened.entries[-1].index + 1, 4, said)])
    storage.wal.sync()
    storage.close()
    force_new_cluster(files, STORE, Identity(88, 2), SEGMENT)
    _, state, _ = opened_store(files)
    assert state.members[2].name == "renamed"
