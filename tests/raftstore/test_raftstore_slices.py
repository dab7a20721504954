"""A snapshot in small slices has every key, however living and dead ones lie among each other."""

import random

import pytest

from raftstore.mvcc import snapshot
from raftstore.mvcc.statemachine import StateMachine


def written_by_chance(chance: random.Random) -> StateMachine:
    state = StateMachine()
    keyspace = state.keyspace
    for _ in range(chance.randrange(1, 60)):
        write(state, chance)
    if keyspace.revision > 2:
        keyspace.compact(chance.randrange(1, keyspace.revision + 1))
        keyspace.prune(chance.choice((1, 3, 1000)))
    return state


def write(state: StateMachine, chance: random.Random) -> None:
    keyspace = state.keyspace
    revision = keyspace.revision + 1
    events = []
    for _ in range(chance.choice((1, 1, 1, 2, 9))):
        key = b"k%d" % chance.randrange(12)
        gone = key in keyspace.live and chance.random() < 0.5
        event = keyspace.delete(key, revision) if gone else keyspace.put(key, b"v", 0, revision)
        events.append(event)
    keyspace.record(revision, events)


def test_a_snapshot_with_writes_between_its_slices_is_the_state_it_was_begun_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "SLICE_KEYS_MAX", 2)
    monkeypatch.setattr(snapshot, "SLICE_SIZE_BYTES", 64)
    for seed in range(400):
        chance = random.Random(seed)
        state = written_by_chance(chance)
        begun_at = state.keyspace.revision
        loader = snapshot.Loader()
        for data in snapshot.stream(state):
            loader.feed(data)
            for _ in range(chance.randrange(4)):
                write(state, chance)
        loaded = loader.finish().keyspace
        assert loaded.revision == begun_at
        for revision in range(max(state.keyspace.compact_revision, 1), begun_at + 1):
            was = state.keyspace.slice_at(b"", None, revision)
            assert loaded.slice_at(b"", None, revision) == was, (seed, revision)


def test_a_snapshot_that_lost_a_key_is_refused_and_not_half_loaded() -> None:
    state = StateMachine()
    keyspace = state.keyspace
    keyspace.record(2, [keyspace.put(b"a", b"v", 0, 2)])
    keyspace.record(3, [keyspace.put(b"b", b"v", 0, 3)])
    keyspace.compact(3)
    keyspace.record(4, [keyspace.delete(b"a", 4)])
    slices = [data for data in snapshot.stream(state) if data]
    load(slices)
    lost = [
        data for data in slices if not isinstance(snapshot._decoder.decode(data), snapshot.Keys)
    ]
    with pytest.raises(snapshot.SnapshotMismatch, match="ends without having begun"):
        load(lost)


def load(slices: list[bytes]) -> None:
    loader = snapshot.Loader()
    for data in slices:
        loader.feed(data)
    loader.finish()


@pytest.mark.parametrize("slice_keys", [1, 2, 3, 5])
def test_no_slice_ends_before_a_key_that_the_next_one_passes_over(
    slice_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "SLICE_KEYS_MAX", slice_keys)
    for seed in range(300):
        state = written_by_chance(random.Random(seed))
        loader = snapshot.Loader()
        for data in snapshot.stream(state):
            loader.feed(data)
        loaded = loader.finish().keyspace
        assert loaded.live == state.keyspace.live, seed
        oldest = max(state.keyspace.compact_revision, 1)
        for revision in range(oldest, loaded.revision + 1):
            was = state.keyspace.slice_at(b"", None, revision)
            assert loaded.slice_at(b"", None, revision) == was, (seed, revision)


def many_ended_at_once() -> StateMachine:
    """4,000 keys, each written twice, then all ended by one revision, which is compacted."""
    state = StateMachine()
    keyspace = state.keyspace
    for round_ in range(2):
        for number in range(4_000):
            revision = keyspace.revision + 1
            event = keyspace.put(b"k%05d" % number, b"%d" % round_, 0, revision)
            keyspace.record(revision, [event])
    revision = keyspace.revision + 1
    keyspace.record(revision, [keyspace.delete(b"k%05d" % n, revision) for n in range(4_000)])
    return state


def test_a_revision_that_ends_many_keys_is_streamed_in_slices() -> None:
    state = many_ended_at_once()
    for compacted in (None, state.keyspace.revision):
        if compacted:
            state.keyspace.compact(compacted)
        slices = list(snapshot.stream(state))
        assert max(map(len, slices)) < 2 * snapshot.SLICE_SIZE_BYTES
        loader = snapshot.Loader()
        for data in slices:
            loader.feed(data)
        loaded = loader.finish().keyspace
        assert loaded.live == {}
        assert loaded.changes_of(loaded.revision) == state.keyspace.changes_of(loaded.revision)


def test_no_step_of_freeing_frees_more_than_it_was_allowed_to() -> None:
    state = many_ended_at_once()
    keyspace = state.keyspace
    hot = keyspace.revision + 1
    for revision in range(hot, hot + 5000):
        keyspace.record(revision, [keyspace.put(b"hot", b"x" * 100, 0, revision)])
    keyspace.compact(keyspace.revision)
    steps, done = 0, False
    while not done:
        before = versions_held(state)
        done = keyspace.prune(1000)
        assert before - versions_held(state) <= 1000
        steps += 1
    # 12,000 versions of the keys that ended and 5,000 of the hot one; a visit counts too.
    assert 17 <= steps < 50
    assert (keyspace.size_bytes, keyspace.unpruned) == (103, 0)
    assert versions_held(state) == 1
    assert keyspace.slice_at(b"", None, keyspace.revision)[0] == [keyspace.live[b"hot"]]


def versions_held(state: StateMachine) -> int:
    keyspace = state.keyspace
    return len(keyspace.live) + sum(map(len, keyspace._older.values()))
