"""Snapshot files: slices of state between a head and an end, each a checked record.

A file is written beside its final name, synced, and renamed: a name that ends in `.snap` stands
for a whole snapshot. It says which entry it stands for and who was in the cluster then, and never
a term or vote of its member.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from raftstore.core.messages import Membership, SnapshotMeta
from raftstore.disk import records
from raftstore.disk.errors import CorruptRecord, DiskFailed
from raftstore.disk.files import FileSystem, ReadableFile
from raftstore.disk.names import UNFINISHED, name_of, numbered

_HEAD, _SLICE, _END = 1, 2, 3
_SUFFIX = ".snap"
_MAGIC = b"pinnace snap 2\0\0"
# Behind it the membership, as MessagePack.
_HEAD_FORM = struct.Struct("<16sQQQ")
# A file of gigabytes is synced as it grows, so that the log's syncs do not wait for all of it.
_SYNC_EVERY_BYTES = 4 * 1024 * 1024


def snapshot_name(snapshot: SnapshotMeta) -> str:
    return name_of(snapshot.index, snapshot.term, _SUFFIX)


def list_snapshots(files: FileSystem, directory: Path) -> list[tuple[SnapshotMeta, Path]]:
    """Oldest first. The names do not say the membership."""
    found = numbered(files, directory, _SUFFIX)
    return [(SnapshotMeta(index, term), path) for index, term, path in found]


class SnapshotWriter:
    """Feed it slices, then `finish`; its calls may block, and run in one thread at a time."""

    def __init__(
        self,
        files: FileSystem,
        directory: Path,
        snapshot: SnapshotMeta,
        cluster_id: int,
        prefix: str = "",
    ) -> None:
        self._files = files
        self._directory = directory
        self._path = directory / snapshot_name(snapshot)
        self._temporary = directory / (prefix + self._path.with_suffix(UNFINISHED).name)
        self._number = snapshot.index
        self._unsynced_bytes = 0
        self.size_bytes = 0
        try:
            self._file = files.create(self._temporary, 0)
        except OSError as error:
            raise DiskFailed(self._temporary, "create", error) from error
        head = _HEAD_FORM.pack(_MAGIC, cluster_id, snapshot.index, snapshot.term)
        self._write(_HEAD, head + msgspec.msgpack.encode(snapshot.membership))

    def write(self, slices: list[bytes]) -> None:
        for data in slices:
            self._write(_SLICE, data)

    def finish(self) -> None:
        """On return the snapshot is there for good. Raises DiskFailed."""
        self._write(_END, b"")
        try:
            self._file.sync()
            self._file.close()
            self._files.rename(self._temporary, self._path)
            self._files.sync_directory(self._directory)
        except OSError as error:
            raise DiskFailed(self._path, "finishing a snapshot", error) from error

    def abandon(self) -> None:
        self._file.close()
        if self._files.exists(self._temporary):
            self._files.remove(self._temporary)

    def _write(self, kind: int, payload: bytes) -> None:
        data = records.encode(kind, payload, self._number, self.size_bytes)
        try:
            self._file.write(data)
            self._unsynced_bytes += len(data)
            if self._unsynced_bytes >= _SYNC_EVERY_BYTES:
                self._file.sync()
                self._unsynced_bytes = 0
        except OSError as error:
            raise DiskFailed(self._temporary, "write", error) from error
        self.size_bytes += len(data)


def read_meta(files: FileSystem, path: Path, named: SnapshotMeta) -> SnapshotMeta:
    """What the head of a snapshot says. Raises CorruptRecord, also where the name says another
    entry."""
    file = files.open_read(path)
    try:
        return _read_head(records.Reader(file, path, named.index), path, named)
    finally:
        file.close()


def read_snapshot(files: FileSystem, path: Path, snapshot: SnapshotMeta) -> Iterator[bytes]:
    """The slices, each verified. Raises CorruptRecord, at the latest when the end is missing."""
    file = files.open_read(path)
    try:
        yield from _read_slices(file, path, snapshot)
    finally:
        file.close()


def _read_slices(file: ReadableFile, path: Path, snapshot: SnapshotMeta) -> Iterator[bytes]:
    reader = records.Reader(file, path, snapshot.index)
    _read_head(reader, path, snapshot)
    # A record says where it stands, so none can be missing before the end.
    while (record := reader.next()).kind == _SLICE:
        yield record.payload
    if record.kind != _END:
        raise CorruptRecord(path, record.offset, f"record of unknown kind {record.kind}")


def _read_head(reader: records.Reader, path: Path, named: SnapshotMeta) -> SnapshotMeta:
    head = reader.next()
    if head.kind != _HEAD or len(head.payload) < _HEAD_FORM.size:
        raise CorruptRecord(path, 0, "not a snapshot of this version")
    magic, _, index, term = _HEAD_FORM.unpack_from(head.payload)
    if magic != _MAGIC or (index, term) != (named.index, named.term):
        raise CorruptRecord(path, 0, "not the snapshot that the name says")
    membership = head.payload[_HEAD_FORM.size :]
    return SnapshotMeta(index, term, msgspec.msgpack.decode(membership, type=Membership))
