"""What clients asked and were answered, what watches heard, and what members let be seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from math import inf
from typing import Any

import msgspec

from sim.model import Kv


class Outcome(Enum):
    OK = "ok"
    # Refused for what it said or for what the store holds: nothing was done.
    REFUSED = "refused"
    # Never reached the log: nothing was done and nothing will be.
    NOT_DONE = "not done"
    # May have been done, may yet be, or never.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class KeepAlive:
    """Of a lease. Its result is the TTL in seconds."""

    lease_id: int


@dataclass
class Operation:
    """One request. Times are true ones, in seconds; `served_by` is one life of one member.
    `revision` is that of the answer."""

    number: int
    client: str
    served_by: str
    request: Any
    invoked_s: float
    linearizable: bool = True
    returned_s: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    result: Any = None
    error: str = ""
    revision: int = 0

    def __str__(self) -> str:
        end = "" if self.returned_s == inf else f"{self.returned_s:.4f}"
        said = self.error or show(self.result)
        return (
            f"#{self.number} {self.client} at {self.served_by} [{self.invoked_s:.4f}, {end}] "
            f"{show(self.request)} -> {self.outcome.value} {said}"
        )


@dataclass(frozen=True)
class Change:
    """A key in an event, and what it replaced as far as it was told."""

    kv: Kv
    prev: Kv | None


@dataclass
class WatchLog:
    """One life of one watch. `first` is the revision it had to hear from; `heard` what it was
    told, `upto` the revision up to which it had heard all when it was last known to be alive."""

    client: str
    served_by: str
    key: bytes
    range_end: bytes
    first: int
    heard: list[tuple[int, Sequence[Change]]] = field(default_factory=list)
    upto: int = 0
    # The store's own, while it lives.
    watcher: Any = None

    def __str__(self) -> str:
        return f"watch of {self.client} at {self.served_by} from {self.first}"


@dataclass(frozen=True)
class Seen:
    """A revision as some member applied it first."""

    changes: tuple[Kv, ...]
    first_s: float
    by: str


@dataclass
class History:
    """`seen[0]` is revision 2. `rate_max` bounds how fast a member's clock ran; `end_s` is when
    the members were looked at last, and at `leases_over_s` every lease must have ended."""

    operations: list[Operation] = field(default_factory=list)
    watches: list[WatchLog] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    rate_max: float = 1.0
    has_quota: bool = False
    leases_over_s: float = inf
    end_s: float = inf


def show(value: Any) -> str:
    """Requests and results with what is not as it always is."""
    if isinstance(value, msgspec.Struct):
        shown = [
            f"{name}={show(found)}"
            for name, default in _fields(type(value))
            if (found := getattr(value, name)) != default
        ]
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, list):
        return f"[{', '.join(show(item) for item in value)}]"
    if isinstance(value, Enum):
        return value.name
    return repr(value)


@cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    return [(field.name, field.default) for field in msgspec.structs.fields(kind)]
