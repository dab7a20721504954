"""A raftstore member served over gRPC in this process, and clients of any etcd v3 endpoint."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from base.clock import SystemClock
from pinnace_wire.etcd_election_pb2_grpc import ElectionStub
from pinnace_wire.etcd_lock_pb2_grpc import LockStub
from pinnace_wire.etcd_rpc_pb2_grpc import (
    AuthStub,
    ClusterStub,
    KVStub,
    LeaseStub,
    MaintenanceStub,
    WatchStub,
)
from pinnace_wire.grpc_health_pb2_grpc import HealthStub
from raftstore.node import Node
from raftstore.server import Server, ServerOptions, serve

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


class Client:
    """The stubs of every service, on a connection of their own."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self.kv: Any = KVStub(self.channel)
        self.watch: Any = WatchStub(self.channel)
        self.lease: Any = LeaseStub(self.channel)
        self.cluster: Any = ClusterStub(self.channel)
        self.maintenance: Any = MaintenanceStub(self.channel)
        self.auth: Any = AuthStub(self.channel)
        self.lock: Any = LockStub(self.channel)
        self.election: Any = ElectionStub(self.channel)
        self.health: Any = HealthStub(self.channel)


@dataclass(frozen=True)
class Served:
    node: Node
    server: Server
    client: Client

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.ports[0]}"


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    client = Client(address)
    try:
        yield client
    finally:
        await client.channel.close()


@asynccontextmanager
async def served(directory: Path, options: ServerOptions | None = None) -> AsyncIterator[Served]:
    node = await Node.open(directory / "store", SystemClock(), random.Random(7))
    try:
        server = await serve(node, ["127.0.0.1:0"], None, options)
        try:
            async with connected(f"127.0.0.1:{server.ports[0]}") as client:
                yield Served(node, server, client)
        finally:
            await server.stop(0.1)
            await calls_ended()
    finally:
        await node.close()


async def calls_ended() -> None:
    """A call that was cancelled is over when grpc's own thread has said so."""
    async with asyncio.timeout(5):
        while any("cython" in repr(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def refusal(call: Any) -> tuple[str, str]:
    """The code and text that a call is refused with."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    raise AssertionError(f"not refused: {answer}")
