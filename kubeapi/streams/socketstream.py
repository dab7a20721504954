"""A socket as a `ByteStream` whose two directions fail apart.

A peer that ends while we still write to it resets the connection; what it said last, an exit
code, is then in our receive buffer. asyncio's transports give up reading when a write fails, and
lose it. Here a failed write is the writer's trouble, and reading goes on to the end.
"""

import asyncio
import contextlib
import socket
from typing import Final

from kubeapi.streams.legs import PILED_UP_MAX_BYTES, READ_MAX_BYTES

_HIGH_WATER_BYTES: Final = 64 * 1024


class SocketStream:
    """Owns a connected, non-blocking socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._outbox = bytearray()
        self._unread = b""
        self._room = asyncio.Event()
        self._write_error: OSError | None = None
        self._is_closed = False

    @classmethod
    async def connect(cls, host: str, port: int) -> "SocketStream":
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(made)
        except BaseException:
            made.close()
            raise

    def unread(self, data: bytes) -> None:
        """Give back bytes that were read too far."""
        self._unread = data + self._unread

    async def read(self) -> bytes:
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        return await self._loop.sock_recv(self._socket, READ_MAX_BYTES)

    def write(self, data: bytes) -> None:
        self._check()
        was_empty = not self._outbox
        self._outbox += data
        if was_empty:
            self._send()
            if self._outbox:
                self._loop.add_writer(self._socket.fileno(), self._send)
        if len(self._outbox) > PILED_UP_MAX_BYTES:
            self._fail(ConnectionAbortedError("the peer does not read what it asked for"))
        self._check()

    async def drain(self) -> None:
        while len(self._outbox) > _HIGH_WATER_BYTES:
            self._room.clear()
            await self._room.wait()
        self._check()

    def close(self) -> None:
        """Drop the connection; nothing that is still to be written is."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()

    def _send(self) -> None:
        try:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                sent = self._socket.send(self._outbox)
                del self._outbox[:sent]
        except OSError as error:
            self._fail(error)
        if not self._outbox:
            self._loop.remove_writer(self._socket.fileno())
        if len(self._outbox) <= _HIGH_WATER_BYTES:
            self._room.set()

    def _fail(self, error: OSError) -> None:
        self._write_error = error
        self._outbox.clear()
        self._loop.remove_writer(self._socket.fileno())
        self._room.set()

    def _check(self) -> None:
        if self._write_error is not None:
            raise ConnectionResetError(str(self._write_error)) from self._write_error
        if self._is_closed:
            raise ConnectionResetError("the connection was closed")
