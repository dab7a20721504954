"""Which changes of the membership a leader refuses, as a table; and how it counts leases."""

import pytest

from raftstore.core import Membership
from raftstore.errors import (
    BadMemberUrls,
    ClusterError,
    LearnerNotReady,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    NotEnoughStarted,
    PeerUrlExists,
    TooManyLearners,
    UnhealthyCluster,
)
from raftstore.mvcc import MemberRecord
from raftstore.node.lessor import EXPIRE_MAX, Lessor
from raftstore.node.membership import View, plan_change
from raftstore.peers.messages import (
    AddMember,
    MembershipQuestion,
    PromoteMember,
    RemoveMember,
)


def view(
    voters: str, learners: str = "", *, unstarted: str = "", away: str = "", match: int = 100
) -> View:
    """Members are digits; member 1 leads a log of 100 entries, learners have `match` of it."""
    members = [int(m) for m in voters + learners]
    records = {
        m: MemberRecord(
            m,
            "" if str(m) in unstarted else f"m{m}",
            (f"http://m{m}:1",),
            (),
            is_learner=str(m) in learners,
        )
        for m in members
    }
    membership = Membership(tuple(map(int, voters)), tuple(map(int, learners)))
    active = frozenset(m for m in members if str(m) not in away)
    matches = {m: match if str(m) in learners else 100 for m in members}
    return View(membership, records, active, matches, 100)


URL = ("http://new:1",)
ADD, LEARN = AddMember(9, URL), AddMember(9, URL, is_learner=True)


@pytest.mark.parametrize(
    ("question", "seen", "voters", "learners"),
    [
        (ADD, view("1"), (1, 9), ()),
        (ADD, view("123"), (1, 2, 3, 9), ()),
        (ADD, view("123", unstarted=""), (1, 2, 3, 9), ()),
        (ADD, view("1234", unstarted="4"), (1, 2, 3, 4, 9), ()),
        (AddMember(2, URL), view("13"), (1, 2, 3), ()),
        (ADD, view("123", "4", away="4"), (1, 2, 3, 9), (4,)),
        (LEARN, view("123", away="23", unstarted="23"), (1, 2, 3), (9,)),
        (RemoveMember(3), view("123"), (1, 2), ()),
        (RemoveMember(3), view("123", away="3", unstarted="3"), (1, 2), ()),
        (RemoveMember(1), view("12"), (2,), ()),
        (RemoveMember(5), view("12345", away="5"), (1, 2, 3, 4), ()),
        (RemoveMember(5), view("12345", away="45", unstarted="4"), (1, 2, 3, 4), ()),
        # A learner may go whoever is away: it never counted.
        (RemoveMember(4), view("123", "4", away="23", unstarted="23"), (1, 2, 3), ()),
        (PromoteMember(4), view("123", "4", match=90), (1, 2, 3, 4), ()),
    ],
)
def test_a_change_that_is_safe_is_planned(
    question: MembershipQuestion,
    seen: View,
    voters: tuple[int, ...],
    learners: tuple[int, ...],
) -> None:
    assert plan_change(question, seen).membership == Membership(voters, learners)


@pytest.mark.parametrize(
    ("question", "seen", "error"),
    [
        (AddMember(2, URL), view("123"), MemberExists),
        (AddMember(4, URL), view("123", "4"), MemberExists),
        (AddMember(9, ("http://m2:1",)), view("123"), PeerUrlExists),
        (AddMember(9, ("http://new:1", "http://m4:1")), view("123", "4"), PeerUrlExists),
        (AddMember(9, URL, is_learner=True), view("1", "2"), TooManyLearners),
        # The new voter may never come: those who have come must be enough with it.
        (ADD, view("12", unstarted="2"), NotEnoughStarted),
        (ADD, view("123", unstarted="23"), NotEnoughStarted),
        (ADD, view("123", unstarted="3"), NotEnoughStarted),
        (ADD, view("1", unstarted="1"), NotEnoughStarted),
        (ADD, view("123", away="3"), UnhealthyCluster),
        (RemoveMember(9), view("123"), MemberNotFound),
        (RemoveMember(1), view("123", unstarted="3"), NotEnoughStarted),
        (RemoveMember(1), view("12", unstarted="2"), NotEnoughStarted),
        (RemoveMember(1), view("123", away="3"), UnhealthyCluster),
        (RemoveMember(2), view("12345", away="34"), UnhealthyCluster),
        (RemoveMember(1), view("12", away="2"), UnhealthyCluster),
        (PromoteMember(9), view("123", "4"), MemberNotFound),
        (PromoteMember(3), view("123", "4"), MemberNotLearner),
        (PromoteMember(4), view("123", "4", match=89), LearnerNotReady),
        (PromoteMember(4), view("123", "4", away="3"), UnhealthyCluster),
        (PromoteMember(4), view("123", "4", unstarted="3"), NotEnoughStarted),
    ],
)
def test_a_change_that_could_cost_the_quorum_is_refused(
    question: MembershipQuestion, seen: View, error: type[ClusterError]
) -> None:
    with pytest.raises(error):
        plan_change(question, seen)


@pytest.mark.parametrize(
    "urls",
    [
        (),
        ("new:1",),
        ("ftp://new:1",),
        ("http://:1",),
        ("http://new",),
        ("http://new:x",),
        ("http://new:99999",),
        ("http://[new:1",),
        ("http://new:1", "new"),
    ],
)
def test_a_member_has_addresses_that_can_be_called(urls: tuple[str, ...]) -> None:
    with pytest.raises(BadMemberUrls):
        plan_change(AddMember(9, urls), view("123"))


# -- the leader's count


def test_a_lease_is_named_once_when_its_time_is_over() -> None:
    lessor = Lessor()
    lessor.promote({1: 10, 2: 20}, 100.0)
    assert lessor.due(109.9) == []
    assert lessor.due(110.0) == [1]
    assert lessor.due(115.0) == []
    # It could not be ended: again, as often as it takes, and not before.
    lessor.end_later(1, 116.0)
    assert lessor.due(115.9) == []
    assert lessor.due(116.0) == [1]
    lessor.revoked(1)
    lessor.end_later(1, 117.0)
    assert lessor.due(200.0) == [2]


def test_a_lease_of_an_id_that_was_used_before_has_its_own_time() -> None:
    lessor = Lessor()
    lessor.granted(1, 10, 0.0)
    assert lessor.due(10.0) == [1]
    lessor.revoked(1)
    assert lessor.renew(1, 10.0) is None
    lessor.granted(1, 30, 10.0)
    assert lessor.renew(1, 15.0) == 30
    assert lessor.due(44.9) == []
    assert lessor.due(45.0) == [1]
    lessor.granted(2, 10, 50.0)
    lessor.revoked(2)
    lessor.granted(2, 10, 55.0)
    assert lessor.due(70.0) == [2]


def test_a_lease_that_was_renewed_ends_a_whole_time_later_and_one_that_is_over_not_at_all() -> None:
    lessor = Lessor()
    lessor.granted(1, 10, 0.0)
    assert lessor.renew(1, 9.0) == 10
    assert lessor.due(10.0) == []
    assert lessor.next_deadline_s() == 19.0
    assert lessor.renew(1, 19.0) is None
    assert lessor.due(19.0) == [1]
    assert lessor.remaining_s(1, 25.0) <= 0
    assert lessor.remaining_s(7, 25.0) <= 0


def test_who_leads_anew_counts_from_then_and_only_what_there_is() -> None:
    lessor = Lessor()
    lessor.granted(1, 10, 0.0)
    lessor.granted(2, 10, 0.0)
    assert lessor.due(10.0) == [1, 2]
    lessor.demote()
    assert (lessor.next_deadline_s(), lessor.renew(2, 10.0)) == (None, None)
    lessor.granted(3, 100, 10.0)
    lessor.promote({2: 10}, 50.0)
    # The third ended while another one led.
    assert lessor.renew(3, 50.0) is None
    assert lessor.remaining_s(3, 50.0) <= 0
    assert lessor.next_deadline_s() == 60.0
    assert lessor.due(59.9) == []
    assert lessor.due(200.0) == [2]


def test_many_leases_end_a_part_at_a_time_and_all_in_the_end() -> None:
    lessor = Lessor()
    lessor.promote(dict.fromkeys(range(EXPIRE_MAX + 1), 5), 0.0)
    first, rest = lessor.due(5.0), lessor.due(5.0)
    assert (len(first), len(rest)) == (EXPIRE_MAX, 1)
    assert sorted(first + rest) == list(range(EXPIRE_MAX + 1))
