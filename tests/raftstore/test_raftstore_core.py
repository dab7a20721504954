"""The Raft core: dialogues in text (`dialogues/*.txt`, `--rewrite` writes what was seen), and what
must hold whatever happens, tried with chance."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raft_dialogue import Dialogue

from raftstore.core import (
    AppendEntries,
    Config,
    Entry,
    HardState,
    Message,
    NotLeader,
    Raft,
    RequestVote,
    RequestVoteResponse,
    Role,
    Stored,
)
from raftstore.core.progress import agreed_index, vote_result

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
    assert len(DIALOGUES) >= 8


def sole_member(stored: Stored | None = None) -> Raft:
    return Raft(Config(1, (1,)), stored or Stored(), random.Random(0))


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
    raft = sole_member(Stored(HardState(1, 1, 1), entries=entries))
    applied = []
    while raft.has_ready():
        applied += [e.data for e in raft.ready().committed]
        raft.advance()
    assert applied == [b"", b"a", b"b", b""]
    assert (raft.term, raft.role) == (2, Role.LEADER)


def follower(*terms: int, committed: int = 0) -> Raft:
    entries = [Entry(place + 1, term, b"") for place, term in enumerate(terms)]
    stored = Stored(HardState(terms[-1], 0, committed), entries=entries)
    return Raft(Config(1, (1, 2, 3)), stored, random.Random(0))


@pytest.mark.parametrize(
    ("prev", "terms", "leader_commit", "answer", "log", "committed"),
    [
        # Equal entries are not dropped, and nothing behind them is committed for them.
        ((1, 1), [2], 3, (True, 2), [1, 2, 2], 2),
        ((3, 2), [4], 9, (True, 4), [1, 2, 2, 4], 4),
        ((2, 2), [4], 1, (True, 3), [1, 2, 4], 1),
        ((3, 3), [], 1, (False, 2), [1, 2, 2], 1),
        ((7, 4), [], 1, (False, 3), [1, 2, 2], 1),
        # Before what is committed: it is equal, whatever the message says.
        ((0, 0), [1], 0, (True, 1), [1, 2, 2], 1),
    ],
)
def test_append_entries_at_a_follower(
    prev: tuple[int, int],
    terms: list[int],
    leader_commit: int,
    answer: tuple[bool, int],
    log: list[int],
    committed: int,
) -> None:
    raft = follower(1, 2, 2, committed=1)
    entries = [Entry(prev[0] + 1 + place, term, b"") for place, term in enumerate(terms)]
    raft.step(AppendEntries(2, 1, 4, *prev, entries, leader_commit))
    ready = raft.ready()
    (said,) = ready.messages_after_sync
    assert (said.success, said.match_index) == answer
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
    raft.release_applied()
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


class Network:
    """Members under chance: messages are lost, repeated and reordered, members crash between
    having and saving a Ready. What the paper promises is checked after every step (figure 3)."""

    def __init__(self, count: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.voters = tuple(range(1, count + 1))
        self.disks: dict[int, tuple[HardState, list[Entry]]] = {
            member: (HardState(), []) for member in self.voters
        }
        self.cores = {member: self.start(member) for member in self.voters}
        self.wire: list[Message] = []
        self.leaders: dict[int, int] = {}
        self.chosen: dict[int, Entry] = {}
        self.proposed = 0

    def start(self, member: int) -> Raft:
        hard_state, entries = self.disks[member]
        config = Config(member, self.voters, append_size_max_bytes=4)
        stored = Stored(hard_state, entries=list(entries))
        return Raft(config, stored, random.Random(self.rng.random()))

    def step(self, *, faults: bool) -> None:
        member = self.rng.choice(self.voters)
        core = self.cores[member]
        dice = self.rng.random()
        if faults and dice < 0.02:
            self.crash(member)
        elif dice < 0.3:
            core.tick()
        elif dice < 0.4 and core.role is Role.LEADER:
            self.proposed += 1
            core.propose(b"%d" % self.proposed)
        elif self.wire:
            self.deliver(faults)
        if self.rng.random() < 0.8:
            self.handle_ready(member)
        self.check(member)

    def deliver(self, faults: bool) -> None:
        place = self.rng.randrange(len(self.wire)) if faults else 0
        message = self.wire[place]
        fate = self.rng.random() if faults else 1.0
        if fate >= 0.1:
            del self.wire[place]
        if fate >= 0.2 or fate < 0.1:
            self.cores[message.to].step(message)
            self.handle_ready(message.to)

    def handle_ready(self, member: int) -> None:
        core = self.cores[member]
        while core.has_ready():
            ready = core.ready()
            self.wire += ready.messages
            hard_state, entries = self.disks[member]
            if ready.entries:
                entries = entries[: ready.entries[0].index - 1] + list(ready.entries)
            self.disks[member] = ready.hard_state or hard_state, entries
            self.wire += ready.messages_after_sync
            for entry in ready.committed:
                # State machine safety (paper, figure 3).
                assert self.chosen.setdefault(entry.index, entry) == entry
            core.advance()

    def crash(self, member: int) -> None:
        core = self.cores[member]
        if core.has_ready():
            self.wire += core.ready().messages
        self.cores[member] = self.start(member)

    def check(self, member: int) -> None:
        core = self.cores[member]
        if core.role is Role.LEADER:
            # Election safety and leader completeness (paper, figure 3).
            assert self.leaders.setdefault(core.term, member) == member
            for entry in self.chosen.values():
                if entry.term < core.term:
                    assert core.log.term(entry.index) == entry.term
        hard_state, _ = self.disks[member]
        assert hard_state.term <= core.term


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 5]))
def test_members_agree_under_faults_and_go_on_after_them(seed: int, count: int) -> None:
    network = Network(count, seed)
    for _ in range(1500):
        network.step(faults=True)
    before = len(network.chosen)
    for _ in range(1500 * count):
        network.step(faults=False)
    assert len(network.chosen) > before
    commits = {core.log.committed for core in network.cores.values()}
    assert min(commits) > before


def test_one_seed_and_one_script_give_the_same_answers() -> None:
    def trace() -> list[tuple[int, Role, int]]:
        network = Network(3, 7)
        seen = []
        for _ in range(800):
            network.step(faults=True)
            seen += [(c.term, c.role, c.log.last_index) for c in network.cores.values()]
        return seen

    assert trace() == trace()
