"""One HTTP request of a probe or a hook: just enough of HTTP/1.1, over plain sockets.

A full client library costs 28 MB and most of a second at start; a probe needs a status line and
the beginning of a body. Certificates are not verified, as Kubernetes says of https probes.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

MAX_BODY_BYTES = 10 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.36"


@dataclass(frozen=True)
class HttpTarget:
    """Where a request goes, and the headers it carries."""

    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True)
class HttpAnswer:
    """`left_host`: a redirect led to another host and was not followed."""

    status: int
    body: str
    left_host: str = ""


class HttpProblem(Exception):
    """No HTTP answer came; the message is for a person."""


async def http_get(target: HttpTarget, timeout_s: float) -> HttpAnswer:
    """GET with redirects on the same host followed. Raises HttpProblem."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _get_following(target)
    except TimeoutError:
        raise HttpProblem(
            f'Get "{target.url}": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)"
        ) from None
    except (OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError) as error:
        raise HttpProblem(f'Get "{target.url}": {_why(target, error)}') from None


async def _get_following(target: HttpTarget) -> HttpAnswer:
    for _ in range(MAX_REDIRECTS):
        status, location, body = await _get_once(target)
        if not 300 <= status < 400 or not location:
            return HttpAnswer(status, body)
        parts = urlsplit(urljoin(target.url, location))
        if parts.hostname != target.host:
            return HttpAnswer(status, body, left_host=parts.hostname or location)
        path = parts.path or "/"
        target = HttpTarget(
            parts.scheme,
            target.host,
            parts.port or (443 if parts.scheme == "https" else 80),
            f"{path}?{parts.query}" if parts.query else path,
            target.headers,
        )
    raise ValueError(f"stopped after {MAX_REDIRECTS} redirects")


async def _get_once(target: HttpTarget) -> tuple[int, str, str]:
    """Status, Location and the first part of the body."""
    reader, writer = await asyncio.open_connection(
        target.host,
        target.port,
        ssl=_unverified() if target.scheme == "https" else None,
        limit=MAX_HEADER_BYTES,
    )
    try:
        writer.write(_request(target))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        body = await _read_body(reader)
        location = next((v.strip() for k, v in _fields(head) if k == "location"), "")
        return status, location, body.decode(errors="replace")
    except (asyncio.LimitOverrunError, IndexError):
        raise ValueError("malformed HTTP response") from None
    finally:
        writer.close()
        # A probe's socket must not outlive it: at ten a second they would add up.
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    """Up to MAX_BODY_BYTES; `Connection: close` ends it."""
    body = b""
    while len(body) < MAX_BODY_BYTES:
        chunk = await reader.read(MAX_BODY_BYTES - len(body))
        if not chunk:
            break
        body += chunk
    return body


def _fields(head: list[str]) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in head[1:] if ":" in line]
    return [(name.lower(), value) for name, _, value in pairs]


def _request(target: HttpTarget) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    default = 443 if target.scheme == "https" else 80
    headers = {
        "Host": host if target.port == default else f"{host}:{target.port}",
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Connection": "close",
    }
    given = {name.lower() for name, _ in target.headers}
    lines = [f"GET {target.path} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in headers.items() if name.lower() not in given]
    lines += [f"{name}: {text}" for name, text in target.headers if text]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _why(target: HttpTarget, error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {target.host}:{target.port}: connect: connection refused"
    if isinstance(error, asyncio.IncompleteReadError):
        return "EOF"
    return str(error) or type(error).__name__
