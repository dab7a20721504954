"""A store's directory: whose it is, who has it open, and what it holds.

FORMAT   what this directory is; written last when it is made
LOCK     held while it is open
wal/     the log        snap/    the snapshots
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raftstore.core.messages import Entry, EntryKind, HardState, SnapshotMeta
from raftstore.disk.errors import (
    CorruptRecord,
    DiskFailed,
    NotMade,
    NotOurs,
    NotWritable,
    StoreLocked,
)
from raftstore.disk.files import FileSystem
from raftstore.disk.names import UNFINISHED
from raftstore.disk.segments import (
    Contents,
    Identity,
    Segment,
    list_segments,
    needed_segments,
    read_segments,
    split_at_start,
)
from raftstore.disk.snapshots import SnapshotWriter, list_snapshots, read_meta, read_snapshot
from raftstore.disk.wal import SEGMENT_SIZE_BYTES, Wal

_FORMAT = b"pinnace raftstore 2\n"
_OURS = {"FORMAT", "FORMAT.tmp", "LOCK", "wal", "snap"}


@dataclass(frozen=True)
class Founding:
    """The first start of a member: who it is, and what its log begins with. Founders of a cluster
    have its first entry in common; a member that joins one has nothing."""

    identity: Identity
    entries: Sequence[Entry]
    hard_state: HardState


@dataclass(frozen=True)
class Opened:
    """What was found. `slices` is the snapshot's state, to be read once, before anything else."""

    hard_state: HardState
    snapshot: SnapshotMeta
    slices: Iterator[bytes]
    entries: Sequence[Entry]
    was_torn: bool


@dataclass(frozen=True)
class _Found:
    """What was read, until it is written to."""

    snapshot: SnapshotMeta
    replaced: Sequence[Segment]
    log: Contents
    reopen: Callable[[], Wal]


class Storage:
    """One member's directory, open in this process alone."""

    def __init__(self, files: FileSystem, directory: Path, lock: int) -> None:
        self._files = files
        self._directory = directory
        self._lock = lock
        self._found: _Found | None = None
        self.identity = Identity(0, 0)
        self.wal: Wal
        self.snapshot_size_bytes = 0

    @classmethod
    def open(
        cls,
        files: FileSystem,
        directory: Path,
        founding: Founding | None,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
    ) -> tuple["Storage", Opened]:
        """Lock and read what is there; where nothing is, make it as `founding` says.
        `begin_writing` comes next. Raises DiskError, and then nothing was changed."""
        _refuse_foreign(files, directory)
        if founding is None and not cls.is_made(files, directory):
            raise NotMade(directory)
        storage = cls(files, directory, take_lock(files, directory))
        try:
            return storage, storage._open(founding, segment_size_bytes)
        except OSError as error:
            storage.close()
            raise NotWritable(directory, error) from error
        except BaseException:
            storage.close()
            raise

    @staticmethod
    def is_made(files: FileSystem, directory: Path) -> bool:
        """Whether a store is there, whatever its state."""
        return files.exists(directory / "FORMAT")

    def begin_writing(self) -> None:
        """Everything was read and found whole: cut what a crash tore, and finish what was under
        way, a removal or the installation of a snapshot. Raises DiskError."""
        found, self._found = self._found, None
        if found is not None:
            try:
                self._remove_unfinished()
                self.wal = found.reopen()
                self.remove(self._needless(found))
            except OSError as error:
                raise NotWritable(self._directory, error) from error

    def begin_snapshot(self, snapshot: SnapshotMeta, *, received: bool = False) -> SnapshotWriter:
        """One that is received may stand for the same entry as one of this member's own, which is
        written meanwhile: only the finished ones have one name."""
        directory = self._directory / "snap"
        prefix = "received-" if received else ""
        return SnapshotWriter(self._files, directory, snapshot, self.identity.cluster_id, prefix)

    def snapshot_finished(self, snapshot: SnapshotMeta, size_bytes: int) -> list[Path]:
        """The files that a snapshot of this log makes needless: older ones, and the log before
        it."""
        return self._older(snapshot, size_bytes) + self.wal.forget_before(snapshot.index + 1)

    def install_snapshot(
        self, snapshot: SnapshotMeta, hard_state: HardState, size_bytes: int
    ) -> list[Path]:
        """The leader's snapshot, finished here, replaces the log, which goes on behind it.
        Returns the files that are needless now. Raises DiskFailed; a crash before it has returned
        leaves what was there before, or the log that begins anew."""
        needless = self.wal.start_anew(snapshot.index, hard_state)
        return self._older(snapshot, size_bytes) + needless

    def _older(self, snapshot: SnapshotMeta, size_bytes: int) -> list[Path]:
        self.snapshot_size_bytes = size_bytes
        found = list_snapshots(self._files, self._directory / "snap")
        return [path for other, path in found if other.index < snapshot.index]

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

    def _open(self, founding: Founding | None, segment_size_bytes: int) -> Opened:
        if founding is not None and not self.is_made(self._files, self._directory):
            self._make(founding, segment_size_bytes)
            return Opened(founding.hard_state, SnapshotMeta(), iter(()), founding.entries, False)
        snapshot, slices = self._newest_snapshot()
        replaced, log = split_at_start(list_segments(self._files, self._directory / "wal"))
        if not log:
            raise CorruptRecord(self._directory / "wal", 0, "the log is missing")
        needed = needed_segments(log, snapshot)
        contents = read_segments(self._files, needed, snapshot)
        self._check_reaches(contents)
        self.identity = contents.identity
        reopen = partial(
            Wal.open, self._files, self._directory / "wal", log, contents, segment_size_bytes
        )
        self._found = _Found(snapshot, replaced, contents, reopen)
        return Opened(contents.hard_state, snapshot, slices, contents.entries, contents.was_torn)

    def _make(self, founding: Founding, segment_size_bytes: int) -> None:
        files, directory = self._files, self._directory
        for name in ("wal", "snap"):
            files.make_directory(directory / name)
        self._remove_false_start()
        self.identity = founding.identity
        self.wal = Wal.create(
            files,
            directory / "wal",
            founding.identity,
            founding.hard_state,
            founding.entries,
            segment_size_bytes,
        )
        write_format(files, directory)

    def _remove_false_start(self) -> None:
        """A start that died before it wrote FORMAT left at most a log as it was founded. Anything
        more is a store that has lost its FORMAT, and not ours to remove."""
        files, directory = self._files, self._directory
        segments = list_segments(files, directory / "wal")
        used = bool(segments) and _was_used(read_segments(files, segments, SnapshotMeta()))
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
        named, path = found[-1]
        snapshot = read_meta(self._files, path, named)
        return snapshot, self._measured(read_snapshot(self._files, path, snapshot))

    def _measured(self, slices: Iterator[bytes]) -> Iterator[bytes]:
        for data in slices:
            self.snapshot_size_bytes += len(data)
            yield data

    def _needless(self, found: "_Found") -> list[Path]:
        snapshot, size_bytes = found.snapshot, self.snapshot_size_bytes
        replaced = [segment.path for segment in found.replaced]
        if found.log.joins:
            return replaced + self.snapshot_finished(snapshot, size_bytes)
        return replaced + self.install_snapshot(snapshot, found.log.hard_state, size_bytes)

    def _check_reaches(self, contents: Contents) -> None:
        """The log must hold what was known to be committed."""
        path = self._directory / "wal"
        commit, last_index = contents.hard_state.commit, contents.last_index
        if commit > last_index:
            why = f"entry {commit} was committed, the log ends at {last_index}"
            raise CorruptRecord(path, contents.end_offset, why)


def _was_used(log: Contents) -> bool:
    """Whether its member has ever followed, voted or led: nobody does in a founding's term."""
    led = any(entry.kind is EntryKind.COMMAND for entry in log.entries)
    return led or log.hard_state.term > 1


def write_format(files: FileSystem, directory: Path) -> None:
    """From now on it is a store. Raises OSError."""
    # The folders themselves are there before it says so.
    files.sync_directory(directory)
    temporary = directory / "FORMAT.tmp"
    marker = files.create(temporary, 0)
    marker.write(_FORMAT)
    marker.sync()
    marker.close()
    files.rename(temporary, directory / "FORMAT")
    files.sync_directory(directory)
    files.sync_directory(directory.parent)


def take_lock(files: FileSystem, directory: Path) -> int:
    """Make the directory where it is missing, and hold it until the lock is let go. Raises
    DiskError."""
    try:
        files.make_directory(directory)
        lock = files.lock(directory / "LOCK")
    except OSError as error:
        raise NotWritable(directory, error) from error
    if lock is None:
        raise StoreLocked(directory)
    return lock


def _refuse_foreign(files: FileSystem, directory: Path) -> None:
    try:
        if files.exists(directory / "FORMAT"):
            _refuse_other_format(files, directory)
        elif files.exists(directory):
            foreign = sorted(set(files.names(directory)) - _OURS)
            if foreign:
                raise NotOurs(directory, f"not a store: it holds {foreign[0]!r} and no FORMAT")
    except OSError as error:
        raise NotWritable(directory, error) from error


def _refuse_other_format(files: FileSystem, directory: Path) -> None:
    found = files.read(directory / "FORMAT")
    if found != _FORMAT:
        text = found[:40].decode("ascii", "replace").strip()
        raise NotOurs(directory, f"its FORMAT is {text!r}, not the one of this version")
