"""The agent's end of the node tunnel: one call kept open, and a call per session asked for.

The agent dials out, so a node needs no open port and no route back. Source: proto/node.proto.
"""

import asyncio
import logging
import random
from typing import Final

import grpc
import grpc.aio

from base.backoff import Backoff
from base.clock import Clock
from kubeapi.errors import StatusError
from kubeapi.streams.channels import ChannelFrame
from kubeapi.streams.tunnel import ACCEPTED_HEADER, TunnelLeg
from nodeagent.streams import SessionServer, say_failure
from pinnace_wire.node_pb2 import Frame, ServeFrame, SessionRequest
from pinnace_wire.node_pb2_grpc import NodeTunnelStub

logger = logging.getLogger("nodeagent.tunnel")

# Each holds a call and perhaps a file: a bound against a flood, far above what people do.
SESSIONS_MAX: Final = 256
_RETRY_FIRST_S: Final = 0.2
_RETRY_MAX_S: Final = 10.0
_ACCEPT_TIMEOUT_S: Final = 10.0


class AgentLeg(TunnelLeg):
    """The agent's end of one session; its first frame names the session."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Frame, Frame], session_id: str) -> None:
        super().__init__(call)
        self._session = call
        self._session_id = session_id

    async def send(self, frame: ChannelFrame, session_id: str = "") -> None:
        name, self._session_id = self._session_id, ""
        await super().send(frame, session_id or name)

    async def finish(self) -> None:
        """Half-close: the control plane ends the call when it has passed on everything."""
        try:
            await self._session.done_writing()
        except (grpc.aio.UsageError, asyncio.InvalidStateError):
            return


class Tunnel:
    """Keeps the node reachable for the control plane."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        node_name: str,
        server: SessionServer,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._stub = NodeTunnelStub(channel)  # type: ignore[no-untyped-call]
        self._node_name = node_name
        self._server = server
        self._clock = clock
        self._backoff = Backoff(_RETRY_FIRST_S, _RETRY_MAX_S, rng=rng)
        self._sessions: dict[str, asyncio.Task[None]] = {}
        self.is_connected = False

    async def run(self) -> None:
        """Serve until cancelled; sessions that go on then are ended."""
        try:
            while True:
                await self._serve_once()
                await self._clock.sleep(self._backoff.next_delay_s())
        finally:
            sessions = list(self._sessions.values())
            for session in sessions:
                session.cancel()
            await asyncio.gather(*sessions, return_exceptions=True)

    async def _serve_once(self) -> None:
        """One Serve call. A session outlives it: it is a call of its own."""
        call = self._stub.Serve()
        try:
            async with asyncio.timeout(_ACCEPT_TIMEOUT_S):
                await call.write(ServeFrame(node_name=self._node_name))
                accepted = ACCEPTED_HEADER in dict(await call.initial_metadata() or ())
            self._connected(accepted)
            while (request := await call.read()) is not grpc.aio.EOF:
                self._start(request)
            await call.code()
            logger.info("the control plane ended the tunnel")
        except grpc.aio.AioRpcError as error:
            logger.warning("tunnel: %s: %s", error.code().name, error.details())
        except asyncio.InvalidStateError:
            # The call ended before the first frame was out; its status says why.
            logger.warning("tunnel: %s: %s", (await call.code()).name, await call.details())
        except TimeoutError:
            logger.warning("tunnel: not accepted within %g s", _ACCEPT_TIMEOUT_S)
        finally:
            self._connected(False)
            call.cancel()

    def _connected(self, is_connected: bool) -> None:
        """A tunnel that is refused again and again is asked for less and less often."""
        if is_connected:
            self._backoff.reset()
            logger.info("tunnel to the control plane is open")
        self.is_connected = is_connected

    def _start(self, request: SessionRequest) -> None:
        session_id = request.session_id
        if request.WhichOneof("what") == "end":
            if session_id in self._sessions:
                self._sessions[session_id].cancel()
            return
        task = asyncio.create_task(self._session(request))
        self._sessions[session_id] = task
        task.add_done_callback(lambda _: self._sessions.pop(session_id, None))

    async def _session(self, request: SessionRequest) -> None:
        call = self._stub.Session()
        leg = AgentLeg(call, request.session_id)
        try:
            if len(self._sessions) > SESSIONS_MAX:
                await say_failure(leg, _too_many())
            else:
                await self._server.serve(request, leg)
        finally:
            call.cancel()


def _too_many() -> StatusError:
    why = f"the node's agent serves {SESSIONS_MAX} streams already"
    return StatusError(429, "TooManyRequests", why, retry_after_s=1)
