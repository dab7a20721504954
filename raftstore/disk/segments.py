"""Segments of the log: their names, their form, and what is read from them.

A segment's name says its number and the first entry it may hold. Its head record has the hard
state of that moment, so that older segments can be removed without losing term or vote.
An entry written again at the same index (a new leader's) replaces that one and all behind it.
A segment whose head is a START has nothing before it: the log begins anew there, behind a snapshot
that another member sent, or whatever is in the older segments, which are then on their way out.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from raftstore.core.messages import NOBODY, Entry, EntryKind, HardState, SnapshotMeta
from raftstore.disk import records
from raftstore.disk.errors import CorruptRecord
from raftstore.disk.files import FileSystem
from raftstore.disk.names import name_of, numbered

HEAD, HARD_STATE, ENTRY, MEMBERSHIP, START = 1, 2, 3, 4, 5
_SUFFIX = ".wal"
_MAGIC = b"pinnace wal 2\0\0\0"
_HEAD_FORM = struct.Struct("<16sQQQQQQ")
_HARD_STATE_FORM = struct.Struct("<QQQ")
_ENTRY_FORM = struct.Struct("<QQ")
_ENTRY_KINDS = {ENTRY: EntryKind.COMMAND, MEMBERSHIP: EntryKind.MEMBERSHIP}
_RECORD_KINDS = {kind.value: record for record, kind in _ENTRY_KINDS.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose log this is: given at the first start, the same ever after."""

    cluster_id: int
    member_id: int


@dataclass(frozen=True, slots=True)
class Segment:
    path: Path
    number: int
    first_index: int
    starts_anew: bool = False


@dataclass
class Contents:
    """What a log holds. `end_offset` is where its last segment goes on, `size_bytes` what its
    entries after the snapshot take. `joins`: the log is the one that the snapshot was taken of;
    else it holds nothing that counts."""

    identity: Identity
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    last_index: int = 0
    end_offset: int = 0
    size_bytes: int = 0
    was_torn: bool = False
    joins: bool = True


def segment_name(number: int, first_index: int) -> str:
    return name_of(number, first_index, _SUFFIX)


def list_segments(files: FileSystem, directory: Path) -> list[Segment]:
    """In order."""
    return [
        Segment(path, number, first_index, _starts_anew(files, path, number))
        for number, first_index, path in numbered(files, directory, _SUFFIX)
    ]


def _starts_anew(files: FileSystem, path: Path, number: int) -> bool:
    """A damaged head is met when the segment is read."""
    file = files.open_read(path)
    try:
        return records.kind_of_first(file, number) == START
    finally:
        file.close()


def split_at_start(segments: Sequence[Segment]) -> tuple[list[Segment], list[Segment]]:
    """(those that were replaced and are to be removed, those of the log as it is)"""
    start = max((place for place, s in enumerate(segments) if s.starts_anew), default=0)
    return list(segments[:start]), list(segments[start:])


def needed_segments(segments: Sequence[Segment], snapshot: SnapshotMeta) -> list[Segment]:
    """Of a log, those that hold the entry that `snapshot` ends with and what comes after it:
    earlier ones may be gone or not, their removal was under way. Raises CorruptRecord where one of
    these is missing."""
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
    if first > 0 and segments[first].first_index == snapshot.index + 1:
        # The entry that tells whether the log joins the snapshot is in the one before.
        before = segments[first - 1]
        if before.number == needed[0].number - 1:
            needed.insert(0, before)
    return needed


def read_segments(
    files: FileSystem, segments: Sequence[Segment], snapshot: SnapshotMeta
) -> Contents:
    """Entries after `snapshot` and the last hard state. Raises CorruptRecord."""
    contents = Contents(Identity(0, 0), last_index=snapshot.index)
    # Only where a whole log was received anew can it end before the snapshot, or have another
    # entry in its place: the installation was under way when the machine stopped.
    contents.joins = segments[0].first_index == snapshot.index + 1
    for segment in segments:
        data = files.read(segment.path)
        contents.end_offset = 0
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
    if not contents.joins:
        contents.entries, contents.last_index, contents.size_bytes = [], snapshot.index, 0
    _meet_term(contents)
    return contents


def _meet_term(contents: Contents) -> None:
    """Of a batch that was torn the entries may be whole and the hard state behind them lost. The
    member has promised nothing in their term yet."""
    last_term = contents.entries[-1].term if contents.entries else 0
    if last_term > contents.hard_state.term:
        contents.hard_state = HardState(last_term, NOBODY, contents.hard_state.commit)


def _unfinished(contents: Contents, data: bytes) -> int | None:
    """A segment that was left for the next one ends with its last record."""
    return contents.end_offset if contents.end_offset != len(data) else None


def _take(
    contents: Contents, segment: Segment, record: records.Record, snapshot: SnapshotMeta
) -> None:
    if record.offset == 0:
        _take_head(contents, segment, record)
    elif record.kind == HARD_STATE:
        contents.hard_state = HardState(*_HARD_STATE_FORM.unpack(record.payload))
    elif record.kind in _ENTRY_KINDS:
        _take_entry(contents, segment, record, snapshot)
    else:
        why = f"record of unknown kind {record.kind}: written by a newer version?"
        raise CorruptRecord(segment.path, record.offset, why)
    contents.end_offset = record.end_offset


def _take_head(contents: Contents, segment: Segment, record: records.Record) -> None:
    if record.kind not in (HEAD, START) or len(record.payload) != _HEAD_FORM.size:
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
        _compare_with(contents, snapshot, index, term)
        return
    entries = contents.entries
    if index > contents.last_index + 1:
        why = f"entry {index} follows on {contents.last_index}: entries are missing"
        raise CorruptRecord(segment.path, record.offset, why)
    contents.last_index = index
    del entries[index - snapshot.index - 1 :]
    data = record.payload[_ENTRY_FORM.size :]
    entries.append(Entry(index, term, data, _ENTRY_KINDS[record.kind]))
    contents.size_bytes += record.end_offset - record.offset


def _compare_with(contents: Contents, snapshot: SnapshotMeta, index: int, term: int) -> None:
    """An entry that the snapshot covers: it replaces all that was read behind it."""
    contents.joins = index == snapshot.index and term == snapshot.term
    contents.entries, contents.last_index = [], snapshot.index


def head_payload(identity: Identity, number: int, hard_state: HardState) -> bytes:
    who = identity.cluster_id, identity.member_id
    return _HEAD_FORM.pack(
        _MAGIC, number, *who, hard_state.term, hard_state.vote, hard_state.commit
    )


def hard_state_payload(hard_state: HardState) -> bytes:
    return _HARD_STATE_FORM.pack(hard_state.term, hard_state.vote, hard_state.commit)


def entry_kind(entry: Entry) -> int:
    """The kind of record that it is kept as."""
    return _RECORD_KINDS[entry.kind]


def entry_payload(entry: Entry) -> bytes:
    return _ENTRY_FORM.pack(entry.index, entry.term) + entry.data
