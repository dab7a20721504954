"""One member of a Raft cluster as a state machine.

Durability is in the types: whatever promises something about this member's own log, term or vote
is put into `messages_after_sync`, and its own disk counts in a quorum only in `advance`.
"""

import random
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from raftstore.core.follower import FOLLOWER_HANDLERS, Follower
from raftstore.core.leader import LEADER_HANDLERS, Leader
from raftstore.core.log import RaftLog
from raftstore.core.membership import MembershipInDoubt, check_step, membership_entry
from raftstore.core.messages import (
    NOBODY,
    AppendEntries,
    AppendEntriesResponse,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Membership,
    MembershipChange,
    Message,
    ReadIndex,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    SnapshotMeta,
    TimeoutNow,
)
from raftstore.core.progress import Progress
from raftstore.core.quorum import vote_result
from raftstore.core.reads import Asked, FollowerReads
from raftstore.core.ready import Config, Outbox, Ready, Stored

# More than a heartbeat's time, and different, so that members seldom ask at once.
_DOUBT_TICKS = (2, 5)


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


class Raft:
    """One member. A sole voter elects itself at once, without waiting for a timeout; a member
    that knows of no membership is joining, and waits for a leader."""

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
        self._lead: Leader | None = None
        self._reads = FollowerReads(rng)
        self._following: Follower | None = None
        self._pre_votes_due = False
        self._outbox = Outbox()
        self._durable = stored.hard_state
        self._handed_out: Ready | None = None
        self._elapsed_ticks = 0
        self._timeout_ticks = self._random_timeout_ticks()
        if self.membership.voters == (self.id,):
            self._campaign()

    @property
    def membership(self) -> Membership:
        """Of the last entry in the log that changes it, committed or not (thesis, 4.1)."""
        return self.log.memberships.latest

    @property
    def progress(self) -> Mapping[int, Progress]:
        """Empty unless it leads. For a moment also of members that have just been removed."""
        return self._lead.progress if self._lead is not None else {}

    @property
    def transferee(self) -> int:
        """Whom this leader is handing over to, or NOBODY."""
        return self._lead.handover.to if self._lead is not None else NOBODY

    # -- what the driver calls

    def tick(self) -> None:
        if self._lead is not None:
            if not self._lead.tick():
                self._become_follower(self.term, NOBODY)
            return
        self._elapsed_ticks += 1
        if self._elapsed_ticks >= self._timeout_ticks:
            self._time_out()
        elif (
            self.role is Role.PRE_CANDIDATE
            and self._elapsed_ticks % self.config.heartbeat_ticks == 0
        ):
            # Who heard from the last leader a little later than this one may help by now.
            self._pre_votes_due = True

    def propose(self, data: bytes) -> Entry:
        """Append `data` to the log; it is chosen when an entry with this index and term comes
        out of `Ready.committed`. Raises NotLeader."""
        self._check_leads()
        entry = Entry(self.log.last_index + 1, self.term, data)
        self.log.append(entry)
        return entry

    def propose_membership(self, change: MembershipChange) -> Entry:
        """Append a change that holds at once. Raises NotLeader, MembershipInDoubt, and ValueError
        for what is no membership."""
        lead = self._check_leads()
        check_step(self.membership, change.membership)
        if not lead.has_committed_own_term:
            # Else two leaders could each change what the other's quorum is made of (Ongaro,
            # "bug in single-server membership changes", raft-dev, 2015).
            raise MembershipInDoubt("the leader has not committed an entry of its term")
        if self.log.memberships.latest_index > self.log.committed:
            raise MembershipInDoubt("the last change is not committed")
        entry = membership_entry(self.log.last_index + 1, self.term, change)
        self.log.append(entry)
        lead.membership_changed()
        return entry

    def _check_leads(self) -> Leader:
        if self._lead is None:
            raise NotLeader(self.leader)
        if self._lead.handover.to != NOBODY:
            raise NotLeader(NOBODY)
        return self._lead

    def read_index(self, context: int) -> None:
        """`(context, index)` comes out of `Ready.reads`, or never, when a message is lost or the
        leader changes: ask again. Raises NotLeader where no leader is known."""
        if self._lead is not None:
            self._lead.read(Asked(self.id, context))
        elif self._following is not None:
            self._following.read(context)
        else:
            raise NotLeader(NOBODY)

    def transfer_leadership(self, to: int) -> None:
        """Nothing is proposed until `to` leads or an election timeout has passed. Raises
        NotLeader, and ValueError where `to` is not another voter."""
        if self._lead is None:
            raise NotLeader(self.leader)
        self._lead.transfer(to)

    def report_unreachable(self, peer: int) -> None:
        """What was sent to `peer` is probably lost. Where that is the leader, it may be gone."""
        if self._lead is not None:
            self._lead.report_unreachable(peer)
        elif peer == self.leader:
            self._doubt_leader()

    def _doubt_leader(self) -> None:
        """Ask the others soon, instead of after an election timeout, and help who asks: those who
        still hear from the leader refuse, and its next heartbeat ends the doubt. A process that
        dies closes its connections: this is found in milliseconds."""
        if self._elapsed_ticks < self.config.election_ticks:
            self._elapsed_ticks = self.config.election_ticks
            self._timeout_ticks = self._elapsed_ticks + self._rng.randrange(*_DOUBT_TICKS)

    def report_snapshot(self, peer: int, ok: bool) -> None:
        """A snapshot has reached `peer`, or failed to."""
        if self._lead is not None:
            self._lead.report_snapshot(peer, ok=ok)

    def step(self, message: Message) -> None:
        """A message from another member."""
        if self._meet_term(message):
            _HANDLERS[type(message)](self, message)

    def has_ready(self) -> bool:
        if self._handed_out is not None:
            return False
        log = self.log
        return bool(
            log.stable < log.last_index
            or log.applied < min(log.committed, log.stable)
            or log.unstable_snapshot is not None
            or self._outbox
            or self._pre_votes_due
            or (self._lead is not None and self._lead.has_work())
            or (self._following is not None and self._following.has_work())
            or self._hard_state(log.stable) is not self._durable
        )

    def ready(self) -> Ready:
        """Call `advance` when it is done, before asking again."""
        assert self._handed_out is None, "the last Ready was not advanced"
        log, durable = self.log, self._durable
        entries = log.unstable(self.config.ready_entries_max)
        stable = entries[-1].index if entries else log.stable
        hard_state = self._hard_state(stable)
        new_term = (hard_state.term, hard_state.vote) != (durable.term, durable.vote)
        snapshot = log.unstable_snapshot
        self._fill_outbox(stable)
        outbox, self._outbox = self._outbox, Outbox()
        self._handed_out = Ready(
            hard_state=hard_state if hard_state is not durable else None,
            snapshot=snapshot,
            entries=entries,
            messages=outbox.messages,
            messages_after_sync=outbox.after_sync,
            committed=log.to_apply(self.config.ready_entries_max) if snapshot is None else [],
            reads=outbox.reads,
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
            self.log.applied_to(done.committed[-1].index)
        self._count_own_disk()

    def snapshot_taken(self, snapshot: SnapshotMeta) -> None:
        """The driver has a durable snapshot: a member that lags behind the log gets that."""
        self.log.snapshot_taken(snapshot)

    def compact_log(self, index: int) -> None:
        """Forget entries up to `index`, which is applied: who needs them gets a snapshot."""
        self.log.release(index)

    # -- terms and roles

    def _meet_term(self, message: Message) -> bool:
        """Terms as logical time (paper, 5.1); whether the message is to be handled."""
        if message.term > self.term:
            return self._meet_later_term(message)
        if message.term == self.term:
            return True
        if isinstance(message, RequestVote):
            self._answer_vote(message, granted=False)
        elif isinstance(message, AppendEntries | Heartbeat | InstallSnapshot):
            # Tells a leader of the past that it is one; a term alone promises nothing.
            answer = AppendEntriesResponse(self.id, message.sender, self.term, False, 0)
            self._outbox.messages.append(answer)
        return False

    def _meet_later_term(self, message: Message) -> bool:
        if isinstance(message, RequestVote):
            if not message.transfer and self._has_leader():
                # A member that was removed or cut off does not disturb (thesis, 4.2.3).
                return False
            if message.pre:
                return True
        if isinstance(message, RequestVoteResponse) and message.pre and message.granted:
            return True
        self._become_follower(message.term, NOBODY)
        return True

    def _has_leader(self) -> bool:
        """Whether it leads, or has heard from a leader within the shortest election timeout."""
        if self._lead is not None:
            return True
        return self.leader != NOBODY and self._elapsed_ticks < self.config.election_ticks

    def _begin_term(self, term: int, vote: int) -> None:
        self.term = term
        self.vote = vote

    def _take_role(self, role: Role, leader: int) -> None:
        self._reads.forget()
        self.role = role
        self.leader = leader
        self._lead = None
        self._following = None
        self._pre_votes_due = False
        self._elapsed_ticks = 0
        self._timeout_ticks = self._random_timeout_ticks()

    def _become_follower(self, term: int, leader: int) -> None:
        if term > self.term:
            self._begin_term(term, NOBODY)
        self._take_role(Role.FOLLOWER, leader)

    def _random_timeout_ticks(self) -> int:
        return self._rng.randrange(self.config.election_ticks, 2 * self.config.election_ticks)

    def _hard_state(self, stable: int) -> HardState:
        """With entries up to `stable` durable: a commit beyond them would speak of nothing."""
        durable, commit = self._durable, min(self.log.committed, stable)
        if (durable.term, durable.vote, durable.commit) == (self.term, self.vote, commit):
            return durable
        return HardState(self.term, self.vote, commit)

    # -- elections

    def _may_campaign(self) -> bool:
        """Also where a change that is not known to be committed leaves this member out: it may be
        the only one that has it (thesis, 4.2.2)."""
        committed = self.log.membership_at(self.log.committed)
        return self.id in self.membership.voters or self.id in committed.voters

    def _time_out(self) -> None:
        if not self._may_campaign():
            self._take_role(Role.FOLLOWER, NOBODY)
            return
        self._take_role(Role.PRE_CANDIDATE, NOBODY)
        # A member that cannot win does not raise the term (thesis, 9.6).
        self._votes = {self.id: True}
        self._pre_votes_due = True
        self._decide_vote()

    def _campaign(self, *, transfer: bool = False) -> None:
        """The vote for itself counts when it is durable: see `_count_own_disk`."""
        self._begin_term(self.term + 1, self.id)
        self._take_role(Role.CANDIDATE, NOBODY)
        self._votes = {}
        self._request_votes(self.term, self._outbox.after_sync, transfer=transfer)

    def _request_votes(
        self, term: int, outbox: list[Message], *, pre: bool = False, transfer: bool = False
    ) -> None:
        last = self.log.last_index, self.log.last_term
        for voter in self.membership.voters:
            if voter != self.id:
                outbox.append(RequestVote(self.id, voter, term, *last, pre, transfer))

    def _on_request_vote(self, message: RequestVote) -> None:
        """Whoever asks is answered, in the membership or not: ours may be old (thesis, 4.1)."""
        candidate_log = message.last_log_index, message.last_log_term
        granted = self._may_vote(message) and self.log.is_up_to_date(*candidate_log)
        if granted and not message.pre:
            self.vote = message.sender
            self._elapsed_ticks = 0
        self._answer_vote(message, granted=granted)

    def _may_vote(self, message: RequestVote) -> bool:
        if message.pre:
            return message.term > self.term
        return self.vote == message.sender or (self.vote == NOBODY and self.leader == NOBODY)

    def _answer_vote(self, request: RequestVote, *, granted: bool) -> None:
        term = request.term if request.pre and granted else self.term
        answer = RequestVoteResponse(self.id, request.sender, term, granted, pre=request.pre)
        # A PreVote or a refusal promises nothing; a vote is a promise only the disk can keep.
        promises = granted and not request.pre
        (self._outbox.after_sync if promises else self._outbox.messages).append(answer)

    def _on_request_vote_response(self, message: RequestVoteResponse) -> None:
        asked = Role.PRE_CANDIDATE if message.pre else Role.CANDIDATE
        # A granted PreVote speaks of the term that was asked for; all else of the present one.
        about = self.term + 1 if message.pre and message.granted else self.term
        if self.role is asked and message.term == about:
            self._votes.setdefault(message.sender, message.granted)
            self._decide_vote()

    def _decide_vote(self) -> None:
        won = vote_result(self._votes, self.membership.voters)
        if won is None:
            return
        if not won:
            self._become_follower(self.term, NOBODY)
        elif self.role is Role.PRE_CANDIDATE:
            self._campaign()
        else:
            self._become_leader()

    def _become_leader(self) -> None:
        self._take_role(Role.LEADER, self.id)
        self._lead = Leader(self.config, self.term, self.log)
        # Commits, with itself, what earlier terms left (paper, 5.4.2 and section 8).
        self.propose(b"")

    def _on_timeout_now(self, message: TimeoutNow) -> None:
        """The leader has stopped and waits for this member to lead (thesis, 3.10)."""
        if self._lead is None and self._may_campaign():
            self._campaign(transfer=True)

    # -- following

    def _on_message_from_leader(self, message: Message) -> None:
        assert self._lead is None, "two leaders in one term (paper, 5.2)"
        if self._following is None:
            self._take_role(Role.FOLLOWER, message.sender)
            self._following = Follower(self.id, self.leader, self.term, self.log, self._reads)
        self._elapsed_ticks = 0
        FOLLOWER_HANDLERS[type(message)](self._following, message)

    # -- leading

    def _on_message_to_leader(self, message: Message) -> None:
        """It may have been deposed since, or have started anew."""
        if self._lead is not None:
            LEADER_HANDLERS[type(message)](self._lead, message)
            self._step_down_if_left_out()

    def _count_own_disk(self) -> None:
        """This member is one of its quorum as far as its own disk has got."""
        if self._lead is not None:
            self._lead.own_disk_reached(self.log.stable)
            self._step_down_if_left_out()
        elif self.role is Role.CANDIDATE and self._durable.term == self.term:
            self._votes.setdefault(self.id, True)
            self._decide_vote()

    def _step_down_if_left_out(self) -> None:
        if self._lead is not None and self._lead.is_left_out:
            self._lead.farewell(self._outbox)
            self._become_follower(self.term, NOBODY)

    def _fill_outbox(self, stable: int) -> None:
        """What is said only when a Ready is made, in which entries up to `stable` get durable."""
        if self._lead is not None:
            self._lead.send(self._outbox)
        elif self._following is not None:
            self._following.send(self._outbox, stable)
        elif self._pre_votes_due:
            self._pre_votes_due = False
            self._request_votes(self.term + 1, self._outbox.messages, pre=True)


_HANDLERS: dict[type[Message], Callable[[Raft, Any], None]] = {
    RequestVote: Raft._on_request_vote,
    RequestVoteResponse: Raft._on_request_vote_response,
    TimeoutNow: Raft._on_timeout_now,
    AppendEntries: Raft._on_message_from_leader,
    InstallSnapshot: Raft._on_message_from_leader,
    Heartbeat: Raft._on_message_from_leader,
    ReadIndexResponse: Raft._on_message_from_leader,
    AppendEntriesResponse: Raft._on_message_to_leader,
    HeartbeatResponse: Raft._on_message_to_leader,
    ReadIndex: Raft._on_message_to_leader,
}
