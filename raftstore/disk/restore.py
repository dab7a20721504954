"""A store made from a backup: the same keys and leases, the beginning of another cluster.

Every founding member restores the same file by itself and gets the same log: the snapshot stands
for the entry that the backup was taken at, and behind it the cluster's first entry says who its
members are. The cluster's id follows from the file too: members that were restored from different
backups refuse each other instead of mixing two histories.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from raftstore.core.messages import (
    NOBODY,
    Entry,
    EntryKind,
    HardState,
    Membership,
    MembershipChange,
    SnapshotMeta,
)
from raftstore.disk.backup import BackupHead, checksum_of, load_backup, read_backup
from raftstore.disk.errors import BadBackup, NotOurs, NotWritable
from raftstore.disk.files import FileSystem
from raftstore.disk.segments import Identity
from raftstore.disk.snapshots import SnapshotWriter
from raftstore.disk.storage import take_lock, write_format
from raftstore.disk.wal import SEGMENT_SIZE_BYTES, Wal
from raftstore.mvcc.members import MemberRecord, encode_members
from raftstore.mvcc.snapshot import Loader, SnapshotMismatch, stream_at, with_members

# Stands in the directory until it is a store: nobody takes what is half restored for an empty one.
_MARKER = "RESTORING"
_REVISION_MAX = 2**63 - 1


def restore_backup(
    files: FileSystem,
    path: Path,
    directory: Path,
    identity: Identity,
    members: Sequence[MemberRecord],
    bump_revision: int = 0,
    segment_size_bytes: int = SEGMENT_SIZE_BYTES,
) -> Identity:
    """Make `directory` (missing, empty, or left by a restoration that was cut short) the store of
    a founding member of a new cluster; returns who it is. `bump_revision` sets the revision
    higher by as much and marks all before as compacted, for clients that have seen revisions
    which the backup does not know. Raises ValueError, DiskError; what it has begun can be begun
    again."""
    if bump_revision < 0:
        raise ValueError("a revision is bumped by a positive number, or not at all")
    if identity.member_id not in {record.member_id for record in members}:
        raise ValueError("the member itself is not among the members")
    try:
        head, slices = _slices(files, path, bump_revision)
        cluster_id = _cluster_id(identity.cluster_id, checksum_of(files, path), bump_revision)
        made = Identity(cluster_id, identity.member_id)
        _make(files, directory, made, head, _Members(members), slices, segment_size_bytes)
    except SnapshotMismatch as error:
        raise BadBackup(path, f"it does not make a state: {error}") from error
    except OSError as error:
        raise NotWritable(directory, error) from error
    return made


class _Members:
    def __init__(self, records: Sequence[MemberRecord]) -> None:
        self.records = sorted(records, key=lambda record: record.member_id)
        self.membership = Membership(tuple(record.member_id for record in self.records))

    def entry(self, index: int, term: int) -> Entry:
        """The first entry of the cluster."""
        change = MembershipChange(self.membership, encode_members(self.records))
        return Entry(index, term, msgspec.msgpack.encode(change), EntryKind.MEMBERSHIP)


def _slices(
    files: FileSystem, path: Path, bump_revision: int
) -> tuple[BackupHead, Iterator[bytes]]:
    if not bump_revision:
        return read_backup(files, path)
    head, state = load_backup(files, path)
    revision = state.keyspace.revision + bump_revision
    if revision > _REVISION_MAX:
        raise ValueError(f"revision {state.keyspace.revision} cannot be bumped by {bump_revision}")
    return head, stream_at(state, revision)


def _cluster_id(given: int, checksum: bytes, bump_revision: int) -> int:
    what = given.to_bytes(8, "big") + checksum + bump_revision.to_bytes(8, "big")
    return int.from_bytes(hashlib.sha256(what).digest()[:8], "big")


def _make(
    files: FileSystem,
    directory: Path,
    identity: Identity,
    head: BackupHead,
    members: _Members,
    slices: Iterator[bytes],
    segment_size_bytes: int,
) -> None:
    lock = _begin(files, directory)
    try:
        # An entry has an index and a term from 1 on, also in the backup of a store without one.
        index, term = max(head.index, 1), max(head.term, 1)
        meta = SnapshotMeta(index, term, members.membership)
        writer = SnapshotWriter(files, directory / "snap", meta, identity.cluster_id)
        loader = Loader()
        for data in with_members(slices, members.records):
            if data:
                loader.feed(data)
                writer.write([data])
        loader.finish()
        writer.finish()
        entry = members.entry(index + 1, term)
        hard_state = HardState(term, NOBODY, entry.index)
        wal = Wal.create(
            files, directory / "wal", identity, hard_state, [entry], segment_size_bytes, index
        )
        wal.close()
        write_format(files, directory)
        files.remove(directory / _MARKER)
        files.sync_directory(directory)
    finally:
        files.unlock(lock)


def _begin(files: FileSystem, directory: Path) -> int:
    """Lock the directory, mark it, and clear what an earlier attempt has left."""
    if files.exists(directory):
        _refuse_used(files, directory)
    lock = take_lock(files, directory)
    try:
        files.create(directory / _MARKER, 0).close()
        files.sync_directory(directory)
        for name in ("wal", "snap"):
            files.make_directory(directory / name)
        for name in ("wal", "snap"):
            for leftover in files.names(directory / name):
                files.remove(directory / name / leftover)
    except BaseException:
        files.unlock(lock)
        raise
    return lock


def _refuse_used(files: FileSystem, directory: Path) -> None:
    found = set(files.names(directory)) - {"LOCK"}
    if "FORMAT" in found or (found and _MARKER not in found):
        raise NotOurs(directory, f"it is not empty: it holds {min(found)!r}")
