"""Asking a streaming server for SPDY: the HTTP/1.1 upgrade of a container runtime's exec URL.

Source: RFC 9110 section 7.8; k8s.io/apimachinery `util/httpstream/spdy`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kubeapi.errors import StatusError, internal
from kubeapi.streams.legs import READ_MAX_BYTES

_BODY_MAX_BYTES: Final = 4096
# The peer's own requests (pings) may cause us to write; who never reads our answers is cut off.
PILED_UP_MAX_BYTES: Final = 1024 * 1024
PROTOCOL_HEADER: Final = "x-stream-protocol-version"


class SocketStream:
    """A `ByteStream` over asyncio's reader and writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(READ_MAX_BYTES)

    def write(self, data: bytes) -> None:
        if self._writer.transport.is_closing():
            raise ConnectionResetError("the connection was closed")
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > PILED_UP_MAX_BYTES:
            self._writer.transport.abort()
            raise ConnectionAbortedError("the peer does not read what it asked for")

    async def drain(self) -> None:
        await self._writer.drain()

    def abort(self) -> None:
        """Drop the connection; nothing that is still to be written is."""
        self._writer.transport.abort()


@dataclass(frozen=True)
class ResponseHead:
    status: int
    reason: str
    headers: Mapping[str, str]


def parse_head(head: bytes) -> ResponseHead:
    """Status line and headers of a response; names in lower case. Raises ValueError."""
    status_line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    version, _, rest = status_line.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not an HTTP/1 response: {status_line[:80]!r}")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return ResponseHead(int(status), reason, headers)


def request_head(url: str, protocols: Sequence[str]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        *(f"X-Stream-Protocol-Version: {protocol}" for protocol in protocols),
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def upgrade(url: str, protocols: Sequence[str], timeout_s: float) -> tuple[str, SocketStream]:
    """Connect to `url` and upgrade: the protocol that was agreed on, and the connection.

    Raises StatusError, with the server's own text where it refused.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _upgrade(url, protocols)
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
        # TimeoutError is an OSError, without a text of its own.
        why = str(error) or f"no answer within {timeout_s:g} s"
        raise internal(f"error dialing the container runtime: {why}") from error


async def _upgrade(url: str, protocols: Sequence[str]) -> tuple[str, SocketStream]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(f"its streaming server is at {url!r}, and only http is supported")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    stream = SocketStream(reader, writer)
    try:
        writer.write(request_head(url, protocols))
        head = parse_head(await reader.readuntil(b"\r\n\r\n"))
        if head.status != 101:
            raise await _refusal(head, reader)
        protocol = head.headers.get(PROTOCOL_HEADER, "")
        if protocol not in protocols:
            raise ValueError(f"it chose the protocol {protocol!r} of {', '.join(protocols)}")
    except BaseException:
        stream.abort()
        raise
    return protocol, stream


async def _refusal(head: ResponseHead, reader: asyncio.StreamReader) -> StatusError:
    length = int(head.headers.get("content-length", "0"))
    body = await reader.readexactly(min(length, _BODY_MAX_BYTES))
    why = body.decode(errors="replace").strip() or f"{head.status} {head.reason}"
    return internal(f"unable to upgrade connection: {why}")
