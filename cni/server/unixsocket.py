"""The socket on which the shim asks: opened for root alone, read with a bound."""

import asyncio
import os
import socket
from pathlib import Path

# More at once wait in the socket's queue.
SOCKET_QUEUE = 512
REQUEST_SIZE_BYTES_MAX = 1 << 20


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end of the stream. Raises OSError where that is too much."""
    data = b""
    while part := await reader.read(1 << 16):
        data += part
        if len(data) > REQUEST_SIZE_BYTES_MAX:
            raise OSError(f"a request of more than {REQUEST_SIZE_BYTES_MAX} bytes")
    return data


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, for root alone. The queue fills from here on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            _refuse_second_server(path)
            path.unlink()
        previous = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(previous)
        listening.listen(SOCKET_QUEUE)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _refuse_second_server(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
    raise OSError(f"another agent is listening on {path}")
