"""etcd's published consistency bugs, walked through on several members and over the gRPC API:
docs/store-published-bugs.md. Each test is named after the issue of etcd-io/etcd."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from etcd_services import Client, served
from memory_network import SMALL, MemoryCluster, keys, put

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import Compact, Event, Put, Range, Txn
from raftstore.mvcc.errors import Compacted, FutureRevision
from raftstore.node import Node
from raftstore.server import ServerOptions, watchstream

# The log keeps little, so that a member that was cut off needs a snapshot.
LITTLE_LOG = replace(SMALL, log_keep_bytes=2000)


def hear(heard: list[int]) -> Callable[[Sequence[Event], int], None]:
    return lambda events, revision: heard.append(revision)


async def left_behind(cluster: MemoryCluster, late: Node, writes: int) -> None:
    """Cut `late` off, write what the log will not keep, and heal: it installs a snapshot."""
    before = cluster.network.sent_snapshots
    cluster.network.cut(late.member_id, *(set(cluster.nodes) - {late.member_id}))
    leader = await cluster.leader(other_than=late.member_id)
    for number in range(writes):
        await put(leader, b"k%d" % (number % 7), b"x" * 100)
    cluster.network.heal()
    await cluster.until(lambda: late.state.keyspace.revision == leader.state.keyspace.revision)
    assert cluster.network.sent_snapshots == before + 1


async def test_15271_watches_go_on_where_they_were_when_a_snapshot_is_installed() -> None:
    """Watches that are up to date, from the past and from now on, with events heard and without:
    none repeats a revision and none leaves one out."""
    async with MemoryCluster(3, LITTLE_LOG) as cluster:
        leader = await cluster.leader()
        late = cluster.followers()[0]
        for _ in range(5):
            await put(leader, b"k1")
        await cluster.applied_everywhere()
        all_of_it: list[int] = []
        from_now: list[int] = []
        one_key: list[int] = []
        late.watch(b"k", b"l", 2, hear(all_of_it))
        late.watch(b"k", b"l", 0, hear(from_now))
        late.watch(b"k3", b"", 0, hear(one_key))
        for _ in range(5):
            await put(leader, b"k1")
        await cluster.applied_everywhere()
        assert (all_of_it, from_now, one_key) == (list(range(2, 12)), list(range(7, 12)), [])
        await left_behind(cluster, late, 150)
        await put(await cluster.leader(), b"k3")
        last = 12 + 150
        await cluster.until(lambda: one_key and one_key[-1] == last)
        assert all_of_it == list(range(2, last + 1))
        assert from_now == list(range(7, last + 1))
        assert one_key == [*(r for r in range(12, last) if (r - 12) % 7 == 3), last]


async def test_20221_a_watch_of_the_future_waits_for_it_on_a_member_that_lags() -> None:
    """A client asks a member that was cut off for revisions which that one has not reached, and
    which the snapshot that it then installs does not reach either."""
    async with MemoryCluster(3, LITTLE_LOG) as cluster:
        await cluster.leader()
        late = cluster.followers()[0]
        near: list[int] = []
        far: list[int] = []
        late.watch(b"k", b"l", 100, hear(near))
        late.watch(b"k", b"l", 170, hear(far))
        await left_behind(cluster, late, 150)
        assert late.state.keyspace.revision == 151
        await cluster.until(lambda: near)
        assert (near, far) == (list(range(100, 152)), [])
        leader = await cluster.leader()
        while leader.state.keyspace.revision < 180:
            await put(leader, b"k1")
        await cluster.applied_everywhere()
        assert near == list(range(100, 181))
        assert far == list(range(170, 181))


async def test_18667_a_read_inside_a_transaction_is_judged_alike_by_every_member() -> None:
    """Reads of a compacted and of a future revision beside a put, sent through each member; only
    that one has somebody to answer."""
    async with MemoryCluster(3) as cluster:
        leader = await cluster.leader()
        for _ in range(10):
            await put(leader, b"k")
        await leader.propose(Compact(8))
        refused = {3: Compacted, 99: FutureRevision}
        for node in cluster.nodes.values():
            for revision, error in refused.items():
                read = Range(b"k", revision=revision)
                for txn in (Txn([], [read, Put(b"k")]), Txn([], [Put(b"k"), Txn([], [read])])):
                    with pytest.raises(error):
                        await node.propose(txn)
            allowed = await node.propose(Txn([], [Put(b"k"), Range(b"k", revision=9)]))
            assert allowed.succeeded
        await cluster.applied_everywhere()
        assert [n.state.keyspace.revision for n in cluster.nodes.values()] == [14, 14, 14]
        assert len({tuple(keys(node).items()) for node in cluster.nodes.values()}) == 1
        assert len({(await node.hash_kv(14)).hash for node in cluster.nodes.values()}) == 1


class Stream:
    """One watch stream over gRPC, and what was heard on it of each watch."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.heard: dict[int, list[int]] = {}

    async def create(self, start_revision: int, **fields: Any) -> None:
        request = rpc.WatchCreateRequest(
            key=b"k", range_end=b"l", start_revision=start_revision, **fields
        )
        await self._call.write(rpc.WatchRequest(create_request=request))

    async def ask_progress(self) -> None:
        await self._call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    async def read(self) -> rpc.WatchResponse:
        async with asyncio.timeout(20):
            answer: rpc.WatchResponse = await self._call.read()
        heard = self.heard.setdefault(answer.watch_id, [])
        heard += [event.kv.mod_revision for event in answer.events]
        return answer


@asynccontextmanager
async def watching(client: Client) -> AsyncIterator[Stream]:
    call = client.watch.Watch()
    try:
        yield Stream(call)
    finally:
        call.cancel()


async def write(node: Node, count: int, size_bytes: int = 10) -> None:
    """In one go."""
    await asyncio.gather(*(node.propose(Put(b"k", b"x" * size_bytes)) for _ in range(count)))


@pytest.mark.realtime
async def test_15220_progress_is_told_after_all_that_it_speaks_of(tmp_path: Path) -> None:
    """Watches that have thousands of revisions to catch up with, progress asked for in the same
    breath and again while writes go on."""
    async with served(tmp_path) as it, watching(it.client) as stream:
        await write(it.node, 5000)
        for start_revision in (2, 4000, 2500):
            await stream.create(start_revision)
        told = 0
        await stream.ask_progress()
        while told < 4:
            answer = await stream.read()
            if answer.created or answer.events:
                continue
            assert answer.watch_id == -1
            told += 1
            upto = answer.header.revision
            for watch_id, start_revision in enumerate((2, 4000, 2500)):
                assert stream.heard[watch_id] == list(range(start_revision, upto + 1))
            writing = asyncio.ensure_future(write(it.node, 300))
            await stream.ask_progress()
            await writing
        assert upto >= 5001


@pytest.mark.realtime
async def test_17529_watches_on_a_full_stream_hear_all_or_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many watches share a stream that nobody reads; what they would hear next is compacted."""
    monkeypatch.setattr(watchstream, "BUFFER_MAX_BYTES", 50_000)
    watches = 20
    async with served(tmp_path) as it, watching(it.client) as stream:
        for _ in range(watches):
            await stream.create(0)
        for _ in range(watches):
            assert (await stream.read()).created
        for _ in range(10):
            await write(it.node, 40, 5000)
        last = it.node.state.keyspace.revision
        await it.node.propose(Compact(last))
        await asyncio.sleep(0.1)
        ended: dict[int, int] = {}
        while len(ended) < watches:
            answer = await stream.read()
            heard = stream.heard[answer.watch_id]
            assert heard == list(range(2, 2 + len(heard)))
            if answer.canceled:
                ended[answer.watch_id] = answer.compact_revision
            elif heard[-1] == last:
                ended[answer.watch_id] = 0
        assert last in ended.values(), "the stream was never full"
        assert set(ended.values()) <= {0, last}
        # Who was told so heard nothing of what came after the gap.
        for watch_id, compact_revision in ended.items():
            assert (len(stream.heard[watch_id]) < last - 1) == bool(compact_revision)


@pytest.mark.realtime
async def test_20221_no_progress_is_told_to_a_watch_of_the_future(tmp_path: Path) -> None:
    options = ServerOptions(progress_interval_s=0.02)
    async with served(tmp_path, options) as it, watching(it.client) as stream:
        await write(it.node, 9)
        await stream.create(20, progress_notify=True)
        assert (await stream.read()).created
        await stream.ask_progress()
        await asyncio.sleep(0.2)
        await write(it.node, 15)
        answer = await stream.read()
        assert [event.kv.mod_revision for event in answer.events][:1] == [20]
        while stream.heard[0][-1] < 25:
            await stream.read()
        assert stream.heard[0] == list(range(20, 26))
        # Now that it has got there it is told, also when nothing happens.
        answer = await stream.read()
        assert (list(answer.events), answer.header.revision) == ([], 25)
