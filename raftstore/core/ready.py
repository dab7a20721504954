"""What the driver gives to the core and gets from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from raftstore.core.messages import Entry, HardState, Message, SnapshotMeta


@dataclass(frozen=True)
class Config:
    """Timeouts are in ticks; the election's is stretched by up to twice, by chance, so that
    members seldom campaign at once (paper, 5.2). A follower is sent at most `in_flight_max`
    AppendEntries that it has not answered, each of `append_size_max_bytes` of data or of one
    entry. One Ready asks for at most `ready_entries_max` entries to be appended and applied."""

    member_id: int
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    append_size_max_bytes: int = 1 << 20
    in_flight_max: int = 64
    ready_entries_max: int = 512


@dataclass(frozen=True)
class Stored:
    """What the disk gave back at the start."""

    hard_state: HardState = field(default_factory=HardState)
    snapshot: SnapshotMeta = field(default_factory=SnapshotMeta)
    entries: Sequence[Entry] = ()


@dataclass(frozen=True)
class Ready:
    """What must be done now. `hard_state` is None where it has not changed; its commit is durable
    when this Ready is. `reads` are (context, index): what was asked by `read_index(context)` may
    be read where `index` is applied."""

    hard_state: HardState | None = None
    snapshot: SnapshotMeta | None = None
    entries: Sequence[Entry] = ()
    messages: Sequence[Message] = ()
    messages_after_sync: Sequence[Message] = ()
    committed: Sequence[Entry] = ()
    reads: Sequence[tuple[int, int]] = ()
    must_sync: bool = False


@dataclass
class Outbox:
    """`messages` may leave before what is in memory is durable, `after_sync` may not."""

    messages: list[Message] = field(default_factory=list)
    after_sync: list[Message] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.messages or self.after_sync)
