"""/healthz, /livez, /metrics and /proxyMode over plain HTTP, as kube-proxy offers them.

A GET and its answer by asyncio alone: an HTTP framework would double this daemon's memory.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from base.clock import Clock
from netproxy.metrics import Metrics

REQUEST_TIMEOUT_S = 5.0
REQUEST_SIZE_BYTES_MAX = 8192
REQUESTS_AT_ONCE = 16


@dataclass(frozen=True)
class Page:
    status: str
    content_type: str
    body: str


def pages(metrics: Metrics, clock: Clock) -> Mapping[str, Callable[[], Page]]:
    def health() -> Page:
        well = metrics.is_healthy(clock.monotonic_s())
        body = json.dumps(metrics.health(clock.now_s()))
        return Page("200 OK" if well else "503 Service Unavailable", "application/json", body)

    def numbers() -> Page:
        return Page("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.text())

    def mode() -> Page:
        return Page("200 OK", "text/plain; charset=utf-8", metrics.mode)

    return {"/healthz": health, "/livez": health, "/metrics": numbers, "/proxyMode": mode}


class StatusPage:
    """Serves `pages` on one address."""

    def __init__(self, address: str, pages: Mapping[str, Callable[[], Page]]) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"{address!r} is not <address>:<port>")
        self._host, self._port = host.strip("[]"), int(port)
        self._pages = pages
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, limit=REQUEST_SIZE_BYTES_MAX
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._slots, asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer(head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asked has gone, is too slow or sends too much
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def answer(self, head: bytes) -> bytes:
        """The whole response to a request's first lines."""
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.split(" ")[0].partition("?")[0]
        make = self._pages.get(path)
        if method not in ("GET", "HEAD"):
            page = Page("405 Method Not Allowed", "text/plain", "only GET\n")
        else:
            page = make() if make else Page("404 Not Found", "text/plain", "404 page not found\n")
        body = page.body.encode()
        lines = (
            f"HTTP/1.1 {page.status}",
            f"Content-Type: {page.content_type}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "",
            "",
        )
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)
