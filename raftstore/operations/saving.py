"""A backup taken from a running store, ours or etcd: one file, whole or not there."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc.aio

from pinnace_wire import etcd_rpc_pb2 as pb
from raftstore.operations.client import Client, ClientError

# Both etcd's backups and ours end with it.
_CHECKSUM_SIZE_BYTES: Final = hashlib.sha256().digest_size
_CALL_S: Final = 3600.0


@dataclass(frozen=True)
class Saved:
    path: Path
    size_bytes: int
    version: str


async def save(client: Client, path: Path) -> Saved:
    """Mode 0600, synced, and its checksum compared before the file has its name. Raises
    ClientError, OSError."""
    part = path.with_name(f"{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            checked = _Checked()
            version = ""
            async for answer in _stream(client):
                version = answer.version or version
                checked.add(answer.blob)
                file.write(answer.blob)
            if not checked.is_whole:
                raise ClientError(
                    f"{client.url}: what came is not a whole backup: its checksum differs"
                )
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return Saved(path, checked.size_bytes, version)


class _Checked:
    """SHA-256 of all but the last 32 bytes, which should be it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._tail = b""
        self.size_bytes = 0

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        data = self._tail + data
        cut = max(0, len(data) - _CHECKSUM_SIZE_BYTES)
        self._hash.update(data[:cut])
        self._tail = data[cut:]

    @property
    def is_whole(self) -> bool:
        return self._hash.digest() == self._tail


async def _stream(client: Client) -> AsyncIterator[Any]:
    try:
        async for answer in client.maintenance.Snapshot(pb.SnapshotRequest(), timeout=_CALL_S):
            yield answer
    except grpc.aio.AioRpcError as error:
        raise client.error(error) from error


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
