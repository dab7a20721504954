"""Sees every revision that any member applies: the first one who shows it says what it is, and all
others must show the same, now and when they start again."""

from collections.abc import Sequence

from raftstore.mvcc import Event
from raftstore.mvcc.errors import Compacted
from raftstore.node import Node
from sim.history import Seen
from sim.model import FIRST_REVISION, Kv, plain
from sim.processes import Process
from sim.trace import Trace, Violation


class Witness:
    def __init__(self, trace: Trace) -> None:
        self.seen: list[Seen] = []
        self.violation: Violation | None = None
        self._trace = trace
        # Revisions seen before the one they follow.
        self._ahead: dict[int, Seen] = {}
        self._leaders: dict[int, str] = {}

    @property
    def revision(self) -> int:
        return len(self.seen) + FIRST_REVISION

    @property
    def missing(self) -> list[int]:
        """Revisions that are there and were never seen."""
        last = max(self._ahead, default=self.revision)
        return [r for r in range(self.revision + 1, last) if r not in self._ahead]

    def watch(self, node: Node, process: Process) -> None:
        """Within the process: from the oldest revision that the member still has."""

        def heard(events: Sequence[Event], revision: int) -> None:
            changes = tuple(kv for event in events if (kv := plain(event.kv)) is not None)
            process.leaves(lambda: self._see(revision, changes, process.name))

        def compacted(revision: int) -> None:
            node.watch(b"\0", b"\0", revision, heard, compacted)

        try:
            node.watch(b"\0", b"\0", 1, heard, compacted)
        except Compacted as error:
            compacted(error.compact_revision)

    def leads(self, term: int, name: str) -> None:
        """`name` says that it leads in `term`."""
        first = self._leaders.setdefault(term, name)
        if first != name:
            self.violate(f"{first} and {name} both lead in term {term}")

    @property
    def elections(self) -> int:
        return len(self._leaders)

    def violate(self, text: str) -> None:
        if self.violation is None:
            self._trace.say(f"VIOLATION {text}")
            self.violation = Violation(text)

    def _see(self, revision: int, changes: tuple[Kv, ...], by: str) -> None:
        known = self._at(revision)
        if known is None:
            self._trace.say(f"{by} shows revision {revision}: {_short(changes)}")
            self._ahead[revision] = Seen(changes, self._trace.stamp(), by)
            while self.revision + 1 in self._ahead:
                self.seen.append(self._ahead.pop(self.revision + 1))
        elif known.changes != changes:
            self.violate(
                f"revision {revision} is {known.changes} on {known.by} and {changes} on {by}"
            )

    def _at(self, revision: int) -> Seen | None:
        if revision <= self.revision:
            return self.seen[revision - FIRST_REVISION - 1]
        return self._ahead.get(revision)


def _short(changes: Sequence[Kv]) -> str:
    return " ".join(
        f"{kv.key.decode()}={kv.value.decode()}" if kv.version else f"-{kv.key.decode()}"
        for kv in changes
    )
