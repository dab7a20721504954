"""Names of the log's and the snapshots' files: two numbers and what they are."""

from pathlib import Path

from raftstore.disk.errors import CorruptRecord
from raftstore.disk.files import FileSystem

UNFINISHED = ".tmp"


def name_of(first: int, second: int, suffix: str) -> str:
    """Names sort as their numbers do."""
    return f"{first:016x}-{second:016x}{suffix}"


def numbered(files: FileSystem, directory: Path, suffix: str) -> list[tuple[int, int, Path]]:
    """The files of a kind, in order. Raises CorruptRecord for a name that was never given."""
    found = []
    for name in files.names(directory):
        if name.endswith(suffix):
            try:
                first, second = (int(part, 16) for part in name.removesuffix(suffix).split("-"))
            except ValueError:
                raise CorruptRecord(directory / name, 0, "not a file of this store") from None
            found.append((first, second, directory / name))
    return found
