"""Large ranges read in steps: the same answer as at once, whatever is written in between."""

import random
from collections.abc import Generator
from pathlib import Path

import pytest
from etcd_services import served

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import (
    Compact,
    DeleteRange,
    Put,
    Range,
    RangeResult,
    SortOrder,
    SortTarget,
    StateMachine,
    ranges,
)
from raftstore.mvcc.errors import Compacted

REQUESTS = [
    Range(b"", b"\0"),
    Range(b"k", b"l", limit=7),
    Range(b"k", b"l", limit=25),
    Range(b"k", b"l", revision=60),
    Range(b"k", b"l", revision=60, limit=12),
    Range(b"k", b"l", sort_order=SortOrder.DESCEND, sort_target=SortTarget.MOD, limit=9),
    Range(b"k", b"l", min_mod_revision=80, limit=3),
    Range(b"k", b"l", keys_only=True),
    Range(b"x", b"y"),
]


def filled(seed: int) -> StateMachine:
    state, rng = StateMachine(), random.Random(seed)
    for _ in range(150):
        write(state, rng)
    return state


def write(state: StateMachine, rng: random.Random) -> None:
    key = b"k%02d" % rng.randrange(40)
    if rng.random() < 0.25:
        state.apply(DeleteRange(key))
    else:
        state.apply(Put(key, rng.randbytes(4)))


def finish(steps: Generator[None, None, RangeResult], between: object = None) -> RangeResult:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: RangeResult = done.value
            return result
        if callable(between):
            between()


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_steps_read_what_is_read_at_once(request_: Range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "STEP_KEYS", 5)
    state, rng = filled(1), random.Random(2)
    expected = state.range(request_)
    steps = ranges.range_steps(state.keyspace, request_)
    assert finish(steps, lambda: write(state, rng)) == expected


def test_a_compaction_makes_a_reader_of_the_present_begin_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranges, "STEP_KEYS", 5)
    state, rng = filled(1), random.Random(2)
    steps = ranges.range_steps(state.keyspace, Range(b"k", b"l"))
    next(steps)
    write(state, rng)
    write(state, rng)
    state.apply(Compact(state.keyspace.revision))
    state.keyspace.prune(1000)
    assert finish(steps) == state.range(Range(b"k", b"l"))


def test_a_compaction_ends_a_reader_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "STEP_KEYS", 5)
    state = filled(1)
    steps = ranges.range_steps(state.keyspace, Range(b"k", b"l", revision=60))
    next(steps)
    state.apply(Compact(70))
    with pytest.raises(Compacted):
        finish(steps)


@pytest.mark.realtime
async def test_a_large_range_is_served_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "STEP_KEYS", 5)
    async with served(tmp_path) as it:
        for n in range(23):
            await it.client.kv.Put(rpc.PutRequest(key=b"k%02d" % n))
        found = await it.client.kv.Range(rpc.RangeRequest(key=b"k", range_end=b"l"))
        assert [kv.key for kv in found.kvs] == [b"k%02d" % n for n in range(23)]
        assert found.count == 23
