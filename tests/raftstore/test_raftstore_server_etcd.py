"""The same random gRPC requests, good and bad, to a real etcd and to a served member: the same
codes, texts and answers.

etcd here is Debian's 3.4, the API served is 3.6's. What 3.6 changed is left out of the requests:
it refuses orders of sorting that do not exist (3.4 overlooks them), and answers a compaction of
an unknown revision alike. A transaction that deletes without an end of the range is left out too:
3.4 overlooks what it overlaps with. So are negative revisions inside one: etcd calls them
compacted there, once anything is, and the present elsewhere; here they are the present.
"""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from etcd_gateway import Etcd
from etcd_services import Client, connected, served

from pinnace_wire import etcd_election_pb2 as electionpb
from pinnace_wire import etcd_lock_pb2 as lockpb
from pinnace_wire import etcd_rpc_pb2 as rpc

KEYS = [b"", b"a", b"a/1", b"a/2", b"b", b"c", b"\xff\xff"]
ENDS = [b"", b"", b"\0", b"a0", b"b", b"d", b"\xff"]
VALUES = [b"", b"1", b"2", b"\xff"]


class Messages:
    """Random messages that know the present revision, so that many of them hit something."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.revision = 1

    def any(self) -> tuple[str, Any]:
        rng = self._rng
        made = [
            (25, "put", self.put),
            (10, "delete", self.delete),
            (25, "range", self.range),
            (40, "txn", self.txn),
            (2, "compact", self.compact),
            (4, "grant", lambda: rpc.LeaseGrantRequest(ID=rng.randrange(1, 4), TTL=self.ttl())),
            (4, "revoke", lambda: rpc.LeaseRevokeRequest(ID=rng.randrange(4))),
            (4, "time_to_live", self.time_to_live),
            (2, "hash_kv", lambda: rpc.HashKVRequest(revision=self.past())),
        ]
        weights = [weight for weight, _, _ in made]
        _, name, make = rng.choices(made, weights)[0]
        return name, make()

    def past(self) -> int:
        rng, now = self._rng, self.revision
        return rng.choice([0, 0, max(0, now - rng.randrange(8)), now + rng.randrange(2), -1])

    def ttl(self) -> int:
        # None so short that it ends while others wait for it.
        return self._rng.choice([1000, 1000, 9_000_000_001])

    def put(self) -> rpc.PutRequest:
        rng = self._rng
        return rpc.PutRequest(
            key=rng.choice(KEYS),
            value=rng.choice(VALUES),
            lease=rng.choice([0, 0, 0, 0, 1, 2, -1]),
            prev_kv=rng.random() < 0.4,
            ignore_value=rng.random() < 0.1,
            ignore_lease=rng.random() < 0.1,
        )

    def delete(self, ends: list[bytes] = ENDS) -> rpc.DeleteRangeRequest:
        rng = self._rng
        return rpc.DeleteRangeRequest(
            key=rng.choice(KEYS), range_end=rng.choice(ends), prev_kv=rng.random() < 0.5
        )

    def range(self) -> rpc.RangeRequest:
        rng, now = self._rng, self.revision
        bounds = [rng.choice([0, 0, 0, 0, max(0, now - rng.randrange(10))]) for _ in range(4)]
        return rpc.RangeRequest(
            key=rng.choice(KEYS),
            range_end=rng.choice(ENDS),
            limit=rng.choice([0, 0, 1, 2, -1]),
            revision=self.past(),
            sort_order=rng.randrange(3),  # type: ignore[arg-type]
            sort_target=rng.randrange(5),  # type: ignore[arg-type]
            serializable=rng.random() < 0.5,
            keys_only=rng.random() < 0.2,
            count_only=rng.random() < 0.15,
            min_mod_revision=bounds[0],
            max_mod_revision=bounds[1],
            min_create_revision=bounds[2],
            max_create_revision=bounds[3],
        )

    def txn(self, depth: int = 0) -> rpc.TxnRequest:
        rng = self._rng
        if rng.random() < 0.01:
            many = [rpc.RequestOp(request_range=rpc.RangeRequest(key=b"a"))] * 129
            return rpc.TxnRequest(success=many)
        return rpc.TxnRequest(
            compare=[self.compare() for _ in range(rng.randrange(3))],
            success=[self.operation(depth) for _ in range(rng.randrange(4))],
            failure=[self.operation(depth) for _ in range(rng.randrange(3))],
        )

    def compare(self) -> rpc.Compare:
        rng, now = self._rng, self.revision
        number = rng.choice([0, 1, 2, now, now - 1, now - 2])
        given = rng.choice(["version", "create_revision", "mod_revision", "lease", "value", ""])
        made = rpc.Compare(
            result=rng.randrange(4),  # type: ignore[arg-type]
            target=rng.randrange(5),  # type: ignore[arg-type]
            key=rng.choice(KEYS[1:] if rng.random() < 0.95 else KEYS),
            range_end=rng.choice([b""] * 4 + ENDS),
        )
        if given:
            setattr(made, given, rng.choice(VALUES) if given == "value" else number)
        return made

    def operation(self, depth: int) -> rpc.RequestOp:
        rng = self._rng
        if rng.random() < 0.01:
            return rpc.RequestOp()
        if depth < 2 and rng.random() < 0.15:
            return rpc.RequestOp(request_txn=self.txn(depth + 1))
        kind = rng.randrange(4)
        if kind == 0:
            request = self.range()
            request.revision = max(request.revision, 0)
            return rpc.RequestOp(request_range=request)
        if kind == 1:
            ends = [end for end in ENDS if end != b"\0"]
            return rpc.RequestOp(request_delete_range=self.delete(ends))
        return rpc.RequestOp(request_put=self.put())

    def compact(self) -> rpc.CompactionRequest:
        rng = self._rng
        revision = self.revision + rng.randrange(-15, 2)
        return rpc.CompactionRequest(revision=revision, physical=rng.random() < 0.3)

    def time_to_live(self) -> rpc.LeaseTimeToLiveRequest:
        return rpc.LeaseTimeToLiveRequest(ID=self._rng.randrange(4), keys=self._rng.random() < 0.5)


def calls_of(client: Client) -> dict[str, Any]:
    return {
        "put": client.kv.Put,
        "delete": client.kv.DeleteRange,
        "range": client.kv.Range,
        "txn": client.kv.Txn,
        "compact": client.kv.Compact,
        "grant": client.lease.LeaseGrant,
        "revoke": client.lease.LeaseRevoke,
        "time_to_live": client.lease.LeaseTimeToLive,
        "hash_kv": client.maintenance.HashKV,
        "authenticate": client.auth.Authenticate,
        "lock": client.lock.Lock,
        "unlock": client.lock.Unlock,
        "campaign": client.election.Campaign,
        "proclaim": client.election.Proclaim,
        "leader": client.election.Leader,
        "resign": client.election.Resign,
        "member_remove": client.cluster.MemberRemove,
        "member_update": client.cluster.MemberUpdate,
        "member_add": client.cluster.MemberAdd,
        "member_promote": client.cluster.MemberPromote,
        "move_leader": client.maintenance.MoveLeader,
        "alarm": client.maintenance.Alarm,
    }


async def answer(client: Client, name: str, message: Any) -> Any:
    """The answer without what differs between any two clusters, or the refusal."""
    try:
        answered = await calls_of(client)[name](message, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details()
    return masked(name, answered)


def masked(name: str, answered: Any) -> Any:
    for field in ("cluster_id", "member_id", "raft_term"):
        answered.header.ClearField(field)
    if name == "hash_kv":
        answered.ClearField("hash")
        # 3.6 tells more of what it hashed.
        answered.ClearField("hash_revision")
        # 3.4 keeps -1 for none.
        answered.compact_revision = max(answered.compact_revision, 0)
    if name == "time_to_live":
        keys = sorted(answered.keys)
        del answered.keys[:]
        answered.keys.extend(keys)
        # The seconds pass for one a little earlier.
        answered.TTL = -1 if answered.TTL == -1 else answered.grantedTTL
    if name == "alarm":
        # 3.4 says no revision.
        answered.header.ClearField("revision")
    return answered


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    server = Etcd(tmp_path / "etcd")
    yield server
    server.close()


@asynccontextmanager
async def both(directory: Path, etcd: Etcd) -> AsyncIterator[tuple[Client, Client]]:
    async with served(directory) as ours, connected(etcd.address) as theirs:
        yield ours.client, theirs


@pytest.mark.realtime
@pytest.mark.needs("etcd")
async def test_random_requests_are_answered_as_by_etcd(tmp_path: Path, etcd: Etcd) -> None:
    messages = Messages(seed=5)
    refused: set[str] = set()
    async with both(tmp_path, etcd) as (ours, theirs):
        for _ in range(1500):
            name, message = messages.any()
            mine = await answer(ours, name, message)
            others = await answer(theirs, name, message)
            assert mine == others, f"{name} {message}"
            if isinstance(mine, tuple):
                refused.add(mine[1])
            else:
                messages.revision = mine.header.revision
    assert len(refused) >= 11, refused
    assert messages.revision > 250


def _leader(name: bytes, lease: int, rev: int) -> electionpb.LeaderKey:
    return electionpb.LeaderKey(name=name, key=name + b"/%x" % lease, rev=rev, lease=lease)


# One after the other: what each does is there for the next.
SPECIAL: list[tuple[str, Any]] = [
    ("put", rpc.PutRequest(key=b"large", value=b"x" * 1_600_000)),
    ("grant", rpc.LeaseGrantRequest(ID=10, TTL=500)),
    ("grant", rpc.LeaseGrantRequest(ID=10, TTL=500)),
    ("lock", lockpb.LockRequest(name=b"l", lease=10)),
    ("lock", lockpb.LockRequest(name=b"l", lease=10)),
    ("lock", lockpb.LockRequest(name=b"l", lease=77)),
    ("unlock", lockpb.UnlockRequest(key=b"l/a")),
    ("unlock", lockpb.UnlockRequest(key=b"l/a")),
    ("unlock", lockpb.UnlockRequest()),
    ("leader", electionpb.LeaderRequest(name=b"e")),
    ("campaign", electionpb.CampaignRequest(name=b"e", lease=10, value=b"1")),
    ("campaign", electionpb.CampaignRequest(name=b"e", lease=10, value=b"2")),
    ("leader", electionpb.LeaderRequest(name=b"e")),
    ("proclaim", electionpb.ProclaimRequest(leader=_leader(b"e", 10, 4), value=b"3")),
    ("proclaim", electionpb.ProclaimRequest(leader=_leader(b"e", 10, 99), value=b"4")),
    ("proclaim", electionpb.ProclaimRequest(value=b"4")),
    ("resign", electionpb.ResignRequest(leader=_leader(b"e", 10, 99))),
    ("resign", electionpb.ResignRequest(leader=_leader(b"e", 10, 4))),
    ("resign", electionpb.ResignRequest()),
    ("leader", electionpb.LeaderRequest(name=b"e")),
    ("range", rpc.RangeRequest(key=b"\0", range_end=b"\0")),
    ("authenticate", rpc.AuthenticateRequest(name="root", password="x")),
    ("member_remove", rpc.MemberRemoveRequest(ID=7)),
    ("member_update", rpc.MemberUpdateRequest(ID=7, peerURLs=["http://127.0.0.1:1"])),
    ("member_promote", rpc.MemberPromoteRequest(ID=7)),
    ("member_add", rpc.MemberAddRequest(peerURLs=[])),
    ("member_add", rpc.MemberAddRequest(peerURLs=["nonsense"])),
    ("member_add", rpc.MemberAddRequest(peerURLs=["http://127.0.0.1:1/path"])),
    ("move_leader", rpc.MoveLeaderRequest(targetID=7)),
    ("alarm", rpc.AlarmRequest()),
    ("alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=7, alarm=rpc.NOSPACE)),
    ("alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.ACTIVATE, memberID=7, alarm=rpc.NOSPACE)),
    ("alarm", rpc.AlarmRequest(alarm=rpc.NOSPACE)),
    ("alarm", rpc.AlarmRequest(alarm=rpc.CORRUPT)),
    ("put", rpc.PutRequest(key=b"a")),
    ("txn", rpc.TxnRequest(success=[rpc.RequestOp(request_put=rpc.PutRequest(key=b"a"))])),
    ("txn", rpc.TxnRequest(success=[
        rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=b"a"))
    ])),
    ("grant", rpc.LeaseGrantRequest(ID=11, TTL=500)),
    ("delete", rpc.DeleteRangeRequest(key=b"a")),
    ("revoke", rpc.LeaseRevokeRequest(ID=10)),
    ("alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=7, alarm=rpc.NOSPACE)),
    ("put", rpc.PutRequest(key=b"a")),
    ("compact", rpc.CompactionRequest(revision=99)),
    ("compact", rpc.CompactionRequest(revision=3)),
    ("compact", rpc.CompactionRequest(revision=3)),
]  # fmt: skip


@pytest.mark.realtime
@pytest.mark.needs("etcd")
async def test_each_special_request_is_answered_as_by_etcd(tmp_path: Path, etcd: Etcd) -> None:
    differing = []
    async with both(tmp_path, etcd) as (ours, theirs):
        for number, (name, message) in enumerate(SPECIAL):
            mine = await answer(ours, name, message)
            others = await answer(theirs, name, message)
            if mine != others:
                differing.append((number, name, str(message)[:80], mine, others))
    assert not differing, "\n".join(map(str, differing))
