"""What a member knows and does while it follows a leader whose log it copies.

Answers that promise something about the log are made when a Ready is, one for all that came
meanwhile, and only for what that Ready makes durable.
"""

from collections.abc import Callable
from typing import Any

from raftstore.core.log import RaftLog
from raftstore.core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    ReadIndex,
    ReadIndexResponse,
)
from raftstore.core.reads import FollowerReads
from raftstore.core.ready import Outbox


class Follower:
    """Of one leader in one term. `_matched`: up to there the log is known to equal the leader's."""

    def __init__(
        self, member_id: int, leader: int, term: int, log: RaftLog, reads: FollowerReads
    ) -> None:
        self._id = member_id
        self._leader = leader
        self._term = term
        self._log = log
        self._reads = reads
        self._answers: list[Message] = []
        self._answered_reads: list[tuple[int, int]] = []
        self._matched = 0
        self._match_due = False

    # -- the log

    def on_append_entries(self, message: AppendEntries) -> None:
        log, prev = self._log, message.prev_log_index
        if prev >= log.committed and log.term(prev) != message.prev_log_term:
            self._refuse_append(message)
            return
        # What is committed is equal already.
        log.append_from_leader(message.entries[max(log.committed - prev, 0) :])
        self._has_matched(max(log.committed, prev + len(message.entries)))
        log.commit_to(min(message.leader_commit, self._matched))

    def _refuse_append(self, message: AppendEntries) -> None:
        """Says where the logs may meet; it promises nothing, so it need not wait for a sync."""
        prev = message.prev_log_index
        hint = self._log.last_not_after(prev, message.prev_log_term)
        hint_term = self._log.term(hint) or 0
        self._answers.append(
            AppendEntriesResponse(self._id, self._leader, self._term, False, hint, hint_term, prev)
        )

    def on_install_snapshot(self, message: InstallSnapshot) -> None:
        log, snapshot = self._log, message.snapshot
        if snapshot.index > log.committed:
            if log.term(snapshot.index) == snapshot.term:
                log.commit_to(snapshot.index)
            else:
                log.restore(snapshot)
        self._has_matched(log.committed)

    def _has_matched(self, index: int) -> None:
        self._matched = max(self._matched, index)
        self._match_due = True

    def on_heartbeat(self, message: Heartbeat) -> None:
        """The leader speaks only of a commit that this member has said to have. The answer says
        that no later term was seen, and need not wait for a sync: who has voted in a later term
        has that on its disk, and a majority that answers meets every majority that has voted."""
        self._log.commit_to(message.leader_commit)
        if message.round:
            self._answers.append(
                HeartbeatResponse(self._id, self._leader, self._term, message.round)
            )

    # -- reads

    def read(self, context: int) -> None:
        self._reads.ask(context)

    def on_read_index_response(self, message: ReadIndexResponse) -> None:
        contexts = self._reads.answered(message.context)
        self._answered_reads += [(context, message.index) for context in contexts]

    # -- what is due

    def has_work(self) -> bool:
        return bool(
            self._match_due or self._answers or self._answered_reads or self._reads.is_waiting
        )

    def send(self, outbox: Outbox, stable: int) -> None:
        """`stable` is the last entry that is durable when this Ready is."""
        outbox.messages += self._answers
        outbox.reads += self._answered_reads
        self._answers, self._answered_reads = [], []
        if self._match_due:
            index = min(self._matched, stable)
            self._match_due = index < self._matched
            outbox.after_sync.append(
                AppendEntriesResponse(self._id, self._leader, self._term, True, index)
            )
        if self._reads.is_waiting:
            outbox.messages.append(
                ReadIndex(self._id, self._leader, self._term, self._reads.take())
            )


FOLLOWER_HANDLERS: dict[type[Message], Callable[[Follower, Any], None]] = {
    AppendEntries: Follower.on_append_entries,
    InstallSnapshot: Follower.on_install_snapshot,
    Heartbeat: Follower.on_heartbeat,
    ReadIndexResponse: Follower.on_read_index_response,
}
