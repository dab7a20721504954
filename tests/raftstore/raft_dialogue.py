"""A cluster of raft cores spoken to in text: each command is a line, each answer what was seen.

The network is a list of messages that stay until a command delivers or drops them; the disk of a
member is what its Readies asked to be made durable. `test_raftstore_core.py` runs the files.
"""

import random
from collections.abc import Callable

from raftstore.core import (
    AppendEntries,
    AppendEntriesResponse,
    Config,
    Entry,
    HardState,
    InstallSnapshot,
    Message,
    NotLeader,
    Raft,
    Ready,
    RequestVote,
    RequestVoteResponse,
    Role,
    SnapshotMeta,
    Stored,
)


class Disk:
    """What a member would find after a crash."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.snapshot = SnapshotMeta()
        self.entries: list[Entry] = []

    def save(self, ready: Ready) -> None:
        self.hard_state = ready.hard_state or self.hard_state
        if ready.snapshot is not None:
            self.snapshot, self.entries = ready.snapshot, []
        if ready.entries:
            kept = [e for e in self.entries if e.index < ready.entries[0].index]
            self.entries = kept + list(ready.entries)


class Dialogue:
    def __init__(self) -> None:
        self._cores: dict[int, Raft] = {}
        self._disks: dict[int, Disk] = {}
        self._network: list[Message] = []
        self._config: dict[str, int] = {}
        self._voters: tuple[int, ...] = ()

    def run(self, line: str) -> str:
        """The answer to one command; several lines or "ok"."""
        verb, *arguments = line.split()
        said = _VERBS[verb](self, *arguments)
        return "\n".join(said) or "ok"

    # -- making members

    def members(self, count: str, *options: str) -> list[str]:
        self._config = {name: int(value) for name, value in (o.split("=") for o in options)}
        self._voters = tuple(range(1, int(count) + 1))
        for member in self._voters:
            self._disks[member] = Disk()
            self._start(member)
        return []

    def log_of(self, member: str, hard_state: str, *entries: str) -> list[str]:
        """`log 1 term=3,vote=2,commit=1 1:1 2:1 3:3`: what member 1 finds on its disk."""
        disk = self._disks[int(member)]
        disk.hard_state = HardState(**_numbers(hard_state))
        disk.entries = [_entry(text) for text in entries]
        self._start(int(member))
        return []

    def _start(self, member: int) -> None:
        config = Config(member, self._voters, **self._config)
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

    def propose(self, member: str, data: str) -> list[str]:
        try:
            entry = self._cores[int(member)].propose(data.encode())
        except NotLeader as error:
            return [f"refused: leader is {error.leader}"]
        return [f"entry {_show_entry(entry)}"]

    def ready(self, member: str) -> list[str]:
        """One Ready, shown and done."""
        core = self._cores[int(member)]
        if not core.has_ready():
            return ["nothing"]
        ready = core.ready()
        self._disks[int(member)].save(ready)
        self._network += [*ready.messages, *ready.messages_after_sync]
        core.advance()
        return _show_ready(ready)

    def lose(self, member: str) -> list[str]:
        """One Ready of which only `messages` left before the member crashed, unsynced."""
        ready = self._cores[int(member)].ready()
        self.crash(member)
        self._network += ready.messages
        return _show_ready(ready)

    def deliver(self, member: str) -> list[str]:
        said = []
        for message in [m for m in self._network if m.to == int(member)]:
            self._network.remove(message)
            self._cores[int(member)].step(message)
            said.append(_show_message(message))
        return said

    def drop(self, member: str) -> list[str]:
        lost = [m for m in self._network if m.to == int(member)]
        self._network = [m for m in self._network if m.to != int(member)]
        return [f"lost {_show_message(message)}" for message in lost]

    def stabilize(self, *members: str) -> list[str]:
        """Readies and deliveries among `members` (all) until nothing moves."""
        among = [int(member) for member in members] or list(self._voters)
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
        core.snapshot_taken(SnapshotMeta(int(index), term))
        core.log.release(int(index))
        disk.snapshot = SnapshotMeta(int(index), term)
        disk.entries = [e for e in disk.entries if e.index > int(index)]
        return []

    # -- what there is to see

    def state(self, *members: str) -> list[str]:
        said = []
        for member in [int(m) for m in members] or self._voters:
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


_VERBS: dict[str, Callable[..., list[str]]] = {
    "members": Dialogue.members,
    "log": Dialogue.log_of,
    "crash": Dialogue.crash,
    "tick": Dialogue.tick,
    "timeout": Dialogue.timeout,
    "propose": Dialogue.propose,
    "ready": Dialogue.ready,
    "lose": Dialogue.lose,
    "deliver": Dialogue.deliver,
    "drop": Dialogue.drop,
    "stabilize": Dialogue.stabilize,
    "settle": Dialogue.settle,
    "compact": Dialogue.compact,
    "state": Dialogue.state,
}


def _numbers(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in (part.split("=") for part in text.split(","))}


def _entry(text: str) -> Entry:
    index, term = text.split(":")
    return Entry(int(index), int(term), b"old")


def _show_entry(entry: Entry) -> str:
    return f"{entry.index}:{entry.term} {entry.data.decode() or '(empty)'}"


def _indent(lines: list[str]) -> list[str]:
    return ["  " + line for line in lines]


def _show_ready(ready: Ready) -> list[str]:
    said = []
    if ready.hard_state is not None:
        hard = ready.hard_state
        said.append(f"hard state term={hard.term} vote={hard.vote} commit={hard.commit}")
    if ready.snapshot is not None:
        said.append(f"snapshot {ready.snapshot.index}:{ready.snapshot.term}")
    said += [f"append {_show_entry(entry)}" for entry in ready.entries]
    said += [f"send {_show_message(message)}" for message in ready.messages]
    if ready.must_sync:
        said.append("sync")
    said += [f"then send {_show_message(message)}" for message in ready.messages_after_sync]
    said += [f"apply {_show_entry(entry)}" for entry in ready.committed]
    return said


def _show_message(message: Message) -> str:
    return f"{message.sender}->{message.to} term={message.term} {_SHOW[type(message)](message)}"


def _show_append(message: AppendEntries) -> str:
    entries = ", ".join(_show_entry(entry) for entry in message.entries)
    return (
        f"AppendEntries prev={message.prev_log_index}:{message.prev_log_term} "
        f"commit={message.leader_commit} [{entries}]"
    )


_SHOW: dict[type[Message], Callable[..., str]] = {
    RequestVote: lambda m: (
        f"{'PreVote' if m.pre else 'RequestVote'} last={m.last_log_index}:{m.last_log_term}"
    ),
    RequestVoteResponse: lambda m: (
        f"{'PreVote' if m.pre else 'RequestVote'} {'granted' if m.granted else 'refused'}"
    ),
    AppendEntries: _show_append,
    AppendEntriesResponse: lambda m: (
        f"AppendEntries {'matches' if m.success else 'refused, try'} {m.match_index}"
    ),
    InstallSnapshot: lambda m: f"InstallSnapshot {m.snapshot.index}:{m.snapshot.term}",
}
