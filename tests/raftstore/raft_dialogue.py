"""A cluster of raft cores spoken to in text: each command is a line, each answer what was seen.

The network is a list of messages that stay until a command delivers, delays or drops them; the
disk of a member is what its Readies asked to be made durable. `test_raftstore_core.py` runs the
files.
"""

import random
from collections.abc import Callable, Sequence

from raftstore.core import (
    NOBODY,
    AppendEntries,
    AppendEntriesResponse,
    Config,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Membership,
    MembershipChange,
    MembershipInDoubt,
    Message,
    NotLeader,
    Raft,
    ReadIndex,
    ReadIndexResponse,
    Ready,
    RequestVote,
    RequestVoteResponse,
    Role,
    SnapshotMeta,
    Stored,
    TimeoutNow,
    membership_entry,
    membership_of,
)


class Disk:
    """What a member would find after a crash."""

    def __init__(self, founding: Membership) -> None:
        self.hard_state = HardState()
        # A snapshot of nothing: who is in the cluster need not be an entry in every dialogue.
        self.snapshot = SnapshotMeta(0, 0, founding)
        self.entries: list[Entry] = []

    def save(self, ready: Ready) -> None:
        self.hard_state = ready.hard_state or self.hard_state
        if ready.snapshot is not None:
            self.snapshot, self.entries = ready.snapshot, []
        if ready.entries:
            kept = [e for e in self.entries if e.index < ready.entries[0].index]
            self.entries = kept + list(ready.entries)
        last_index = self.entries[-1].index if self.entries else self.snapshot.index
        assert self.hard_state.commit <= last_index, "a commit of what is not durable"


class Dialogue:
    def __init__(self) -> None:
        self._cores: dict[int, Raft] = {}
        self._disks: dict[int, Disk] = {}
        self._network: list[Message] = []
        self._delayed: list[Message] = []
        self._cut: set[int] = set()
        self._config: dict[str, int] = {}
        # The core names reads on the wire by chance; here they are numbered as they are seen.
        self._read_names: dict[int, int] = {}

    def run(self, line: str) -> str:
        """The answer to one command; several lines or "ok"."""
        verb, *arguments = line.split()
        said = _VERBS[verb](self, *arguments)
        return "\n".join(said) or "ok"

    # -- making members

    def members(self, count: str, *options: str) -> list[str]:
        """`members 3 learners=1 in_flight_max=2`: voters 1 to 3, learner 4, and a new cluster."""
        self._cores, self._disks = {}, {}
        self._network, self._delayed, self._cut = [], [], set()
        self._config = {name: int(value) for name, value in (o.split("=") for o in options)}
        voters, learners = int(count), self._config.pop("learners", 0)
        founding = Membership(
            tuple(range(1, voters + 1)), tuple(range(voters + 1, voters + learners + 1))
        )
        for member in founding.members:
            self._disks[member] = Disk(founding)
            self._start(member)
        return []

    def join(self, member: str) -> list[str]:
        """A member that knows of nobody, or that has lost its disk."""
        self._disks[int(member)] = Disk(Membership())
        self._start(int(member))
        return []

    def log_of(self, member: str, hard_state: str, *entries: str) -> list[str]:
        """`log 1 term=3,vote=2,commit=1 1:1 2:1 3:3@1,2/3`: what member 1 finds on its disk; entry
        3 makes 1 and 2 voters and 3 a learner."""
        disk = self._disks[int(member)]
        disk.hard_state = HardState(**_numbers(hard_state))
        disk.entries = [_entry(text) for text in entries]
        self._start(int(member))
        return []

    def _start(self, member: int) -> None:
        config = Config(member, **self._config)
        disk = self._disks[member]
        stored = Stored(disk.hard_state, disk.snapshot, list(disk.entries))
        self._cores[member] = Raft(config, stored, random.Random(member))

    def crash(self, member: str) -> list[str]:
        """It loses what it had not made durable, and what was on its way to it."""
        self._network = [m for m in self._network if m.to != int(member)]
        self._start(int(member))
        return []

    # -- what happens to them

    def tick(self, member: str, count: str = "1") -> list[str]:
        for _ in range(int(count)):
            self._cores[int(member)].tick()
        return []

    def timeout(self, member: str) -> list[str]:
        """Ticks until the member's election timeout has passed."""
        core = self._cores[int(member)]
        for _ in range(2 * core.config.election_ticks):
            core.tick()
            if core.role is not Role.FOLLOWER:
                break
        return []

    def propose(self, member: str, data: str, count: str = "1") -> list[str]:
        """`propose 1 x 3` proposes x1, x2, x3."""
        datas = [data] if count == "1" else [f"{data}{n + 1}" for n in range(int(count))]
        try:
            entries = [self._cores[int(member)].propose(data.encode()) for data in datas]
        except NotLeader as error:
            return [f"refused: leader is {error.leader}"]
        return [f"entry {_show_entry(entry)}" for entry in entries]

    def change(self, member: str, membership: str) -> list[str]:
        """`change 1 1,2,3/4`: voters 1 to 3, learner 4."""
        change = MembershipChange(_membership(membership))
        try:
            entry = self._cores[int(member)].propose_membership(change)
        except NotLeader as error:
            return [f"refused: leader is {error.leader}"]
        except (MembershipInDoubt, ValueError) as error:
            return [f"refused: {error}"]
        return [f"entry {_show_entry(entry)}"]

    def read(self, member: str, context: str) -> list[str]:
        try:
            self._cores[int(member)].read_index(int(context))
        except NotLeader as error:
            return [f"refused: leader is {error.leader}"]
        return []

    def transfer(self, member: str, to: str) -> list[str]:
        try:
            self._cores[int(member)].transfer_leadership(int(to))
        except NotLeader as error:
            return [f"refused: leader is {error.leader}"]
        except ValueError as error:
            return [f"refused: {error}"]
        return []

    def unreachable(self, member: str, peer: str) -> list[str]:
        self._cores[int(member)].report_unreachable(int(peer))
        return []

    def snapshot_sent(self, member: str, peer: str, outcome: str) -> list[str]:
        """`snapshot-sent 1 3 ok`, or `failed`."""
        self._cores[int(member)].report_snapshot(int(peer), outcome == "ok")
        return []

    def ready(self, member: str) -> list[str]:
        """One Ready, shown and done."""
        core = self._cores[int(member)]
        if not core.has_ready():
            return ["nothing"]
        ready = core.ready()
        self._disks[int(member)].save(ready)
        self._send([*ready.messages, *ready.messages_after_sync])
        core.advance()
        return self._show_ready(ready)

    def lose(self, member: str) -> list[str]:
        """One Ready of which only `messages` left before the member crashed, unsynced."""
        ready = self._cores[int(member)].ready()
        self.crash(member)
        self._send(ready.messages)
        return self._show_ready(ready)

    # -- the network

    def _send(self, messages: Sequence[Message]) -> None:
        self._network += [
            m for m in messages if m.sender not in self._cut and m.to not in self._cut
        ]

    def _take(self, member: str, *which: str) -> list[Message]:
        """What is on its way to `member`; `from=2`: by member 2; `first=1`: only the first."""
        only = _numbers(",".join(which)) if which else {}
        taken = [m for m in self._network if m.to == int(member)]
        if "from" in only:
            taken = [m for m in taken if m.sender == only["from"]]
        taken = taken[: only.get("first", len(taken))]
        self._network = [m for m in self._network if not any(m is one for one in taken)]
        return taken

    def deliver(self, member: str, *which: str) -> list[str]:
        said = []
        for message in self._take(member, *which):
            self._cores[int(member)].step(message)
            said.append(self._show_message(message))
        return said

    def repeat(self, member: str, *which: str) -> list[str]:
        """Delivered, and still on its way."""
        messages = self._take(member, *which)
        self._network = messages + self._network
        for message in messages:
            self._cores[int(member)].step(message)
        return [self._show_message(message) for message in messages]

    def drop(self, member: str, *which: str) -> list[str]:
        return [f"lost {self._show_message(message)}" for message in self._take(member, *which)]

    def delay(self, member: str, *which: str) -> list[str]:
        """It comes when `arrive` says so."""
        messages = self._take(member, *which)
        self._delayed += messages
        return [f"delayed {self._show_message(message)}" for message in messages]

    def arrive(self) -> list[str]:
        self._network, self._delayed = self._delayed + self._network, []
        return []

    def cut(self, *members: str) -> list[str]:
        """Nothing reaches them or leaves them, and what was on its way is lost."""
        self._cut = {int(member) for member in members}
        network, self._network = self._network, []
        self._send(network)
        return []

    def heal(self) -> list[str]:
        self._cut = set()
        return []

    def stabilize(self, *members: str) -> list[str]:
        """Readies and deliveries among `members` (all) until nothing moves."""
        among = [int(member) for member in members] or list(self._cores)
        said: list[str] = []
        moved = True
        while moved:
            moved = False
            for member in among:
                if self._cores[member].has_ready():
                    said += [f"{member} ready", *_indent(self.ready(str(member)))]
                    moved = True
            for member in among:
                delivered = self.deliver(str(member))
                if delivered:
                    said += [f"{member} hears", *_indent(delivered)]
                    moved = True
        return said

    def settle(self, *members: str) -> list[str]:
        """`stabilize` without telling, then the state."""
        self.stabilize(*members)
        return self.state(*members)

    def compact(self, member: str, index: str) -> list[str]:
        """The member takes a snapshot and forgets its log up to there."""
        core, disk = self._cores[int(member)], self._disks[int(member)]
        term = core.log.term(int(index))
        assert term is not None
        meta = SnapshotMeta(int(index), term, core.log.membership_at(int(index)))
        core.snapshot_taken(meta)
        core.compact_log(int(index))
        disk.snapshot = meta
        disk.entries = [e for e in disk.entries if e.index > int(index)]
        return []

    # -- what there is to see

    def state(self, *members: str) -> list[str]:
        said = []
        for member in [int(m) for m in members] or self._cores:
            core = self._cores[member]
            terms = " ".join(
                f"{index}:{core.log.term(index)}"
                for index in range(core.log.held_from(), core.log.last_index + 1)
            )
            said.append(
                f"{member} {core.role.value} term={core.term} vote={core.vote} "
                f"leader={core.leader} commit={core.log.committed} applied={core.log.applied} "
                f"log=[{terms}]"
            )
        return said

    def membership(self, *members: str) -> list[str]:
        among = [int(m) for m in members] or self._cores
        return [f"{m} knows {_show_membership(self._cores[m].membership)}" for m in among]

    def progress(self, member: str) -> list[str]:
        core = self._cores[int(member)]
        said = [
            f"{peer} {p.state.value} match={p.match_index} next={p.next_index} "
            f"in_flight={list(p.in_flight)}"
            for peer, p in core.progress.items()
            if peer != core.id
        ]
        if core.transferee != NOBODY:
            said.append(f"hands over to {core.transferee}")
        return said

    def _show_ready(self, ready: Ready) -> list[str]:
        said = []
        if ready.hard_state is not None:
            hard = ready.hard_state
            said.append(f"hard state term={hard.term} vote={hard.vote} commit={hard.commit}")
        if ready.snapshot is not None:
            said.append(f"snapshot {_show_snapshot(ready.snapshot)}")
        said += [f"append {_show_entry(entry)}" for entry in ready.entries]
        said += [f"send {self._show_message(message)}" for message in ready.messages]
        if ready.must_sync:
            said.append("sync")
        after = ready.messages_after_sync
        said += [f"then send {self._show_message(message)}" for message in after]
        said += [f"apply {_show_entry(entry)}" for entry in ready.committed]
        said += [f"read {context} at {index}" for context, index in ready.reads]
        return said

    def _show_message(self, message: Message) -> str:
        if isinstance(message, ReadIndex | ReadIndexResponse):
            name = self._read_names.setdefault(message.context, len(self._read_names) + 1)
            what = f"ReadIndex {name}"
            if isinstance(message, ReadIndexResponse):
                what += f" answered {message.index}"
        else:
            what = _SHOW[type(message)](message)
        return f"{message.sender}->{message.to} term={message.term} {what}"


_VERBS: dict[str, Callable[..., list[str]]] = {
    "members": Dialogue.members,
    "join": Dialogue.join,
    "log": Dialogue.log_of,
    "crash": Dialogue.crash,
    "tick": Dialogue.tick,
    "timeout": Dialogue.timeout,
    "propose": Dialogue.propose,
    "change": Dialogue.change,
    "read": Dialogue.read,
    "transfer": Dialogue.transfer,
    "unreachable": Dialogue.unreachable,
    "snapshot-sent": Dialogue.snapshot_sent,
    "ready": Dialogue.ready,
    "lose": Dialogue.lose,
    "deliver": Dialogue.deliver,
    "repeat": Dialogue.repeat,
    "drop": Dialogue.drop,
    "delay": Dialogue.delay,
    "arrive": Dialogue.arrive,
    "cut": Dialogue.cut,
    "heal": Dialogue.heal,
    "stabilize": Dialogue.stabilize,
    "settle": Dialogue.settle,
    "compact": Dialogue.compact,
    "state": Dialogue.state,
    "membership": Dialogue.membership,
    "progress": Dialogue.progress,
}


def _numbers(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in (part.split("=") for part in text.split(","))}


def _membership(text: str) -> Membership:
    """`1,2,3/4`: voters, then learners."""
    voters, _, learners = text.partition("/")
    return Membership(_members(voters), _members(learners))


def _members(text: str) -> tuple[int, ...]:
    return tuple(int(member) for member in text.split(",") if member)


def _entry(text: str) -> Entry:
    place, _, membership = text.partition("@")
    index, term = (int(number) for number in place.split(":"))
    if membership:
        return membership_entry(index, term, MembershipChange(_membership(membership)))
    return Entry(index, term, b"old")


def _show_entry(entry: Entry) -> str:
    if entry.kind is EntryKind.MEMBERSHIP:
        return f"{entry.index}:{entry.term} {_show_membership(membership_of(entry))}"
    return f"{entry.index}:{entry.term} {entry.data.decode() or '(empty)'}"


def _show_membership(membership: Membership) -> str:
    voters, learners = (",".join(map(str, m)) for m in (membership.voters, membership.learners))
    return f"voters {voters or 'none'}" + (f" learners {learners}" if learners else "")


def _show_snapshot(meta: SnapshotMeta) -> str:
    return f"{meta.index}:{meta.term} {_show_membership(meta.membership)}"


def _indent(lines: list[str]) -> list[str]:
    return ["  " + line for line in lines]


def _show_append(message: AppendEntries) -> str:
    entries = ", ".join(_show_entry(entry) for entry in message.entries)
    return (
        f"AppendEntries prev={message.prev_log_index}:{message.prev_log_term} "
        f"commit={message.leader_commit} [{entries}]"
    )


def _show_append_response(message: AppendEntriesResponse) -> str:
    if message.success:
        return f"AppendEntries matches {message.match_index}"
    return (
        f"AppendEntries refused at {message.rejected_index}, "
        f"try {message.match_index}:{message.match_term}"
    )


def _show_heartbeat(message: Heartbeat) -> str:
    name = f"Heartbeat {message.round}" if message.round else "Commit"
    return f"{name} commit={message.leader_commit}"


_SHOW: dict[type[Message], Callable[..., str]] = {
    RequestVote: lambda m: (
        f"{'PreVote' if m.pre else 'RequestVote'} last={m.last_log_index}:{m.last_log_term}"
        f"{' transfer' if m.transfer else ''}"
    ),
    RequestVoteResponse: lambda m: (
        f"{'PreVote' if m.pre else 'RequestVote'} {'granted' if m.granted else 'refused'}"
    ),
    AppendEntries: _show_append,
    AppendEntriesResponse: _show_append_response,
    Heartbeat: _show_heartbeat,
    HeartbeatResponse: lambda m: f"Heartbeat {m.round} answered",
    InstallSnapshot: lambda m: f"InstallSnapshot {_show_snapshot(m.snapshot)}",
    TimeoutNow: lambda m: "TimeoutNow",
}
