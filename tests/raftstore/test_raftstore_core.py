"""The Raft core: dialogues in text (`dialogues/*.txt`, `--rewrite` writes what was seen), and what
must hold whatever happens, tried with chance."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raft_chance import Cluster
from raft_dialogue import Dialogue

from raftstore.core import (
    AppendEntries,
    AppendEntriesResponse,
    Config,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Membership,
    MembershipChange,
    NotLeader,
    ProgressState,
    Raft,
    RequestVote,
    RequestVoteResponse,
    Role,
    SnapshotMeta,
    Stored,
    membership_entry,
)
from raftstore.core.log import RaftLog
from raftstore.core.quorum import agreed_index, vote_result

DIALOGUES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))


def play(text: str) -> str:
    """The text with every answer replaced by what was seen. A block is comments, a command,
    `----` and the answer, up to an empty line."""
    dialogue = Dialogue()
    blocks = []
    for block in text.strip().split("\n\n"):
        asked = block.split("\n----")[0]
        command = asked.splitlines()[-1]
        if command.startswith("#"):
            blocks.append(asked)
        else:
            blocks.append(f"{asked}\n----\n{dialogue.run(command)}")
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogue(path: Path, rewrite: bool) -> None:
    text = path.read_text()
    seen = play(text)
    if rewrite:
        path.write_text(seen)
        return
    assert seen == text


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 30


SOLE = SnapshotMeta(0, 0, Membership((1,)))
THREE = SnapshotMeta(0, 0, Membership((1, 2, 3)))


def sole_member(stored: Stored | None = None) -> Raft:
    return Raft(Config(1), stored or Stored(snapshot=SOLE), random.Random(0))


def test_sole_member_counts_its_vote_and_its_entry_only_when_they_are_durable() -> None:
    raft = sole_member()
    assert raft.role is Role.CANDIDATE
    ready = raft.ready()
    assert (ready.hard_state, ready.must_sync) == (HardState(1, 1, 0), True)
    assert raft.role is Role.CANDIDATE
    with pytest.raises(NotLeader):
        raft.propose(b"x")
    raft.advance()
    assert raft.role is Role.LEADER
    raft.propose(b"x")
    ready = raft.ready()
    assert [e.data for e in ready.entries] == [b"", b"x"]
    assert raft.log.committed == 0
    raft.advance()
    assert raft.log.committed == 2


def test_what_is_proposed_during_a_sync_waits_for_the_next() -> None:
    raft = sole_member()
    raft.ready()
    raft.advance()
    raft.ready()
    raft.propose(b"late")
    assert not raft.has_ready()
    raft.advance()
    assert raft.log.committed == 1
    ready = raft.ready()
    assert [e.data for e in ready.entries] == [b"late"]
    assert [e.data for e in ready.committed] == [b""]


def test_a_commit_alone_needs_no_sync() -> None:
    raft = sole_member()
    for _ in range(2):
        raft.ready()
        raft.advance()
    ready = raft.ready()
    assert ready.hard_state == HardState(1, 1, 1)
    assert not ready.must_sync


def test_sole_member_comes_back_in_a_later_term_and_applies_all_it_had() -> None:
    entries = [Entry(1, 1, b""), Entry(2, 1, b"a"), Entry(3, 1, b"b")]
    raft = sole_member(Stored(HardState(1, 1, 1), SOLE, entries))
    applied = []
    while raft.has_ready():
        applied += [e.data for e in raft.ready().committed]
        raft.advance()
    assert applied == [b"", b"a", b"b", b""]
    assert (raft.term, raft.role) == (2, Role.LEADER)


def follower(*terms: int, committed: int = 0) -> Raft:
    entries = [Entry(place + 1, term, b"") for place, term in enumerate(terms)]
    stored = Stored(HardState(terms[-1], 0, committed), THREE, entries)
    return Raft(Config(1), stored, random.Random(0))


@pytest.mark.parametrize(
    ("prev", "terms", "leader_commit", "answer", "log", "committed"),
    [
        # Equal entries are not dropped, and nothing behind them is committed for them.
        ((1, 1), [2], 3, (True, 2), [1, 2, 2], 2),
        ((3, 2), [4], 9, (True, 4), [1, 2, 2, 4], 4),
        ((2, 2), [4], 1, (True, 3), [1, 2, 4], 1),
        # Where to try next, of which term, and what did not match.
        ((3, 3), [], 1, (False, 3, 2, 3), [1, 2, 2], 1),
        ((3, 1), [], 1, (False, 1, 1, 3), [1, 2, 2], 1),
        ((7, 4), [], 1, (False, 3, 2, 7), [1, 2, 2], 1),
        # Before what is committed: it is equal, whatever the message says.
        ((0, 0), [1], 0, (True, 1), [1, 2, 2], 1),
        ((0, 0), [1, 4], 2, (True, 2), [1, 4], 2),
    ],
)
def test_append_entries_at_a_follower(
    prev: tuple[int, int],
    terms: list[int],
    leader_commit: int,
    answer: tuple[bool, int] | tuple[bool, int, int, int],
    log: list[int],
    committed: int,
) -> None:
    raft = follower(1, 2, 2, committed=1)
    entries = [Entry(prev[0] + 1 + place, term, b"") for place, term in enumerate(terms)]
    raft.step(AppendEntries(2, 1, 4, *prev, entries, leader_commit))
    ready = raft.ready()
    (said,) = ready.messages_after_sync if answer[0] else ready.messages
    assert said == AppendEntriesResponse(1, 2, 4, *answer)
    assert [raft.log.term(index) for index in range(1, raft.log.last_index + 1)] == log
    assert raft.log.committed == committed
    assert list(ready.entries) == [e for e in entries if e.term == 4]


def test_its_own_vote_counts_when_that_term_is_durable_and_not_before() -> None:
    raft = follower(1)
    raft.step(RequestVote(3, 1, 2, 1, 1, pre=True))
    raft.ready()
    while raft.role is Role.FOLLOWER:
        raft.tick()
    raft.step(RequestVoteResponse(2, 1, 2, True, pre=True))
    assert raft.role is Role.CANDIDATE
    # This Ready is from before the campaign.
    raft.advance()
    raft.step(RequestVoteResponse(2, 1, 2, True))
    assert raft.role is Role.CANDIDATE
    assert raft.ready().hard_state == HardState(2, 1, 0)
    raft.advance()
    assert raft.role is Role.LEADER


def test_released_entries_leave_memory_and_the_log_goes_on() -> None:
    raft = sole_member()
    while raft.has_ready():
        raft.ready()
        raft.advance()
    raft.compact_log(raft.log.applied)
    assert raft.log.held_from() == 2
    assert raft.propose(b"x") == Entry(2, 1, b"x")
    assert [e.index for e in raft.ready().entries] == [2]


@pytest.mark.parametrize(
    ("matches", "agreed"),
    [([5], 5), ([5, 3], 3), ([9, 1, 5], 5), ([4, 4, 1, 1], 1), ([7, 6, 5, 4, 3], 5)],
)
def test_agreed_index(matches: list[int], agreed: int) -> None:
    assert agreed_index(matches) == agreed


@pytest.mark.parametrize(
    ("votes", "voters", "result"),
    [
        ({}, (1,), None),
        ({1: True}, (1,), True),
        ({1: True, 2: False}, (1, 2, 3), None),
        ({1: True, 3: True}, (1, 2, 3), True),
        ({2: False, 3: False}, (1, 2, 3), False),
        ({1: True, 2: False}, (1, 2), False),
        ({1: True, 9: True}, (1, 2, 3), None),
    ],
)
def test_vote_result(votes: dict[int, bool], voters: tuple[int, ...], result: bool | None) -> None:
    assert vote_result(votes, voters) is result


def test_a_real_vote_of_a_later_term_is_ignored_while_there_is_a_leader() -> None:
    raft = follower(1)
    raft.step(Heartbeat(2, 1, 1, 0, 1))
    raft.ready()
    raft.advance()
    raft.step(RequestVote(3, 1, 5, 9, 4))
    assert (raft.term, raft.leader, raft.has_ready()) == (1, 2, False)
    raft.step(RequestVote(3, 1, 5, 9, 4, transfer=True))
    assert (raft.term, raft.vote) == (5, 3)


def test_a_later_vote_request_is_ignored_by_the_leader_itself() -> None:
    raft = leader_of_three()
    raft.step(RequestVote(3, 1, 9, 9, 8))
    assert (raft.role, raft.term) == (Role.LEADER, 2)


def leader_of_three(config: Config | None = None) -> Raft:
    """Member 1 leads term 2; 2 has all it has, 3 nothing of this term. Entry 2 is its first."""
    stored = Stored(HardState(1, 0, 1), THREE, [Entry(1, 1, b"")])
    raft = Raft(config or Config(1), stored, random.Random(0))
    while raft.role is Role.FOLLOWER:
        raft.tick()
    settle(raft)
    raft.step(RequestVoteResponse(2, 1, 2, True, pre=True))
    settle(raft)
    raft.step(RequestVoteResponse(2, 1, 2, True))
    settle(raft)
    raft.step(AppendEntriesResponse(2, 1, 2, True, 2))
    settle(raft)
    assert (raft.role, raft.log.committed) == (Role.LEADER, 2)
    return raft


def settle(raft: Raft) -> None:
    while raft.has_ready():
        raft.ready()
        raft.advance()


def test_a_ready_that_is_cut_promises_and_commits_only_what_it_makes_durable() -> None:
    config = Config(1, ready_entries_max=2)
    raft = Raft(config, Stored(snapshot=THREE), random.Random(0))
    entries = [Entry(index, 1, b"") for index in range(1, 6)]
    raft.step(AppendEntries(2, 1, 1, 0, 0, entries, 5))
    seen = []
    while raft.has_ready():
        ready = raft.ready()
        told = [m.match_index for m in ready.messages_after_sync]
        commit = ready.hard_state.commit if ready.hard_state is not None else None
        seen.append(([e.index for e in ready.entries], told, commit))
        raft.advance()
    assert seen == [([1, 2], [2], 2), ([3, 4], [4], 4), ([5], [5], 5), ([], [], None)]


def test_a_snapshot_that_comes_during_a_sync_is_not_undone_by_it() -> None:
    raft = follower(1, 1, 1, committed=2)
    ready = raft.ready()
    assert [e.index for e in ready.committed] == [1, 2]
    raft.step(InstallSnapshot(2, 1, 1, SnapshotMeta(9, 1, Membership((1, 2)))))
    raft.advance()
    assert (raft.log.applied, raft.membership) == (9, Membership((1, 2)))
    ready = raft.ready()
    assert (ready.snapshot, ready.committed) == (SnapshotMeta(9, 1, Membership((1, 2))), [])
    assert ready.hard_state == HardState(1, 0, 9)
    assert ready.messages_after_sync == [AppendEntriesResponse(1, 2, 1, True, 9)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_entries_that_were_replaced_during_a_sync_are_not_taken_for_durable(count: int) -> None:
    raft = follower(1, committed=1)
    raft.step(AppendEntries(2, 1, 1, 1, 1, [Entry(2, 1, b"old"), Entry(3, 1, b"old")], 1))
    raft.ready()
    new = [Entry(2 + place, 2, b"new") for place in range(count)]
    raft.step(AppendEntries(3, 1, 2, 1, 1, new, 1))
    raft.advance()
    ready = raft.ready()
    assert list(ready.entries) == new
    assert ready.messages_after_sync == [AppendEntriesResponse(1, 3, 2, True, 1 + count)]


def test_a_snapshot_of_what_the_log_has_drops_nothing() -> None:
    """Entry 3 may be committed by this member's word."""
    raft = follower(1, 1, 1, committed=1)
    raft.step(InstallSnapshot(2, 1, 1, SnapshotMeta(2, 1, Membership((1, 2, 3)))))
    ready = raft.ready()
    assert (ready.snapshot, raft.log.committed, raft.log.last_index) == (None, 2, 3)
    assert ready.messages_after_sync == [AppendEntriesResponse(1, 2, 1, True, 2)]


def test_an_old_snapshot_changes_nothing() -> None:
    raft = follower(1, 1, 1, committed=2)
    raft.step(InstallSnapshot(2, 1, 1, SnapshotMeta(1, 1, Membership((7,)))))
    ready = raft.ready()
    assert (ready.snapshot, raft.membership) == (None, THREE.membership)
    assert ready.messages_after_sync == [AppendEntriesResponse(1, 2, 1, True, 2)]


def test_one_vote_in_a_term() -> None:
    raft = follower(1)
    raft.step(RequestVote(2, 1, 5, 1, 1))
    raft.step(RequestVote(3, 1, 5, 9, 4))
    ready = raft.ready()
    assert ready.messages_after_sync == [RequestVoteResponse(1, 2, 5, True)]
    assert ready.messages == [RequestVoteResponse(1, 3, 5, False)]
    raft.advance()
    # It may say so again.
    raft.step(RequestVote(2, 1, 5, 1, 1))
    assert raft.ready().messages_after_sync == [RequestVoteResponse(1, 2, 5, True)]


def test_a_follower_commits_no_further_than_the_message_matches() -> None:
    raft = follower(1, 1, 1)
    raft.step(AppendEntries(2, 1, 2, 1, 1, [], 3))
    assert raft.log.committed == 1


def test_its_own_log_counts_as_far_as_it_is_durable() -> None:
    raft = leader_of_three()
    raft.propose(b"x")
    raft.ready()
    raft.step(AppendEntriesResponse(3, 1, 2, True, 2))
    raft.propose(b"y")
    raft.step(AppendEntriesResponse(2, 1, 2, True, 4))
    assert raft.log.committed == 2
    raft.advance()
    assert raft.log.committed == 3


def test_members_that_are_equally_far_are_sent_the_same_entries() -> None:
    raft = leader_of_three()
    raft.step(AppendEntriesResponse(3, 1, 2, True, 2))
    raft.propose(b"x")
    one, two = (m for m in raft.ready().messages if isinstance(m, AppendEntries) and m.entries)
    assert one.entries is two.entries


def test_a_late_refusal_of_what_is_known_to_match_changes_nothing() -> None:
    raft = leader_of_three()
    raft.step(AppendEntriesResponse(2, 1, 2, False, 0, 0, 2))
    progress = raft.progress[2]
    assert (progress.state, progress.next_index) == (ProgressState.REPLICATE, 3)
    assert not raft.has_ready()


def leader_with_laggard() -> Raft:
    """Member 1 leads; 3 lags behind what its log holds, and has not answered."""
    raft = leader_of_three()
    for number in range(3):
        raft.propose(b"%d" % number)
    settle(raft)
    raft.step(AppendEntriesResponse(2, 1, 2, True, 5))
    settle(raft)
    raft.snapshot_taken(SnapshotMeta(5, 2, raft.log.membership_at(5)))
    raft.compact_log(5)
    raft.progress[3].probe(2)
    settle(raft)
    assert raft.progress[3].state is ProgressState.PROBE
    return raft


def test_a_snapshot_is_not_sent_to_who_does_not_answer() -> None:
    raft = leader_with_laggard()
    raft.tick()
    settle(raft)
    raft.step(HeartbeatResponse(3, 1, 2, 1))
    sent = [m for m in raft.ready().messages if isinstance(m, InstallSnapshot)]
    assert sent == [InstallSnapshot(1, 3, 2, SnapshotMeta(5, 2, Membership((1, 2, 3))))]
    assert raft.progress[3].state is ProgressState.SNAPSHOT


def test_a_snapshot_is_not_sent_to_who_is_removed() -> None:
    raft = leader_with_laggard()
    raft.propose_membership(MembershipChange(Membership((1, 2))))
    raft.tick()
    settle(raft)
    raft.step(HeartbeatResponse(3, 1, 2, 1))
    assert not any(isinstance(m, InstallSnapshot) for m in raft.ready().messages)
    raft.advance()
    # It is let go when the change is committed, at the latest after an election timeout.
    raft.step(AppendEntriesResponse(2, 1, 2, True, 6))
    for _ in range(10):
        raft.tick()
        settle(raft)
    assert sorted(raft.progress) == [1, 2]


def test_the_driver_may_send_a_newer_snapshot_than_the_log_knows_of() -> None:
    """A member that was alone has forgotten entries that no snapshot has."""
    raft = sole_member()
    settle(raft)
    for number in range(8):
        raft.propose(b"%d" % number)
        settle(raft)
    raft.compact_log(raft.log.applied)
    raft.propose_membership(MembershipChange(Membership((1,), (2,))))
    settle(raft)
    raft.step(AppendEntriesResponse(2, 1, 1, False, 0, 0, raft.log.last_index - 1))
    (sent,) = raft.ready().messages
    assert sent == InstallSnapshot(1, 2, 1, SOLE)
    raft.advance()
    raft.report_snapshot(2, True)
    assert not raft.has_ready()
    # What it was sent was of index 10.
    raft.step(AppendEntriesResponse(2, 1, 1, True, 10))
    assert raft.progress[2].state is ProgressState.REPLICATE
    raft.propose(b"x")
    (append,) = raft.ready().messages
    assert [e.index for e in append.entries] == [11]


@pytest.mark.parametrize(
    ("index", "term", "found"),
    [(9, 9, 6), (9, 4, 5), (9, 3, 3), (5, 4, 5), (4, 4, 4), (4, 2, 3), (9, 1, 0), (1, 9, 1)],
)
def test_last_not_after(index: int, term: int, found: int) -> None:
    """Entries 3 to 6 are held, of terms 2, 4, 4, 6; the one before was of term 2."""
    terms = enumerate([2, 4, 4, 6], start=3)
    log = RaftLog(SnapshotMeta(2, 2), [Entry(i, t, b"") for i, t in terms], 2)
    at = log.last_not_after(index, term)
    assert at == found or (found < 2 and at < 2)


def test_the_log_knows_the_membership_at_every_entry_it_holds() -> None:
    one, two, three = Membership((1,)), Membership((1,), (2,)), Membership((1, 2))
    log = RaftLog(SnapshotMeta(5, 1, one), [Entry(6, 1, b"")], 6)
    log.append(membership_entry(7, 1, MembershipChange(two)))
    log.append(Entry(8, 1, b""))
    log.append(membership_entry(9, 1, MembershipChange(three)))
    assert [log.membership_at(index) for index in range(5, 10)] == [one, one, two, two, three]
    log.committed = log.applied = 8
    log.release(8)
    assert log.membership_at(8) == two
    log.append_from_leader([Entry(9, 2, b"")])
    assert (log.membership_at(9), log.memberships.latest) == (two, two)


def test_a_snapshot_that_took_long_does_not_replace_a_newer_one() -> None:
    log = RaftLog(SnapshotMeta(), [], 0)
    newer = SnapshotMeta(9, 3, Membership((1, 2)))
    log.restore(newer)
    log.snapshot_taken(SnapshotMeta(4, 1, Membership((1,))))
    assert log.snapshot == newer


def test_reads_of_before_a_restart_are_not_answered_after_it() -> None:
    def asked(seed: int) -> int:
        raft = Raft(Config(1), Stored(HardState(1, 0, 0), THREE), random.Random(seed))
        raft.step(Heartbeat(2, 1, 1, 0, 0))
        raft.read_index(1)
        (message,) = raft.ready().messages
        return message.context

    assert asked(1) != asked(2)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 4, 5]))
def test_members_agree_under_faults_and_go_on_after_them(seed: int, count: int) -> None:
    cluster = Cluster(count, seed)
    for _ in range(2500):
        cluster.step()
    cluster.check_logs()
    cluster.converge()


def test_chance_meets_what_it_is_there_for() -> None:
    """Else the test above could not fail."""
    met: dict[str, int] = {}
    for seed in range(20):
        cluster = Cluster(3 + seed % 2, seed)
        for _ in range(2500):
            cluster.step()
        for name, count in cluster.met.items():
            met[name] = met.get(name, 0) + count
    few = {name: count for name, count in met.items() if count < 5}
    assert not few, met


def test_one_seed_and_one_script_give_the_same_answers() -> None:
    def trace() -> list[tuple[int, Role, int]]:
        cluster = Cluster(3, 7)
        seen = []
        for _ in range(800):
            cluster.step()
            seen += [(c.term, c.role, c.log.last_index) for c in cluster.cores.values()]
        return seen

    assert trace() == trace()
