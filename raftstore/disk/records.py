"""Records: how bytes lie in a file so that damage is seen, and told from a torn end.

    length u32 | kind u32 | CRC-32 of the payload u32 | CRC-32 of these twelve bytes u32 | payload

padded with zeros to eight bytes. The header's checksum starts from the file's number and the
record's offset, so that a block that belongs elsewhere does not pass. Room that was set aside and
not written yet is zeros: a header of zeros ends the file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from raftstore.disk.errors import CorruptRecord
from raftstore.disk.files import ReadableFile

_HEADER = struct.Struct("<IIII")
_CHECKED = struct.Struct("<III")
HEADER_SIZE_BYTES = _HEADER.size
_ALIGN_BYTES = 8
_SECTOR_SIZE_BYTES = 512
_ZERO_HEADER = bytes(HEADER_SIZE_BYTES)

# Set in `kind` on the first record of what was written and synced together.
BATCH_START = 0x8000_0000
_KIND_MASK = 0x7FFF_FFFF


def _seed(file_number: int, offset: int) -> int:
    return (file_number * 0x9E37_79B1 + offset) & 0xFFFF_FFFF


def encode(kind: int, payload: bytes, file_number: int, offset: int) -> bytes:
    """One record to stand at `offset` of file `file_number`."""
    size_bytes = len(payload)
    payload_crc = crc32(payload)
    checked = _CHECKED.pack(size_bytes, kind, payload_crc)
    header_crc = crc32(checked, _seed(file_number, offset))
    padding = bytes(-size_bytes % _ALIGN_BYTES)
    return b"".join((checked, header_crc.to_bytes(4, "little"), payload, padding))


@dataclass(frozen=True, slots=True)
class Record:
    offset: int
    kind: int
    payload: bytes
    end_offset: int


def kind_of_first(file: ReadableFile, file_number: int) -> int | None:
    """The kind of a file's first record; None where its header is damaged."""
    valid = _parse_header(file.read(HEADER_SIZE_BYTES), file_number, 0)
    return None if valid is None else valid[1] & _KIND_MASK


class Torn(Exception):
    """The file ends, or turns to zeros, within a record: as a crash leaves it."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"torn at offset {offset}")
        self.offset = offset


def scan(path: Path, data: bytes, file_number: int) -> Iterator[Record]:
    """The records of a file. Raises CorruptRecord, or Torn where a crash explains the rest."""
    offset = 0
    while True:
        record = _read(path, data, file_number, offset)
        if record is None:
            _refuse_records_behind(path, data, file_number, offset, "zeros within the log")
            return
        yield record
        offset = record.end_offset


def _read(path: Path, data: bytes, file_number: int, offset: int) -> Record | None:
    """The record at `offset`; None at the end of the records."""
    header = data[offset : offset + HEADER_SIZE_BYTES]
    if header == _ZERO_HEADER[: len(header)]:
        return None
    valid = _parse_header(header, file_number, offset)
    if valid is None:
        _torn_or_corrupt(path, data, file_number, offset, offset + HEADER_SIZE_BYTES, "bad header")
    else:
        size_bytes, kind, payload_crc = valid
        start = offset + HEADER_SIZE_BYTES
        payload = data[start : start + size_bytes]
        end_offset = start + size_bytes + (-size_bytes % _ALIGN_BYTES)
        if crc32(payload) == payload_crc and end_offset <= len(data):
            return Record(offset, kind & _KIND_MASK, payload, end_offset)
        _torn_or_corrupt(path, data, file_number, offset, end_offset, "checksum mismatch")
    return None


def _parse_header(header: bytes, file_number: int, offset: int) -> tuple[int, int, int] | None:
    if len(header) < HEADER_SIZE_BYTES:
        return None
    size_bytes, kind, payload_crc, header_crc = _HEADER.unpack(header)
    if crc32(header[:12], _seed(file_number, offset)) != header_crc:
        return None
    return size_bytes, kind, payload_crc


def _torn_or_corrupt(
    path: Path, data: bytes, file_number: int, offset: int, end_offset: int, why: str
) -> None:
    """Always raises. A disk writes whole sectors: what a crash tore ends with the file, or has a
    sector that is still zeros; and nothing that was synced later can stand behind it."""
    ends_within = end_offset > len(data)
    if not ends_within and not _has_zero_sector(data, offset, end_offset):
        raise CorruptRecord(path, offset, why)
    _refuse_records_behind(path, data, file_number, offset, why)
    raise Torn(offset)


def _has_zero_sector(data: bytes, offset: int, end_offset: int) -> bool:
    while offset < end_offset:
        sector_end = min(end_offset, (offset // _SECTOR_SIZE_BYTES + 1) * _SECTOR_SIZE_BYTES)
        if not any(data[offset:sector_end]):
            return True
        offset = sector_end
    return False


def _refuse_records_behind(
    path: Path, data: bytes, file_number: int, offset: int, why: str
) -> None:
    """Raise where a later batch stands behind `offset`: then this part was durable once."""
    rest = memoryview(data)[offset:]
    if rest == bytes(len(rest)):
        return
    first = offset + _ALIGN_BYTES
    for place in range(first, len(data) - HEADER_SIZE_BYTES + 1, _ALIGN_BYTES):
        valid = _parse_header(data[place : place + HEADER_SIZE_BYTES], file_number, place)
        if valid is not None and valid[1] & BATCH_START:
            raise CorruptRecord(path, offset, why)


class Reader:
    """Records one after the other, for a file that is whole or damaged: nothing is torn in it."""

    def __init__(self, file: ReadableFile, path: Path, file_number: int) -> None:
        self._file = file
        self._path = path
        self._file_number = file_number
        self._offset = 0

    def next(self) -> Record:
        """Raises CorruptRecord, also at the end of the file."""
        offset = self._offset
        header = self._file.read(HEADER_SIZE_BYTES)
        valid = _parse_header(header, self._file_number, offset)
        if valid is None:
            why = "bad header" if header else "the file is cut short"
            raise CorruptRecord(self._path, offset, why)
        size_bytes, kind, payload_crc = valid
        padded = self._file.read(size_bytes + (-size_bytes % _ALIGN_BYTES))
        payload = padded[:size_bytes]
        if len(payload) != size_bytes or crc32(payload) != payload_crc:
            raise CorruptRecord(self._path, offset, "checksum mismatch")
        self._offset += HEADER_SIZE_BYTES + len(padded)
        return Record(offset, kind & _KIND_MASK, payload, self._offset)
