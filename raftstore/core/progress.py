"""A leader's view of one member: how far it is, and what may be sent to it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from raftstore.core.messages import Entry


class ProgressState(Enum):
    """PROBE: where the logs part is not known, one message at a time asks. REPLICATE: messages
    follow each other without waiting. SNAPSHOT: nothing is sent while it gets one."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass
class Progress:
    """`match_index` and `next_index` as in the paper, figure 2. `in_flight` has the last index of
    each AppendEntries that was sent and not answered. `overdue`: a heartbeat's time has passed
    since something was sent, and it is not answered. `confirmed_round` is the last heartbeat it
    answered, `told_commit` the commit it has been told of."""

    next_index: int
    match_index: int = 0
    state: ProgressState = ProgressState.PROBE
    recent_active: bool = False
    in_flight: deque[int] = field(default_factory=deque)
    probe_sent: bool = False
    pending_snapshot: int = 0
    overdue: bool = False
    asks_where: bool = False
    confirmed_round: int = 0
    told_commit: int = 0

    def may_send(self, last_index: int, in_flight_max: int) -> bool:
        """Whether an AppendEntries is due, of a log that ends at `last_index`."""
        if self.state is ProgressState.REPLICATE:
            is_behind = self.next_index <= last_index
            return (is_behind and self.has_room(in_flight_max)) or self.asks_where
        return self.state is ProgressState.PROBE and not self.probe_sent

    def has_room(self, in_flight_max: int) -> bool:
        return len(self.in_flight) < in_flight_max

    def sent(self, entries: Sequence[Entry]) -> None:
        if self.state is ProgressState.PROBE:
            self.probe_sent = True
            return
        self.asks_where = False
        if entries:
            self.next_index = entries[-1].index + 1
            self.in_flight.append(entries[-1].index)

    def matched(self, index: int, held_from: int) -> None:
        """It has all up to `index`. An old answer is true as well, and moves nothing back. A
        member that was sent a snapshot goes on when the log reaches what it has."""
        self.overdue = False
        self.match_index = max(self.match_index, index)
        self.next_index = max(self.next_index, self.match_index + 1)
        while self.in_flight and self.in_flight[0] <= index:
            self.in_flight.popleft()
        if self.state is ProgressState.PROBE or (
            self.state is ProgressState.SNAPSHOT and self.match_index + 1 >= held_from
        ):
            self._begin(ProgressState.REPLICATE, self.match_index + 1)

    def refused(self, rejected_index: int, try_index: int) -> None:
        """It lacks the entry at `rejected_index`, or has another: go back, never behind what is
        known to match. An answer to an older question is not taken for one to the last."""
        self.overdue = False
        if self.state is ProgressState.SNAPSHOT or rejected_index <= self.match_index:
            return
        if self.state is ProgressState.PROBE and rejected_index != self.next_index - 1:
            return
        self.probe(min(rejected_index, try_index + 1))

    def probe(self, next_index: int) -> None:
        self._begin(ProgressState.PROBE, max(next_index, self.match_index + 1))

    def pause(self) -> None:
        """Until it answers a heartbeat."""
        self.probe(self.next_index)
        self.probe_sent = True

    def await_snapshot(self, index: int) -> None:
        self._begin(ProgressState.SNAPSHOT, index + 1)
        self.pending_snapshot = index

    def snapshot_sent(self, held_from: int, *, ok: bool) -> None:
        """It is asked where it is after its own answer or the next heartbeat's, not before: it
        may still be installing. What it got is what the driver had, no older than the log."""
        if self.state is not ProgressState.SNAPSHOT:
            return
        self.probe(max(self.pending_snapshot + 1, held_from) if ok else self.match_index + 1)
        self.probe_sent = True

    def beat(self) -> None:
        """A heartbeat's time has passed."""
        self.overdue = self.probe_sent or bool(self.in_flight)

    def heard(self, round_: int) -> None:
        """It answered a heartbeat, so it lives, and what is overdue may be lost: a probe is sent
        again; a pipeline is not, it asks where the member is."""
        self.confirmed_round = max(self.confirmed_round, round_)
        if self.overdue:
            self.overdue = self.probe_sent = False
            self.asks_where = self.state is ProgressState.REPLICATE

    def _begin(self, state: ProgressState, next_index: int) -> None:
        self.state = state
        self.next_index = next_index
        self.in_flight.clear()
        self.probe_sent = self.overdue = self.asks_where = False
