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
    key = b"k%d" % chance.randrange(12)
    gone = key in keyspace.live and chance.random() < 0.5
    event = keyspace.delete(key, revision) if gone else keyspace.put(key, b"v", 0, revision)
    keyspace.record(revision, [event])


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
