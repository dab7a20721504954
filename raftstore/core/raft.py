"""One member of a Raft cluster as a state machine.

Durability is in the types: whatever promises something about this member's own log, term or vote
is put into `messages_after_sync`, and its own disk counts in a quorum only in `advance`.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from raftstore.core.log import RaftLog
from raftstore.core.messages import (
    NOBODY,
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    HardState,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
)
from raftstore.core.progress import Progress, agreed_index, vote_result


class Role(Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class NotLeader(Exception):
    """Only the leader proposes. `leader` is who leads as far as this member knows, or NOBODY."""

    def __init__(self, leader: int) -> None:
        super().__init__("etcdserver: not leader")
        self.leader = leader


@dataclass(frozen=True)
class Config:
    """`voters` includes `member_id`. Timeouts are in ticks; the election's is stretched by up to
    twice, by chance, so that members seldom campaign at once (paper, 5.2). One Ready asks for at
    most `ready_entries_max` entries to be appended and applied."""

    member_id: int
    voters: tuple[int, ...]
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    append_size_max_bytes: int = 1 << 20
    ready_entries_max: int = 512


@dataclass(frozen=True)
class Stored:
    """What the disk gave back at the start."""

    hard_state: HardState = field(default_factory=HardState)
    snapshot: SnapshotMeta = field(default_factory=SnapshotMeta)
    entries: Sequence[Entry] = ()


@dataclass(frozen=True)
class Ready:
    """What must be done now. `hard_state` is None where it has not changed."""

    hard_state: HardState | None = None
    snapshot: SnapshotMeta | None = None
    entries: Sequence[Entry] = ()
    messages: Sequence[Message] = ()
    messages_after_sync: Sequence[Message] = ()
    committed: Sequence[Entry] = ()
    must_sync: bool = False


@dataclass
class _Outbox:
    messages: list[Message] = field(default_factory=list)
    after_sync: list[Message] = field(default_factory=list)


class Raft:
    """One member. A sole voter elects itself at once, without waiting for a timeout."""

    def __init__(self, config: Config, stored: Stored, rng: random.Random) -> None:
        self.config = config
        self.id = config.member_id
        self.term = stored.hard_state.term
        self.vote = stored.hard_state.vote
        self.log = RaftLog(stored.snapshot, stored.entries, stored.hard_state.commit)
        self.role = Role.FOLLOWER
        self.leader = NOBODY
        self._rng = rng
        self._votes: dict[int, bool] = {}
        self._progress: dict[int, Progress] = {}
        self._outbox = _Outbox()
        self._durable = stored.hard_state
        self._handed_out: Ready | None = None
        self._elapsed_ticks = 0
        self._timeout_ticks = self._random_timeout_ticks()
        if config.voters == (self.id,):
            self._campaign()

    # -- what the driver calls

    def tick(self) -> None:
        self._elapsed_ticks += 1
        if self.role is Role.LEADER:
            if self._elapsed_ticks >= self.config.heartbeat_ticks:
                self._elapsed_ticks = 0
                self._broadcast(heartbeat=True)
        elif self._elapsed_ticks >= self._timeout_ticks and self.id in self.config.voters:
            self._ask_before_campaign()

    def propose(self, data: bytes) -> Entry:
        """Append `data` to the log; it is chosen when an entry with this index and term comes
        out of `Ready.committed`. Raises NotLeader."""
        if self.role is not Role.LEADER:
            raise NotLeader(self.leader)
        entry = Entry(self.log.last_index + 1, self.term, data)
        self.log.append(entry)
        if len(self._progress) > 1:
            self._broadcast()
        return entry

    def step(self, message: Message) -> None:
        """A message from another member."""
        if not self._meet_term(message):
            return
        _HANDLERS[type(message)](self, message)

    def has_ready(self) -> bool:
        if self._handed_out is not None:
            return False
        log, outbox = self.log, self._outbox
        return bool(
            log.stable < log.last_index
            or log.applied < min(log.committed, log.stable)
            or log.unstable_snapshot is not None
            or outbox.messages
            or outbox.after_sync
            or self._hard_state() != self._durable
        )

    def ready(self) -> Ready:
        """Call `advance` when it is done, before asking again."""
        assert self._handed_out is None, "the last Ready was not advanced"
        hard_state = self._hard_state()
        changed = hard_state != self._durable
        new_term = (hard_state.term, hard_state.vote) != (self._durable.term, self._durable.vote)
        entries = self.log.unstable(self.config.ready_entries_max)
        snapshot = self.log.unstable_snapshot
        committed = self.log.to_apply(self.config.ready_entries_max) if snapshot is None else []
        outbox, self._outbox = self._outbox, _Outbox()
        self._handed_out = Ready(
            hard_state=hard_state if changed else None,
            snapshot=snapshot,
            entries=entries,
            messages=outbox.messages,
            messages_after_sync=outbox.after_sync,
            committed=committed,
            must_sync=bool(entries or new_term or snapshot is not None),
        )
        return self._handed_out

    def advance(self) -> None:
        """What the last Ready asked for is done: durable, sent, applied."""
        done, self._handed_out = self._handed_out, None
        assert done is not None, "there was no Ready"
        if done.hard_state is not None:
            self._durable = done.hard_state
        if done.snapshot is not None and self.log.unstable_snapshot == done.snapshot:
            self.log.unstable_snapshot = None
        if done.entries:
            self.log.became_stable(done.entries[-1])
        if done.committed:
            self.log.applied = done.committed[-1].index
        self._count_own_disk()

    def snapshot_taken(self, snapshot: SnapshotMeta) -> None:
        """The driver has a durable snapshot: a member that lags behind the log gets that."""
        self.log.snapshot_taken(snapshot)

    def release_applied(self) -> None:
        """Forget applied entries: a sole voter sends them to nobody."""
        assert self.config.voters == (self.id,), "another member may need them"
        self.log.release(self.log.applied)

    # -- terms and roles

    def _meet_term(self, message: Message) -> bool:
        """Terms as logical time (paper, 5.1); whether the message is to be handled."""
        if message.term > self.term:
            if isinstance(message, RequestVote) and message.pre:
                return True
            if isinstance(message, RequestVoteResponse) and message.pre and message.granted:
                return True
            self._become_follower(message.term, NOBODY)
            return True
        if message.term == self.term:
            return True
        if isinstance(message, RequestVote):
            self._answer_vote(message, granted=False)
        elif isinstance(message, AppendEntries | InstallSnapshot):
            # Tells a leader of the past that it is one.
            self._answer_append(message.sender, success=False, match_index=self.log.last_index)
        return False

    def _become_follower(self, term: int, leader: int) -> None:
        if term > self.term:
            self.term = term
            self.vote = NOBODY
        self.role = Role.FOLLOWER
        self.leader = leader
        self._reset_timer()

    def _ask_before_campaign(self) -> None:
        """PreVote: a member that cannot win does not raise the term (thesis, 9.6)."""
        self.role = Role.PRE_CANDIDATE
        self.leader = NOBODY
        self._reset_timer()
        self._votes = {self.id: True}
        if not self._decide_vote():
            self._request_votes(self.term + 1, self._outbox.messages, pre=True)

    def _campaign(self) -> None:
        """The vote for itself counts when it is durable: see `_count_own_disk`."""
        self.term += 1
        self.vote = self.id
        self.role = Role.CANDIDATE
        self.leader = NOBODY
        self._reset_timer()
        self._votes = {}
        self._request_votes(self.term, self._outbox.after_sync, pre=False)

    def _request_votes(self, term: int, outbox: list[Message], *, pre: bool) -> None:
        for peer in self._peers():
            last = self.log.last_index, self.log.last_term
            outbox.append(RequestVote(self.id, peer, term, *last, pre=pre))

    def _become_leader(self) -> None:
        self.role = Role.LEADER
        self.leader = self.id
        self._reset_timer()
        after_last = self.log.last_index + 1
        self._progress = {member: Progress(after_last) for member in self.config.voters}
        self._progress[self.id].match_index = self.log.stable
        # Commits, with itself, what earlier terms left (paper, 5.4.2 and section 8).
        self.propose(b"")

    def _reset_timer(self) -> None:
        self._elapsed_ticks = 0
        self._timeout_ticks = self._random_timeout_ticks()

    def _random_timeout_ticks(self) -> int:
        return self._rng.randrange(self.config.election_ticks, 2 * self.config.election_ticks)

    def _peers(self) -> list[int]:
        return [member for member in self.config.voters if member != self.id]

    def _hard_state(self) -> HardState:
        durable, log = self._durable, self.log
        if (durable.term, durable.vote, durable.commit) == (self.term, self.vote, log.committed):
            return durable
        return HardState(self.term, self.vote, log.committed)

    # -- votes

    def _on_request_vote(self, message: RequestVote) -> None:
        candidate_log = message.last_log_index, message.last_log_term
        granted = self._may_vote(message) and self.log.is_up_to_date(*candidate_log)
        if granted and not message.pre:
            self.vote = message.sender
            self._reset_timer()
        self._answer_vote(message, granted=granted)

    def _may_vote(self, message: RequestVote) -> bool:
        if message.pre:
            # Who hears from a leader does not help to depose it.
            heard = self.leader != NOBODY and self._elapsed_ticks < self.config.election_ticks
            return message.term > self.term and not heard
        return self.vote == message.sender or (self.vote == NOBODY and self.leader == NOBODY)

    def _answer_vote(self, request: RequestVote, *, granted: bool) -> None:
        term = request.term if request.pre and granted else self.term
        answer = RequestVoteResponse(self.id, request.sender, term, granted, pre=request.pre)
        # A PreVote promises nothing; a vote is a promise only the disk can keep.
        (self._outbox.messages if request.pre else self._outbox.after_sync).append(answer)

    def _on_request_vote_response(self, message: RequestVoteResponse) -> None:
        asked = Role.PRE_CANDIDATE if message.pre else Role.CANDIDATE
        # A granted PreVote speaks of the term that was asked for; all else of the present one.
        about = self.term + 1 if message.pre and message.granted else self.term
        if self.role is asked and message.term == about:
            self._votes.setdefault(message.sender, message.granted)
            self._decide_vote()

    def _decide_vote(self) -> bool:
        won = vote_result(self._votes, self.config.voters)
        if won is None:
            return False
        if not won:
            self._become_follower(self.term, NOBODY)
        elif self.role is Role.PRE_CANDIDATE:
            self._campaign()
        else:
            self._become_leader()
        return True

    # -- the log

    def _on_append_entries(self, message: AppendEntries) -> None:
        self._follow(message)
        log = self.log
        last_new = message.prev_log_index + len(message.entries)
        if message.prev_log_index < log.committed:
            # What is committed is equal already; answer what is known to match.
            self._answer_append(message.sender, success=True, match_index=log.committed)
        elif log.term(message.prev_log_index) == message.prev_log_term:
            log.append_from_leader(message.entries)
            log.commit_to(min(message.leader_commit, last_new))
            self._answer_append(message.sender, success=True, match_index=last_new)
        else:
            hint = min(message.prev_log_index - 1, log.last_index)
            self._answer_append(message.sender, success=False, match_index=hint)

    def _on_install_snapshot(self, message: InstallSnapshot) -> None:
        self._follow(message)
        log, snapshot = self.log, message.snapshot
        if snapshot.index > log.committed:
            if log.term(snapshot.index) == snapshot.term:
                log.commit_to(snapshot.index)
            else:
                log.restore(snapshot)
        self._answer_append(message.sender, success=True, match_index=log.committed)

    def _follow(self, message: Message) -> None:
        assert self.role is not Role.LEADER, "two leaders in one term (paper, 5.2)"
        self._become_follower(message.term, message.sender)

    def _answer_append(self, leader: int, *, success: bool, match_index: int) -> None:
        answer = AppendEntriesResponse(self.id, leader, self.term, success, match_index)
        self._outbox.after_sync.append(answer)

    def _on_append_entries_response(self, message: AppendEntriesResponse) -> None:
        progress = self._progress.get(message.sender)
        if self.role is not Role.LEADER or progress is None or message.term != self.term:
            return
        if message.success:
            progress.matched(message.match_index)
            if self._commit():
                self._broadcast()
        else:
            progress.refused(message.match_index)
        if progress.next_index <= self.log.last_index:
            self._send_append(message.sender)

    def _broadcast(self, *, heartbeat: bool = False) -> None:
        for peer in self._peers():
            if heartbeat:
                # What was sent may be lost: a heartbeat tries again.
                self._progress[peer].in_flight = False
            self._send_append(peer)

    def _send_append(self, peer: int) -> None:
        progress, log = self._progress[peer], self.log
        if progress.in_flight:
            return
        progress.in_flight = True
        prev_index = progress.next_index - 1
        prev_term = log.term(prev_index)
        message: Message
        if prev_term is None:
            message = InstallSnapshot(self.id, peer, self.term, log.snapshot)
        else:
            entries = self._next_entries(progress.next_index)
            message = AppendEntries(
                self.id, peer, self.term, prev_index, prev_term, entries, log.committed
            )
        # The leader's own disk may be slower than a follower's: it need not wait (thesis, 10.2.1).
        self._outbox.messages.append(message)

    def _next_entries(self, first: int) -> list[Entry]:
        entries = self.log.slice(first, self.log.last_index)
        size_bytes = 0
        for place, entry in enumerate(entries):
            size_bytes += len(entry.data)
            if size_bytes > self.config.append_size_max_bytes and place > 0:
                return entries[:place]
        return entries

    def _commit(self) -> bool:
        """Only an entry of the present term is counted; it commits those before (paper, 5.4.2)."""
        matches = [self._progress[member].match_index for member in self.config.voters]
        index = agreed_index(matches)
        if index <= self.log.committed or self.log.term(index) != self.term:
            return False
        self.log.commit_to(index)
        return True

    def _count_own_disk(self) -> None:
        """This member is one of its quorum as far as its own disk has got."""
        if self.role is Role.LEADER:
            self._progress[self.id].matched(self.log.stable)
            if self._commit() and len(self._progress) > 1:
                self._broadcast()
        elif self.role is Role.CANDIDATE and self._durable.term == self.term:
            self._votes.setdefault(self.id, True)
            self._decide_vote()


_HANDLERS: dict[type[Message], Callable[[Raft, Any], None]] = {
    RequestVote: Raft._on_request_vote,
    RequestVoteResponse: Raft._on_request_vote_response,
    AppendEntries: Raft._on_append_entries,
    AppendEntriesResponse: Raft._on_append_entries_response,
    InstallSnapshot: Raft._on_install_snapshot,
}
