"""Bugs that the simulator found, each in its smallest form (docs/store-simulator.md)."""

import asyncio
import random
from pathlib import Path

import pytest
from fake_files import SECTOR, FakeFiles, Inode

from base.clock import LoopClock
from raftstore.core import Entry, HardState
from raftstore.disk import Founding, Identity, Opened, Storage
from raftstore.mvcc import Compact, DeleteRange, MvccError, Put, StateMachine
from raftstore.node import Node
from raftstore.node.member import Options

STORE = Path("/store")
JOINING = Founding(Identity(7, 8), (), HardState())


def opened(files: FakeFiles) -> tuple[Storage, Opened]:
    storage, found = Storage.open(files, STORE, JOINING, 65536)
    storage.begin_writing()
    return storage, found


def entries(first: int, last: int, term: int) -> list[Entry]:
    return [Entry(index, term, b"of term %d " % term * 12) for index in range(first, last + 1)]


def log_of(files: FakeFiles) -> Inode:
    [inode] = [inode for path, inode in files.names_now.items() if path.suffix == ".wal"]
    assert inode is not None
    return inode


def torn_at_random(inode: Inode, rng: random.Random) -> None:
    """Any sectors of what was not synced."""
    kept = bytearray(inode.data)
    for at in range(0, len(kept), SECTOR):
        if rng.random() < 0.5:
            kept[at : at + SECTOR] = inode.durable[at : at + SECTOR]
    inode.data = kept
    inode.durable = bytes(kept)


@pytest.mark.parametrize("seed", range(40))
def test_a_torn_batch_commits_nothing_of_the_log_that_it_was_to_replace(seed: int) -> None:
    """A follower catches up: one batch has entries and a commit that covers them. Whatever of it
    reaches the disk, entries of the old term that it replaces are not committed, and the member
    starts."""
    files = FakeFiles()
    storage, _ = opened(files)
    storage.wal.append(HardState(1, 0, 20), entries(1, 60, term=1))
    storage.wal.sync()
    storage.wal.append(HardState(2, 0, 50), entries(40, 52, term=2))
    torn_at_random(log_of(files), random.Random(seed))
    storage.close()
    storage, found = opened(files)
    storage.close()
    terms = {entry.index: entry.term for entry in found.entries}
    assert found.hard_state.commit <= max(terms)
    assert all(terms[index] == 2 for index in range(40, found.hard_state.commit + 1))
    assert found.hard_state.term >= max(terms.values())


def test_entries_whose_hard_state_was_torn_off_bring_their_term_and_no_vote() -> None:
    files = FakeFiles()
    storage, _ = opened(files)
    storage.wal.append(HardState(1, 3, 2), entries(1, 4, term=1))
    storage.wal.sync()
    before = len(bytes(log_of(files).durable).rstrip(b"\0"))
    storage.wal.append(HardState(2, 5, 6), entries(5, 9, term=2))
    written = bytes(log_of(files).data).rstrip(b"\0")
    # The last sector, with the hard state in it, is lost.
    cut = max(before, len(written) // SECTOR * SECTOR)
    log_of(files).data[cut:] = bytes(len(log_of(files).data) - cut)
    storage.close()
    storage, found = opened(files)
    storage.close()
    assert found.entries[-1].term == 2
    assert found.hard_state == HardState(2, 0, 2)


async def test_an_alarm_that_is_raised_again_is_taken_back_again() -> None:
    """Seed 8: within one term the second NOSPACE alarm stayed for ever."""
    options = Options(use_threads=False, quota_bytes=1000)
    node = await Node.open(STORE, LoopClock(), random.Random(1), options, FakeFiles())
    for _ in range(3):
        with pytest.raises(MvccError, match="database space exceeded"):
            await node.propose(Put(b"k", b"x" * 1000))
        await asyncio.sleep(0.1)
        # There was room for less.
        assert not node.state.alarms
        await node.propose(Put(b"k", b"x"))
    await node.close()


def test_a_key_that_comes_and_goes_leaves_no_size_behind() -> None:
    """Seed 31: each return of a key whose end was not yet forgotten counted the key once more, so
    that a store without keys stayed above its quota for ever."""
    state = StateMachine()
    for _ in range(10):
        state.apply(Put(b"key", b"value"))
        state.apply(DeleteRange(b"key"))
    state.apply(Put(b"other", b"x"))
    state.apply(Compact(state.keyspace.revision))
    while not state.keyspace.prune(100):
        pass
    assert state.keyspace.size_bytes == len(b"otherx")
