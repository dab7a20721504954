"""Members and alarms in the state machine, and the form of a proposal in the log."""

import msgspec
import pytest

from raftstore.core.messages import Membership, MembershipChange
from raftstore.mvcc import (
    AlarmKind,
    Command,
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    MemberRecord,
    MvccError,
    PublishMember,
    Put,
    Range,
    SetAlarm,
    StateMachine,
    Txn,
    UpdateMember,
    decode_members,
    decode_proposal,
    encode_members,
    encode_proposal,
)
from raftstore.mvcc.errors import Corrupt, NoSpace, UnknownMember
from raftstore.mvcc.snapshot import Loader, stream

# As etcd derives ids: all 64 bits are used.
ONE, TWO, THREE = 0xFFFF_0000_0000_0001, 2, 3


def membership(voters: tuple[int, ...], learners: tuple[int, ...] = ()) -> Membership:
    return Membership(tuple(sorted(voters)), tuple(sorted(learners)))


def record(member_id: int, **fields: object) -> MemberRecord:
    given = {"peer_urls": (f"https://m{member_id % 10}:2380",)} | fields
    return MemberRecord(member_id, **given)


def founded(*members: int) -> StateMachine:
    state = StateMachine()
    context = encode_members([record(member) for member in members])
    state.apply_membership(MembershipChange(membership(members), context))
    return state


def reloaded(state: StateMachine) -> StateMachine:
    loader = Loader()
    for data in stream(state):
        loader.feed(data)
    return loader.finish()


# -- members


def test_a_founded_cluster_has_its_members() -> None:
    state = founded(ONE, TWO, THREE)
    assert list(state.members) == [TWO, THREE, ONE]
    assert state.members[TWO] == MemberRecord(TWO, "", ("https://m2:2380",), (), False)


def test_a_member_is_added_as_a_learner_promoted_and_removed() -> None:
    state = founded(ONE, TWO)
    added = MembershipChange(membership((ONE, TWO), (THREE,)), encode_members([record(THREE)]))
    state.apply_membership(added)
    assert state.members[THREE].is_learner
    assert state.members[THREE].peer_urls == ("https://m3:2380",)
    state.apply(PublishMember(THREE, "three", ("https://m3:2379",)))
    state.apply_membership(MembershipChange(membership((ONE, TWO, THREE))))
    expected = MemberRecord(THREE, "three", ("https://m3:2380",), ("https://m3:2379",), False)
    assert state.members[THREE] == expected
    state.apply_membership(MembershipChange(membership((ONE, THREE))))
    assert set(state.members) == {ONE, THREE}


def test_the_membership_alone_says_who_is_a_learner() -> None:
    state = StateMachine()
    said = encode_members([record(ONE, is_learner=True), record(TWO)])
    state.apply_membership(MembershipChange(membership((ONE,), (TWO,)), said))
    assert (state.members[ONE].is_learner, state.members[TWO].is_learner) == (False, True)


def test_a_member_says_its_name_and_moves() -> None:
    state = founded(ONE, TWO)
    state.apply(PublishMember(ONE, "one", ("https://a:2379", "https://b:2379")))
    state.apply(UpdateMember(ONE, ("https://moved:2380",)))
    assert state.members[ONE] == MemberRecord(
        ONE, "one", ("https://moved:2380",), ("https://a:2379", "https://b:2379"), False
    )
    assert state.keyspace.revision == 1


@pytest.mark.parametrize("command", [PublishMember(9, "nine", ()), UpdateMember(9, ("x",))])
def test_a_member_that_was_removed_says_nothing(command: Command) -> None:
    state = founded(ONE)
    with pytest.raises(UnknownMember, match="etcdserver: member not found"):
        state.apply(command)
    assert set(state.members) == {ONE}


def test_an_empty_context_says_nothing() -> None:
    assert decode_members(b"") == []
    state = StateMachine()
    state.apply_membership(MembershipChange(membership((TWO,))))
    assert state.members == {TWO: MemberRecord(TWO)}


def test_members_and_alarms_go_with_a_snapshot() -> None:
    state = founded(ONE, TWO)
    state.apply(PublishMember(ONE, "one", ("https://a:2379",)))
    state.apply(SetAlarm(TWO, AlarmKind.NOSPACE, True))
    loaded = reloaded(state)
    assert loaded.members == state.members
    assert loaded.alarms == {(TWO, AlarmKind.NOSPACE)}
    with pytest.raises(NoSpace):
        loaded.apply(Put(b"k"))


# -- alarms


def raised(*kinds: AlarmKind) -> StateMachine:
    """Revision 2 has `a`, lease 5 lives with `l`, an alarm of each kind is raised."""
    state = founded(ONE)
    state.apply(Put(b"a", b"1"))
    state.apply(LeaseGrant(5, 60))
    state.apply(Put(b"l", b"1", 5))
    for kind in kinds:
        state.apply(SetAlarm(ONE, kind, True))
    return state


A_PUT = Txn([], [Put(b"k")])
A_PUT_NOT_TAKEN = Txn(
    [Compare(b"a", CompareTarget.MOD, CompareOperator.EQUAL, 2)], [DeleteRange(b"a")], [Put(b"k")]
)


@pytest.mark.parametrize(
    "command", [Put(b"k"), LeaseGrant(6, 60), A_PUT, A_PUT_NOT_TAKEN, Txn([], [Txn([], [A_PUT])])]
)
def test_without_space_nothing_is_added(command: Command) -> None:
    state = raised(AlarmKind.NOSPACE)
    with pytest.raises(MvccError, match="etcdserver: mvcc: database space exceeded") as refused:
        state.apply(command)
    assert refused.value.code == "RESOURCE_EXHAUSTED"
    assert state.keyspace.revision == 3
    assert 6 not in state.leases
    state.apply(SetAlarm(ONE, AlarmKind.NOSPACE, False))
    state.apply(command)


@pytest.mark.parametrize(
    "command",
    [
        DeleteRange(b"a"),
        Txn([], [DeleteRange(b"a"), Range(b"l")]),
        Compact(3),
        LeaseRevoke(5),
        PublishMember(ONE, "one", ()),
        UpdateMember(ONE, ("x",)),
        SetAlarm(TWO, AlarmKind.NOSPACE, True),
    ],
)
def test_without_space_what_frees_some_goes_on(command: Command) -> None:
    state = raised(AlarmKind.NOSPACE)
    state.apply(command)
    assert state.range(Range(b"l")).revision == state.keyspace.revision


@pytest.mark.parametrize(
    "command",
    [Put(b"k"), DeleteRange(b"a"), Txn([], []), Compact(3), LeaseGrant(6, 60), LeaseRevoke(5)],
)
def test_a_corrupt_cluster_changes_no_key(command: Command) -> None:
    for kinds in ([AlarmKind.CORRUPT], [AlarmKind.CORRUPT, AlarmKind.NOSPACE]):
        state = raised(*kinds)
        with pytest.raises(Corrupt, match="etcdserver: corrupt cluster") as refused:
            state.apply(command)
        assert refused.value.code == "DATA_LOSS"
        state.apply(PublishMember(ONE, "one", ()))
        state.apply(SetAlarm(ONE, AlarmKind.CORRUPT, False))
        state.apply(SetAlarm(ONE, AlarmKind.NOSPACE, False))
        state.apply(command)


def test_an_alarm_holds_until_every_member_disarms_its_own() -> None:
    state = raised(AlarmKind.NOSPACE)
    state.apply(SetAlarm(TWO, AlarmKind.NOSPACE, True))
    state.apply(SetAlarm(ONE, AlarmKind.NOSPACE, False))
    state.apply(SetAlarm(THREE, AlarmKind.NOSPACE, False))
    with pytest.raises(NoSpace):
        state.apply(Put(b"k"))
    state.apply(SetAlarm(TWO, AlarmKind.NOSPACE, False))
    state.apply(Put(b"k"))
    assert state.alarms == set()


def test_no_alarm_is_raised_of_no_kind() -> None:
    state = founded(ONE)
    state.apply(SetAlarm(ONE, AlarmKind.NONE, True))
    assert state.alarms == set()


# -- the log


@pytest.mark.parametrize(
    "command",
    [
        Put(b"k", b"v", 7, True),
        PublishMember(ONE, "one", ("https://a:2379",)),
        UpdateMember(ONE, ("https://a:2380", "https://b:2380")),
        SetAlarm(ONE, AlarmKind.CORRUPT, False),
        A_PUT_NOT_TAKEN,
    ],
)
def test_a_proposal_is_read_as_it_was_written(command: Command) -> None:
    proposal = decode_proposal(encode_proposal((1 << 62) + 5, command))
    assert (proposal.id, proposal.command) == ((1 << 62) + 5, command)


@pytest.mark.parametrize("data", [b"", b"\x90", msgspec.msgpack.encode([1, [99, b"k"]])])
def test_what_is_no_proposal_is_not_read_as_one(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_proposal(data)
