"""A store's directory: whose it is, who has it open, and what it holds.

FORMAT   what this directory is; written last when it is made
LOCK     held while it is open
wal/     the log        snap/    the snapshots
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raftstore.core.messages import Entry, HardState, SnapshotMeta
from raftstore.disk.errors import CorruptRecord, DiskFailed, NotOurs, NotWritable, StoreLocked
from raftstore.disk.files import FileSystem
from raftstore.disk.names import UNFINISHED
from raftstore.disk.segments import (
    Contents,
    Identity,
    list_segments,
    needed_segments,
    read_segments,
)
from raftstore.disk.snapshots import SnapshotWriter, list_snapshots, read_snapshot
from raftstore.disk.wal import SEGMENT_SIZE_BYTES, Wal

_FORMAT = b"pinnace raftstore 1\n"
_OURS = {"FORMAT", "FORMAT.tmp", "LOCK", "wal", "snap"}


@dataclass(frozen=True)
class Opened:
    """What was found. `slices` is the snapshot's state, to be read once, before anything else."""

    hard_state: HardState
    snapshot: SnapshotMeta
    slices: Iterator[bytes]
    entries: Sequence[Entry]
    was_torn: bool


class Storage:
    """One member's directory, open in this process alone."""

    def __init__(self, files: FileSystem, directory: Path, lock: int) -> None:
        self._files = files
        self._directory = directory
        self._lock = lock
        self._snapshot = SnapshotMeta()
        self._reopen: Callable[[], Wal] | None = None
        self.identity = Identity(0, 0)
        self.wal: Wal
        self.snapshot_size_bytes = 0

    @classmethod
    def open(
        cls,
        files: FileSystem,
        directory: Path,
        rng: random.Random,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
    ) -> tuple["Storage", Opened]:
        """Lock and read what is there, or make it; `begin_writing` comes next. Raises DiskError,
        and then nothing was changed."""
        storage = cls(files, directory, _take_lock(files, directory))
        try:
            return storage, storage._open(rng, segment_size_bytes)
        except OSError as error:
            storage.close()
            raise NotWritable(directory, error) from error
        except BaseException:
            storage.close()
            raise

    def begin_writing(self) -> None:
        """Everything was read and found whole: cut what a crash tore, and finish a removal that
        was under way. Raises DiskError."""
        try:
            if self._reopen is not None:
                self._remove_unfinished()
                self.wal = self._reopen()
                self._reopen = None
                self.remove(self.snapshot_finished(self._snapshot, self.snapshot_size_bytes))
        except OSError as error:
            raise NotWritable(self._directory, error) from error

    def begin_snapshot(self, snapshot: SnapshotMeta) -> SnapshotWriter:
        return SnapshotWriter(
            self._files, self._directory / "snap", snapshot, self.identity.cluster_id
        )

    def snapshot_finished(self, snapshot: SnapshotMeta, size_bytes: int) -> list[Path]:
        """The files that the snapshot makes needless: older ones, and the log before it."""
        self.snapshot_size_bytes = size_bytes
        found = list_snapshots(self._files, self._directory / "snap")
        older = [path for other, path in found if other.index < snapshot.index]
        return older + self.wal.forget_before(snapshot.index + 1)

    def remove(self, paths: Sequence[Path]) -> None:
        """May block for as long as the file system takes to free their blocks."""
        try:
            for path in paths:
                self._files.remove(path)
        except OSError as error:
            raise DiskFailed(self._directory, "removing old files", error) from error

    def close(self) -> None:
        """Let the directory go; what was not synced may be lost."""
        if self._lock >= 0:
            if hasattr(self, "wal"):
                self.wal.close()
            self._files.unlock(self._lock)
            self._lock = -1

    # -- opening

    def _open(self, rng: random.Random, segment_size_bytes: int) -> Opened:
        if not self._files.exists(self._directory / "FORMAT"):
            self._make(rng, segment_size_bytes)
            return Opened(HardState(), SnapshotMeta(), iter(()), (), False)
        snapshot, slices = self._newest_snapshot()
        segments = list_segments(self._files, self._directory / "wal")
        if not segments:
            raise CorruptRecord(self._directory / "wal", 0, "the log is missing")
        needed = needed_segments(segments, snapshot)
        contents = read_segments(self._files, needed, snapshot)
        self._check_reaches(contents)
        self.identity = contents.identity
        self._reopen = partial(
            Wal.open, self._files, self._directory / "wal", segments, contents, segment_size_bytes
        )
        self._snapshot = snapshot
        return Opened(contents.hard_state, snapshot, slices, contents.entries, contents.was_torn)

    def _make(self, rng: random.Random, segment_size_bytes: int) -> None:
        files, directory = self._files, self._directory
        for name in ("wal", "snap"):
            files.make_directory(directory / name)
        self._remove_false_start()
        self.identity = Identity(rng.getrandbits(63) | 1, rng.getrandbits(63) | 1)
        self.wal = Wal.create(files, directory / "wal", self.identity, segment_size_bytes)
        temporary = directory / "FORMAT.tmp"
        marker = files.create(temporary, 0)
        marker.write(_FORMAT)
        marker.sync()
        marker.close()
        files.rename(temporary, directory / "FORMAT")
        files.sync_directory(directory)
        files.sync_directory(directory.parent)

    def _remove_false_start(self) -> None:
        """A start that died before it wrote FORMAT left at most a log without entries. Anything
        more is a store that has lost its FORMAT, and not ours to remove."""
        files, directory = self._files, self._directory
        segments = list_segments(files, directory / "wal")
        used = bool(segments) and bool(read_segments(files, segments, SnapshotMeta()).entries)
        if used or list_snapshots(files, directory / "snap"):
            raise NotOurs(directory, "it holds a log or snapshot but no FORMAT")
        self._remove_unfinished()
        for segment in segments:
            files.remove(segment.path)

    def _remove_unfinished(self) -> None:
        for name in ("wal", "snap"):
            for leftover in self._files.names(self._directory / name):
                if leftover.endswith(UNFINISHED):
                    self._files.remove(self._directory / name / leftover)

    def _newest_snapshot(self) -> tuple[SnapshotMeta, Iterator[bytes]]:
        found = list_snapshots(self._files, self._directory / "snap")
        if not found:
            return SnapshotMeta(), iter(())
        snapshot, path = found[-1]
        return snapshot, self._measured(read_snapshot(self._files, path, snapshot))

    def _measured(self, slices: Iterator[bytes]) -> Iterator[bytes]:
        for data in slices:
            self.snapshot_size_bytes += len(data)
            yield data

    def _check_reaches(self, contents: Contents) -> None:
        """The log must hold what was known to be committed."""
        path = self._directory / "wal"
        commit, last_index = contents.hard_state.commit, contents.last_index
        if commit > last_index:
            why = f"entry {commit} was committed, the log ends at {last_index}"
            raise CorruptRecord(path, contents.end_offset, why)


def _take_lock(files: FileSystem, directory: Path) -> int:
    try:
        files.make_directory(directory)
        _refuse_foreign(files, directory)
        lock = files.lock(directory / "LOCK")
    except OSError as error:
        raise NotWritable(directory, error) from error
    if lock is None:
        raise StoreLocked(directory)
    return lock


def _refuse_foreign(files: FileSystem, directory: Path) -> None:
    if files.exists(directory / "FORMAT"):
        found = files.read(directory / "FORMAT")
        if found != _FORMAT:
            text = found[:40].decode("ascii", "replace").strip()
            raise NotOurs(directory, f"its FORMAT is {text!r}, not the one of this version")
        return
    foreign = sorted(set(files.names(directory)) - _OURS)
    if foreign:
        raise NotOurs(directory, f"not a store: it holds {foreign[0]!r} and no FORMAT")
