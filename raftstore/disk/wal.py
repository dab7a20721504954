"""The write-ahead log: hard state and entries in segments, synced once per batch.

A segment's name says its number and the first entry it may hold. Its head record has the hard
state of that moment, so that older segments can be removed without losing term or vote.
An entry written again at the same index (a new leader's) replaces that one and all behind it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from raftstore.core.messages import Entry, HardState, SnapshotMeta
from raftstore.disk import records
from raftstore.disk.errors import CorruptRecord, DiskFailed
from raftstore.disk.files import FileSystem, WritableFile

SEGMENT_SIZE_BYTES = 16 * 1024 * 1024

_HEAD, _HARD_STATE, _ENTRY = 1, 2, 3
_MAGIC = b"pinnace wal 1\0\0\0"
_HEAD_FORM = struct.Struct("<16sQQQQQQ")
_HARD_STATE_FORM = struct.Struct("<QQQ")
_ENTRY_FORM = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose log this is: made by chance at the first start, the same ever after."""

    cluster_id: int
    member_id: int


@dataclass(frozen=True, slots=True)
class Segment:
    path: Path
    number: int
    first_index: int


@dataclass
class Contents:
    """What a log holds. `end_offset` is where its last segment goes on, `size_bytes` what its
    entries after the snapshot take."""

    identity: Identity
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    last_index: int = 0
    end_offset: int = 0
    size_bytes: int = 0
    was_torn: bool = False


def segment_name(number: int, first_index: int) -> str:
    return f"{number:016x}-{first_index:016x}.wal"


def list_segments(files: FileSystem, directory: Path) -> list[Segment]:
    """In order."""
    segments = []
    for name in files.names(directory):
        if name.endswith(".wal"):
            number, first_index = (int(part, 16) for part in name[:-4].split("-"))
            segments.append(Segment(directory / name, number, first_index))
    return segments


def needed_segments(segments: Sequence[Segment], snapshot: SnapshotMeta) -> list[Segment]:
    """Those that hold what comes after `snapshot`: earlier ones may be gone or not, their removal
    was under way. Raises CorruptRecord where one of these is missing."""
    first = 0
    for place, segment in enumerate(segments):
        if segment.first_index <= snapshot.index + 1:
            first = place
    needed = list(segments[first:])
    for before, after in pairwise(needed):
        if after.number != before.number + 1:
            raise CorruptRecord(after.path, 0, "the segment before this one is missing")
    if needed and needed[0].first_index > snapshot.index + 1:
        why = f"the log begins at entry {needed[0].first_index}, after what the snapshot holds"
        raise CorruptRecord(needed[0].path, 0, why)
    return needed


def read_segments(
    files: FileSystem, segments: Sequence[Segment], snapshot: SnapshotMeta
) -> Contents:
    """Entries after `snapshot` and the last hard state. Raises CorruptRecord."""
    contents = Contents(Identity(0, 0), last_index=snapshot.index)
    for segment in segments:
        data = files.read(segment.path)
        try:
            for record in records.scan(segment.path, data, segment.number):
                _take(contents, segment, record, snapshot)
            torn_at = None if segment is segments[-1] else _unfinished(contents, data)
        except records.Torn as torn:
            torn_at = torn.offset
            contents.was_torn = True
        if torn_at is not None and segment is not segments[-1]:
            raise CorruptRecord(segment.path, torn_at, "the segment is cut short")
        if contents.end_offset == 0:
            raise CorruptRecord(segment.path, 0, "the segment has no head")
    return contents


def _unfinished(contents: Contents, data: bytes) -> int | None:
    """A segment that was left for the next one ends with its last record."""
    return contents.end_offset if contents.end_offset != len(data) else None


def _take(
    contents: Contents, segment: Segment, record: records.Record, snapshot: SnapshotMeta
) -> None:
    if record.offset == 0:
        contents.end_offset = 0
        _take_head(contents, segment, record)
    elif record.kind == _HARD_STATE:
        contents.hard_state = HardState(*_HARD_STATE_FORM.unpack(record.payload))
    elif record.kind == _ENTRY:
        _take_entry(contents, segment, record, snapshot)
    else:
        why = f"record of unknown kind {record.kind}: written by a newer version?"
        raise CorruptRecord(segment.path, record.offset, why)
    contents.end_offset = record.end_offset


def _take_head(contents: Contents, segment: Segment, record: records.Record) -> None:
    if record.kind != _HEAD or len(record.payload) != _HEAD_FORM.size:
        raise CorruptRecord(segment.path, 0, "not a log segment of this version")
    magic, number, cluster_id, member_id, *hard_state = _HEAD_FORM.unpack(record.payload)
    if magic != _MAGIC or number != segment.number:
        raise CorruptRecord(segment.path, 0, "not a log segment of this version")
    contents.hard_state = HardState(*hard_state)
    identity = Identity(cluster_id, member_id)
    if contents.identity not in (Identity(0, 0), identity):
        raise CorruptRecord(segment.path, 0, "the segment belongs to another member")
    contents.identity = identity


def _take_entry(
    contents: Contents, segment: Segment, record: records.Record, snapshot: SnapshotMeta
) -> None:
    index, term = _ENTRY_FORM.unpack_from(record.payload)
    if index <= snapshot.index:
        return
    entries = contents.entries
    if index > contents.last_index + 1:
        why = f"entry {index} follows on {contents.last_index}: entries are missing"
        raise CorruptRecord(segment.path, record.offset, why)
    contents.last_index = index
    del entries[index - snapshot.index - 1 :]
    entries.append(Entry(index, term, record.payload[_ENTRY_FORM.size :]))
    contents.size_bytes += record.end_offset - record.offset


class Wal:
    """The end of the log, open for writing. After an error of the disk it writes no more."""

    def __init__(
        self, files: FileSystem, directory: Path, identity: Identity, segment_size_bytes: int
    ) -> None:
        self._files = files
        self._directory = directory
        self._identity = identity
        self._segment_size_bytes = segment_size_bytes
        self._segments: list[Segment] = []
        self._file: WritableFile | None = None
        self._offset = 0
        self._hard_state = HardState()
        self._last_index = 0
        # Of the log after the last snapshot that was open when this was read, and since.
        self.written_bytes = 0

    @classmethod
    def create(
        cls,
        files: FileSystem,
        directory: Path,
        identity: Identity,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
    ) -> "Wal":
        wal = cls(files, directory, identity, segment_size_bytes)
        wal._begin_segment(1)
        return wal

    @classmethod
    def open(
        cls,
        files: FileSystem,
        directory: Path,
        segments: list[Segment],
        contents: Contents,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
    ) -> "Wal":
        """Go on after what was read. What a crash tore is cut, and what it left unsynced is
        synced: it was read, so it will be acted on."""
        wal = cls(files, directory, contents.identity, segment_size_bytes)
        wal._segments = segments
        wal._offset = contents.end_offset
        wal._hard_state = contents.hard_state
        wal._last_index = contents.last_index
        wal.written_bytes = contents.size_bytes
        path = segments[-1].path
        wal._file = files.open_append(path, contents.end_offset, segment_size_bytes)
        wal.sync()
        return wal

    @property
    def path(self) -> Path:
        return self._segments[-1].path

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Write a batch behind the log; `sync` makes it durable. Raises DiskFailed."""
        if self._offset >= self._segment_size_bytes:
            # Full: what was set aside is used up, so the file ends with its last record.
            self._next_segment()
        number, offset = self._segments[-1].number, self._offset
        parts = []
        flag = records.BATCH_START
        if hard_state is not None:
            self._hard_state = hard_state
            payload = _HARD_STATE_FORM.pack(hard_state.term, hard_state.vote, hard_state.commit)
            parts.append(records.encode(_HARD_STATE | flag, payload, number, offset))
            offset += len(parts[-1])
            flag = 0
        for entry in entries:
            payload = _ENTRY_FORM.pack(entry.index, entry.term) + entry.data
            parts.append(records.encode(_ENTRY | flag, payload, number, offset))
            offset += len(parts[-1])
            flag = 0
        if entries:
            self._last_index = entries[-1].index
        self._write(b"".join(parts))

    def sync(self) -> None:
        """Raises DiskFailed: then it is not known what is durable, and asking the disk again
        would not tell (a failed page may be marked clean)."""
        file = self._open_file()
        try:
            file.sync()
        except OSError as error:
            self._fail("sync", error)

    def forget_before(self, index: int) -> list[Path]:
        """The segments that hold only entries before `index`: they are to be removed."""
        forgotten = []
        while len(self._segments) > 1 and self._segments[1].first_index <= index:
            forgotten.append(self._segments.pop(0).path)
        return forgotten

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes) -> None:
        file = self._open_file()
        try:
            file.write(data)
        except OSError as error:
            self._fail("write", error)
        self._offset += len(data)
        self.written_bytes += len(data)

    def _open_file(self) -> WritableFile:
        if self._file is None:
            raise DiskFailed(self.path, "write", OSError("the log is closed"))
        return self._file

    def _fail(self, what: str, error: OSError) -> None:
        self.close()
        raise DiskFailed(self.path, what, error) from error

    def _next_segment(self) -> None:
        file = self._open_file()
        # A later `sync` is of the next segment only.
        self.sync()
        file.close()
        self._begin_segment(self._segments[-1].number + 1)

    def _begin_segment(self, number: int) -> None:
        """A segment appears with its head, whole, or not at all."""
        first_index = self._last_index + 1
        path = self._directory / segment_name(number, first_index)
        temporary = path.with_suffix(".tmp")
        identity, hard_state = self._identity, self._hard_state
        head = _HEAD_FORM.pack(
            _MAGIC,
            number,
            identity.cluster_id,
            identity.member_id,
            hard_state.term,
            hard_state.vote,
            hard_state.commit,
        )
        data = records.encode(_HEAD | records.BATCH_START, head, number, 0)
        self._segments.append(Segment(path, number, first_index))
        self._offset = 0
        try:
            self._file = self._files.create(temporary, self._segment_size_bytes)
            self._write(data)
            self._file.sync()
            self._files.rename(temporary, path)
            self._files.sync_directory(self._directory)
        except OSError as error:
            self._fail("a new segment", error)
