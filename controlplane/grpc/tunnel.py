"""The control plane's end of the node tunnel: which nodes are there, and sessions with them.

A node keeps one Serve call open; what is asked of it goes down that call, and it answers each
request with a Session call of its own. Source: proto/node.proto.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

import grpc
import grpc.aio

from controlplane.grpc.identity import Context, caller, node_name
from kubeapi.errors import StatusError, internal
from kubeapi.streams.channels import Channel, ChannelFrame, parse_status
from kubeapi.streams.tunnel import ACCEPTED_HEADER, TunnelLeg
from pinnace_wire.node_pb2 import (
    ExecRequest,
    Frame,
    LogsRequest,
    ServeFrame,
    SessionEnd,
    SessionRequest,
)
from pinnace_wire.node_pb2_grpc import NodeTunnelServicer

logger = logging.getLogger("controlplane.tunnel")

OPEN_TIMEOUT_S: Final = 10.0
CONNECT_WAIT_S: Final = 2.0
_END_TIMEOUT_S: Final = 1.0
# Requests that a node has not yet taken off its tunnel.
_WAITING_MAX: Final = 64


class NodeSession(TunnelLeg):
    """One thing that a node does for a caller: receive and send frames, then leave."""

    def __init__(self, context: Any, node: str, first: Frame) -> None:
        super().__init__(context)
        self.node = node
        self.session_id = first.session_id
        self._first: Frame | None = first
        self.ended = asyncio.Event()
        self.said_all = False

    async def receive(self) -> ChannelFrame | None:
        if self.ended.is_set():
            return None
        frame = await self._next()
        self.said_all = frame is None or (frame.channel is Channel.ERROR and frame.close)
        return frame

    async def _next(self) -> ChannelFrame | None:
        if self._first is None:
            return await super().receive()
        first, self._first = self._first, None
        return ChannelFrame(Channel(first.channel), first.data, first.close)

    def end(self) -> None:
        """Both sides are told; what the node still has to say is dropped."""
        self.ended.set()

    async def __aenter__(self) -> "NodeSession":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


@dataclass(eq=False)
class _Connection:
    """A node's Serve call; None in `waiting` tells it to end."""

    node: str
    waiting: asyncio.Queue[SessionRequest | None] = field(
        default_factory=lambda: asyncio.Queue(_WAITING_MAX)
    )
    is_ended: bool = False

    def end(self) -> None:
        self.is_ended = True
        while True:
            try:
                return self.waiting.put_nowait(None)
            except asyncio.QueueFull:
                self.waiting.get_nowait()


@dataclass(eq=False)
class _Pending:
    connection: _Connection
    session: asyncio.Future[NodeSession]

    def give_up(self) -> None:
        """Nobody waits any more; a session that came at the same moment is ended."""
        if not self.session.cancel() and self.session.exception() is None:
            self.session.result().end()


class NodeTunnels:
    """The nodes that are connected to this control plane, by name."""

    def __init__(
        self, open_timeout_s: float = OPEN_TIMEOUT_S, connect_wait_s: float = CONNECT_WAIT_S
    ) -> None:
        self._open_timeout_s = open_timeout_s
        self._connect_wait_s = connect_wait_s
        self._arrived = asyncio.Event()
        self._connections: dict[str, _Connection] = {}
        self._pending: dict[str, _Pending] = {}
        self._sessions: set[NodeSession] = set()

    def is_connected(self, node: str) -> bool:
        return node in self._connections

    async def open_logs(self, node: str, request: LogsRequest) -> NodeSession:
        """The log's text as STDOUT frames, then ERROR with a Status. Raises StatusError."""
        return await self._open(node, SessionRequest(logs=request))

    async def open_exec(self, node: str, request: ExecRequest) -> NodeSession:
        """The running process's channels. Raises StatusError when it cannot be started."""
        return await self._open(node, SessionRequest(exec=request))

    def close(self) -> None:
        """End every session and tunnel: the control plane stops."""
        for session in self._sessions:
            session.end()
        for connection in self._connections.values():
            connection.end()

    async def _open(self, node: str, request: SessionRequest) -> NodeSession:
        connection = await self._connection_of(node)
        request.session_id = secrets.token_hex(16)
        pending = _Pending(connection, asyncio.get_running_loop().create_future())
        self._pending[request.session_id] = pending
        try:
            connection.waiting.put_nowait(request)
            async with asyncio.timeout(self._open_timeout_s):
                session = await asyncio.shield(pending.session)
                return await _opened(session, node)
        except asyncio.QueueFull:
            raise StatusError(
                503,
                "ServiceUnavailable",
                f'error dialing backend: node "{node}" has {_WAITING_MAX} requests to answer',
                retry_after_s=1,
            ) from None
        except TimeoutError:
            pending.give_up()
            why = f'node "{node}" did not answer within {self._open_timeout_s:g} s'
            raise StatusError(504, "Timeout", f"error dialing backend: {why}") from None
        except asyncio.CancelledError:
            pending.give_up()
            raise
        finally:
            self._pending.pop(request.session_id, None)

    async def _connection_of(self, node: str) -> _Connection:
        """The node's tunnel. An agent that is started anew is away for a moment, which is waited
        for."""
        try:
            async with asyncio.timeout(self._connect_wait_s):
                while node not in self._connections:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise internal(f'error dialing backend: node "{node}" is not connected') from None
        return self._connections[node]

    # What the service below reports

    def connect(self, node: str) -> _Connection:
        """A node's new tunnel, which takes the place of one that is there: that one is stale,
        since an agent has only one."""
        stale = self._connections.get(node)
        if stale is not None:
            stale.end()
        connection = self._connections[node] = _Connection(node)
        self._arrived.set()
        logger.info("node %s is connected", node)
        return connection

    def disconnect(self, connection: _Connection) -> None:
        for pending in self._pending.values():
            if pending.connection is connection and not pending.session.done():
                why = f'node "{connection.node}" went away'
                pending.session.set_exception(internal(f"error dialing backend: {why}"))
        if self._connections.get(connection.node) is connection:
            del self._connections[connection.node]
            logger.info("node %s is disconnected", connection.node)

    def deliver(self, session: NodeSession) -> bool:
        """Hand a node's session to whoever asked; False when nobody (of this node) did."""
        pending = self._pending.get(session.session_id)
        if pending is None or pending.connection.node != session.node or pending.session.done():
            return False
        del self._pending[session.session_id]
        pending.session.set_result(session)
        self._sessions.add(session)
        return True

    def left(self, session: NodeSession) -> None:
        """The session's call ends."""
        session.end()
        self._sessions.discard(session)

    def tell_end(self, session: NodeSession) -> bool:
        """Tell a node that nobody takes part in its session; False when it cannot be told."""
        connection = self._connections.get(session.node)
        if connection is None or connection.is_ended or connection.waiting.full():
            return False
        request = SessionRequest(session_id=session.session_id, end=SessionEnd())
        connection.waiting.put_nowait(request)
        return True


async def _opened(session: NodeSession, node: str) -> NodeSession:
    """The session, once its first frame says that what was asked for is open."""
    try:
        first = await session.receive()
        if first is None:
            raise internal(f'error dialing backend: node "{node}" went away')
        if first.channel is Channel.ERROR:
            raise StatusError.from_status(parse_status(first.data))
    except BaseException:
        session.end()
        raise
    return session


class NodeTunnelService(NodeTunnelServicer):
    """A node serves under the name that its certificate gives it, and no other."""

    def __init__(self, tunnels: NodeTunnels) -> None:
        self._tunnels = tunnels

    async def Serve(self, _: object, context: Context) -> None:
        node = await _node(context)
        first: Any = await _first(context)
        if not isinstance(first, ServeFrame) or first.node_name != node:
            why = f'the certificate is that of node "{node}"'
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, why)
        await context.send_initial_metadata(((ACCEPTED_HEADER, node),))
        connection = self._tunnels.connect(node)
        try:
            while (request := await connection.waiting.get()) is not None:
                await context.write(request)
        finally:
            self._tunnels.disconnect(connection)

    async def Session(self, _: object, context: Context) -> None:
        node = await _node(context)
        first: Any = await _first(context)
        if not isinstance(first, Frame):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a session begins with a frame")
        session = NodeSession(context, node, first)
        # Before the first message, or ending the call beside a message on its way would fail.
        await context.send_initial_metadata(())
        if not self._tunnels.deliver(session):
            await context.abort(grpc.StatusCode.NOT_FOUND, "nobody waits for this session")
        try:
            await session.ended.wait()
            if not session.said_all and self._tunnels.tell_end(session):
                # The node now cancels this call, which no status could pass while input is stuck.
                await asyncio.sleep(_END_TIMEOUT_S)
        finally:
            self._tunnels.left(session)


async def _node(context: Context) -> str:
    user = caller(context)
    node = node_name(user)
    if not node:
        why = f'"{user.name}" is not a node'
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, why)
    return node


async def _first(context: Context) -> object:
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            return await context.read()
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no first frame came")
