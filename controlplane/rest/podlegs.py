"""A client's end of a session, after its HTTP connection was upgraded: WebSocket or SPDY.

Sources: k8s.io/apimachinery `util/httpstream/wsstream` and `util/httpstream/spdy`.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from kubeapi.errors import StatusError, bad_request
from kubeapi.streams.channels import (
    SPDY_PROTOCOLS,
    WEBSOCKET_PROTOCOLS,
    Channel,
    ChannelFrame,
    ChannelProtocolError,
    StreamOptions,
    WebSocketProtocol,
    negotiate,
)
from kubeapi.streams.legs import PILED_UP_MAX_BYTES, LegClosed, OpeningLeg, SpdyLeg
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role

_UNREAD_MAX_BYTES: Final = 64 * 1024
# Some clients send a whole file as one message; Kubernetes takes up to 32 MB.
_MESSAGE_MAX_BYTES: Final = 16 * 1024 * 1024
_CLOSE_TIMEOUT_S: Final = 5.0


class WebSocketLeg:
    """Channel frames as WebSocket messages."""

    def __init__(
        self, socket: web.WebSocketResponse, protocol: WebSocketProtocol, options: StreamOptions
    ) -> None:
        self._socket = socket
        self._protocol = protocol
        self._channels = frozenset(options.channels())

    async def open(self, timeout_s: float) -> None:
        """An empty message says that the session is there, before the process says anything."""
        lowest = min(self._channels - {Channel.STDIN, Channel.RESIZE})
        await self._write(bytes([lowest]) if not self._protocol.base64 else b"%d" % lowest)

    async def receive(self) -> ChannelFrame | None:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                data = message.data
            elif message.type is WSMsgType.TEXT:
                data = message.data.encode()
            else:
                return None
            try:
                frame = self._protocol.decode(data)
            except ChannelProtocolError as error:
                await self._socket.close(
                    code=WSCloseCode.UNSUPPORTED_DATA, message=str(error).encode()
                )
                return None
            if frame is not None and frame.channel in self._channels:
                return frame

    async def send(self, frame: ChannelFrame) -> None:
        message = self._protocol.encode(frame)
        # Only a Status may be empty for the client; an ended channel is not told of.
        if len(message) > 1 and frame.channel in self._channels:
            await self._write(message)

    async def finish(self) -> None:
        await self._socket.close()

    async def _write(self, message: bytes) -> None:
        try:
            if self._protocol.base64:
                await self._socket.send_str(message.decode())
            else:
                await self._socket.send_bytes(message)
        except (ConnectionError, RuntimeError) as error:
            raise LegClosed(str(error)) from error


class Upgrade(Protocol):
    """What a client asks to speak; made, it can be spoken. Raises StatusError where it cannot."""

    def __init__(self, request: web.BaseRequest, options: StreamOptions) -> None: ...

    async def accept(self) -> tuple[web.StreamResponse, OpeningLeg]:
        """Answer the client: from here on the connection is the leg's. ConnectionError if gone."""
        ...


class WebSocketUpgrade:
    def __init__(self, request: web.BaseRequest, options: StreamOptions) -> None:
        offered = _listed(request, "Sec-WebSocket-Protocol")
        chosen = negotiate(offered, list(WEBSOCKET_PROTOCOLS)) if offered else ""
        if chosen is None:
            raise bad_request(
                f"unable to upgrade: unable to negotiate protocol: client supports {offered}, "
                f"server accepts {[name for name in WEBSOCKET_PROTOCOLS if name]}"
            )
        self._request = request
        self._options = options
        self._protocol = WEBSOCKET_PROTOCOLS[chosen]
        self._socket = web.WebSocketResponse(
            protocols=[chosen] if chosen else (),
            max_msg_size=_MESSAGE_MAX_BYTES,
            timeout=_CLOSE_TIMEOUT_S,
            compress=False,
        )
        if not self._socket.can_prepare(request):
            raise bad_request("unable to upgrade: the WebSocket handshake is not valid")

    async def accept(self) -> tuple[web.StreamResponse, OpeningLeg]:
        await self._socket.prepare(self._request)
        return self._socket, WebSocketLeg(self._socket, self._protocol, self._options)


class _TakenOver:
    """The connection's bytes after the upgrade. aiohttp calls the `feed` methods in place of its
    HTTP parser; reading stops while as much as one read is waiting."""

    def __init__(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        self._transport = transport
        self._writer: AbstractStreamWriter | None = None
        self._chunks: deque[bytes] = deque()
        self._unread_bytes = 0
        self._arrived = asyncio.Event()
        self._is_over = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._chunks.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes >= _UNREAD_MAX_BYTES:
            self._transport.pause_reading()
        self._arrived.set()
        return False, b""

    def feed_eof(self) -> None:
        self._is_over = True
        self._arrived.set()

    async def answer(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Take the connection over, then say so: the client's next bytes are not HTTP."""
        request.protocol.set_parser(self)  # type: ignore[arg-type]
        self._writer = await response.prepare(request)

    async def read(self) -> bytes:
        while not self._chunks:
            if self._is_over:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._chunks.popleft()
        was_paused = self._unread_bytes >= _UNREAD_MAX_BYTES
        self._unread_bytes -= len(data)
        may_resume = was_paused and self._unread_bytes < _UNREAD_MAX_BYTES
        if may_resume and not self._is_over and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        if self._is_over or self._transport.is_closing():
            raise ConnectionResetError("the client closed the connection")
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > PILED_UP_MAX_BYTES:
            self._transport.abort()
            raise ConnectionAbortedError("the client does not read what it asked for")

    async def drain(self) -> None:
        if self._writer is not None:
            await self._writer.drain()


class SpdyUpgrade:
    def __init__(self, request: web.BaseRequest, options: StreamOptions) -> None:
        offered = _listed(request, "X-Stream-Protocol-Version")
        chosen = negotiate(offered, SPDY_PROTOCOLS)
        if chosen is None:
            raise _no_common_protocol(offered)
        self._request = request
        self._options = options
        self._protocol = chosen

    async def accept(self) -> tuple[web.StreamResponse, OpeningLeg]:
        taken_over = _TakenOver(self._request)
        response = web.StreamResponse(
            status=101,
            headers={
                "Connection": "Upgrade",
                "Upgrade": "SPDY/3.1",
                "X-Stream-Protocol-Version": self._protocol,
            },
        )
        response.force_close()
        await taken_over.answer(self._request, response)
        channels = SpdyChannels(Role.SERVER, self._protocol, self._options)
        return response, SpdyLeg(channels, taken_over)


def _no_common_protocol(offered: list[str]) -> StatusError:
    if not offered:
        return bad_request("unable to upgrade: X-Stream-Protocol-Version is required")
    return StatusError(
        403,
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports {offered}, "
        f"server accepts {list(SPDY_PROTOCOLS)}",
        headers={"X-Accepted-Stream-Protocol-Versions": ", ".join(SPDY_PROTOCOLS)},
    )


def upgrade_of(request: web.BaseRequest) -> str:
    """What the client wants to speak from here on, in lower case; "" for plain HTTP."""
    if "upgrade" not in (token.lower() for token in _listed(request, "Connection")):
        return ""
    return request.headers.get("Upgrade", "").lower()


def _listed(request: web.BaseRequest, header: str) -> list[str]:
    """The values of a header that may be repeated, or hold several at once."""
    joined = ",".join(request.headers.getall(header, []))
    return [value.strip() for value in joined.split(",") if value.strip()]
