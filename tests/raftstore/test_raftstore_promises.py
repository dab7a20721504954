"""Promises that a planted defect broke without another test's notice (tests/mutants): one each."""

import asyncio
import errno
import random
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import memory_network
import pytest
from fake_files import FakeFiles
from memory_network import SMALL, STORE, MemoryCluster, MemoryTransport, keys, put

from pinnace_wire import etcd_rpc_pb2 as rpc
from pinnace_wire.raft_peers_pb2 import Frame
from pinnace_wire.raft_peers_pb2_grpc import PeersStub
from raftstore.core import (
    AppendEntries,
    Config,
    Entry,
    HardState,
    Heartbeat,
    InstallSnapshot,
    Membership,
    MembershipChange,
    Raft,
    ReadIndexResponse,
    Ready,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
    Stored,
)
from raftstore.disk import CorruptRecord, Founding, Identity, Storage, SystemFiles
from raftstore.errors import LeaderChanged, NodeError, UnhealthyCluster
from raftstore.mvcc import (
    Compact,
    DeleteRange,
    Event,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Result,
    StateMachine,
    Txn,
    WatchHub,
)
from raftstore.mvcc.hashing import HashResult
from raftstore.mvcc.snapshot import Loader
from raftstore.node.consistency import differing
from raftstore.node.transfers import HeldSlices, present_snapshot
from raftstore.peers import wire
from raftstore.peers.grpc_server import serve_peers
from raftstore.peers.messages import AddMember, Forward, LeaseRenew, PeerMessage, RemoveMember
from raftstore.server import watchstream
from raftstore.server.kv import KvService
from raftstore.server.wire import Headers

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
    raft.compact_log(3)
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


async def test_an_entry_is_confirmed_after_the_sync() -> None:
    """One follower is cut off, the disk of the other one fails in the sync of the entry: nobody
    may be told that a majority has it."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await put(leader, b"k")
        away, failing = cluster.followers()
        cluster.network.cut(away.member_id, leader.member_id, failing.member_id)

        def before(what: str, path: Path) -> None:
            if what == "sync":
                raise OSError(errno.EIO, "Input/output error")

        cluster.disks[failing.member_id].before = before
        with pytest.raises(NodeError):
            await put(leader, b"k")
        assert failing.failure is not None
        assert leader.state.keyspace.revision == 2


async def test_writes_that_come_twice_are_made_once() -> None:
    """The network repeats what a follower hands over to its leader."""
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        follower = cluster.followers()[0]
        send = follower._transport.send

        def send_twice(peer: int, messages: Sequence[PeerMessage]) -> None:
            send(peer, messages)
            send(peer, messages)

        follower._transport.send = send_twice  # type: ignore[method-assign]
        for number in range(1, 6):
            assert await put(follower, b"k") == number + 1
        await cluster.applied_everywhere()
        assert follower.state.keyspace.live[b"k"].version == 5


async def test_a_deposed_leader_ends_no_lease() -> None:
    """It counts on while it is cut off; when it is back, others have renewed the lease."""
    async with MemoryCluster(3) as cluster:
        old = await cluster.leader()
        await old.propose(LeaseGrant(7, 4))
        cluster.network.cut(old.member_id, *(set(cluster.nodes) - {old.member_id}))
        new = await cluster.leader(other_than=old.member_id)
        await asyncio.sleep(2)
        assert await new.renew_lease(7) == 4
        await asyncio.sleep(1.5)
        cluster.network.heal()
        await cluster.until(lambda: old.leader == new.member_id)
        await asyncio.sleep(1.5)
        assert await new.renew_lease(7) == 4
        await asyncio.sleep(3)
        assert all(7 in node.state.leases for node in cluster.nodes.values())


async def test_writes_that_wait_for_a_leader_are_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They go to the new leader before anything of its term is applied here; a message takes
    longer than a tick."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await cluster.applied_everywhere()
        await cluster.crash(leader.member_id)
        monkeypatch.setattr(memory_network, "DELAY_S", 0.12)
        await cluster.until(lambda: not any(node.leader for node in cluster.nodes.values()))
        writers = [node for node in cluster.nodes.values() for _ in range(5)]
        revisions = await asyncio.gather(*(put(node, b"k") for node in writers))
        # What was handed over once too often comes later.
        await asyncio.sleep(1)
        assert sorted(revisions) == list(range(2, 12))
        for node in cluster.nodes.values():
            assert node.state.keyspace.live[b"k"].version == 10


def without_entries(
    monkeypatch: pytest.MonkeyPatch, loses: Callable[[MemoryTransport, int], bool]
) -> None:
    """No entries arrive on the ways that `loses` says; all else does."""
    send = MemoryTransport.send

    def lossy(transport: MemoryTransport, peer: int, messages: Sequence[PeerMessage]) -> None:
        if loses(transport, peer):
            messages = [m for m in messages if not isinstance(m, AppendEntries)]
        send(transport, peer, messages)

    monkeypatch.setattr(MemoryTransport, "send", lossy)


async def test_a_read_waits_until_what_was_acknowledged_is_applied_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leader and another member have the write, and confirm the read of a third that has
    not."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        await put(leader, b"k", b"old")
        await cluster.applied_everywhere()
        with monkeypatch.context() as patched:
            without_entries(patched, lambda transport, peer: peer == late.member_id)
            await put(leader, b"k", b"new")
            reading = asyncio.ensure_future(late.read_barrier())
            await asyncio.sleep(0.5)
            assert not reading.done()
            assert keys(late)[b"k"] == b"old"
        await reading
        assert keys(late)[b"k"] == b"new"


async def test_a_leader_leads_when_it_has_applied_what_was_acknowledged_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is elected, but the first entry of its term does not reach the others: what it has
    applied may be older than what its predecessor has answered."""
    async with MemoryCluster(3) as cluster:
        old = await cluster.leader()
        cluster.network.cut(old.member_id, *(set(cluster.nodes) - {old.member_id}))
        others = [node for node in cluster.nodes.values() if node is not old]
        with monkeypatch.context() as patched:
            without_entries(patched, lambda transport, peer: True)
            new = await cluster.until(
                lambda: next((n for n in others if n.leader == n.member_id), None)
            )
            for _ in range(5):
                await asyncio.sleep(0.1)
                assert new.leader == new.member_id
                assert new.leader_term == 0
        await cluster.until(lambda: new.leader_term)


async def test_a_snapshot_says_the_membership_as_of_the_state_in_it() -> None:
    """A change holds as soon as it is in the log; a snapshot of what is applied before it must
    not bring it along, for it may be dropped."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await cluster.applied_everywhere()
        cluster.network.cut(leader.member_id, *(set(cluster.nodes) - {leader.member_id}))
        left = Membership(tuple(m for m in (1, 2, 3) if m != cluster.followers()[0].member_id))
        leader.member.raft.propose_membership(MembershipChange(left))
        assert leader.member.raft.membership == left
        assert present_snapshot(leader.member).membership == Membership((1, 2, 3))


def test_a_key_that_ended_leaves_its_lease() -> None:
    state = StateMachine()
    state.apply(LeaseGrant(7, 60))
    for end in (DeleteRange(b"k"), Txn([], [DeleteRange(b"a", b"z")])):
        state.apply(Put(b"k", lease=7))
        state.apply(end)
        assert state.leases.keys(7) == []
    state.apply(Put(b"k", b"of its own"))
    state.apply(LeaseRevoke(7))
    assert state.keyspace.live[b"k"].value == b"of its own"


def test_a_segment_of_another_member_is_refused() -> None:
    """Its records are whole, and its name and number fit."""
    logs = []
    for member in (1, 2):
        files = FakeFiles()
        founding = Founding(Identity(1, member), [], HardState())
        storage, _ = Storage.open(files, STORE, founding, 512)
        for index in range(1, 9):
            storage.wal.append(None, [Entry(index, 1, b"x" * 300)])
            storage.wal.sync()
        storage.close()
        logs.append(files)
    own, other = logs
    segments = [STORE / "wal" / name for name in own.names(STORE / "wal")]
    own.names_now[segments[1]] = other.names_now[segments[1]]
    with pytest.raises(CorruptRecord, match="another member") as error:
        Storage.open(own, STORE, None)
    assert error.value.path == segments[1]


async def test_a_repeat_that_meets_the_old_leader_after_its_restart_is_not_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was appended in an earlier life of that member: refused, it would be handed to the next
    leader and made twice."""
    async with MemoryCluster(3) as cluster:
        old = await cluster.leader()
        await put(old, b"k")
        await cluster.applied_everywhere()
        writer, third = cluster.followers()
        forwards: list[Forward] = []
        send = writer._transport.send

        def noted(peer: int, messages: Sequence[PeerMessage]) -> None:
            forwards.extend(m for m in messages if isinstance(m, Forward))
            send(peer, messages)

        writer._transport.send = noted  # type: ignore[method-assign]
        # It is committed, and the writer hears nothing of that.
        cluster.network.cuts.add((old.member_id, writer.member_id))
        writing = writer.propose(Put(b"k"))
        await cluster.until(lambda: third.state.keyspace.revision == 3)
        cluster.network.cut(writer.member_id, old.member_id, third.member_id)
        await cluster.crash(old.member_id)
        back = await cluster.start(old.member_id)
        new = await cluster.leader()
        with monkeypatch.context() as patched:
            without_entries(patched, lambda transport, peer: peer == writer.member_id)
            cluster.network.heal()
            await cluster.until(lambda: writer.leader == new.member_id)
            send(back.member_id, forwards)
            await asyncio.sleep(0.5)
        await writing
        await asyncio.sleep(0.5)
        assert new.state.keyspace.live[b"k"].version == 2


async def test_a_write_that_a_snapshot_has_passed_over_is_not_handed_over_again() -> None:
    """Its entry is in the state that its member installs, and never seen there: nobody knows its
    answer, and a leader of a later term must not get it once more."""
    async with MemoryCluster(3, replace(SMALL, log_keep_bytes=2000)) as cluster:
        old = await cluster.leader()
        await put(old, b"k")
        await cluster.applied_everywhere()
        writer, third = cluster.followers()
        cluster.network.cuts.add((old.member_id, writer.member_id))
        writing = writer.propose(Put(b"k"))
        await cluster.until(lambda: third.state.keyspace.revision == 3)
        cluster.network.cut(writer.member_id, old.member_id, third.member_id)
        for _ in range(200):
            await put(third, b"other", b"x" * 100)
        cluster.network.heal()
        await cluster.until(lambda: writer.state.keyspace.revision == 203)
        assert cluster.network.sent_snapshots == 1
        await old.transfer_leadership(third.member_id)
        await cluster.until(lambda: third.leader_term)
        with pytest.raises(LeaderChanged):
            await writing
        await put(third, b"other")
        await asyncio.sleep(1)
        assert writer.state.keyspace.live[b"k"].version == 2


async def test_a_read_does_not_join_a_question_that_is_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer to it may be from before a write that was acknowledged meanwhile."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        await put(leader, b"k", b"old")
        await cluster.applied_everywhere()
        with monkeypatch.context() as patched:
            without_entries(patched, lambda transport, peer: peer == late.member_id)
            held: list[PeerMessage] = []
            send = leader._transport.send

            def held_back(peer: int, messages: Sequence[PeerMessage]) -> None:
                held.extend(m for m in messages if isinstance(m, ReadIndexResponse))
                send(peer, [m for m in messages if not isinstance(m, ReadIndexResponse)])

            patched.setattr(leader._transport, "send", held_back)
            first = asyncio.ensure_future(late.read_barrier())
            await cluster.until(lambda: held)
            await put(leader, b"k", b"new")
            second = asyncio.ensure_future(late.read_barrier())
            await asyncio.sleep(0)
            send(late.member_id, held)
            await first
            await asyncio.sleep(0.5)
            assert not second.done()
        await second
        assert keys(late)[b"k"] == b"new"


async def test_history_stays_while_a_state_is_on_its_way() -> None:
    """Compaction frees nothing that the rest of a stream has still to tell."""
    async with MemoryCluster(1) as cluster:
        node = await cluster.leader()
        for number in range(100):
            await put(node, b"k%d" % (number % 9), b"%d" % number)
        expected = keys(node)
        slices = HeldSlices(node.member)
        told = [next(slices)]
        await node.propose(Compact(95))
        await asyncio.sleep(1)
        assert node.state.keyspace.unpruned > 0
        loader = Loader()
        for data in [*told, *slices]:
            loader.feed(data)
        slices.close()
        loaded = loader.finish().keyspace
        assert (loaded.revision, loaded.compact_revision) == (101, 0)
        assert {key: kv.value for key, kv in loaded.live.items()} == expected
        await asyncio.sleep(1)
        assert node.state.keyspace.unpruned == 0


async def test_a_transaction_that_only_reads_waits_as_a_read_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a member that lacks what was acknowledged; content with what is there, it does not."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        service = KvService(late, Headers(late))
        await put(leader, b"k", b"old")
        await cluster.applied_everywhere()

        async def read(*, serializable: bool) -> bytes:
            wanted = rpc.RangeRequest(key=b"k", serializable=serializable)
            request = rpc.TxnRequest(success=[rpc.RequestOp(request_range=wanted)])
            answer = rpc.TxnResponse.FromString(await service.txn(request.SerializeToString()))
            found: bytes = answer.responses[0].response_range.kvs[0].value
            return found

        with monkeypatch.context() as patched:
            without_entries(patched, lambda transport, peer: peer == late.member_id)
            await put(leader, b"k", b"new")
            assert await read(serializable=True) == b"old"
            reading = asyncio.ensure_future(read(serializable=False))
            await asyncio.sleep(0.5)
            assert not reading.done()
        assert await reading == b"new"


async def test_a_member_is_not_removed_where_too_few_would_be_left_alive() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        alive, gone = cluster.followers()
        await cluster.crash(gone.member_id)
        await asyncio.sleep(3)
        with pytest.raises(UnhealthyCluster):
            await leader.change_membership(RemoveMember(alive.member_id))
        members = await leader.change_membership(RemoveMember(gone.member_id))
        assert len(members) == 2


async def test_a_watch_that_a_snapshot_leaves_behind_ends_after_what_it_has_heard() -> None:
    """Nobody reads its stream; what waits there is told first, then that the rest is gone."""
    async with MemoryCluster(3, replace(SMALL, log_keep_bytes=2000)) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        stream = watchstream.Stream(late, Headers(late), watchstream.EncodedEvents(), 600)
        create = rpc.WatchCreateRequest(key=b"k", range_end=b"l")
        stream.ask(rpc.WatchRequest(create_request=create))
        for _ in range(3):
            await put(leader, b"k")
        await cluster.applied_everywhere()
        cluster.network.cut(late.member_id, *(set(cluster.nodes) - {late.member_id}))
        leader = await cluster.leader(other_than=late.member_id)
        for _ in range(200):
            await put(leader, b"k", b"x" * 100)
        await leader.propose(Compact(150))
        cluster.network.heal()
        await cluster.until(lambda: late.state.keyspace.revision == 204)
        told = []
        while (message := stream.next_message()) is not None:
            told.append(rpc.WatchResponse.FromString(message))
        stream.close()
        created, *events, canceled = told
        assert created.created
        assert [e.kv.mod_revision for answer in events for e in answer.events] == [2, 3, 4]
        assert (canceled.canceled, canceled.compact_revision) == (True, 150)


def test_hashes_of_different_compactions_say_nothing_of_each_other() -> None:
    """What is compacted is no part of the hash: members compact at the same place in the log, not
    at the same moment."""
    same = HashResult(11, 5, 9)
    assert differing({1: same, 2: same, 3: HashResult(12, 7, 9)}, 1) == []
    assert differing({1: same, 2: same, 3: HashResult(12, 5, 9)}, 1) == [3]


class Listener:
    """Hears what it is told; member 9 was removed."""

    def __init__(self) -> None:
        self.heard: list[PeerMessage] = []

    def receive(self, messages: Sequence[PeerMessage]) -> None:
        self.heard += messages

    async def answer(self, question: Any) -> int:
        return 60

    def knows_member(self, member_id: int) -> bool | None:
        return member_id != 9


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"cluster-id": "8"}, "cluster-id is 7, not 8"),
        ({"to": "3"}, "to is 2, not 3"),
        ({"member-id": "9"}, "removed"),
    ],
    ids=["a member", "another cluster", "for another member", "removed"],
)
async def test_only_members_are_listened_to(changed: dict[str, str], said: str) -> None:
    listener = Listener()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = await serve_peers(listener, 7, 2, [(address, None)])  # type: ignore[arg-type]
    who = {"cluster-id": "7", "to": "2", "member-id": "1"} | changed
    metadata = list(who.items())
    said_of_it = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = PeersStub(channel)
        heartbeat = Frame(data=wire.encode_messages([Heartbeat(1, 2, 3, 0, 0)]))
        question = Frame(data=wire.encode_question(LeaseRenew(7)))
        for call in (
            stub.Messages(iter([heartbeat]), metadata=metadata),
            stub.Ask(question, metadata=metadata),
        ):
            try:
                await call
            except grpc.aio.AioRpcError as error:
                said_of_it.append((error.code().name, error.details() or ""))
    await server.stop(0)
    assert [code for code, _ in said_of_it] == (["FAILED_PRECONDITION"] * 2 if said else [])
    assert all(said in details for _, details in said_of_it)
    assert len(listener.heard) == (0 if said else 1)
