"""Services of a served member beside what the comparison with etcd covers: headers, streams of
ranges and keepalives, locks that wait, guards, limits, health."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from etcd_services import Served, connected, refusal, served

from pinnace_wire import etcd_election_pb2 as electionpb
from pinnace_wire import etcd_lock_pb2 as lockpb
from pinnace_wire import etcd_rpc_pb2 as rpc
from pinnace_wire import grpc_health_pb2 as healthpb
from raftstore.server import ServerOptions, serve

pytestmark = pytest.mark.realtime

_LEARNER = ("UNAVAILABLE", "etcdserver: rpc not supported for learner")
_NO_LEADER = ("UNAVAILABLE", "etcdserver: no leader")


async def put(it: Served, key: bytes, value: bytes = b"v", **fields: Any) -> Any:
    return await it.client.kv.Put(rpc.PutRequest(key=key, value=value, **fields))


async def test_every_answer_says_who_gave_it_and_when(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        client = it.client
        answers = [
            await put(it, b"a"),
            await client.kv.Range(rpc.RangeRequest(key=b"a")),
            await client.kv.Txn(rpc.TxnRequest()),
            await client.kv.DeleteRange(rpc.DeleteRangeRequest(key=b"none")),
            await client.lease.LeaseGrant(rpc.LeaseGrantRequest(ID=1, TTL=60)),
            await client.lease.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=1)),
            await client.lease.LeaseLeases(rpc.LeaseLeasesRequest()),
            await client.lease.LeaseRevoke(rpc.LeaseRevokeRequest(ID=1)),
            await client.cluster.MemberList(rpc.MemberListRequest(linearizable=True)),
            await client.maintenance.Status(rpc.StatusRequest()),
            await client.maintenance.Alarm(rpc.AlarmRequest()),
            await client.maintenance.Hash(rpc.HashRequest()),
            await client.maintenance.HashKV(rpc.HashKVRequest()),
            await client.maintenance.Defragment(rpc.DefragmentRequest()),
            await client.auth.AuthStatus(rpc.AuthStatusRequest()),
            await client.kv.Compact(rpc.CompactionRequest(revision=2, physical=True)),
        ]
        for answer in answers:
            header = answer.header
            assert header.cluster_id == it.node.cluster_id
            assert header.member_id == it.node.member_id
            assert (header.revision, header.raft_term) == (2, it.node.term), answer


async def test_a_short_lease_lives_as_long_as_etcds_shortest(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        granted = await it.client.lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=-1))
        assert granted.TTL == 2
        assert granted.ID > 0


async def test_a_keepalive_stream_answers_each_request_in_order(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.client.lease.LeaseGrant(rpc.LeaseGrantRequest(ID=1, TTL=60))
        call = it.client.lease.LeaseKeepAlive()
        for lease_id in (1, 2, 1):
            await call.write(rpc.LeaseKeepAliveRequest(ID=lease_id))
        answers = [await call.read() for _ in range(3)]
        assert [(answer.ID, answer.TTL) for answer in answers] == [(1, 60), (2, 0), (1, 60)]
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_a_lease_that_is_over_takes_its_keys_along(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await it.client.lease.LeaseGrant(rpc.LeaseGrantRequest(ID=1, TTL=1))
        await put(it, b"a", lease=1)
        async with asyncio.timeout(10):
            while (await it.client.kv.Range(rpc.RangeRequest(key=b"a"))).count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        told = await it.client.lease.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=1))
        assert told.TTL == -1


async def test_a_large_range_is_the_same_whole_and_in_a_stream(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await asyncio.gather(*(put(it, b"%04d" % n, b"v" * 1000) for n in range(2000)))
        request = rpc.RangeRequest(key=b"0", range_end=b"2", limit=1500)
        whole = await it.client.kv.Range(request)
        assert (len(whole.kvs), whole.count, whole.more) == (1500, 2000, True)
        parts = [part.range_response async for part in it.client.kv.RangeStream(request)]
    assert len(parts) > 2
    together = rpc.RangeResponse()
    for part in parts:
        together.MergeFrom(part)
    assert together == whole


async def test_sort_orders_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    unknown: Any = 9
    async with served(tmp_path) as it:
        for fields in ({"sort_order": unknown}, {"sort_target": unknown}):
            request = rpc.RangeRequest(key=b"a", **fields)
            expected = ("INVALID_ARGUMENT", "etcdserver: invalid sort option")
            assert await refusal(it.client.kv.Range(request)) == expected


async def test_what_is_no_message_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        raw = it.client.channel.unary_unary("/etcdserverpb.KV/Put")
        code, text = await refusal(raw(b"\xff\xff\xff"))
        assert (code, text) == ("INTERNAL", "grpc: failed to unmarshal the received message")


async def test_methods_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        raw = it.client.channel.unary_unary("/etcdserverpb.KV/Nonsense")
        assert (await refusal(raw(b"")))[0] == "UNIMPLEMENTED"


async def test_a_snapshot_is_blobs_and_their_checksum(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        await put(it, b"a", b"v" * 300_000)
        stream = it.client.maintenance.Snapshot(rpc.SnapshotRequest())
        answers = [answer async for answer in stream]
    *blobs, last = answers
    digest = hashlib.sha256(b"".join(answer.blob for answer in blobs))
    assert last.blob == digest.digest()
    assert all(answer.remaining_bytes > 0 for answer in blobs)
    assert last.remaining_bytes == 0


async def test_a_downgrade_is_refused_by_name(tmp_path: Path) -> None:
    request = rpc.DowngradeRequest
    async with served(tmp_path) as it:
        downgrade = it.client.maintenance.Downgrade
        assert await refusal(downgrade(request(action=request.ENABLE, version="3.5"))) == (
            "INVALID_ARGUMENT", "etcdserver: invalid downgrade target version",
        )  # fmt: skip
        assert await refusal(downgrade(request(action=request.VALIDATE, version="x"))) == (
            "INVALID_ARGUMENT", "etcdserver: wrong downgrade target version format",
        )  # fmt: skip
        assert await refusal(downgrade(request(action=request.CANCEL))) == (
            "FAILED_PRECONDITION", "etcdserver: no inflight downgrade job",
        )  # fmt: skip


async def test_health_is_of_the_whole_server(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        answer = await it.client.health.Check(healthpb.HealthCheckRequest())
        assert answer.status == healthpb.HealthCheckResponse.SERVING
        other = healthpb.HealthCheckRequest(service="other")
        assert await refusal(it.client.health.Check(other)) == ("NOT_FOUND", "unknown service")
        await it.node.close()
        answer = await it.client.health.Check(healthpb.HealthCheckRequest())
        assert answer.status == healthpb.HealthCheckResponse.NOT_SERVING
        assert await refusal(put(it, b"a")) == ("UNAVAILABLE", "etcdserver: server stopped")


# -- learners, and members without a leader


async def test_a_learner_answers_what_needs_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as it:
        await put(it, b"a")
        monkeypatch.setattr(type(it.node), "is_learner", property(lambda _: True))
        kv, maintenance = it.client.kv, it.client.maintenance
        assert (await kv.Range(rpc.RangeRequest(key=b"a", serializable=True))).count == 1
        assert (await maintenance.Status(rpc.StatusRequest())).isLearner
        assert [answer async for answer in maintenance.Snapshot(rpc.SnapshotRequest())]
        assert await refusal(kv.Range(rpc.RangeRequest(key=b"a"))) == _LEARNER
        assert await refusal(put(it, b"a")) == _LEARNER
        assert await refusal(kv.Txn(rpc.TxnRequest())) == _LEARNER
        assert await refusal(it.client.watch.Watch().read()) == _LEARNER
        assert await refusal(it.client.lease.LeaseKeepAlive().read()) == _LEARNER


async def test_without_a_leader_who_requires_one_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requires = (("hasleader", "true"),)
    options = ServerOptions(election_timeout_s=0.05)
    async with served(tmp_path, options) as it:
        keepalive = it.client.lease.LeaseKeepAlive(metadata=requires)
        await keepalive.write(rpc.LeaseKeepAliveRequest(ID=1))
        await keepalive.read()
        monkeypatch.setattr(type(it.node), "leader", property(lambda _: 0))
        request = rpc.RangeRequest(key=b"a", serializable=True)
        assert await refusal(it.client.kv.Range(request, metadata=requires)) == _NO_LEADER
        assert (await it.client.kv.Range(request)).count == 0
        assert await refusal(keepalive.read()) == _NO_LEADER
        status = await it.client.maintenance.Status(rpc.StatusRequest())
        assert (status.leader, list(status.errors)) == (0, ["etcdserver: no leader"])


# -- locks and elections that wait


@asynccontextmanager
async def leases(it: Served, *lease_ids: int) -> AsyncIterator[None]:
    for lease_id in lease_ids:
        await it.client.lease.LeaseGrant(rpc.LeaseGrantRequest(ID=lease_id, TTL=60))
    yield


async def _until_keys(it: Served, count: int) -> None:
    async with asyncio.timeout(5):
        while len(it.node.state.keyspace.live) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_lock_is_held_by_one_and_passed_in_order(tmp_path: Path) -> None:
    async with served(tmp_path) as it, leases(it, 1, 2, 3):
        lock = it.client.lock
        assert (await lock.Lock(lockpb.LockRequest(name=b"l", lease=1))).key == b"l/1"
        calls = []
        for lease_id in (2, 3):
            calls.append(lock.Lock(lockpb.LockRequest(name=b"l", lease=lease_id)))
            await _until_keys(it, lease_id)
        second, third = calls
        await lock.Unlock(lockpb.UnlockRequest(key=b"l/1"))
        assert (await second).key == b"l/2"
        assert not third.done()
        await it.client.lease.LeaseRevoke(rpc.LeaseRevokeRequest(ID=2))
        assert (await third).key == b"l/3"


async def test_who_gives_up_waiting_leaves_the_queue(tmp_path: Path) -> None:
    async with served(tmp_path) as it, leases(it, 1, 2):
        lock = it.client.lock
        await lock.Lock(lockpb.LockRequest(name=b"l", lease=1))
        waiting = lock.Lock(lockpb.LockRequest(name=b"l", lease=2))
        await _until_keys(it, 2)
        waiting.cancel()
        await _until_keys(it, 1)
        assert it.node.hub.watcher_count == 0


async def test_a_waiter_whose_lease_ends_has_no_lock(tmp_path: Path) -> None:
    async with served(tmp_path) as it, leases(it, 1, 2):
        lock = it.client.lock
        await lock.Lock(lockpb.LockRequest(name=b"l", lease=1))
        waiting = lock.Lock(lockpb.LockRequest(name=b"l", lease=2))
        await _until_keys(it, 2)
        await it.client.lease.LeaseRevoke(rpc.LeaseRevokeRequest(ID=2))
        await lock.Unlock(lockpb.UnlockRequest(key=b"l/1"))
        assert await refusal(waiting) == ("UNKNOWN", "mutex: session is expired")


async def test_a_lock_without_a_lease_gets_one(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        held = await it.client.lock.Lock(lockpb.LockRequest(name=b"l"))
        (lease_id,) = it.node.state.leases.all_ttl_s()
        assert held.key == b"l/%x" % lease_id


async def test_an_observer_sees_leaders_come_speak_and_go(tmp_path: Path) -> None:
    async with served(tmp_path) as it, leases(it, 1, 2):
        election = it.client.election
        observing = election.Observe(electionpb.LeaderRequest(name=b"e"))
        first = await election.Campaign(
            electionpb.CampaignRequest(name=b"e", lease=1, value=b"one")
        )
        assert (await observing.read()).kv.value == b"one"
        candidate = election.Campaign(electionpb.CampaignRequest(name=b"e", lease=2, value=b"two"))
        await _until_keys(it, 2)
        await election.Proclaim(electionpb.ProclaimRequest(leader=first.leader, value=b"more"))
        assert (await observing.read()).kv.value == b"more"
        await election.Resign(electionpb.ResignRequest(leader=first.leader))
        second = await candidate
        assert (second.leader.key, second.leader.lease) == (b"e/2", 2)
        seen = await observing.read()
        assert (seen.kv.key, seen.kv.value) == (b"e/2", b"two")
        observing.cancel()


# -- the server itself


async def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        with pytest.raises(OSError, match="cannot listen on"):
            await serve(it.node, [it.address], None)


async def test_a_server_listens_on_every_address(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        server = await serve(it.node, ["127.0.0.1:0", "127.0.0.1:0"], None)
        for port in server.ports:
            async with connected(f"127.0.0.1:{port}") as client:
                await client.kv.Put(rpc.PutRequest(key=b"a"))
        await server.stop(0)
    assert len(set(server.ports)) == 2
