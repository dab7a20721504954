"""What a Ready asks for is on the disk when it is said to be, on the loop and in the thread; and
what lags behind keeps what it will need."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_files import FakeFiles

from raftstore.core import Entry, HardState, Membership, Ready
from raftstore.disk import DiskFailed, Founding, Identity, Opened, Storage
from raftstore.mvcc import AlarmKind, DeleteRange, LeaseGrant, Put, Range, SetAlarm, Txn
from raftstore.node.metrics import Metrics
from raftstore.node.quota import Quota
from raftstore.node.retention import LogRetention
from raftstore.node.syncing import INLINE_SYNC_MAX_S, LogWriter

STORE = Path("/store")
FOUNDING = Founding(Identity(7, 8), (), HardState())


class StepClock:
    """Each sync takes `sync_s`: it is looked at once before and once after."""

    def __init__(self, sync_s: float) -> None:
        self.sync_s = sync_s
        self.now = 0.0

    def monotonic_s(self) -> float:
        self.now += self.sync_s
        return self.now

    def now_s(self) -> float:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        raise AssertionError


class Disk:
    def __init__(self, *, use_threads: bool, sync_s: float) -> None:
        self.files = FakeFiles()
        self.storage, _ = self.open()
        self.writer = LogWriter(
            self.storage.wal, StepClock(sync_s), Metrics(), use_threads=use_threads
        )

    def open(self) -> tuple[Storage, Opened]:
        storage, opened = Storage.open(self.files, STORE, FOUNDING)
        list(opened.slices)
        storage.begin_writing()
        return storage, opened

    def save(self, ready: Ready) -> None:
        done = self.writer.save(ready)
        if done is not None:
            done.result(10)

    def after_power_loss(self) -> Opened:
        """Only what was synced is there."""
        for inode in self.files.names_now.values():
            if inode is not None:
                inode.data = bytearray(inode.durable)
        self.files.locked.clear()
        return self.open()[1]


WAYS = pytest.mark.parametrize(
    ("use_threads", "sync_s"),
    [(False, 0.0), (True, 0.0), (True, 10 * INLINE_SYNC_MAX_S)],
    ids=["on the loop", "quick disk", "slow disk"],
)


@WAYS
@pytest.mark.parametrize("count", [1, 3])
def test_a_vote_and_entries_are_durable_when_that_is_said(
    use_threads: bool, sync_s: float, count: int
) -> None:
    disk = Disk(use_threads=use_threads, sync_s=sync_s)
    disk.save(Ready(hard_state=HardState(2, 3, 0), must_sync=True))
    last = 0
    for _ in range(40):
        entries = [Entry(last + 1 + n, 2, b"x") for n in range(count)]
        last += count
        disk.save(Ready(entries=entries, must_sync=True))
    disk.save(Ready(hard_state=HardState(4, 1, last), must_sync=True))
    opened = disk.after_power_loss()
    assert opened.hard_state == HardState(4, 1, last)
    assert [entry.index for entry in opened.entries] == list(range(1, last + 1))
    disk.writer.close()


@WAYS
def test_a_commit_waits_for_the_next_batch_and_no_longer(use_threads: bool, sync_s: float) -> None:
    disk = Disk(use_threads=use_threads, sync_s=sync_s)
    disk.save(Ready(hard_state=HardState(2, 3, 0), entries=[Entry(1, 2, b"")], must_sync=True))
    written = disk.storage.wal.written_bytes
    for _ in range(3):
        assert disk.writer.save(Ready(hard_state=HardState(2, 3, 1))) is None
    assert disk.storage.wal.written_bytes == written
    disk.save(Ready(entries=[Entry(2, 2, b"")], must_sync=True))
    assert disk.after_power_loss().hard_state == HardState(2, 3, 1)
    disk.writer.close()


@WAYS
def test_closing_writes_what_waits(use_threads: bool, sync_s: float) -> None:
    disk = Disk(use_threads=use_threads, sync_s=sync_s)
    disk.save(Ready(entries=[Entry(1, 2, b"")], hard_state=HardState(2, 3, 0), must_sync=True))
    disk.save(Ready(hard_state=HardState(2, 3, 1)))
    disk.writer.close()
    disk.writer.close()
    assert disk.after_power_loss().hard_state == HardState(2, 3, 1)


def test_a_failed_disk_is_left_alone() -> None:
    disk = Disk(use_threads=True, sync_s=1.0)
    disk.save(Ready(entries=[Entry(1, 2, b"")], hard_state=HardState(2, 3, 0), must_sync=True))
    disk.save(Ready(hard_state=HardState(2, 3, 1)))

    def fail(what: str, path: Path) -> None:
        raise OSError(5, "Input/output error")

    disk.files.before = fail
    with pytest.raises(DiskFailed):
        disk.save(Ready(entries=[Entry(2, 2, b"")], must_sync=True))
    # What would still be said is not written behind what failed.
    disk.save(Ready(hard_state=HardState(2, 3, 2)))
    disk.writer.abandon()
    disk.writer.close()


def test_the_hard_state_for_another_file_is_the_last_that_was_said() -> None:
    disk = Disk(use_threads=False, sync_s=0.0)
    first, second, third = HardState(2, 3, 0), HardState(2, 3, 1), HardState(3, 0, 1)
    disk.save(Ready(hard_state=first, entries=[Entry(1, 2, b"")], must_sync=True))
    assert disk.writer.take_hard_state(None) == first
    disk.save(Ready(hard_state=second))
    assert disk.writer.take_hard_state(third) == third
    # It was written there: an older one does not follow it.
    disk.save(Ready(entries=[Entry(2, 2, b"")], must_sync=True))
    assert disk.after_power_loss().hard_state == first
    disk = Disk(use_threads=False, sync_s=0.0)
    disk.save(Ready(hard_state=first, entries=[Entry(1, 2, b"")], must_sync=True))
    disk.save(Ready(hard_state=second))
    assert disk.writer.take_hard_state(None) == second


# -- the log in memory


@dataclass
class Log:
    applied: int = 0


@dataclass
class Core:
    membership: Membership
    id: int = 1
    log: Log = field(default_factory=Log)
    compacted: int = 0

    def compact_log(self, index: int) -> None:
        assert index <= self.log.applied
        self.compacted = index


def retention(membership: Membership, keep_bytes: int = 100) -> tuple[LogRetention, Core]:
    core = Core(membership)
    member = SimpleNamespace(raft=core, options=SimpleNamespace(log_keep_bytes=keep_bytes))
    return LogRetention(cast(Any, member)), core


def apply(kept: LogRetention, core: Core, count: int) -> Iterator[int]:
    """Entries of ten bytes, one per Ready; yields how many are held after each."""
    for _ in range(count):
        core.log.applied += 1
        kept.applied([Entry(core.log.applied, 1, bytes(10))])
        yield core.log.applied - core.compacted


def test_the_last_of_the_log_stays_for_members_that_lag() -> None:
    kept, core = retention(Membership((1, 2)))
    held = list(apply(kept, core, 100))
    assert max(held) <= 13
    assert min(held[12:]) >= 10


def test_what_a_member_needs_after_its_snapshot_stays_meanwhile_but_not_for_ever() -> None:
    kept, core = retention(Membership((1, 2, 3)))
    list(apply(kept, core, 20))
    kept.sending(2, 20)
    kept.sending(3, 18)
    list(apply(kept, core, 40))
    assert core.compacted == 18
    kept.sent(3)
    list(apply(kept, core, 1))
    assert core.compacted == 20
    kept.sent(2)
    list(apply(kept, core, 1))
    assert core.compacted >= 48
    kept.sending(2, core.log.applied)
    held = list(apply(kept, core, 200))
    assert 40 < max(held) <= 82


def test_a_member_alone_keeps_nothing_and_a_new_log_is_counted_anew() -> None:
    kept, core = retention(Membership((1,)))
    assert list(apply(kept, core, 30)) == [0] * 30
    core.membership = Membership((1,), (2,))
    assert list(apply(kept, core, 12))[-1] == 12
    kept.installed()
    core.compacted = core.log.applied
    assert list(apply(kept, core, 12))[-1] == 12


# -- the quota


def quota(quota_bytes: int, used_bytes: int) -> tuple[Quota, Any]:
    member = SimpleNamespace(
        options=SimpleNamespace(quota_bytes=quota_bytes),
        raft=SimpleNamespace(id=1),
        state=SimpleNamespace(keyspace=SimpleNamespace(size_bytes=used_bytes), alarms=set()),
    )
    return Quota(cast(Any, member)), member


@pytest.mark.parametrize(
    ("command", "takes_room"),
    [
        (Put(b"k"), True),
        (LeaseGrant(1, 9), True),
        (Txn([], [Put(b"k")]), True),
        (Txn([], [], [Txn([], [Put(b"k")])]), True),
        (Txn([], [Range(b"k"), DeleteRange(b"k")]), False),
        (DeleteRange(b"k"), False),
        (SetAlarm(1, AlarmKind.NOSPACE, False), False),
    ],
)
def test_only_what_takes_room_meets_the_quota(command: Any, takes_room: bool) -> None:
    full, _ = quota(100, 90)
    assert full.exceeded_by(command, 11) is takes_room
    assert not full.exceeded_by(command, 10)
    assert not quota(0, 90)[0].exceeded_by(command, 1 << 40)


def test_an_alarm_is_put_into_the_log_once_and_again_when_it_was_lost() -> None:
    full, member = quota(100, 100)
    raised = SetAlarm(1, AlarmKind.NOSPACE, True)
    assert full.alarm() == raised
    assert full.alarm() is None
    full.raised(None)
    assert full.alarm() == raised
    member.state.alarms.add((1, AlarmKind.NOSPACE))
    full.raised(None)
    assert full.alarm() is None


def test_a_leader_takes_each_alarm_back_once_where_there_is_room_again() -> None:
    full, member = quota(100, 90)
    member.state.alarms |= {(1, AlarmKind.NOSPACE), (2, AlarmKind.NOSPACE), (3, AlarmKind.CORRUPT)}
    assert full.all_clear(5) == []
    member.state.keyspace.size_bytes = 89
    both = [SetAlarm(who, AlarmKind.NOSPACE, False) for who in (1, 2)]
    assert full.all_clear(5) == both
    assert full.all_clear(5) == []
    assert full.all_clear(6) == both
    member.state.alarms.discard((1, AlarmKind.NOSPACE))
    assert full.all_clear(6) == []
    member.state.alarms.add((1, AlarmKind.NOSPACE))
    assert full.all_clear(6) == both[:1]
