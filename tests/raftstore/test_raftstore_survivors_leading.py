"""What only a leader may say or do: asked when it is not one, when nobody answers, twice."""

import asyncio
from typing import Any

import pytest
from memory_network import MemoryCluster, keys, put

from raftstore.errors import (
    BadMemberUrls,
    MemberNotFound,
    NodeError,
    NotTheLeader,
    PeerUrlExists,
    RequestTimedOut,
    Unreachable,
)
from raftstore.mvcc import LeaseGrant
from raftstore.node import Node
from raftstore.peers.messages import AddMember, LeaseRemaining, LeaseRenew, Question, RemoveMember

URL = ("http://127.0.0.1:1009",)


async def test_who_does_not_lead_answers_for_nobody() -> None:
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        follower = cluster.followers()[0]
        questions: list[Question] = [
            LeaseRenew(1),
            LeaseRemaining(1),
            AddMember(9, URL),
            RemoveMember(2),
        ]
        for question in questions:
            with pytest.raises(NotTheLeader):
                await follower.answer(question)
        with pytest.raises(NotTheLeader):
            await follower.check_consistency()


def losing_answers(node: Node, lost: int, asked: list[Question]) -> None:
    """The first `lost` questions of this member are answered, and the answers lost."""
    transport: Any = node._transport
    ask = transport.ask

    async def ask_and_lose(peer: int, question: Question) -> Any:
        asked.append(question)
        answer = await ask(peer, question)
        if len(asked) <= lost:
            raise Unreachable(peer, "cut")
        return answer

    transport.ask = ask_and_lose


async def test_a_renewal_is_asked_for_again_when_its_answer_is_lost() -> None:
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        follower = cluster.followers()[0]
        await follower.propose(LeaseGrant(7, 60))
        asked: list[Question] = []
        losing_answers(follower, 2, asked)
        assert await follower.renew_lease(7) == 60
        assert asked == [LeaseRenew(7)] * 3


async def test_a_change_of_the_membership_is_asked_for_once_whether_or_not_it_was_answered() -> (
    None
):
    """Made again, it would be told that the member exists: the first may have been made."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        follower = cluster.followers()[0]
        asked: list[Question] = []
        losing_answers(follower, 9, asked)
        with pytest.raises(RequestTimedOut):
            await follower.change_membership(AddMember(9, URL, is_learner=True))
        assert len(asked) == 1
        assert leader.member.raft.membership.learners == (9,)


async def test_what_no_leader_answers_ends_in_time() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        await leader.propose(LeaseGrant(7, 60))
        for other in cluster.followers():
            await cluster.crash(other.member_id)
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        for ask in (
            lambda: leader.renew_lease(7),
            lambda: leader.change_membership(RemoveMember(leader.member_id)),
        ):
            with pytest.raises(NodeError):
                await ask()
        limit_s = 2 * 2 * leader.member.options.request_timeout_s
        assert loop.time() - start_s <= limit_s + 1
        assert len(leader.member.raft.membership.voters) == 3


async def test_a_member_moves_to_addresses_that_nobody_has() -> None:
    async with MemoryCluster(3) as cluster:
        await cluster.leader()
        node = cluster.followers()[0]
        one, two = ("http://127.0.0.1:1001",), ("http://127.0.0.1:1002",)
        await node.update_member(1, one)
        await node.update_member(2, two)
        with pytest.raises(BadMemberUrls):
            await node.update_member(2, ())
        with pytest.raises(BadMemberUrls):
            await node.update_member(2, ("nowhere",))
        with pytest.raises(MemberNotFound):
            await node.update_member(9, URL)
        with pytest.raises(PeerUrlExists):
            await node.update_member(2, (*URL, *one))
        assert node.state.members[2].peer_urls == two
        # Its own it may keep.
        await node.update_member(2, (*two, *URL))
        await cluster.applied_everywhere()
        for each in cluster.nodes.values():
            assert each.state.members[2].peer_urls == (*two, *URL)


async def test_leadership_stays_where_it_is_when_it_is_handed_to_itself_or_to_nobody_there() -> (
    None
):
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        term = leader.leader_term
        await leader.transfer_leadership(leader.member_id)
        assert leader.leader_term == term
        await put(leader, b"k")
        away = cluster.followers()[0]
        await cluster.crash(away.member_id)
        with pytest.raises(RequestTimedOut):
            await leader.transfer_leadership(away.member_id)
        await put(leader, b"after")
        assert (leader.leader_term, set(keys(leader))) == (term, {b"k", b"after"})


async def test_a_member_that_is_added_without_a_number_gets_a_new_one() -> None:
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        members = await leader.change_membership(AddMember(0, URL, is_learner=True))
        (added,) = (m for m in members if m.peer_urls == URL)
        assert added.member_id not in (0, 1, 2, 3)
        assert added.is_learner
