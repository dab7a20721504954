"""Judges what clients of a store saw: one linearizable history, and no acknowledged write lost.

The store's revisions are the order that it claims; the members' own logs say what each revision
is. So nothing has to be searched: every answer must fit the log at the revision that it named, and
the revisions must fit real time (Herlihy and Wing: an operation that ended before another began
comes before it).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Seen = tuple[str, str, int, int, int]


@dataclass
class Verdict:
    """What was judged, and all that was found wrong."""

    operations: int
    acknowledged: int
    unknown: int
    wrong: list[str]


class Truth:
    """The log of a member, and the state of the keys at each of its revisions."""

    def __init__(self, log: Iterable[Sequence[Any]]) -> None:
        self.at: dict[int, tuple[str, str | None]] = {}
        self.revision_of: dict[str, int] = {}
        self.repeated: list[str] = []
        # Per key: revision, and what the key was from then on.
        self._versions: dict[str, list[tuple[int, Seen | None]]] = {}
        for revision, key, value in log:
            self.at[revision] = key, value
            self._record(revision, key, value)

    def _record(self, revision: int, key: str, value: str | None) -> None:
        versions = self._versions.setdefault(key, [])
        if value is None:
            versions.append((revision, None))
            return
        if value in self.revision_of:
            self.repeated.append(f"{value} is in the log at {self.revision_of[value]}, {revision}")
        self.revision_of[value] = revision
        before = versions[-1][1] if versions else None
        created, version = (before[2], before[4] + 1) if before else (revision, 1)
        versions.append((revision, (key, value, created, revision, version)))

    def state(self, key: str, revision: int) -> list[Seen]:
        """What a read at `revision` must see of `key`; of all keys where it is empty."""
        keys = [key] if key else sorted(self._versions)
        found = [self._version(each, revision) for each in keys]
        return [seen for seen in found if seen is not None]

    def _version(self, key: str, revision: int) -> Seen | None:
        versions = self._versions.get(key, [])
        place = bisect_right(versions, revision, key=lambda version: version[0])
        return versions[place - 1][1] if place else None


def judge(
    operations: Sequence[Mapping[str, Any]],
    logs: Mapping[str, Sequence[Any]],
    watches: Mapping[str, Sequence[Any]],
) -> Verdict:
    """`watches` were told of the changes as they happened, from the first one on."""
    members = list(logs)
    wrong = [
        f"{member} and {members[0]} hold different logs"
        for member in members[1:]
        if list(map(tuple, logs[member])) != list(map(tuple, logs[members[0]]))
    ]
    wrong += [
        f"the watch at {member} was told something else than its log: {_first_difference(a, b)}"
        for member, watch in watches.items()
        if (a := list(map(tuple, watch))) != (b := list(map(tuple, logs[members[0]])))
    ]
    truth = Truth(logs[members[0]])
    wrong += truth.repeated
    for operation in operations:
        wrong += _against_log(operation, truth)
    wrong += _inventions(operations, truth)
    wrong += _against_time(operations, truth)
    acknowledged = sum(1 for operation in operations if operation["changed"])
    unknown = sum(1 for operation in operations if not operation["revision"])
    return Verdict(len(operations), acknowledged, unknown, wrong)


def _first_difference(told: Sequence[Any], log: Sequence[Any]) -> str:
    for heard, happened in zip(told, log, strict=False):
        if heard != happened:
            return f"{heard} where {happened} happened"
    return f"{len(told)} events of {len(log)}"


def _against_log(operation: Mapping[str, Any], truth: Truth) -> list[str]:
    revision = operation["revision"]
    if not revision:
        return []
    if operation["changed"]:
        value = None if operation["kind"] == "delete" else operation["value"]
        if truth.at.get(revision) != (operation["key"], value):
            return [f"acknowledged and not there: {_tell(operation)}: {truth.at.get(revision)}"]
        return []
    if operation["kind"] == "delete":
        found = truth.state(operation["key"], revision)
        return [f"deleted nothing of {found}: {_tell(operation)}"] if found else []
    expected = truth.state(operation["key"], revision)
    if list(map(tuple, operation["kvs"])) != expected:
        return [f"a read saw what was not: {_tell(operation)}: {expected}"]
    return []


def _inventions(operations: Sequence[Mapping[str, Any]], truth: Truth) -> list[str]:
    asked = {operation["value"] for operation in operations}
    return [f"nobody wrote {value}" for value in truth.revision_of if value not in asked]


def _against_time(operations: Sequence[Mapping[str, Any]], truth: Truth) -> list[str]:
    """No operation comes, by revision, before one that had ended when it began."""
    moments: list[tuple[float, int, int]] = []
    revisions: dict[int, int] = {}
    for place, operation in enumerate(operations):
        revisions[place] = operation["revision"] or truth.revision_of.get(operation["value"], 0)
        moments.append((operation["started_s"], 1, place))
        if operation["revision"]:
            moments.append((operation["ended_s"], 0, place))
    wrong = []
    newest, floor = 0, 0
    floors: dict[int, tuple[int, int]] = {}
    for _, is_start, place in sorted(moments):
        if is_start:
            floors[place] = floor, newest
        elif revisions[place] > floor:
            floor, newest = revisions[place], place
    for place, operation in enumerate(operations):
        least, other = floors[place]
        is_write = operation["changed"] or not operation["revision"]
        if revisions[place] and revisions[place] < least + is_write:
            wrong.append(f"{_tell(operations[other])} had ended before {_tell(operation)}")
    return wrong


def _tell(operation: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in operation.items() if value)


def failovers_s(operations: Sequence[Mapping[str, Any]], kills_s: Sequence[float]) -> list[float]:
    """From each kill of a leader to the first write that was begun after it and acknowledged."""
    writes = sorted(
        (operation["ended_s"], operation["started_s"])
        for operation in operations
        if operation["changed"]
    )
    found = []
    for kill_s in kills_s:
        first = next((end for end, start in writes if start >= kill_s), None)
        if first is not None:
            found.append(first - kill_s)
    return found


def distribution(values_s: Sequence[float], election_timeout_s: float) -> str:
    """One line for whoever reads the tests' output."""
    ordered = sorted(values_s)
    if not ordered:
        return "no leader was killed"

    def at(part: float) -> str:
        value_s = ordered[min(len(ordered) - 1, int(part * len(ordered)))]
        return f"{value_s * 1000:.0f} ms ({value_s / election_timeout_s:.2f} election timeouts)"

    return (
        f"failover over {len(ordered)} losses of the leader, election timeout "
        f"{election_timeout_s * 1000:.0f} ms: p50 {at(0.5)}, p99 {at(0.99)}"
    )
