"""Promises of the core that one dialogue or another took for granted."""

import random

import pytest

from raftstore.core import (
    NOBODY,
    AppendEntries,
    Config,
    Entry,
    HardState,
    Heartbeat,
    InstallSnapshot,
    Membership,
    MembershipChange,
    Raft,
    ReadIndex,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    Role,
    SnapshotMeta,
    Stored,
    TimeoutNow,
    membership_entry,
)

THREE = Membership((1, 2, 3))


def member(membership: Membership = THREE, log: int = 1, config: Config | None = None) -> Raft:
    """Member 1, with `log` entries of term 1, all committed."""
    entries = [Entry(index, 1, b"") for index in range(1, log + 1)]
    stored = Stored(HardState(1, 0, log), SnapshotMeta(0, 0, membership), entries)
    raft = Raft(config or Config(1), stored, random.Random(0))
    settle(raft)
    return raft


def settle(raft: Raft) -> None:
    while raft.has_ready():
        raft.ready()
        raft.advance()


def tick(raft: Raft, count: int) -> None:
    for _ in range(count):
        raft.tick()


def test_a_snapshot_that_comes_while_another_is_saved_is_saved_as_well() -> None:
    """Else what is counted as applied would be on no disk."""
    raft = member()
    older, newer = SnapshotMeta(5, 1, THREE), SnapshotMeta(9, 1, THREE)
    raft.step(InstallSnapshot(2, 1, 1, older))
    assert raft.ready().snapshot == older
    raft.step(InstallSnapshot(2, 1, 1, newer))
    raft.advance()
    assert raft.ready().snapshot == newer
    raft.advance()
    assert not raft.has_ready()


def test_a_snapshot_that_comes_during_another_sync_is_saved_afterwards() -> None:
    raft = member()
    raft.step(AppendEntries(2, 1, 1, 1, 1, [Entry(2, 1, b"x")], 1))
    assert raft.ready().snapshot is None
    raft.step(InstallSnapshot(2, 1, 1, SnapshotMeta(9, 1, THREE)))
    raft.advance()
    assert raft.ready().snapshot == SnapshotMeta(9, 1, THREE)


@pytest.mark.parametrize("during_a_sync", [False, True])
def test_what_stands_before_a_replaced_entry_is_not_durable_for_that(during_a_sync: bool) -> None:
    raft = member()
    old = [Entry(index, 1, b"old") for index in (2, 3, 4)]
    raft.step(AppendEntries(2, 1, 1, 1, 1, old[:1], 1))
    if during_a_sync:
        raft.ready()
    raft.step(AppendEntries(2, 1, 1, 2, 1, old[1:], 1))
    new = Entry(4, 2, b"new")
    raft.step(AppendEntries(3, 1, 2, 3, 1, [new], 4))
    assert raft.log.stable == 1
    if during_a_sync:
        raft.advance()
    ready = raft.ready()
    assert list(ready.entries) == [*old[1 if during_a_sync else 0 : 2], new]
    assert [entry.index for entry in ready.committed] == ([2] if during_a_sync else [])


def test_a_commit_beyond_its_log_commits_what_a_member_has_and_no_more() -> None:
    raft = member(log=3)
    raft.step(Heartbeat(2, 1, 1, 99, 0))
    settle(raft)
    assert (raft.log.committed, raft.log.applied) == (3, 3)
    raft.step(AppendEntries(2, 1, 1, 3, 1, [Entry(4, 1, b"")], 3))
    settle(raft)
    assert raft.log.committed == 3


def test_the_last_voter_elects_itself_when_the_others_are_removed() -> None:
    raft = member()
    for index, voters in ((2, (1, 2)), (3, (1,))):
        entry = membership_entry(index, 1, MembershipChange(Membership(voters)))
        raft.step(AppendEntries(2, 1, 1, index - 1, 1, [entry], index))
    settle(raft)
    tick(raft, 20)
    settle(raft)
    assert (raft.role, raft.log.committed) == (Role.LEADER, 4)


@pytest.mark.parametrize("membership", [Membership((2, 3), (1,)), Membership((2, 3))])
def test_who_has_no_vote_does_not_campaign_even_when_told_to(membership: Membership) -> None:
    raft = member(membership)
    raft.step(Heartbeat(2, 1, 1, 1, 0))
    raft.step(TimeoutNow(2, 1, 1))
    settle(raft)
    assert (raft.role, raft.term) == (Role.FOLLOWER, 1)


def leader() -> Raft:
    raft = member()
    while raft.role is Role.FOLLOWER:
        raft.tick()
    raft.step(RequestVoteResponse(2, 1, 2, True, pre=True))
    settle(raft)
    raft.step(RequestVoteResponse(2, 1, 2, True))
    settle(raft)
    assert raft.role is Role.LEADER
    return raft


def test_a_leader_that_is_told_to_campaign_goes_on_leading_its_term() -> None:
    """The message was meant for who it was before."""
    raft = leader()
    raft.step(TimeoutNow(2, 1, 2))
    assert (raft.role, raft.term) == (Role.LEADER, 2)


def test_reports_about_members_that_are_gone_change_nothing() -> None:
    raft = leader()
    before = dict(raft.progress)
    raft.report_snapshot(9, True)
    raft.report_unreachable(9)
    assert dict(raft.progress) == before


def test_who_does_not_lead_has_no_progress_and_hands_over_to_nobody() -> None:
    raft = member()
    assert (dict(raft.progress), raft.transferee) == ({}, NOBODY)
    raft.report_snapshot(2, True)


def following() -> Raft:
    raft = member()
    raft.step(Heartbeat(2, 1, 1, 1, 0))
    settle(raft)
    return raft


def test_a_lost_connection_to_another_follower_casts_no_doubt_on_the_leader() -> None:
    raft = following()
    raft.report_unreachable(3)
    raft.step(RequestVote(3, 1, 5, 9, 4))
    assert (raft.term, raft.vote) == (1, NOBODY)
    tick(raft, 9)
    assert raft.role is Role.FOLLOWER


def test_a_leader_that_is_reported_gone_again_and_again_is_replaced() -> None:
    raft = following()
    for _ in range(6):
        raft.report_unreachable(2)
        raft.tick()
    assert raft.role is Role.PRE_CANDIDATE


def test_an_answer_to_a_read_is_given_once() -> None:
    raft = following()
    raft.read_index(7)
    (asked,) = raft.ready().messages
    assert isinstance(asked, ReadIndex)
    raft.advance()
    answer = ReadIndexResponse(2, 1, 1, asked.context, 1)
    raft.step(answer)
    raft.step(answer)
    assert list(raft.ready().reads) == [(7, 1)]
    raft.advance()
    assert not raft.has_ready()
