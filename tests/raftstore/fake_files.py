"""A file system in memory that forgets, at a crash, what was not synced.

A crash keeps of what was written since the last sync any of the 512-byte sectors, as a disk may,
and of names changed since the last sync of their directory any. Failures are put in by the test.
"""

import errno
import random
from collections.abc import Callable
from pathlib import Path

SECTOR = 512


class Crash(Exception):
    """The machine stops here."""


class Inode:
    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = b""

    def crash(self, rng: random.Random) -> None:
        size = rng.choice([len(self.durable), len(self.data)])
        kept = bytearray()
        for at in range(0, size, SECTOR):
            source = rng.choice([self.durable, bytes(self.data)])
            kept += source[at : min(at + SECTOR, size)].ljust(min(SECTOR, size - at), b"\0")
        self.data = kept
        self.durable = bytes(kept)


class FakeFiles:
    def __init__(self) -> None:
        self.names_now: dict[Path, Inode | None] = {}
        self.names_durable: dict[Path, Inode | None] = {}
        self.locked: set[Path] = set()
        # Called before each "write", "sync", "create", "rename", "remove", "truncate" and
        # "sync directory": may raise.
        self.before: Callable[[str, Path], None] = lambda what, path: None
        self.syncs = 0

    def crash(self, rng: random.Random) -> None:
        """Power is lost: what is found afterwards."""
        changed = {
            path
            for path in {*self.names_now, *self.names_durable}
            if self.names_now.get(path) is not self.names_durable.get(path)
        }
        for path in changed:
            if rng.random() < 0.5:
                self._forget_change(path)
        for inode in set(self.names_now.values()):
            if inode is not None:
                inode.crash(rng)
        self.names_durable = dict(self.names_now)
        self.locked.clear()
        self.before = lambda what, path: None

    def _forget_change(self, path: Path) -> None:
        if path in self.names_durable:
            self.names_now[path] = self.names_durable[path]
        else:
            del self.names_now[path]

    # -- FileSystem

    def make_directory(self, path: Path) -> None:
        self.names_now.setdefault(path, None)

    def names(self, directory: Path) -> list[str]:
        return sorted(path.name for path in self.names_now if path.parent == directory)

    def exists(self, path: Path) -> bool:
        return path in self.names_now

    def read(self, path: Path) -> bytes:
        return bytes(self._inode(path).data)

    def open_read(self, path: Path) -> "FakeReader":
        return FakeReader(self.read(path))

    def create(self, path: Path, reserve_bytes: int) -> "FakeFile":
        self.before("create", path)
        self.names_now[path] = Inode()
        return FakeFile(self, path, 0, reserve_bytes)

    def open_append(self, path: Path, offset: int, reserve_bytes: int) -> "FakeFile":
        self.before("truncate", path)
        inode = self._inode(path)
        del inode.data[offset:]
        return FakeFile(self, path, offset, reserve_bytes)

    def rename(self, old: Path, new: Path) -> None:
        self.before("rename", new)
        self.names_now[new] = self.names_now.pop(old)

    def remove(self, path: Path) -> None:
        self.before("remove", path)
        del self.names_now[path]

    def sync_directory(self, path: Path) -> None:
        self.before("sync directory", path)
        for name in {p for p in {*self.names_now, *self.names_durable} if p.parent == path}:
            if name in self.names_now:
                self.names_durable[name] = self.names_now[name]
            else:
                del self.names_durable[name]

    def lock(self, path: Path) -> int | None:
        if path in self.locked:
            return None
        self.locked.add(path)
        self.names_now.setdefault(path, Inode())
        return 1

    def unlock(self, handle: int) -> None:
        self.locked.clear()

    def _inode(self, path: Path) -> Inode:
        inode = self.names_now.get(path)
        if inode is None:
            raise OSError(errno.ENOENT, "No such file or directory")
        return inode


class FakeFile:
    def __init__(self, files: FakeFiles, path: Path, offset: int, reserve_bytes: int) -> None:
        self._files = files
        self._path = path
        self._inode = files._inode(path)
        self._offset = offset
        data = self._inode.data
        data.extend(bytes(max(0, reserve_bytes - len(data))))

    def write(self, data: bytes) -> None:
        self._files.before("write", self._path)
        self._inode.data[self._offset : self._offset + len(data)] = data
        self._offset += len(data)

    def sync(self) -> None:
        self._files.before("sync", self._path)
        self._files.syncs += 1
        self._inode.durable = bytes(self._inode.data)

    def close(self) -> None:
        pass


class FakeReader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size_bytes: int) -> bytes:
        found = self._data[self._at : self._at + size_bytes]
        self._at += len(found)
        return found

    def close(self) -> None:
        pass
