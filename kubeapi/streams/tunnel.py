"""A session of the node tunnel as a leg; the same on both ends of the gRPC call.

HTTP/2's windows give the back-pressure: a write waits until the other end has read.
"""

import asyncio
from typing import Any, Final, Protocol

import grpc.aio

from kubeapi.streams.channels import Channel, ChannelFrame
from kubeapi.streams.legs import SEND_MAX_BYTES, LegClosed
from pinnace_wire.node_pb2 import Frame

# In the initial metadata of Serve: the node is accepted. A refused call has none.
ACCEPTED_HEADER: Final = "pinnace-node"


class FrameCall(Protocol):
    """What a client's call object and a server's context have in common."""

    async def read(self) -> Any: ...

    async def write(self, message: Any) -> None: ...


_CHANNELS = frozenset(Channel)
_GONE = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)


class TunnelLeg:
    """Channel frames over one Session call."""

    def __init__(self, call: FrameCall) -> None:
        self._call = call

    async def receive(self) -> ChannelFrame | None:
        try:
            frame = await self._call.read()
        except _GONE:
            return None
        # A channel that this version does not know ends the session: its data cannot be dropped.
        if frame is grpc.aio.EOF or frame.channel not in _CHANNELS:
            return None
        return ChannelFrame(Channel(frame.channel), frame.data, frame.close)

    async def send(self, frame: ChannelFrame, session_id: str = "") -> None:
        pieces = range(0, max(1, len(frame.data)), SEND_MAX_BYTES)
        try:
            for at in pieces:
                await self._call.write(
                    Frame(
                        session_id=session_id,
                        channel=Frame.Channel.Name(frame.channel),
                        data=frame.data[at : at + SEND_MAX_BYTES],
                        close=frame.close and at == pieces[-1],
                    )
                )
        except _GONE as error:
            raise LegClosed("the tunnel's session has ended") from error
