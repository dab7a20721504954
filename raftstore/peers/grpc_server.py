"""The other end of `grpc_transport`: takes what members of the same cluster say."""

from collections.abc import AsyncIterator, Sequence
from logging import getLogger
from typing import NoReturn

import grpc
import grpc.aio

from pinnace_wire.raft_peers_pb2 import Frame, Received
from pinnace_wire.raft_peers_pb2_grpc import PeersServicer, add_PeersServicer_to_server
from raftstore.core import InstallSnapshot
from raftstore.errors import ClusterError, NodeError
from raftstore.mvcc import MvccError
from raftstore.mvcc.snapshot import SnapshotMismatch
from raftstore.peers import wire
from raftstore.peers.grpc_transport import REMOVED
from raftstore.peers.messages import Members
from raftstore.peers.transport import Receiver

_log = getLogger("raftstore.peers")

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Peers ping every 2 s, also without a call.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    # A caller that is gone without a word must not be waited for.
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.so_reuseport", 0),
)

Context = grpc.aio.ServicerContext[Frame, Frame]


class ListenError(Exception):
    """One line for the operator."""


async def serve_peers(
    receiver: Receiver,
    cluster_id: int,
    member_id: int,
    listen: Sequence[tuple[str, grpc.ServerCredentials | None]],
) -> grpc.aio.Server:
    """Listen at addresses (`host:port`), each in the clear or with credentials. Raises
    ListenError."""
    server = grpc.aio.server(options=_OPTIONS)
    servicer = _Peers(receiver, cluster_id, member_id)
    add_PeersServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    for address, credentials in listen:
        try:
            if credentials is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ListenError(f"cannot listen for peers at {address}: {error}") from error
    await server.start()
    return server


class _Peers(PeersServicer):
    def __init__(self, receiver: Receiver, cluster_id: int, member_id: int) -> None:
        self._receiver = receiver
        self._cluster_id = f"{cluster_id:x}"
        self._member_id = f"{member_id:x}"

    async def Messages(self, request_iterator: AsyncIterator[Frame], context: Context) -> Received:
        caller = await self._admit(context)
        async for frame in request_iterator:
            if self._receiver.knows_member(caller) is False:
                # Since it called; it may not have heard of that.
                await self._refuse(context, REMOVED)
            try:
                self._receiver.receive(wire.decode_messages(frame.data))
            except wire.BadFrame as error:
                await self._refuse(context, f"not a message of this version: {error}")
        return Received()

    async def Snapshot(self, request_iterator: AsyncIterator[Frame], context: Context) -> Received:
        await self._admit(context)
        frames = aiter(request_iterator)
        try:
            [message] = wire.decode_messages(wire.decode_slices((await anext(frames)).data)[0])
            if not isinstance(message, InstallSnapshot):
                raise wire.BadFrame("a snapshot begins with what it stands for")
            await self._receiver.receive_snapshot(message, _slices(frames))
        except (wire.BadFrame, SnapshotMismatch, NodeError, ValueError, IndexError) as error:
            _log.warning("a snapshot was not taken: %s", error)
            await self._refuse(context, str(error))
        return Received()

    async def Ask(self, request: Frame, context: Context) -> Frame:
        try:
            question = wire.decode_question(request.data)
        except wire.BadFrame as error:
            await self._refuse(context, f"not a question of this version: {error}")
        if not isinstance(question, Members):
            await self._admit(context)
        try:
            return Frame(data=wire.encode_answer(await self._receiver.answer(question)))
        except (MvccError, NodeError, ClusterError) as error:
            return Frame(data=wire.encode_refusal(error))

    async def _admit(self, context: Context) -> int:
        """Only members of this cluster that mean this member. Returns who it is."""
        metadata = {name: str(value) for name, value in context.invocation_metadata() or ()}
        for name, wanted in (("cluster-id", self._cluster_id), ("to", self._member_id)):
            if metadata.get(name) != wanted:
                await self._refuse(context, f"{name} is {wanted}, not {metadata.get(name)}")
        name = metadata.get("member-id", "")
        try:
            caller = int(name, 16)
        except ValueError:
            await self._refuse(context, f"member-id {name!r} is not hexadecimal")
        if self._receiver.knows_member(caller) is False:
            await self._refuse(context, REMOVED)
        return caller

    async def _refuse(self, context: Context, why: str) -> NoReturn:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, why)
        raise AssertionError("abort raises")


async def _slices(frames: AsyncIterator[Frame]) -> AsyncIterator[bytes]:
    """Raises BadFrame where the stream breaks off."""
    async for frame in frames:
        slices = wire.decode_slices(frame.data)
        if not slices:
            return
        for data in slices:
            yield data
    raise wire.BadFrame("the snapshot has no end")
