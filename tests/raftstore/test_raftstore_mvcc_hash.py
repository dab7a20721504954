"""The hash of the keys: equal for equal states, however a member came by its own."""

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftstore.mvcc import (
    Command,
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Put,
    StateMachine,
    Txn,
)
from raftstore.mvcc import snapshot as snapshots
from raftstore.mvcc.errors import Compacted, FutureRevision
from raftstore.mvcc.hashing import HashResult, hash_steps
from raftstore.mvcc.snapshot import Changes, Kept, Keys, Loader, stream
from raftstore.mvcc.values import KeyValue

KEYS = st.sampled_from([b"a", b"a/1", b"a/2", b"b", b"c"])

commands = st.one_of(
    st.builds(Put, KEYS, st.binary(max_size=3), st.sampled_from([0, 0, 1])),
    st.builds(Put, KEYS, st.binary(max_size=3)),
    st.builds(DeleteRange, KEYS, st.sampled_from([b"", b"", b"b", b"\0"])),
    st.builds(
        Txn,
        st.just([]),
        st.just([Put(b"a", b"1"), DeleteRange(b"b", b"d"), Put(b"z")]),
    ),
    st.builds(LeaseGrant, st.just(1), st.just(60)),
    st.builds(LeaseRevoke, st.just(1)),
    st.tuples(st.just("compact"), st.integers(0, 4)),
)


def hash_of(
    state: StateMachine, revision: int = 0, between: Callable[[], object] = lambda: None
) -> HashResult:
    steps = hash_steps(state, revision or state.keyspace.revision)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
        between()


def copy_of(state: StateMachine) -> StateMachine:
    loader = Loader()
    for data in stream(state):
        loader.feed(data)
    return loader.finish()


def feed(state: StateMachine, command: Command | tuple[str, int]) -> None:
    if isinstance(command, tuple):
        command = Compact(max(1, state.keyspace.revision - command[1]))
    with contextlib.suppress(MvccError):
        state.apply(command)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(commands, min_size=5, max_size=50), st.integers(0, 2**32))
def test_members_that_apply_the_same_hash_the_same(script: list, seed: int) -> None:
    """One never frees, one frees at once, one a little and whenever; one is killed and loads a
    snapshot now and then."""
    chance = random.Random(seed)
    never, at_once, slowly, reloaded = members = [StateMachine() for _ in range(4)]
    for command in script:
        for member in members:
            feed(member, command)
        at_once.keyspace.prune(1000)
        slowly.keyspace.prune(chance.randrange(3))
        if chance.random() < 0.15:
            reloaded = members[3] = copy_of(chance.choice(members))
        oldest = max(never.keyspace.compact_revision, 1)
        revision = chance.randrange(oldest, never.keyspace.revision + 1)
        expected = hash_of(never, revision)
        assert expected.revision == revision
        assert expected.compact_revision == never.keyspace.compact_revision
        for member in (at_once, slowly, reloaded):
            assert hash_of(member, revision) == expected


def rich_state() -> StateMachine:
    state = StateMachine()
    for command in (
        Put(b"a", b"1"),
        Put(b"b", b"1"),
        Put(b"gone", b"1"),
        Txn([], [Put(b"a", b"2"), DeleteRange(b"gone")]),
        Compact(5),
        Put(b"a", b"3"),
        DeleteRange(b"b"),
        Put(b"c", b"1"),
    ):
        state.apply(command)
    return state


def changed_by_one(kv: KeyValue, field: str) -> KeyValue:
    values = {name: getattr(kv, name) for name in kv.__struct_fields__}
    if isinstance(values[field], int):
        values[field] ^= 1 << 8
    else:
        values[field] = bytes([values[field][0] ^ 1]) + values[field][1:]
    return KeyValue(**values)


@pytest.mark.parametrize("kind", [Keys, Kept, Changes])
@pytest.mark.parametrize("field", ["value", "create_revision", "version", "lease"])
def test_every_bit_that_can_be_read_counts(kind: type, field: str) -> None:
    """The difference of one bit in memory: a snapshot is loaded that says something else."""
    state = rich_state()
    loader = Loader()
    for data in filter(None, stream(state)):
        part = snapshots._decoder.decode(data)
        if isinstance(part, kind):
            data = snapshots._encode(with_change(part, field))
        loader.feed(data)
    damaged = loader.finish()
    assert hash_of(damaged).hash != hash_of(state).hash
    assert hash_of(copy_of(state)).hash == hash_of(state).hash


def with_change(part: Keys | Kept | Changes, field: str) -> Keys | Kept | Changes:
    if isinstance(part, Keys):
        return Keys([changed_by_one(part.kvs[0], field), *part.kvs[1:]])
    if isinstance(part, Kept):
        return Kept([changed_by_one(part.versions[0], field), *part.versions[1:]])
    # Of the revisions since, c's: as its own version is made by loading, what it is made from.
    (a, b, c) = part.revisions
    changed = changed_by_one(c[0], "value" if field in ("create_revision", "version") else field)
    return Changes(part.first_revision, [a, b, [changed]], part.goes_on)


def test_what_does_not_differ_by_a_key_differs_by_its_end() -> None:
    one, other = rich_state(), rich_state()
    one.apply(Put(b"c", b"2"))
    other.apply(DeleteRange(b"c"))
    assert hash_of(one, 8) == hash_of(other, 8)
    assert hash_of(one).hash != hash_of(other).hash


def test_writes_and_compactions_go_on_between_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftstore.mvcc.hashing.SLICE_KEYS_MAX", 2)
    monkeypatch.setattr(snapshots, "SLICE_SIZE_BYTES", 40)
    state = rich_state()
    for number in range(20):
        state.apply(Put(b"k%02d" % number, b"v" * 10))
    expected = hash_of(state)
    number = iter(range(1000))

    def write() -> None:
        state.apply(Put(b"k%02d" % (next(number) % 40), b"later"))
        state.apply(DeleteRange(b"k05", b"k09"))
        feed(state, ("compact", 1))

    assert hash_of(state, expected.revision, write) == expected
    assert next(number) > 10


def test_revisions_that_cannot_be_read_have_no_hash() -> None:
    state = rich_state()
    with pytest.raises(Compacted):
        hash_of(state, 4)
    with pytest.raises(FutureRevision):
        hash_of(state, state.keyspace.revision + 1)
    assert hash_of(state, 5) == hash_of(copy_of(state), 5)
    assert hash_of(StateMachine()) == HashResult(hash_of(StateMachine()).hash, 0, 1)
