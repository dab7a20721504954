"""The write-ahead log: hard state and entries, appended in batches, each synced as one."""

from collections.abc import Sequence
from pathlib import Path

from raftstore.core.messages import Entry, HardState
from raftstore.disk import records
from raftstore.disk.errors import DiskFailed
from raftstore.disk.files import FileSystem, WritableFile
from raftstore.disk.names import UNFINISHED
from raftstore.disk.segments import (
    HARD_STATE,
    HEAD,
    START,
    Contents,
    Identity,
    Segment,
    entry_kind,
    entry_payload,
    hard_state_payload,
    head_payload,
    segment_name,
)

SEGMENT_SIZE_BYTES = 16 * 1024 * 1024


class Wal:
    """The end of the log, open for writing. After an error of the disk it writes no more."""

    def __init__(
        self, files: FileSystem, directory: Path, identity: Identity, segment_size_bytes: int
    ) -> None:
        self._files = files
        self._directory = directory
        self.identity = identity
        self._segment_size_bytes = segment_size_bytes
        self._segments: list[Segment] = []
        self._file: WritableFile | None = None
        self._offset = 0
        self._hard_state = HardState()
        self._last_index = 0
        # Of the last segment that a crash cannot take away.
        self._durable_number = 0
        # Of the log after the last snapshot that was open when this was read, and since.
        self.written_bytes = 0

    @classmethod
    def create(
        cls,
        files: FileSystem,
        directory: Path,
        identity: Identity,
        hard_state: HardState,
        entries: Sequence[Entry],
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
        behind: int = 0,
    ) -> "Wal":
        """A log that begins behind entry `behind`, with `entries`."""
        wal = cls(files, directory, identity, segment_size_bytes)
        wal.start_anew(behind, hard_state, entries)
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
        wal._durable_number = segments[-1].number
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

    @property
    def hard_state(self) -> HardState:
        """The last one written."""
        return self._hard_state

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Write a batch behind the log; `sync` makes it durable. The hard state comes last: what
        a crash tears is read up to the tear, and its commit may be true of these entries only.
        Raises DiskFailed."""
        if self._offset >= self._segment_size_bytes:
            # Full: what was set aside is used up, so the file ends with its last record.
            self._next_segment()
        batch = [(entry_kind(entry), entry_payload(entry)) for entry in entries]
        if hard_state is not None:
            self._hard_state = hard_state
            batch.append((HARD_STATE, hard_state_payload(hard_state)))
        self._write_batch(batch)
        if entries:
            self._last_index = entries[-1].index

    def sync(self) -> None:
        """Raises DiskFailed: then it is not known what is durable, and asking the disk again
        would not tell (a failed page may be marked clean)."""
        file = self._open_file()
        try:
            file.sync()
        except OSError as error:
            self._fail("sync", error)

    def forget_before(self, index: int) -> list[Path]:
        """The segments that hold only entries before `index`: they are to be removed. The last
        one that is there for good stays: the next may just be begun, in another thread."""
        forgotten = []
        while len(self._segments) > 1 and self._segments[1].first_index <= index:
            if self._segments[1].number > self._durable_number:
                break
            forgotten.append(self._segments.pop(0).path)
        return forgotten

    def start_anew(
        self, index: int, hard_state: HardState, entries: Sequence[Entry] = ()
    ) -> list[Path]:
        """What was in the log counts no more; it goes on behind entry `index`, with `entries`.
        The new segment is there as a whole or not at all. Returns the old ones, to be removed."""
        self.close()
        old = [segment.path for segment in self._segments]
        number = self._segments[-1].number + 1 if self._segments else 1
        self._hard_state = hard_state
        self._last_index = index
        batch = [(entry_kind(entry), entry_payload(entry)) for entry in entries]
        self._begin_segment(number, START, batch)
        if entries:
            self._last_index = entries[-1].index
        del self._segments[:-1]
        return old

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write_batch(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """Records that are synced together."""
        number, offset = self._segments[-1].number, self._offset
        parts = []
        flag = records.BATCH_START
        for kind, payload in batch:
            parts.append(records.encode(kind | flag, payload, number, offset))
            offset += len(parts[-1])
            flag = 0
        self._write(b"".join(parts))

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
        self._begin_segment(self._segments[-1].number + 1, HEAD)

    def _begin_segment(
        self, number: int, kind: int, batch: Sequence[tuple[int, bytes]] = ()
    ) -> None:
        """A segment appears with its head and `batch`, whole, or not at all."""
        first_index = self._last_index + 1
        path = self._directory / segment_name(number, first_index)
        temporary = path.with_suffix(UNFINISHED)
        head = head_payload(self.identity, number, self._hard_state)
        self._segments.append(Segment(path, number, first_index, kind == START))
        self._offset = 0
        try:
            self._file = self._files.create(temporary, self._segment_size_bytes)
            self._write_batch([(kind, head), *batch])
            self._file.sync()
            self._files.rename(temporary, path)
            self._files.sync_directory(self._directory)
        except OSError as error:
            self._fail("a new segment", error)
        self._durable_number = number
