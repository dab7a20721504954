"""Changes of the membership, decided by the leader as values: what is refused, and what the new
membership is (thesis, chapter 4; the rules of safety beyond Raft's are etcd's, `server.go`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from raftstore.core import Membership, MembershipChange
from raftstore.errors import (
    BadMemberUrls,
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    NotEnoughStarted,
    PeerUrlExists,
    TooManyLearners,
    UnhealthyCluster,
)
from raftstore.mvcc import MemberRecord, encode_members
from raftstore.peers.messages import (
    AddMember,
    MembershipQuestion,
    PromoteMember,
    RemoveMember,
)

# etcd's --max-learners.
LEARNERS_MAX = 1
# A learner may vote when it has this part of the leader's log.
_READY_PART = 0.9


@dataclass(frozen=True)
class View:
    """What the leader sees. `active` are the members it has heard of within an election timeout,
    itself among them; `match_index` is what each is known to hold."""

    membership: Membership
    records: Mapping[int, MemberRecord]
    active: frozenset[int]
    match_index: Mapping[int, int]
    last_index: int

    def started(self) -> int:
        """Voters that have said their name: they ran once."""
        return sum(1 for voter in self.membership.voters if self.records[voter].name)


def plan_change(question: MembershipQuestion, view: View) -> MembershipChange:
    """Raises ClusterError."""
    return _PLANS[type(question)](question, view)


def check_urls(peer_urls: tuple[str, ...]) -> None:
    """Raises BadMemberUrls."""
    if not peer_urls:
        raise BadMemberUrls
    for url in peer_urls:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadMemberUrls from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
            raise BadMemberUrls


def _add(question: AddMember, view: View) -> MembershipChange:
    check_urls(question.peer_urls)
    if question.member_id in view.membership:
        raise MemberExists
    known = {url for record in view.records.values() for url in record.peer_urls}
    if known.intersection(question.peer_urls):
        raise PeerUrlExists
    voters, learners = view.membership.voters, view.membership.learners
    if question.is_learner:
        if len(learners) >= LEARNERS_MAX:
            raise TooManyLearners
        learners = _with(learners, question.member_id)
    else:
        _check_may_add_voter(view)
        voters = _with(voters, question.member_id)
    record = MemberRecord(
        question.member_id, "", question.peer_urls, (), is_learner=question.is_learner
    )
    return MembershipChange(Membership(voters, learners), encode_members([record]))


def _check_may_add_voter(view: View) -> None:
    """A voter that may never come must not cost the quorum."""
    started, size = view.started(), len(view.membership.voters) + 1
    if not (started == 1 and size == 2) and started < size // 2 + 1:
        raise NotEnoughStarted
    if not view.active.issuperset(view.membership.voters):
        raise UnhealthyCluster


def _remove(question: RemoveMember, view: View) -> MembershipChange:
    membership = view.membership
    if question.member_id not in membership:
        raise MemberNotFound
    rest = Membership(
        _without(membership.voters, question.member_id),
        _without(membership.learners, question.member_id),
    )
    if rest.voters != membership.voters:
        quorum = len(rest.voters) // 2 + 1
        started = sum(1 for voter in rest.voters if view.records[voter].name)
        if started < quorum:
            raise NotEnoughStarted
        if len(view.active.intersection(rest.voters)) < quorum:
            raise UnhealthyCluster
    return MembershipChange(rest)


def _promote(question: PromoteMember, view: View) -> MembershipChange:
    membership, member_id = view.membership, question.member_id
    if member_id not in membership:
        raise MemberNotFound
    if member_id not in membership.learners:
        raise MemberNotLearner
    if view.match_index.get(member_id, 0) < _READY_PART * view.last_index:
        raise LearnerNotReady
    _check_may_add_voter(view)
    changed = Membership(
        _with(membership.voters, member_id), _without(membership.learners, member_id)
    )
    return MembershipChange(changed)


_PLANS: dict[type, Callable[[Any, View], MembershipChange]] = {
    AddMember: _add,
    RemoveMember: _remove,
    PromoteMember: _promote,
}


def _with(members: tuple[int, ...], member_id: int) -> tuple[int, ...]:
    return tuple(sorted((*members, member_id)))


def _without(members: tuple[int, ...], member_id: int) -> tuple[int, ...]:
    return tuple(member for member in members if member != member_id)
