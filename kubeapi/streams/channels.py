"""The channels of remote command execution, and how WebSocket messages carry them.

Source: k8s.io/apimachinery `util/remotecommand` and `util/httpstream/wsstream`, KEP-4006. A
WebSocket message is one byte of channel number and the data; in the base64 variants a digit and
base64 text. v5 adds the message [255, channel]: no more data on that channel. Without it, as in
v4, a client cannot end stdin short of closing the connection.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from kubeapi.errors import StatusError


class Channel(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4


@dataclass(frozen=True, slots=True)
class ChannelFrame:
    """Data of one channel; with `close` nothing more follows on it."""

    channel: Channel
    data: bytes = b""
    close: bool = False


@dataclass(frozen=True)
class StreamOptions:
    """Which streams of the process the caller takes part in."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    def channels(self, *, resize: bool = True) -> tuple[Channel, ...]:
        """The channels of a session, in the order in which client-go opens them."""
        wanted = {
            Channel.ERROR: True,
            Channel.STDIN: self.stdin,
            Channel.STDOUT: self.stdout,
            # A terminal has one output: stderr comes with stdout.
            Channel.STDERR: self.stderr and not self.tty,
            Channel.RESIZE: self.tty and resize,
        }
        return tuple(channel for channel, is_wanted in wanted.items() if is_wanted)


SUCCESS: Final = b'{"metadata":{},"status":"Success"}'


def failure(error: StatusError) -> bytes:
    """The ERROR channel's last word where the process could not be run, or was lost."""
    return json.dumps(error.status(), separators=(",", ":")).encode()


def parse_status(data: bytes) -> dict[str, Any]:
    """The Status of an ERROR frame. Raises StatusError where it is none."""
    try:
        status = json.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        raise StatusError(502, "InternalError", f"the node's answer is no Status: {data[:200]!r}")
    return status


def plain_error(status_json: bytes) -> bytes:
    """The same for protocols before v4: the message alone, and nothing on success."""
    status = parse_status(status_json)
    return b"" if status.get("status") == "Success" else str(status.get("message", "")).encode()


class ChannelProtocolError(Exception):
    """The client sent a message that the agreed protocol does not have."""


CLOSE_SIGNAL: Final = 255


@dataclass(frozen=True)
class WebSocketProtocol:
    """How messages look under one subprotocol."""

    name: str
    base64: bool = False
    status_json: bool = True
    close_signal: bool = False

    def encode(self, frame: ChannelFrame) -> bytes:
        """A message for `frame`'s data; closing has no message from server to client."""
        data = frame.data
        if frame.channel is Channel.ERROR and not self.status_json:
            data = plain_error(data)
        if self.base64:
            return b"%d" % frame.channel + base64.b64encode(data)
        return bytes([frame.channel]) + data

    def decode(self, message: bytes) -> ChannelFrame | None:
        """What the client said. None for an empty message, which means nothing."""
        if not message:
            return None
        if self.close_signal and message[0] == CLOSE_SIGNAL:
            return ChannelFrame(_channel(message[1] if len(message) == 2 else -1), close=True)
        if not self.base64:
            return ChannelFrame(_channel(message[0]), message[1:])
        try:
            data = base64.b64decode(message[1:], validate=True)
        except binascii.Error as error:
            raise ChannelProtocolError(f"base64 of a message: {error}") from error
        return ChannelFrame(_channel(message[0] - ord("0")), data)


def _channel(number: int) -> Channel:
    # Clients write to stdin and resize alone; what else they send has no reader.
    if number not in (Channel.STDIN, Channel.RESIZE):
        raise ChannelProtocolError(f"channel {number} is not the client's to use")
    return Channel(number)


WEBSOCKET_PROTOCOLS: Final = {
    protocol.name: protocol
    for protocol in (
        WebSocketProtocol("v5.channel.k8s.io", close_signal=True),
        WebSocketProtocol("v4.channel.k8s.io"),
        WebSocketProtocol("v4.base64.channel.k8s.io", base64=True),
        WebSocketProtocol("channel.k8s.io", status_json=False),
        WebSocketProtocol("base64.channel.k8s.io", base64=True, status_json=False),
        # A client that names no subprotocol speaks the oldest.
        WebSocketProtocol("", status_json=False),
    )
}

SPDY_PROTOCOLS: Final = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")


def negotiate(offered: Sequence[str], served: Sequence[str]) -> str | None:
    """The first that the client offers and this side serves: the client's order counts."""
    return next((name for name in offered if name in served), None)
