"""Promises that a planted defect broke without another test's notice (tests/mutants): one each."""

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from memory_network import MemoryCluster, keys, put

from raftstore.core import (
    AppendEntries,
    Config,
    Entry,
    HardState,
    InstallSnapshot,
    Membership,
    Raft,
    Ready,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
    Stored,
)
from raftstore.disk import Founding, Identity, Storage, SystemFiles
from raftstore.mvcc import Event, Put, Result, StateMachine, Txn, WatchHub
from raftstore.peers.messages import AddMember

THREE = SnapshotMeta(0, 0, Membership((1, 2, 3)))


def follower(*terms: int, committed: int = 0) -> Raft:
    entries = [Entry(place + 1, term, b"") for place, term in enumerate(terms)]
    stored = Stored(HardState(terms[-1], 0, committed), THREE, entries)
    return Raft(Config(1), stored, random.Random(0))


def done(raft: Raft) -> list[object]:
    """What it says once all it has to do is done."""
    said: list[object] = []
    while raft.has_ready():
        ready = raft.ready()
        said += [*ready.messages, *ready.messages_after_sync]
        raft.advance()
    return said


def test_one_vote_in_a_term() -> None:
    raft = follower(1)
    raft.step(RequestVote(2, 1, 2, 1, 1))
    assert done(raft) == [RequestVoteResponse(1, 2, 2, True)]
    raft.step(RequestVote(3, 1, 2, 9, 1))
    assert done(raft) == [RequestVoteResponse(1, 3, 2, False)]
    raft.step(RequestVote(2, 1, 2, 1, 1))
    assert done(raft) == [RequestVoteResponse(1, 2, 2, True)]


def test_an_old_append_that_comes_late_drops_nothing() -> None:
    raft = follower(1)
    entries = [Entry(index, 1, b"") for index in range(2, 6)]
    raft.step(AppendEntries(2, 1, 1, 1, 1, entries, 1))
    done(raft)
    raft.step(AppendEntries(2, 1, 1, 1, 1, entries[:2], 1))
    assert raft.log.last_index == 5
    assert [message.match_index for message in done(raft)] == [5]  # type: ignore[attr-defined]


def test_a_snapshot_that_comes_late_replaces_nothing() -> None:
    raft = follower(1, 1, 1, 1, committed=4)
    done(raft)
    raft.step(InstallSnapshot(2, 1, 1, SnapshotMeta(2, 1, Membership((1, 2, 3)))))
    assert (raft.log.unstable_snapshot, raft.log.last_index) == (None, 4)
    assert (raft.log.applied, raft.log.committed) == (4, 4)


def test_what_a_crash_tore_is_gone_when_the_log_goes_on(tmp_path: Path) -> None:
    """Else a later crash finds the torn record's end behind a shorter one written in its place."""
    founding = Founding(Identity(1, 1), [], HardState())

    def opened() -> tuple[Storage, Sequence[Entry]]:
        storage, found = Storage.open(SystemFiles(), tmp_path, founding)
        storage.begin_writing()
        return storage, found.entries

    storage, _ = opened()
    storage.wal.append(None, [Entry(1, 1, b"first")])
    storage.wal.sync()
    path = storage.wal.path
    size = storage.wal._offset
    storage.wal.append(None, [Entry(2, 1, b"torn" * 1000), Entry(3, 1, b"torn")])
    storage.wal.sync()
    storage.close()
    data = bytearray(path.read_bytes())
    data[size : size + 1024] = bytes(1024)
    path.write_bytes(data)
    storage, entries = opened()
    assert [entry.index for entry in entries] == [1]
    storage.wal.append(None, [Entry(2, 2, b"short")])
    storage.wal.sync()
    storage.close()
    assert path.read_bytes()[storage.wal._offset :].strip(b"\0") == b""
    storage, entries = opened()
    assert [(entry.index, entry.data) for entry in entries] == [(1, b"first"), (2, b"short")]
    storage.close()


def test_a_watch_hears_a_transaction_in_one_piece() -> None:
    state = StateMachine()

    def refuse(error: Exception) -> None:
        raise error

    hub = WatchHub(state.keyspace, refuse)
    heard: list[list[bytes]] = []

    def sink(events: Sequence[Event], revision: int) -> None:
        heard.append([event.kv.key for event in events])

    hub.watch(b"a", b"z", 0, sink)
    _, events = state.apply(Txn([], [Put(b"b"), Put(b"zz"), Put(b"a"), Put(b"c")]))
    hub.publish(state.keyspace.revision, events)
    assert heard == [[b"b", b"a", b"c"]]


async def test_a_sole_voter_reads_what_its_learner_has_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The learner may apply a write, and answer it, while the disk of the leader, which has told
    it that the write is committed, still holds up the leader's own."""
    async with MemoryCluster(1) as cluster:
        leader = await cluster.leader()
        await leader.change_membership(AddMember(2, ("http://127.0.0.1:1002",), is_learner=True))
        learner = await cluster.join(2)
        await put(leader, b"k", b"old")
        await cluster.until(lambda: keys(learner))
        slow: list[Future[None]] = []
        others: list[asyncio.Future[Result]] = []
        save = leader._writer.save

        def save_slowly(ready: Ready, *arguments: Any) -> "Future[None] | None":
            saving = save(ready, *arguments)
            if ready.entries and not others:
                # Another writer comes while the first one's entry is being written.
                others.append(leader.propose(Put(b"other")))
            elif ready.entries and ready.committed and not slow:
                slow.append(Future())
                leader._loop.call_later(1, slow[0].set_result, None)
                return slow[0]
            return saving

        monkeypatch.setattr(leader._writer, "save", save_slowly)
        await put(learner, b"k", b"new")
        assert slow
        assert not slow[0].done()
        await leader.read_barrier()
        assert keys(leader)[b"k"] == b"new"
        await others[0]
