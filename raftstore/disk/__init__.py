"""The log and the snapshots of one member, on a disk that may fail at any moment.

Every record carries a checksum that is verified when it is read back. What a crash tore at the
very end is cut; damage anywhere else, a full disk or a failed sync stops the member with one line
that names the file. Neighbours: `raftstore.node` writes what `raftstore.core` asks for; `backup`,
`restore` and `rescue` are what an operator's command asks for. It never decides what a term, a vote
or a command means.
"""

from raftstore.disk.errors import (
    BadBackup,
    BadSnapshot,
    CorruptRecord,
    DiskError,
    DiskFailed,
    NotMade,
    NotOurs,
    NotWritable,
    StoreLocked,
)
from raftstore.disk.files import FileSystem, SystemFiles
from raftstore.disk.segments import Identity
from raftstore.disk.storage import Founding, Opened, Storage

__all__ = [
    "BadBackup",
    "BadSnapshot",
    "CorruptRecord",
    "DiskError",
    "DiskFailed",
    "FileSystem",
    "Founding",
    "Identity",
    "NotMade",
    "NotOurs",
    "NotWritable",
    "Opened",
    "Storage",
    "StoreLocked",
    "SystemFiles",
]
