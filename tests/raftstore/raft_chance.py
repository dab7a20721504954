"""A cluster of raft cores under chance: messages are lost, repeated and reordered; members crash
with a Ready half done; members come, go and hand over; logs are forgotten. What the paper promises
(figure 3) is checked after every step.
"""

import random
from collections import Counter

from raft_dialogue import Disk

from raftstore.core import (
    Config,
    Entry,
    InstallSnapshot,
    Membership,
    MembershipChange,
    MembershipInDoubt,
    Message,
    NotLeader,
    ProgressState,
    Raft,
    Ready,
    Role,
    SnapshotMeta,
    Stored,
)

_WIRE_MAX = 150
_VOTERS_MAX = 5


class Cluster:
    """Members 1 to `count` found it; two more wait to be added. `met` counts what has happened."""

    def __init__(self, count: int, seed: int) -> None:
        self.rng = random.Random(seed)
        founding = Membership(tuple(range(1, count + 1)))
        self.ids = range(1, count + 3)
        self.disks = {m: Disk(founding if m <= count else Membership()) for m in self.ids}
        self.wire: list[Message] = []
        # Between these and the others nothing gets through.
        self.cut: set[int] = set()
        self.saving: dict[int, Ready] = {}
        self.leaders: dict[int, int] = {}
        self.leader_ends: dict[int, tuple[int, int]] = {}
        self.chosen: dict[int, Entry] = {}
        self.committed = 0
        self.asked: dict[int, int] = {}
        self.proposed = 0
        # By member, the index of the last change it knows of.
        self.changed_at: dict[int, int] = {}
        self.met: Counter[str] = Counter(_MET)
        self.cores = {member: self.start(member) for member in self.ids}

    def start(self, member: int) -> Raft:
        disk = self.disks[member]
        config = Config(
            member, append_size_max_bytes=4, in_flight_max=3, ready_entries_max=3, election_ticks=4
        )
        stored = Stored(disk.hard_state, disk.snapshot, list(disk.entries))
        return Raft(config, stored, random.Random(self.rng.random()))

    # -- what happens

    def step(self) -> None:
        member = self.rng.choice(self.ids)
        dice = self.rng.random()
        if dice < 0.02:
            self.crash(member)
        elif dice < 0.024:
            self.cut = set(self.rng.sample(self.ids, self.rng.randrange(len(self.ids))))
        elif dice < 0.28:
            self.cores[member].tick()
        elif dice < 0.45:
            self.ask_something(member)
        elif self.wire:
            member = self.deliver()
        self.check(member)
        if self.rng.random() < 0.8:
            self.work(member)
        self.check(member)

    def ask_something(self, member: int) -> None:
        core = self.cores[member]
        dice = self.rng.random()
        try:
            if dice < 0.4:
                self.propose(core)
            elif dice < 0.6:
                self.read(core)
            elif dice < 0.8:
                self.change(core)
            elif dice < 0.87:
                core.transfer_leadership(self.rng.choice(self.ids))
                self.met["transfer"] += 1
            elif dice < 0.9:
                core.report_unreachable(self.rng.choice(self.ids))
            else:
                self.forget_log(core)
        except (NotLeader, MembershipInDoubt, ValueError):
            pass

    def propose(self, core: Raft) -> None:
        for _ in range(self.rng.randrange(1, 5)):
            self.proposed += 1
            core.propose(b"%d" % self.proposed)

    def read(self, core: Raft) -> None:
        context = len(self.asked)
        core.read_index(context)
        self.asked[context] = self.committed

    def change(self, core: Raft) -> None:
        """One voter more or less, or any learner."""
        voters, learners = set(core.membership.voters), set(core.membership.learners)
        member = self.rng.choice(self.ids)
        if member in voters:
            voters.remove(member)
            if self.rng.random() < 0.3:
                learners.add(member)
        elif member in learners or self.rng.random() < 0.5:
            learners.discard(member)
            voters.add(member)
        else:
            learners.add(member)
        if len(voters) > _VOTERS_MAX:
            return
        membership = Membership(tuple(sorted(voters)), tuple(sorted(learners)))
        core.propose_membership(MembershipChange(membership))
        self.met["change"] += 1

    def forget_log(self, core: Raft) -> None:
        """With a snapshot, or (as a member that is alone does) in memory only."""
        index = core.log.applied
        if core.id in self.saving or core.log.term(index) is None:
            return
        meta = self.snapshot_of(core)
        if self.rng.random() < 0.7:
            core.snapshot_taken(meta)
            disk = self.disks[core.id]
            disk.snapshot = meta
            disk.entries = [e for e in disk.entries if e.index > index]
        core.compact_log(index)

    def snapshot_of(self, core: Raft) -> SnapshotMeta:
        term = core.log.term(core.log.applied)
        assert term is not None
        return SnapshotMeta(core.log.applied, term, core.log.membership_at(core.log.applied))

    # -- network

    def send(self, messages: "list[Message] | tuple[Message, ...]") -> None:
        for message in messages:
            if isinstance(message, InstallSnapshot):
                # The driver sends what is applied.
                meta = self.snapshot_of(self.cores[message.sender])
                assert meta.index >= message.snapshot.index
                message = InstallSnapshot(message.sender, message.to, message.term, meta)
            self.wire.append(message)
        while len(self.wire) > _WIRE_MAX:
            self.lose(self.wire.pop(self.rng.randrange(len(self.wire))))

    def deliver(self) -> int:
        """Mostly the older ones first; each may be lost or come again."""
        place = min(self.rng.randrange(len(self.wire)), self.rng.randrange(len(self.wire)))
        message = self.wire[place]
        fate = self.rng.random()
        if fate >= 0.1:
            del self.wire[place]
        is_cut = (message.sender in self.cut) != (message.to in self.cut)
        if is_cut or 0.1 <= fate < 0.18:
            self.lose(message)
        else:
            self.receive(message)
        return message.to

    def receive(self, message: Message) -> None:
        self.cores[message.to].step(message)
        if isinstance(message, InstallSnapshot):
            self.met["snapshot"] += 1
            self.cores[message.sender].report_snapshot(message.to, True)

    def lose(self, message: Message) -> None:
        if isinstance(message, InstallSnapshot):
            self.cores[message.sender].report_snapshot(message.to, False)

    # -- a member at work: it asks for a Ready, and what came of it may take a while

    def work(self, member: int) -> None:
        if member in self.saving:
            self.finish(member)
        elif self.cores[member].has_ready():
            ready = self.cores[member].ready()
            self.saving[member] = ready
            self.send(list(ready.messages))
            self.hear_reads(ready)
            if self.rng.random() < 0.4:
                self.finish(member)

    def finish(self, member: int) -> None:
        ready = self.saving.pop(member)
        self.disks[member].save(ready)
        self.send(list(ready.messages_after_sync))
        for entry in ready.committed:
            # State machine safety (paper, figure 3).
            assert self.chosen.setdefault(entry.index, entry) == entry
        self.cores[member].advance()

    def hear_reads(self, ready: Ready) -> None:
        for context, index in ready.reads:
            assert index >= self.asked[context], "a read would miss what was committed before it"
            self.met["read"] += 1

    def crash(self, member: int) -> None:
        """What was not saved is gone; of what was being saved, `messages` had left."""
        if self.saving.pop(member, None) is not None:
            self.met["crash during a sync"] += 1
        self.cores[member] = self.start(member)

    # -- what must hold

    def check(self, member: int) -> None:
        core = self.cores[member]
        self.committed = max(self.committed, core.log.committed)
        assert self.disks[member].hard_state.term <= core.term
        changed_at = core.log.memberships.latest_index
        if changed_at < self.changed_at.get(member, 0):
            self.met["change fell back"] += 1
        self.changed_at[member] = changed_at
        if core.role is not Role.LEADER:
            return
        if core.term not in self.leaders:
            self.check_completeness(core)
            self.met["election"] += 1
        # Election safety.
        assert self.leaders.setdefault(core.term, member) == member
        # Leader append-only.
        index, term = self.leader_ends.get(core.term, (0, 0))
        assert core.log.last_index >= index
        if index >= core.log.held_from():
            assert core.log.term(index) == term
        self.leader_ends[core.term] = core.log.last_index, core.log.last_term
        if any(p.state is ProgressState.SNAPSHOT for p in core.progress.values()):
            self.met["waits for a snapshot"] += 1

    def check_completeness(self, core: Raft) -> None:
        """Leader completeness: what earlier terms committed is in its log."""
        for index, entry in self.chosen.items():
            if entry.term < core.term and index >= core.log.held_from():
                assert core.log.term(index) == entry.term
        assert core.log.last_index >= self.committed

    def check_logs(self) -> None:
        """Log matching: two logs with an entry of one index and term are equal up to there."""
        for one in self.cores.values():
            for two in self.cores.values():
                first = max(one.log.held_from(), two.log.held_from())
                last = min(one.log.last_index, two.log.last_index)
                same = [i for i in range(first, last + 1) if one.log.term(i) == two.log.term(i)]
                if same:
                    assert one.log.slice(first, same[-1]) == two.log.slice(first, same[-1])

    # -- when the faults stop

    def converge(self) -> None:
        """A leader is found, and every member of its membership gets what it proposes."""
        for member in [*self.saving]:
            self.finish(member)
        for turn in range(400):
            if turn % 2 == 0:
                for core in self.cores.values():
                    if self.rng.random() < 0.9:
                        core.tick()
            self.quiesce()
            if turn > 200 and self.has_converged():
                return
        raise AssertionError("no agreement: " + repr(self.roles()))

    def quiesce(self) -> None:
        for _ in range(4):
            for member in self.ids:
                while self.cores[member].has_ready() or member in self.saving:
                    self.work(member)
                self.check(member)
            wire, self.wire = self.wire, []
            for message in wire:
                self.receive(message)

    def has_converged(self) -> bool:
        for core in self.cores.values():
            if core.role is Role.LEADER and not core.transferee:
                entry = core.propose(b"last")
                self.quiesce()
                members = core.membership.members
                return all(self.cores[m].log.applied >= entry.index for m in members)
        return False

    def roles(self) -> list[tuple[int, str, int, int]]:
        return [(c.id, c.role.value, c.term, c.log.committed) for c in self.cores.values()]


# What must be met, in sum over some seeds.
_MET = dict.fromkeys(
    (
        "election",
        "change",
        "transfer",
        "read",
        "snapshot",
        "waits for a snapshot",
        "crash during a sync",
        "change fell back",
    ),
    0,
)
