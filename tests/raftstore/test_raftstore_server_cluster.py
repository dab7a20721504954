"""Three members, each served: what one asks of any of them, and what is left when others go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from etcd_services import Client, calls_ended, connected, refusal
from memory_network import MemoryCluster

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.node import Node
from raftstore.server import ServerOptions, serve

pytestmark = pytest.mark.realtime

_REQUIRES_LEADER = (("hasleader", "true"),)


class ServedCluster(MemoryCluster):
    """`clients` by member."""

    def __init__(self) -> None:
        super().__init__(3)
        self.clients: dict[int, Client] = {}

    async def leading_and_following(self) -> tuple[Node, Node, Node]:
        leader = await self.leader()
        await self.applied_everywhere()
        one, other = (node for node in self.nodes.values() if node is not leader)
        return leader, one, other

    def client(self, node: Node) -> Client:
        return self.clients[node.member_id]


@asynccontextmanager
async def served_cluster() -> AsyncIterator[ServedCluster]:
    options = ServerOptions(election_timeout_s=0.2)
    async with ServedCluster() as cluster, AsyncExitStack() as stack:
        # What is pushed first is done last.
        stack.push_async_callback(calls_ended)
        for member, node in cluster.nodes.items():
            server = await serve(node, ["127.0.0.1:0"], None, options)
            stack.push_async_callback(server.stop, 0.1)
            connection = connected(f"127.0.0.1:{server.ports[0]}")
            cluster.clients[member] = await stack.enter_async_context(connection)
        yield cluster


async def put(client: Client, value: bytes, **fields: Any) -> int:
    answer = await client.kv.Put(rpc.PutRequest(key=b"k", value=value, **fields))
    return int(answer.header.revision)


async def watch(client: Client) -> Any:
    call = client.watch.Watch(metadata=_REQUIRES_LEADER)
    create = rpc.WatchCreateRequest(key=b"k")
    await call.write(rpc.WatchRequest(create_request=create))
    assert (await call.read()).created
    return call


async def heard(call: Any, count: int) -> list[bytes]:
    values: list[bytes] = []
    async with asyncio.timeout(10):
        while len(values) < count:
            values += [event.kv.value for event in (await call.read()).events]
    return values


async def test_any_member_takes_writes_and_reads_the_latest() -> None:
    async with served_cluster() as cluster:
        await cluster.leading_and_following()
        for number in range(5):
            for client in cluster.clients.values():
                revision = await put(client, b"%d" % number)
            for client in cluster.clients.values():
                read = await client.kv.Range(rpc.RangeRequest(key=b"k"))
                assert read.kvs[0].mod_revision == revision
                assert read.header.revision >= revision


async def test_leases_are_kept_through_any_member() -> None:
    async with served_cluster() as cluster:
        leader, one, other = await cluster.leading_and_following()
        lease = cluster.client(one).lease
        granted = await lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=60))
        await put(cluster.client(leader), b"v", lease=granted.ID)
        call = cluster.client(other).lease.LeaseKeepAlive()
        await call.write(rpc.LeaseKeepAliveRequest(ID=granted.ID))
        assert (await call.read()).TTL == 60
        await call.done_writing()
        request = rpc.LeaseTimeToLiveRequest(ID=granted.ID, keys=True)
        told = await cluster.client(other).lease.LeaseTimeToLive(request)
        assert (told.grantedTTL, list(told.keys)) == (60, [b"k"])
        assert 50 < told.TTL <= 60


async def test_a_watch_of_a_follower_outlives_its_leader() -> None:
    async with served_cluster() as cluster:
        leader, one, other = await cluster.leading_and_following()
        call = await watch(cluster.client(one))
        await put(cluster.client(leader), b"1")
        cluster.network.cut(leader.member_id, one.member_id, other.member_id)
        await cluster.leader(other_than=leader.member_id)
        await put(cluster.client(other), b"2")
        assert await heard(call, 2) == [b"1", b"2"]


async def test_who_is_left_alone_says_so() -> None:
    async with served_cluster() as cluster:
        leader, one, other = await cluster.leading_and_following()
        client = cluster.client(leader)
        await put(client, b"1")
        call = await watch(client)
        cluster.network.cut(leader.member_id, one.member_id, other.member_id)
        assert await refusal(call.read()) == ("UNAVAILABLE", "etcdserver: no leader")
        requiring = client.kv.Put(rpc.PutRequest(key=b"k"), metadata=_REQUIRES_LEADER)
        assert await refusal(requiring) == ("UNAVAILABLE", "etcdserver: no leader")
        request = rpc.RangeRequest(key=b"k", serializable=True)
        assert (await client.kv.Range(request)).kvs[0].value == b"1"


async def test_only_the_leader_hands_over() -> None:
    async with served_cluster() as cluster:
        leader, one, other = await cluster.leading_and_following()
        request = rpc.MoveLeaderRequest(targetID=other.member_id)
        refused = await refusal(cluster.client(one).maintenance.MoveLeader(request))
        assert refused == ("FAILED_PRECONDITION", "etcdserver: not leader")
        await cluster.client(leader).maintenance.MoveLeader(request)
        status = await cluster.client(one).maintenance.Status(rpc.StatusRequest())
        assert status.leader == other.member_id


async def test_members_agree_on_their_hash_and_on_who_they_are() -> None:
    async with served_cluster() as cluster:
        leader, _, _ = await cluster.leading_and_following()
        revision = await put(cluster.client(leader), b"1")
        await cluster.applied_everywhere()
        hashes, members = set(), set()
        for client in cluster.clients.values():
            hashed = await client.maintenance.HashKV(rpc.HashKVRequest(revision=revision))
            hashes.add(hashed.hash)
            listed = await client.cluster.MemberList(rpc.MemberListRequest(linearizable=True))
            members.add(tuple((member.ID, member.name) for member in listed.members))
    assert len(hashes) == 1
    assert members == {((1, "m1"), (2, "m2"), (3, "m3"))}
