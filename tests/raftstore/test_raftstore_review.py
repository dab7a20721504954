"""What a hostile reading of the driver found: each was a way to lose, repeat, hang or stop."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_files import FakeFiles
from memory_network import SMALL, STORE, MemoryCluster, MemoryTransport, keys, put

from base.clock import SystemClock
from raftstore.core import (
    Config,
    Entry,
    HardState,
    InstallSnapshot,
    Membership,
    Raft,
    Ready,
    SnapshotMeta,
    Stored,
)
from raftstore.disk import Founding, Identity, Storage
from raftstore.disk.names import UNFINISHED
from raftstore.disk.snapshots import read_snapshot, snapshot_name
from raftstore.errors import NodeError, NotTheLeader, RequestTimedOut
from raftstore.mvcc import AlarmKind, LeaseGrant, MemberRecord, Put
from raftstore.node import Node
from raftstore.node.proposals import Proposals
from raftstore.peers.messages import AddMember, Forward, LeaseRenew, PeerMessage, RemoveMember

FAR_BEHIND = replace(SMALL, log_keep_bytes=2000)


async def left_behind(cluster: MemoryCluster) -> tuple[Node, Node]:
    """(the leader, a follower that needs the whole state, once the network is whole again)"""
    leader = await cluster.leader()
    late = cluster.followers()[0]
    await put(leader, b"k")
    await cluster.applied_everywhere()
    cluster.network.cut(late.member_id, *(set(cluster.nodes) - {late.member_id}))
    leader = await cluster.leader(other_than=late.member_id)
    for number in range(200):
        await put(leader, b"k%d" % number, b"x" * 100)
    return leader, late


class NoClock:
    def monotonic_s(self) -> float:
        return 0.0


# -- a snapshot being installed


def as_with_a_thread(node: Node) -> None:
    """The disk takes 20 ms, and the loop goes on meanwhile."""

    async def run(call: Callable[..., object], *arguments: object) -> object:
        await asyncio.sleep(0.02)
        result = call(*arguments)
        await asyncio.sleep(0.02)
        return result

    node._off_loop.run = run  # type: ignore[method-assign]


async def test_no_snapshot_is_taken_of_a_state_that_is_being_replaced() -> None:
    async with MemoryCluster(3, FAR_BEHIND) as cluster:
        leader, late = await left_behind(cluster)
        as_with_a_thread(late)
        cluster.network.heal()
        asked: list[asyncio.Future[None]] = []
        while not keys(late).get(b"k199"):
            if late._installing is not None and not asked:
                asked.append(asyncio.ensure_future(late.defragment()))
            await asyncio.sleep(0.001)
        assert asked
        await asyncio.gather(*asked)
        await cluster.applied_everywhere()
        expected = keys(leader)
        await cluster.stop(late.member_id)
        back = await cluster.start(late.member_id)
        await cluster.until(lambda: keys(back) == expected, 5)


async def test_a_backup_is_not_taken_under_the_name_of_a_state_to_come() -> None:
    async with MemoryCluster(3, FAR_BEHIND) as cluster:
        _, late = await left_behind(cluster)
        as_with_a_thread(late)
        cluster.network.heal()
        await cluster.until(lambda: late._installing)
        revision = late.state.keyspace.revision
        backup = late.snapshot_slices()
        await anext(backup)
        assert late.state.keyspace.revision > revision
        await backup.aclose()  # type: ignore[attr-defined]


async def test_a_crash_while_a_snapshot_with_entries_behind_it_is_installed() -> None:
    """What came with the snapshot is committed too, and not on the disk yet when the log is begun
    anew."""
    async with MemoryCluster(3, FAR_BEHIND) as cluster:
        leader, late = await left_behind(cluster)
        received = late._receiving
        await received.take(*whole_state(leader))
        state = received.received
        assert state is not None
        index, term = state.snapshot.index, leader.term
        ready = Ready(
            hard_state=HardState(term, 0, index + 1),
            snapshot=state.snapshot,
            entries=[Entry(index + 1, term, b"")],
            must_sync=True,
        )
        files = cluster.disks[late.member_id]
        storage = late.member.storage
        storage_wal = storage.wal

        class PowerLost(Exception):
            pass

        def no_more(*_: object) -> None:
            raise PowerLost

        storage_wal.append = no_more  # type: ignore[method-assign,assignment]
        with pytest.raises(PowerLost):
            late._install_on_disk(ready, state)
        del storage_wal.append
        copy = files_of(files)
        _, opened = Storage.open(copy, STORE, None, SMALL.segment_size_bytes)
        assert opened.snapshot.index == index
        assert opened.hard_state.term == term


def files_of(files: FakeFiles) -> FakeFiles:
    copy = FakeFiles()
    copy.names_now = dict(files.names_now)
    copy.names_durable = dict(files.names_durable)
    return copy


def whole_state(leader: Node) -> tuple[InstallSnapshot, AsyncIterator[bytes]]:
    from raftstore.mvcc.snapshot import stream
    from raftstore.node.transfers import present_snapshot

    async def slices() -> AsyncIterator[bytes]:
        for data in stream(leader.state):
            yield data

    message = InstallSnapshot(leader.member_id, 0, leader.term, present_snapshot(leader.member))
    return message, slices()


# -- a snapshot being received


async def test_a_sender_that_falls_silent_does_not_keep_others_from_sending() -> None:
    async with MemoryCluster(3, FAR_BEHIND) as cluster:
        leader, late = await left_behind(cluster)
        message, _ = whole_state(leader)
        silent = asyncio.ensure_future(late.receive_snapshot(message, for_ever()))
        await asyncio.sleep(1)
        cluster.network.heal()
        await cluster.until(lambda: keys(late) == keys(leader), 60)
        with pytest.raises(NodeError):
            await silent


async def for_ever() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


async def test_a_received_state_is_not_forgotten_behind_a_full_inbox() -> None:
    async with MemoryCluster(3, FAR_BEHIND) as cluster:
        leader, late = await left_behind(cluster)
        from raftstore.node import node as driver

        message, slices = whole_state(leader)
        full = driver._INBOX_MAX
        driver._INBOX_MAX = 0
        try:
            await late.receive_snapshot(message, slices)
        finally:
            driver._INBOX_MAX = full
        await asyncio.sleep(0.1)
        assert late._receiving.received is None
        cluster.network.heal()
        await cluster.until(lambda: keys(late) == keys(leader))


# -- membership


async def test_the_last_member_leads_though_the_one_that_left_says_no_word_more() -> None:
    async with MemoryCluster(2) as cluster:
        leader = await cluster.leader()
        other = cluster.followers()[0]
        await put(leader, b"k")
        change = asyncio.ensure_future(leader.change_membership(RemoveMember(leader.member_id)))
        while other.member.raft.membership.voters != (other.member_id,):  # noqa: ASYNC110
            await asyncio.sleep(0.0001)
        await cluster.crash(leader.member_id)
        change.cancel()
        assert await cluster.leader() is other
        await put(other, b"k2")


async def test_a_member_that_replays_how_another_one_left_does_not_leave() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        gone = cluster.followers()[0]
        await leader.change_membership(RemoveMember(gone.member_id))
        await asyncio.sleep(3)
        for number in range(30):
            await put(leader, b"k%d" % number, b"x" * 100_000)
        urls = ("http://127.0.0.1:1009",)
        await leader.change_membership(AddMember(9, urls, is_learner=True))
        slow_down(cluster, 9)
        learner = await cluster.join(9)
        await cluster.until(lambda: learner.failure or len(keys(learner)) == 30, 120)
        assert learner.failure is None


def slow_down(cluster: MemoryCluster, member: int) -> None:
    """What is sent to `member` takes two seconds."""
    loop = asyncio.get_running_loop()
    for node in cluster.nodes.values():
        transport = node._transport
        send = transport.send

        def late(peer: int, messages: object, send: object = send) -> None:
            if peer == member:
                loop.call_later(2, send, peer, messages)  # type: ignore[arg-type]
            else:
                send(peer, messages)  # type: ignore[operator]

        transport.send = late  # type: ignore[method-assign]


async def test_a_member_joins_though_all_founders_are_gone() -> None:
    async with MemoryCluster(1) as cluster:
        leader = await cluster.leader()
        for number in range(40):
            await put(leader, b"k%d" % number, b"x" * 100_000)
        await leader.change_membership(AddMember(5, ("http://127.0.0.1:1005",), is_learner=False))
        cluster.records.append(MemberRecord(5, "m5", ("memory://5",), (), False))
        second = await cluster.join(5)
        await cluster.until(lambda: len(keys(second)) == 40)


async def test_two_members_are_added_at_once() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        outcomes = await asyncio.gather(
            leader.change_membership(AddMember(8, ("http://127.0.0.1:1008",))),
            leader.change_membership(AddMember(9, ("http://127.0.0.1:1009",))),
            return_exceptions=True,
        )
        for outcome in outcomes:
            assert isinstance(outcome, list) or hasattr(outcome, "code"), outcome


# -- leases


async def test_a_lease_that_could_not_end_under_an_alarm_ends_after_it() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.propose(LeaseGrant(7, 5))
        await leader.propose(Put(b"k", b"", 7))
        await leader.set_alarm(leader.member_id, AlarmKind.CORRUPT, active=True)
        await asyncio.sleep(10)
        assert b"k" in keys(leader)
        await leader.set_alarm(leader.member_id, AlarmKind.CORRUPT, active=False)
        await cluster.until(lambda: not keys(leader))


# -- writes


def test_a_forward_that_comes_again_after_its_term_is_not_refused() -> None:
    """It was appended: whoever hands it to the next leader makes the write twice."""
    raft = Raft(
        Config(1),
        Stored(HardState(1, 0, 0), SnapshotMeta(0, 0, Membership((1,))), []),
        random.Random(1),
    )
    while raft.has_ready():
        raft.ready()
        raft.advance()
    proposals = Proposals(raft, random.Random(1), NoClock(), 7.0, lambda *_: None)  # type: ignore[arg-type]
    message = Forward(2, 1, raft.term, 77, 1, [(5, b"data")])
    assert proposals.take_forward(message) is None
    raft._become_follower(raft.term + 1, 0)
    assert proposals.take_forward(message) is None
    assert proposals.take_forward(replace_number(message, 2)) is not None


def replace_number(message: Forward, number: int) -> Forward:
    return Forward(
        message.sender, message.to, message.term, message.life, number, message.proposals
    )


@pytest.mark.realtime
async def test_requests_time_out_for_as_long_as_the_disk_hangs(tmp_path: Path) -> None:
    import threading

    from raftstore.disk import SystemFiles

    hangs, go_on = threading.Event(), threading.Event()

    class Hanging(SystemFiles):
        def create(self, path: Path, reserve_bytes: int) -> object:  # type: ignore[override]
            return Wrapped(super().create(path, reserve_bytes))

    class Wrapped:
        def __init__(self, file: object) -> None:
            self._file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def sync(self) -> None:
            if hangs.is_set() and threading.current_thread() is not threading.main_thread():
                go_on.wait(20)
            self._file.sync()  # type: ignore[attr-defined]

    options = replace(SMALL, use_threads=True, request_timeout_s=0.3, segment_size_bytes=1 << 20)
    node = await Node.open(
        tmp_path / "s",
        SystemClock(),
        random.Random(1),
        options,
        Hanging(),  # type: ignore[arg-type]
    )
    try:
        await put(node, b"a")
        hangs.set()
        # Two at once are for the thread.
        first = [asyncio.ensure_future(put(node, b"k%d" % n)) for n in range(2)]
        for outcome in await asyncio.wait_for(asyncio.gather(*first, return_exceptions=True), 5):
            assert isinstance(outcome, RequestTimedOut)
        with pytest.raises(RequestTimedOut):
            await asyncio.wait_for(put(node, b"later"), 5)
    finally:
        go_on.set()
        await node.close()


# -- two threads on one disk


def test_a_log_is_not_removed_before_the_next_segment_is_there() -> None:
    """The writer's thread begins a segment while the loop finishes a snapshot of all before it."""
    files = FakeFiles()
    start = Founding(Identity(1, 1), (), HardState(1, 0, 0))
    storage, _ = Storage.open(files, STORE, start, 1024)
    storage.begin_writing()
    storage.wal.append(HardState(1, 0, 1), [Entry(1, 1, b"x" * 2000)])
    storage.wal.sync()
    forgotten: list[Path] = []

    def snapshot_ends(what: str, path: Path) -> None:
        if what == "sync" and path.name.endswith(UNFINISHED):
            forgotten.extend(storage.wal.forget_before(2))

    files.before = snapshot_ends
    storage.wal.append(None, [Entry(2, 1, b"y")])
    assert forgotten == []
    assert storage.wal.forget_before(2) != []


def test_an_own_snapshot_of_the_same_entry_is_another_file() -> None:
    files = FakeFiles()
    start = Founding(Identity(1, 1), (), HardState(1, 0, 0))
    storage, _ = Storage.open(files, STORE, start, 1024)
    storage.begin_writing()
    snapshot = SnapshotMeta(5, 1, Membership((1,)))
    received = storage.begin_snapshot(snapshot, received=True)
    own = storage.begin_snapshot(snapshot)
    received.write([b"one"])
    own.write([b"another"])
    own.finish()
    received.finish()
    path = STORE / "snap" / snapshot_name(snapshot)
    assert list(read_snapshot(files, path, snapshot)) == [b"one"]


async def test_a_member_started_again_while_it_joins_is_told_where_the_leader_is() -> None:
    """Its log has the beginning only, which names members that have left."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        for number in range(30):
            await put(leader, b"k%d" % number, b"x" * 100_000)
        await leader.change_membership(AddMember(9, ("http://127.0.0.1:1009",), is_learner=True))
        learner = await cluster.join(9)
        cluster.network.cut(9, 1, 2, 3)
        log = learner.member.raft.log
        founders = {m: r.peer_urls for m, r in leader.state.members.items() if m != 9}
        assert 9 not in learner.members_of_log()
        assert log.last_index == 0
        learner.meet({})
        assert addresses(learner) == set()
        learner.meet(founders)
        cluster.network.heal()
        await cluster.until(lambda: len(keys(learner)) == 30)
        # From now on the log knows better.
        learner.meet({})
        assert addresses(learner) == {1, 2, 3}


def addresses(node: Node) -> set[int]:
    transport = node._transport
    assert isinstance(transport, MemoryTransport)
    return set(transport.addresses)


async def test_a_leader_that_was_stopped_renews_no_lease_with_an_old_confirmation() -> None:
    """Stopped between a majority's word and the renewal, it wakes up with a successor that has
    counted the lease from its own election on."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.propose(LeaseGrant(7, 20))
        successor, rest = cluster.followers()
        await cluster.applied_everywhere()
        receive = leader.receive
        stopped: list[PeerMessage] = []
        renewal = asyncio.ensure_future(leader._leading._renew(LeaseRenew(7)))

        def keep(messages: Sequence[PeerMessage]) -> None:
            stopped.extend(messages)

        leader.receive = keep  # type: ignore[method-assign,assignment]
        tick = leader._tick_timer
        assert tick is not None
        tick.cancel()
        await cluster.leader(other_than=leader.member_id)
        # What had arrived before it was stopped is read first.
        leader.receive = receive  # type: ignore[method-assign]
        leader.receive([m for m in stopped if m.term == leader.term])
        with pytest.raises(NotTheLeader):
            await renewal
        assert {successor.leader_term, rest.leader_term} != {0}
        leader._tick()


async def test_the_word_of_a_snapshot_without_its_state_is_nothing() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        follower = cluster.followers()[0]
        raft = follower.member.raft
        meta = SnapshotMeta(1000, leader.term, raft.membership)
        follower.receive([InstallSnapshot(leader.member_id, raft.id, leader.term, meta)])
        await put(follower, b"k")
        assert follower.failure is None
