"""Asking a streaming server for SPDY: the HTTP/1.1 upgrade of a container runtime's exec URL.

Source: RFC 9110 section 7.8; k8s.io/apimachinery `util/httpstream/spdy`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from kubeapi.errors import StatusError, internal
from kubeapi.streams.socketstream import SocketStream

_HEAD_MAX_BYTES: Final = 128 * 1024
_BODY_MAX_BYTES: Final = 4096
PROTOCOL_HEADER: Final = "x-stream-protocol-version"


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
    except (OSError, ValueError) as error:
        # TimeoutError is an OSError, without a text of its own.
        why = str(error) or f"no answer within {timeout_s:g} s"
        raise internal(f"error dialing the container runtime: {why}") from error


async def _upgrade(url: str, protocols: Sequence[str]) -> tuple[str, SocketStream]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(f"its streaming server is at {url!r}, and only http is supported")
    stream = await SocketStream.connect(parts.hostname, parts.port or 80)
    try:
        stream.write(request_head(url, protocols))
        head, rest = await _read_head(stream)
        if head.status != 101:
            raise await _refusal(head, rest, stream)
        protocol = head.headers.get(PROTOCOL_HEADER, "")
        if protocol not in protocols:
            raise ValueError(f"it chose the protocol {protocol!r} of {', '.join(protocols)}")
        stream.unread(rest)
    except BaseException:
        stream.close()
        raise
    return protocol, stream


async def _read_head(stream: SocketStream) -> tuple[ResponseHead, bytes]:
    """The response's head, and what came after it in the same read."""
    read = b""
    while b"\r\n\r\n" not in read:
        data = await stream.read()
        read += data
        if not data or len(read) > _HEAD_MAX_BYTES:
            raise ValueError(f"its answer is no HTTP response: {read[:80]!r}")
    head, _, rest = read.partition(b"\r\n\r\n")
    return parse_head(head), rest


async def _refusal(head: ResponseHead, body: bytes, stream: SocketStream) -> StatusError:
    length = min(int(head.headers.get("content-length", "0")), _BODY_MAX_BYTES)
    while len(body) < length and (data := await stream.read()):
        body += data
    why = body[:_BODY_MAX_BYTES].decode(errors="replace").strip()
    return internal(f"unable to upgrade connection: {why or f'{head.status} {head.reason}'}")
