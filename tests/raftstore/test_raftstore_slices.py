"""A snapshot in small slices has every key, however living and dead ones lie among each other."""

import random

import pytest

from raftstore.mvcc import snapshot
from raftstore.mvcc.statemachine import StateMachine


def written_by_chance(chance: random.Random) -> StateMachine:
    state = StateMachine()
    keyspace = state.keyspace
    for _ in range(chance.randrange(1, 60)):
        revision = keyspace.revision + 1
        key = b"k%d" % chance.randrange(12)
        gone = key in keyspace.live and chance.random() < 0.5
        event = keyspace.delete(key, revision) if gone else keyspace.put(key, b"v", 0, revision)
        keyspace.record(revision, [event])
    if keyspace.revision > 2:
        keyspace.compact(chance.randrange(1, keyspace.revision + 1))
        keyspace.prune(chance.choice((1, 3, 1000)))
    return state


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
