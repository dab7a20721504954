"""What a member knows and does while it leads (paper, figure 2: volatile state on leaders).

Nothing is sent when something happens: `send` looks at what is due when a Ready is made, so that
all that came meanwhile shares a message.
"""

from collections.abc import Callable, Sequence
from typing import Any

from raftstore.core.handover import Handover
from raftstore.core.log import RaftLog
from raftstore.core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    ReadIndex,
    ReadIndexResponse,
    TimeoutNow,
)
from raftstore.core.progress import Progress, ProgressState
from raftstore.core.quorum import agreed_index, is_majority
from raftstore.core.reads import Asked, LeaderReads
from raftstore.core.ready import Config, Outbox


class Leader:
    """`first_index` is the entry its term starts with."""

    def __init__(self, config: Config, term: int, log: RaftLog) -> None:
        self.progress: dict[int, Progress] = {}
        self.first_index = log.last_index + 1
        self.handover = Handover(config.election_ticks)
        self._config = config
        self._id = config.member_id
        self._term = term
        self._log = log
        self._reads = LeaderReads()
        self._answers: list[tuple[Asked, int]] = []
        self._round = 0
        self._heartbeat_due = False
        self._heartbeat_elapsed_ticks = 0
        self._quorum_elapsed_ticks = 0
        # Members that a change left out are told so; the index is that of the change.
        self._leaving: dict[int, int] = {}
        for member in log.memberships.latest.members:
            self.progress[member] = Progress(self.first_index)
        self._peers = self._others()

    # -- who is led

    @property
    def _voters(self) -> tuple[int, ...]:
        return self._log.memberships.latest.voters

    def membership_changed(self) -> None:
        """The last entry of the log says who is in the cluster from now on."""
        membership = self._log.memberships.latest
        for member in membership.members:
            self._leaving.pop(member, None)
            if member not in self.progress:
                self.progress[member] = Progress(self._log.last_index, recent_active=True)
        for member in self.progress:
            if member not in membership:
                self._leaving.setdefault(member, self._log.memberships.latest_index)
        self._leaving.pop(self._id, None)
        self._peers = self._others()

    def _others(self) -> list[tuple[int, Progress]]:
        return [(member, p) for member, p in self.progress.items() if member != self._id]

    def _let_go(self, members: Sequence[int]) -> None:
        for member in members:
            del self._leaving[member], self.progress[member]
        if members:
            self._peers = self._others()

    @property
    def is_left_out(self) -> bool:
        """A committed change has taken this member from the voters (thesis, 4.2.2)."""
        memberships = self._log.memberships
        return (
            self._id not in memberships.latest.voters
            and memberships.latest_index <= self._log.committed
        )

    @property
    def has_committed_own_term(self) -> bool:
        """Until then it does not know what is committed (paper, 5.4.2 and section 8)."""
        return self._log.committed >= self.first_index

    # -- time

    def tick(self) -> bool:
        """False: it has not heard from a quorum for an election timeout, and may be deposed
        without knowing (thesis, 6.2)."""
        self._heartbeat_elapsed_ticks += 1
        if self._heartbeat_elapsed_ticks >= self._config.heartbeat_ticks:
            self._heartbeat_elapsed_ticks = 0
            self._heartbeat_due = True
            for _, progress in self._peers:
                progress.beat()
        self.handover.tick()
        self._quorum_elapsed_ticks += 1
        if self._quorum_elapsed_ticks < self._config.election_ticks:
            return True
        self._quorum_elapsed_ticks = 0
        self._let_go([m for m, index in self._leaving.items() if index <= self._log.committed])
        return self._has_heard_from_quorum()

    def _has_heard_from_quorum(self) -> bool:
        heard = {member for member, progress in self._peers if progress.recent_active}
        for _, progress in self._peers:
            progress.recent_active = False
        return is_majority({self._id, *heard}, self._voters)

    # -- what it is told

    def own_disk_reached(self, index: int) -> None:
        own = self.progress.get(self._id)
        if own is not None and own.match_index != index:
            own.matched(index, self._log.held_from())
            self._commit()

    def _commit(self) -> None:
        """Only an entry of the present term is counted; it commits those before (paper, 5.4.2)."""
        index = agreed_index([self.progress[voter].match_index for voter in self._voters])
        if index > self._log.committed and index >= self.first_index:
            self._log.commit_to(index)

    def on_append_entries_response(self, message: AppendEntriesResponse) -> None:
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.recent_active = True
        if not message.success:
            # `last_not_after` skips what of our log cannot be in its log, as it did with its own.
            try_index = self._log.last_not_after(message.match_index, message.match_term)
            progress.refused(message.rejected_index, try_index)
            return
        has_more = message.match_index > progress.match_index
        progress.matched(message.match_index, self._log.held_from())
        if has_more:
            self._commit()

    def on_heartbeat_response(self, message: HeartbeatResponse) -> None:
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.recent_active = True
        progress.heard(message.round)
        if self._reads.waits_for_round:
            self._answers += self._reads.round_confirmed(self._confirmed_round())

    def _confirmed_round(self) -> int:
        rounds = {member: progress.confirmed_round for member, progress in self._peers}
        rounds[self._id] = self._round
        return agreed_index([rounds[voter] for voter in self._voters])

    def on_read_index(self, message: ReadIndex) -> None:
        self.read(Asked(message.sender, message.context))

    def read(self, asked: Asked) -> None:
        if self._voters == (self._id,) and self.has_committed_own_term:
            # Nobody else can have been elected.
            self._answers.append((asked, self._log.committed))
        else:
            self._reads.ask(asked)

    def report_unreachable(self, peer: int) -> None:
        progress = self.progress.get(peer)
        if progress is not None and progress.state is ProgressState.REPLICATE:
            progress.probe(progress.match_index + 1)

    def report_snapshot(self, peer: int, *, ok: bool) -> None:
        progress = self.progress.get(peer)
        if progress is not None:
            progress.snapshot_sent(self._log.held_from(), ok=ok)

    # -- handing over (thesis, 3.10)

    def transfer(self, to: int) -> None:
        if to == self._id or to not in self._voters:
            raise ValueError(f"{to:x} is not another voter")
        self.handover.begin(to)

    @property
    def _timeout_now_due(self) -> bool:
        """Without all of the log it could not win."""
        if not self.handover.waits_for_log:
            return False
        return self.progress[self.handover.to].match_index == self._log.last_index

    def farewell(self, outbox: Outbox) -> None:
        """Left out by a committed change: all that still listen learn of it, and who has most of
        the log need not wait for a timeout."""
        self._heartbeat_due = True
        self.send(outbox)
        heir = max(self._voters, key=lambda voter: self.progress[voter].match_index)
        outbox.messages.append(TimeoutNow(self._id, heir, self._term))

    # -- what is due

    def has_work(self) -> bool:
        return bool(
            self._answers
            or self._round_due
            or (self._peers and (self._heartbeat_due or self._timeout_now_due))
            or any(self._append_due(p) or self._commit_due(p) for _, p in self._peers)
        )

    @property
    def _round_due(self) -> bool:
        return self._reads.wants_round and self.has_committed_own_term

    def _append_due(self, progress: Progress) -> bool:
        return progress.may_send(self._log.last_index, self._config.in_flight_max)

    def _commit_due(self, progress: Progress) -> bool:
        return min(self._log.committed, progress.match_index) > progress.told_commit

    def send(self, outbox: Outbox) -> None:
        """All of it may leave before this member's own disk has what it says: the disk counts as
        one of the quorum when it has got there, and not before (thesis, 10.2.1). Term and vote
        were durable when it was elected."""
        begins_round = self._heartbeat_due or self._round_due
        if begins_round:
            self._begin_round()
        batches: dict[int, list[Entry]] = {}
        for peer, progress in self._peers:
            self._send_appends(outbox, peer, progress, batches)
            if begins_round:
                outbox.messages.append(self._heartbeat(peer, progress, self._round))
            elif self._commit_due(progress):
                # Nobody waits for the answer: what is lost is said again by the next heartbeat.
                outbox.messages.append(self._heartbeat(peer, progress, 0))
        if self._timeout_now_due:
            self.handover.told()
            outbox.messages.append(TimeoutNow(self._id, self.handover.to, self._term))
        self._send_answers(outbox)
        self._let_go([m for m, i in self._leaving.items() if self.progress[m].told_commit >= i])

    def _begin_round(self) -> None:
        self._round += 1
        self._heartbeat_due = False
        if self.has_committed_own_term:
            self._reads.round_starts(self._round, self._log.committed)
            self._answers += self._reads.round_confirmed(self._confirmed_round())

    def _heartbeat(self, peer: int, progress: Progress, round_: int) -> Heartbeat:
        known = min(self._log.committed, progress.match_index)
        progress.told_commit = max(progress.told_commit, known)
        return Heartbeat(self._id, peer, self._term, known, round_)

    def _send_appends(
        self, outbox: Outbox, peer: int, progress: Progress, batches: dict[int, list[Entry]]
    ) -> None:
        """`batches` by first index: members that are equally far get the same entries."""
        log = self._log
        while self._append_due(progress):
            first = progress.next_index
            prev_term = log.term(first - 1)
            if prev_term is None:
                self._send_snapshot(outbox, peer, progress)
                return
            entries: list[Entry] = []
            if progress.has_room(self._config.in_flight_max):
                if first not in batches:
                    batches[first] = log.batch(first, self._config.append_size_max_bytes)
                entries = batches[first]
            progress.sent(entries)
            last = first - 1 + len(entries)
            progress.told_commit = max(progress.told_commit, min(log.committed, last))
            outbox.messages.append(
                AppendEntries(
                    self._id, peer, self._term, first - 1, prev_term, entries, log.committed
                )
            )

    def _send_snapshot(self, outbox: Outbox, peer: int, progress: Progress) -> None:
        """Only to who lives and stays: it may be large. The others are tried when they answer."""
        if not progress.recent_active or peer in self._leaving:
            progress.pause()
            return
        snapshot = self._log.snapshot
        progress.await_snapshot(snapshot.index)
        outbox.messages.append(InstallSnapshot(self._id, peer, self._term, snapshot))

    def _send_answers(self, outbox: Outbox) -> None:
        for (asker, context), index in self._answers:
            if asker == self._id:
                outbox.reads.append((context, index))
            else:
                outbox.messages.append(
                    ReadIndexResponse(self._id, asker, self._term, context, index)
                )
        self._answers = []


LEADER_HANDLERS: dict[type[Message], Callable[[Leader, Any], None]] = {
    AppendEntriesResponse: Leader.on_append_entries_response,
    HeartbeatResponse: Leader.on_heartbeat_response,
    ReadIndex: Leader.on_read_index,
}
