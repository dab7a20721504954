"""The gRPC transport between members, where a link, a caller or a configuration goes wrong."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from etcd_services import calls_ended

from raftstore.core import AppendEntries, Entry, Heartbeat, InstallSnapshot, SnapshotMeta
from raftstore.errors import Unreachable
from raftstore.peers.grpc_server import serve_peers
from raftstore.peers.grpc_transport import GrpcTransport
from raftstore.peers.messages import HashKv, PeerMessage

pytestmark = pytest.mark.realtime

CLUSTER = 7


class Listener:
    """A member that only writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[PeerMessage] = []
        self.frames = 0
        self.sent: list[tuple[int, bool]] = []
        self.snapshots: list[int] = []
        self.gone: set[int] = set()
        self.was_removed = asyncio.Event()
        self.something = asyncio.Event()

    def receive(self, messages: Sequence[PeerMessage]) -> None:
        self.frames += 1
        self.heard += messages
        self.something.set()

    async def receive_snapshot(
        self, message: InstallSnapshot, slices: AsyncIterator[bytes]
    ) -> None:
        async for _ in slices:
            pass
        self.snapshots.append(message.term)

    async def answer(self, question: Any) -> Any:
        self.something.set()
        await asyncio.sleep(60)

    def snapshot_sent(self, peer: int, *, ok: bool) -> None:
        self.sent.append((peer, ok))
        self.something.set()

    def unreachable(self, peer: int) -> None: ...

    def knows_member(self, member_id: int) -> bool | None:
        return member_id not in self.gone

    def removed(self) -> None:
        self.was_removed.set()


@asynccontextmanager
async def two_members() -> AsyncIterator[tuple[GrpcTransport, Listener, Listener, str]]:
    """(the transport of member 1, member 1, member 2, the URL of member 2)"""
    one, two = Listener(), Listener()
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"127.0.0.1:{free.getsockname()[1]}"
    peers = await serve_peers(two, CLUSTER, 2, [(url, None)])
    transport = GrpcTransport(CLUSTER, 1, None)
    transport.start(one)
    transport.set_members({2: ["http://" + url]})
    try:
        yield transport, one, two, "http://" + url
    finally:
        await transport.close()
        await peers.stop(None)
        await calls_ended()


async def until_heard(listener: Listener, count: int) -> None:
    async with asyncio.timeout(10):
        while len(listener.heard) < count:
            listener.something.clear()
            await listener.something.wait()


async def test_an_address_that_cannot_be_used_costs_its_link_alone() -> None:
    async with two_members() as (transport, _, two, url):
        transport.set_members({2: [url], 3: ["https://127.0.0.1:1"]})
        transport.send(3, [Heartbeat(1, 3, 1, 0, 0)])
        transport.send(2, [Heartbeat(1, 2, 1, 0, 0)])
        await until_heard(two, 1)
        with pytest.raises(Unreachable):
            await transport.ask(3, HashKv(1))


async def test_a_question_to_a_member_that_leaves_is_answered() -> None:
    async with two_members() as (transport, _, two, _):
        asked = asyncio.ensure_future(transport.ask(2, HashKv(1)))
        await two.something.wait()
        transport.set_members({})
        with pytest.raises(Unreachable):
            await asked


async def test_a_snapshot_takes_the_place_of_one_of_an_earlier_term() -> None:
    async with two_members() as (transport, one, two, _):
        transport.send_snapshot(InstallSnapshot(1, 2, 1, SnapshotMeta(5, 1)), endless())
        await asyncio.sleep(0.1)
        transport.send_snapshot(InstallSnapshot(1, 2, 3, SnapshotMeta(9, 3)), iter([b"x"]))
        async with asyncio.timeout(10):
            await one.something.wait()
        assert one.sent == [(2, True)]
        assert two.snapshots == [3]


def endless() -> Iterator[bytes]:
    while True:
        yield b""


async def test_what_waits_is_not_one_frame_whatever_its_size() -> None:
    async with two_members() as (transport, _, two, _):
        entries = [Entry(1, 1, b"x" * 1_000_000)]
        transport.send(2, [AppendEntries(1, 2, 1, 0, 0, entries, 0) for _ in range(20)])
        await until_heard(two, 20)
        assert two.frames >= 10


async def test_a_member_removed_while_its_stream_is_open_is_told_so() -> None:
    async with two_members() as (transport, one, two, _):
        transport.send(2, [Heartbeat(1, 2, 1, 0, 0)])
        await until_heard(two, 1)
        two.gone.add(1)
        transport.send(2, [Heartbeat(1, 2, 1, 0, 0)])
        async with asyncio.timeout(10):
            await one.was_removed.wait()
        assert len(two.heard) == 1
