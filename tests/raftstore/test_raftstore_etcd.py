"""The state machine against a real etcd: the same random commands, the same answers, revisions
and refusals."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from etcd_gateway import Etcd, Refused, plain

from raftstore.mvcc import (
    Command,
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Put,
    Range,
    SortOrder,
    SortTarget,
    StateMachine,
    Txn,
    decode_proposal,
    encode_proposal,
)
from raftstore.mvcc.check import check_txn

KEYS = [b"a", b"a/1", b"a/2", b"b", b"c", b"\xff\xff"]
ENDS = [b"", b"", b"\0", b"a0", b"b", b"d"]


class Requests:
    """Random requests that know the present revision, so that many of them hit something."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.revision = 1

    def put(self) -> Put:
        rng = self._rng
        keep_value, keep_lease = rng.random() < 0.1, rng.random() < 0.1
        value = b"" if keep_value else rng.choice([b"", b"1", b"2", b"\xff"])
        lease = 0 if keep_lease else rng.choice([0, 0, 0, 0, 1, 2])
        return Put(rng.choice(KEYS), value, lease, rng.random() < 0.4, keep_value, keep_lease)

    def delete(self) -> DeleteRange:
        # Without an end, etcd 3.4 overlooks puts behind it: see `check`.
        ends = [end for end in ENDS if end != b"\0"]
        rng = self._rng
        return DeleteRange(rng.choice(KEYS), rng.choice(ends), rng.random() < 0.5)

    def range(self) -> Range:
        rng, now = self._rng, self.revision
        bounds = [rng.choice([0, 0, 0, 0, max(0, now - rng.randrange(10))]) for _ in range(4)]
        return Range(
            rng.choice(KEYS),
            rng.choice(ENDS),
            rng.randrange(4),
            rng.choice([0, 0, max(0, now - rng.randrange(8)), now + rng.randrange(2)]),
            rng.choice(list(SortOrder)),
            rng.choice(list(SortTarget)),
            rng.random() < 0.2,
            rng.random() < 0.15,
            *bounds,
        )

    def compare(self) -> Compare:
        rng, now = self._rng, self.revision
        target = rng.choice(list(CompareTarget))
        numbers = [0, 1, 2, now, now - 1, now - 2]
        value = rng.choice([b"", b"1"] if target is CompareTarget.VALUE else numbers)
        operator = rng.choice(list(CompareOperator))
        return Compare(rng.choice(KEYS), target, operator, value, rng.choice([b""] * 4 + ENDS))

    def txn(self, depth: int = 0) -> Txn:
        rng = self._rng
        return Txn(
            [self.compare() for _ in range(rng.randrange(3))],
            [self.operation(depth) for _ in range(rng.randrange(4))],
            [self.operation(depth) for _ in range(rng.randrange(3))],
        )

    def operation(self, depth: int) -> Put | DeleteRange | Range | Txn:
        if depth < 2 and self._rng.random() < 0.15:
            return self.txn(depth + 1)
        return self._rng.choice([self.put, self.put, self.delete, self.range])()

    def any(self) -> Command | Range:
        rng = self._rng
        made = [
            (25, self.put),
            (10, self.delete),
            (15, self.range),
            (40, self.txn),
            (2, lambda: Compact(self.revision + rng.randrange(-15, 2))),
            (4, lambda: LeaseGrant(rng.randrange(1, 3), 1000)),
            (4, lambda: LeaseRevoke(rng.randrange(1, 3))),
        ]
        weights, makers = zip(*made, strict=True)
        return rng.choices(makers, weights)[0]()


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = Etcd(tmp_path / "etcd")
    yield server
    server.close()


def run(state: StateMachine, request: Command | Range) -> tuple[object, int]:
    if isinstance(request, Range):
        result = state.range(request)
        return plain(result), result.revision
    if isinstance(request, Txn):
        check_txn(request)
    applied, _ = state.apply(decode_proposal(encode_proposal(1, request)).command)
    return plain(applied), applied.revision


@pytest.mark.realtime
@pytest.mark.needs("etcd")
def test_the_same_answers_as_etcd(etcd: Etcd) -> None:
    state, requests = StateMachine(), Requests(seed=11)
    refused = 0
    for _ in range(1500):
        request = requests.any()
        try:
            ours: object = run(state, request)
        except MvccError as error:
            ours = str(error)
            refused += 1
        try:
            theirs: object = etcd.ask(request)
        except Refused as error:
            theirs = str(error)
        assert ours == theirs, request
        requests.revision = state.keyspace.revision
    assert 100 < refused < 1000
    assert state.keyspace.revision > 300
