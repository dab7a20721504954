"""Several members on one network: writes, reads, leases, watches and changes of the membership go
on whatever happens to one of them. Virtual time."""

import asyncio
from dataclasses import replace

import pytest
from memory_network import CLUSTER_ID, SMALL, MemoryCluster, keys, put

from raftstore.errors import (
    BadTransferee,
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    NodeError,
    NotTheLeader,
    PeerUrlExists,
    Removed,
    TooManyLearners,
    UnhealthyCluster,
)
from raftstore.mvcc import AlarmKind, Compact, DeleteRange, Event, LeaseGrant, MvccError, Put, Range
from raftstore.mvcc.errors import LeaseNotFound
from raftstore.node import Node
from raftstore.node.member import Options
from raftstore.peers.messages import AddMember, PromoteMember, RemoveMember


async def test_three_members_elect_one_leader_and_take_writes_on_any() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        assert sum(1 for node in cluster.nodes.values() if node.leader_term) == 1
        for member, node in cluster.nodes.items():
            await put(node, b"key%d" % member)
        await cluster.applied_everywhere()
        assert len({tuple(keys(node)) for node in cluster.nodes.values()}) == 1
        assert len(keys(leader)) == 3


async def test_a_read_on_any_member_sees_every_acknowledged_write() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        for number in range(20):
            await put(leader, b"n", b"%d" % number)
            for node in cluster.nodes.values():
                await node.read_barrier()
                assert keys(node)[b"n"] == b"%d" % number


async def test_writes_go_on_after_the_leader_is_lost() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await put(leader, b"before")
        await cluster.crash(leader.member_id)
        follower = next(iter(cluster.nodes.values()))
        await put(follower, b"after")
        assert set(keys(follower)) == {b"before", b"after"}
        back = await cluster.start(leader.member_id)
        await cluster.until(lambda: set(keys(back)) == {b"before", b"after"})


async def test_a_write_under_way_when_leaders_change_is_made_once() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        follower = cluster.followers()[0]
        await cluster.applied_everywhere()
        cluster.network.cut(leader.member_id, *(set(cluster.nodes) - {leader.member_id}))
        writes = [asyncio.ensure_future(put(node, b"k")) for node in (leader, follower)]
        other = await cluster.leader(other_than=leader.member_id)
        cluster.network.heal()
        revisions = [await write for write in writes]
        assert sorted(revisions) == [2, 3]
        assert other.state.keyspace.revision == 3


async def test_a_follower_that_was_started_again_writes_on() -> None:
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        follower = cluster.followers()[0]
        await put(follower, b"before")
        await cluster.crash(follower.member_id)
        await put(await cluster.start(follower.member_id), b"after")


async def test_a_followers_write_does_not_wait_for_a_tick() -> None:
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        await put(cluster.followers()[0], b"first")
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        await put(cluster.followers()[0], b"second")
        # There, to the other members and back, and the commit: four ways of a millisecond.
        assert loop.time() - start_s < 0.006


async def test_a_leader_without_a_quorum_answers_nothing() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        cluster.network.cut(leader.member_id, *(set(cluster.nodes) - {leader.member_id}))
        with pytest.raises(NodeError):
            await leader.read_barrier()
        assert leader.leader_term == 0
        with pytest.raises(NodeError):
            await put(leader, b"lost")
        assert b"lost" not in keys(leader)


async def test_a_member_far_behind_gets_a_snapshot_and_its_watchers_miss_nothing() -> None:
    options = replace_options(log_keep_bytes=2000)
    async with MemoryCluster(3, options) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        await put(leader, b"k0")
        await cluster.applied_everywhere()
        heard: list[int] = []

        def sink(events: list[Event], revision: int) -> None:
            heard.append(revision)

        late.watch(b"k", b"l", 0, sink)
        others = set(cluster.nodes) - {late.member_id}
        cluster.network.cut(late.member_id, *others)
        leader = await cluster.leader(other_than=late.member_id)
        for number in range(200):
            await put(leader, b"k%d" % number, b"x" * 100)
        cluster.network.heal()
        await cluster.until(lambda: keys(late) == keys(leader))
        assert cluster.network.sent_snapshots == 1
        await cluster.until(lambda: heard and heard[-1] == leader.state.keyspace.revision)
        assert heard == list(range(3, leader.state.keyspace.revision + 1))
        await put(late, b"k_after")
        assert heard[-1] == leader.state.keyspace.revision
        # What it has is on its disk too.
        expected = keys(leader)
        await cluster.crash(late.member_id)
        back = await cluster.start(late.member_id)
        await cluster.until(lambda: keys(back) == expected)


async def test_a_watcher_that_the_snapshot_leaves_behind_is_told() -> None:
    options = replace_options(log_keep_bytes=2000)
    async with MemoryCluster(3, options) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        compacted: list[int] = []
        late.watch(b"k", b"l", 0, lambda events, revision: None, compacted.append)
        cluster.network.cut(late.member_id, *(set(cluster.nodes) - {late.member_id}))
        leader = await cluster.leader(other_than=late.member_id)
        for number in range(200):
            await put(leader, b"k%d" % number, b"x" * 100)
        await leader.propose(Compact(150))
        cluster.network.heal()
        await cluster.until(lambda: compacted)
        assert compacted == [150]


async def test_leases_outlive_their_leader_and_end_on_the_next() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.propose(LeaseGrant(7, 5))
        await leader.propose(LeaseGrant(8, 5))
        await leader.propose(Put(b"on7", b"", 7))
        await leader.propose(Put(b"on8", b"", 8))
        follower = cluster.followers()[0]
        assert await follower.renew_lease(7) == 5
        assert 0 < await follower.lease_remaining_s(7) <= 5
        await cluster.crash(leader.member_id)
        leader = await cluster.leader()
        for _ in range(10):
            await asyncio.sleep(1)
            await cluster.followers()[0].renew_lease(7)
        assert set(keys(leader)) == {b"on7"}
        with pytest.raises(LeaseNotFound):
            await cluster.followers()[0].renew_lease(8)


async def test_a_deposed_leader_renews_no_lease() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.propose(LeaseGrant(7, 60))
        cluster.network.cut(leader.member_id, *(set(cluster.nodes) - {leader.member_id}))
        with pytest.raises(NodeError):
            await leader.renew_lease(7)


async def test_a_member_is_added_as_learner_and_promoted() -> None:
    async with MemoryCluster(3) as cluster:
        follower = cluster.followers()[0]
        await cluster.leader()
        await put(follower, b"k")
        urls = ("http://127.0.0.1:1004",)
        members = await follower.change_membership(AddMember(4, urls, is_learner=True))
        assert [m.member_id for m in members] == [1, 2, 3, 4]
        with pytest.raises(TooManyLearners):
            await follower.change_membership(AddMember(5, ("http://127.0.0.1:1005",), True))
        with pytest.raises(LearnerNotReady):
            await follower.change_membership(PromoteMember(4))
        learner = await cluster.join(4)
        await cluster.until(lambda: keys(learner) == {b"k": b"v"})
        assert learner.is_learner
        await follower.change_membership(PromoteMember(4))
        await cluster.applied_everywhere()
        assert not learner.is_learner
        assert learner.member.raft.membership.voters == (1, 2, 3, 4)
        await put(learner, b"from4")
        with pytest.raises(MemberNotLearner):
            await follower.change_membership(PromoteMember(4))
        with pytest.raises(MemberExists):
            await follower.change_membership(AddMember(4, ("http://127.0.0.1:9",)))
        with pytest.raises(PeerUrlExists):
            await follower.change_membership(AddMember(9, urls))


async def test_a_member_is_removed_and_stops() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        gone = cluster.followers()[0]
        await leader.change_membership(RemoveMember(gone.member_id))
        await cluster.until(lambda: isinstance(gone.failure, Removed))
        await put(leader, b"k")
        with pytest.raises(MemberNotFound):
            await leader.change_membership(RemoveMember(gone.member_id))


async def test_the_leader_removes_itself_and_another_leads() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.change_membership(RemoveMember(leader.member_id))
        other = await cluster.leader(other_than=leader.member_id)
        await put(other, b"k")
        await cluster.until(lambda: isinstance(leader.failure, Removed))


async def test_a_voter_is_not_added_while_one_is_away() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await cluster.crash(cluster.followers()[0].member_id)
        await asyncio.sleep(3)
        with pytest.raises(UnhealthyCluster):
            await leader.change_membership(AddMember(4, ("http://127.0.0.1:1004",)))


async def test_leadership_is_handed_over() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        follower = cluster.followers()[0]
        with pytest.raises(NotTheLeader):
            await follower.transfer_leadership(follower.member_id)
        with pytest.raises(BadTransferee):
            await leader.transfer_leadership(17)
        writes = [asyncio.ensure_future(put(leader, b"k%d" % n)) for n in range(10)]
        await leader.transfer_leadership(follower.member_id)
        await cluster.until(lambda: follower.leader_term)
        await asyncio.gather(*writes)
        assert len(keys(follower)) == 10


async def test_an_alarm_is_everywhere_and_ends_with_room_again() -> None:
    async with MemoryCluster(3, replace_options(quota_bytes=5000)) as cluster:
        follower = cluster.followers()[0]
        with pytest.raises(MvccError, match="database space exceeded"):
            await fill(follower)
        await cluster.until(lambda: all(node.state.alarms for node in cluster.nodes.values()))
        for node in cluster.nodes.values():
            with pytest.raises(MvccError, match="database space exceeded"):
                await put(node, b"small")
        assert {kind for _, kind in follower.state.alarms} == {AlarmKind.NOSPACE}
        result = await follower.propose(DeleteRange(b"k", b"l"))
        await follower.propose(Compact(result.revision))
        await cluster.until(lambda: not any(n.state.alarms for n in cluster.nodes.values()))
        await put(follower, b"fits")


async def test_members_with_one_log_have_one_hash_and_another_is_found() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        for number in range(50):
            await put(leader, b"k%d" % number)
        await cluster.applied_everywhere()
        assert len({(await n.hash_kv(30)).hash for n in cluster.nodes.values()}) == 1
        assert await leader.check_consistency() == []
        bad = cluster.followers()[0]
        # As if a bit had fallen over while it was applied.
        bad.state.apply(Put(b"k", b"wrong"))
        await put(leader, b"k", b"right")
        found = await leader.check_consistency()
        assert found == [bad.member_id]
        with pytest.raises(MvccError, match="corrupt cluster"):
            await put(leader, b"k")


async def test_a_stopped_cluster_comes_back_with_all_it_had() -> None:
    async with MemoryCluster(3, replace_options(snapshot_entries=20)) as cluster:
        leader = await cluster.leader()
        for number in range(100):
            await put(leader, b"k%d" % number)
        expected = keys(leader)
        members = list(cluster.nodes)
        for member in members:
            await cluster.stop(member)
        for member in members:
            await cluster.start(member)
        leader = await cluster.leader()
        assert keys(leader) == expected
        assert leader.cluster_id == CLUSTER_ID
        assert leader.state.keyspace.revision == 101
        assert leader.range(Range(b"k5")).kvs[0].version == 1


async def fill(node: Node) -> None:
    for number in range(100):
        await put(node, b"k%d" % number, b"x" * 100)


def replace_options(**changes: int) -> Options:
    return replace(SMALL, **changes)
