"""Backups: the whole state of a store in one file, taken while it runs.

A head, the slices of a snapshot and an end, each a checked record; then the SHA-256 of all before,
32 bytes, as etcd's backups have it (`etcdctl snapshot save` writes the bytes as they come). It says
which entry it was taken at, and never a term or vote of the member that gave it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from raftstore.core.messages import SnapshotMeta
from raftstore.disk import records
from raftstore.disk.errors import BadBackup, CorruptRecord
from raftstore.disk.files import FileSystem
from raftstore.mvcc.hashing import hash_steps
from raftstore.mvcc.snapshot import Loader, SnapshotMismatch, head_of
from raftstore.mvcc.statemachine import StateMachine

_HEAD, _SLICE, _END = 1, 2, 3
_MAGIC = b"pinnace backup 1"
# In the checksums of the records' headers: a record of a log does not pass.
_FILE_NUMBER = 0x7062_6B31
# etcdctl takes a file for whole when it is such blocks and a checksum.
_BLOCK_SIZE_BYTES = 512
_CHECKSUM_SIZE_BYTES = hashlib.sha256().digest_size


class BackupHead(msgspec.Struct, frozen=True, array_like=True):
    """`revision` is the state's; `index` and `term` are the log's, at which it was taken; `version`
    is that of the program."""

    version: str
    revision: int
    index: int
    term: int


@dataclass(frozen=True)
class BackupStatus:
    """`hash` is what `hashkv` says of the members at `revision`."""

    version: str
    index: int
    term: int
    revision: int
    compact_revision: int
    hash: int
    total_keys: int
    total_leases: int
    size_bytes: int


def backup_stream(slices: Iterable[bytes], taken_at: SnapshotMeta) -> Iterator[bytes]:
    """The bytes of a backup file without the checksum at its end (`with_checksum`), of what
    `mvcc.snapshot.stream` gives. Some are empty: then others may have the loop."""
    offset = 0
    for kind, payload in _parts(iter(slices), taken_at):
        if kind == _END:
            payload = bytes(-(offset + records.HEADER_SIZE_BYTES) % _BLOCK_SIZE_BYTES)
        data = records.encode(kind, payload, _FILE_NUMBER, offset) if kind else b""
        offset += len(data)
        yield data


def _parts(slices: Iterator[bytes], taken_at: SnapshotMeta) -> Iterator[tuple[int, bytes]]:
    first = next(slices)
    head = BackupHead(version("pinnace"), head_of(first).revision, taken_at.index, taken_at.term)
    yield _HEAD, _MAGIC + msgspec.msgpack.encode(head)
    yield _SLICE, first
    for data in slices:
        yield (_SLICE, data) if data else (0, b"")
    yield _END, b""


def with_checksum(data: Iterable[bytes]) -> Iterator[bytes]:
    """The same, and its SHA-256."""
    digest = hashlib.sha256()
    for part in data:
        digest.update(part)
        yield part
    yield digest.digest()


def read_backup(files: FileSystem, path: Path) -> tuple[BackupHead, Iterator[bytes]]:
    """The head, and the slices: the checksum of the whole is compared before. Raises BadBackup,
    OSError; so does the iterator."""
    _verify(files, path)
    file = files.open_read(path)
    try:
        head = _read_head(records.Reader(file, path, _FILE_NUMBER), path)
    finally:
        file.close()
    return head, _read_slices(files, path)


def load_backup(files: FileSystem, path: Path) -> tuple[BackupHead, StateMachine]:
    """The state it holds. Raises BadBackup, OSError."""
    head, slices = read_backup(files, path)
    loader = Loader()
    try:
        for data in slices:
            loader.feed(data)
        return head, loader.finish()
    except SnapshotMismatch as error:
        raise BadBackup(path, f"it does not make a state: {error}") from error


def backup_status(files: FileSystem, path: Path) -> BackupStatus:
    """Read all of it, as a restoration would. Raises BadBackup, OSError."""
    head, state = load_backup(files, path)
    keyspace = state.keyspace
    return BackupStatus(
        head.version,
        head.index,
        head.term,
        keyspace.revision,
        keyspace.compact_revision,
        _hash(state),
        len(keyspace.live),
        len(state.leases),
        _verify(files, path).size_bytes,
    )


@dataclass(frozen=True)
class _Verified:
    checksum: bytes
    size_bytes: int


def checksum_of(files: FileSystem, path: Path) -> bytes:
    """The SHA-256 of all of it, compared. Raises BadBackup, OSError."""
    return _verify(files, path).checksum


def _verify(files: FileSystem, path: Path) -> _Verified:
    digest = hashlib.sha256()
    tail, size_bytes = b"", 0
    file = files.open_read(path)
    try:
        while part := file.read(1 << 20):
            if not size_bytes and _MAGIC not in part[:64]:
                raise BadBackup(path, "not a backup of this store")
            size_bytes += len(part)
            tail += part
            digest.update(tail[:-_CHECKSUM_SIZE_BYTES])
            tail = tail[-_CHECKSUM_SIZE_BYTES:]
    finally:
        file.close()
    if digest.digest() != tail:
        raise BadBackup(path, "the checksum at its end is another one: it is cut short or damaged")
    return _Verified(tail, size_bytes)


def _read_slices(files: FileSystem, path: Path) -> Iterator[bytes]:
    file = files.open_read(path)
    reader = records.Reader(file, path, _FILE_NUMBER)
    try:
        _read_head(reader, path)
        while (record := reader.next()).kind == _SLICE:
            yield record.payload
        if record.kind != _END or len(file.read(_CHECKSUM_SIZE_BYTES + 1)) != _CHECKSUM_SIZE_BYTES:
            raise BadBackup(path, f"it does not end where it should, at offset {record.offset}")
    except CorruptRecord as error:
        raise BadBackup(path, f"offset {error.offset}: {error.why}") from error
    finally:
        file.close()


def _read_head(reader: records.Reader, path: Path) -> BackupHead:
    try:
        record = reader.next()
        if record.kind == _HEAD and record.payload.startswith(_MAGIC):
            return msgspec.msgpack.decode(record.payload[len(_MAGIC) :], type=BackupHead)
    except (CorruptRecord, msgspec.DecodeError) as error:
        raise BadBackup(path, f"its head cannot be read: {error}") from error
    raise BadBackup(path, "not a backup of this version")


def _hash(state: StateMachine) -> int:
    steps = hash_steps(state, state.keyspace.revision)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: int = done.value.hash
            return found
