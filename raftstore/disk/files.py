"""The few things the store asks of a file system, so that tests can lose what was not synced."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class WritableFile(Protocol):
    def write(self, data: bytes) -> None:
        """Append all of `data`. Raises OSError."""
        ...

    def sync(self) -> None:
        """Return when all that was written is durable. Raises OSError."""
        ...

    def close(self) -> None: ...


class ReadableFile(Protocol):
    def read(self, size_bytes: int) -> bytes: ...

    def close(self) -> None: ...


class FileSystem(Protocol):
    """Every method raises OSError as the system calls do."""

    def make_directory(self, path: Path) -> None: ...

    def names(self, directory: Path) -> list[str]: ...

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes: ...

    def open_read(self, path: Path) -> ReadableFile: ...

    def create(self, path: Path, reserve_bytes: int) -> WritableFile:
        """A new file with room set aside for `reserve_bytes`, which read as zeros."""
        ...

    def open_append(self, path: Path, offset: int, reserve_bytes: int) -> WritableFile:
        """Go on writing at `offset`; what was behind it is gone and reads as zeros."""
        ...

    def rename(self, old: Path, new: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None: ...

    def lock(self, path: Path) -> int | None:
        """Hold `path` until `unlock`; None where another process does."""
        ...

    def unlock(self, handle: int) -> None: ...


class SystemFiles:
    """The machine's own."""

    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)

    def names(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def open_read(self, path: Path) -> ReadableFile:
        return open(path, "rb", buffering=1 << 20)

    def create(self, path: Path, reserve_bytes: int) -> WritableFile:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return _SystemFile(os.open(path, flags, FILE_MODE), 0, reserve_bytes)

    def open_append(self, path: Path, offset: int, reserve_bytes: int) -> WritableFile:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.ftruncate(fd, offset)
        return _SystemFile(fd, offset, reserve_bytes)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, path: Path) -> int | None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def unlock(self, handle: int) -> None:
        os.close(handle)


class _SystemFile:
    def __init__(self, fd: int, offset: int, reserve_bytes: int) -> None:
        self._fd = fd
        self._offset = offset
        if reserve_bytes > offset:
            try:
                self._reserve(reserve_bytes)
            except OSError:
                self.close()
                raise

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self._offset)
            self._offset += written
            view = view[written:]

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _reserve(self, reserve_bytes: int) -> None:
        """With room set aside a sync need not write the file's size: a third quicker on ext4."""
        try:
            os.posix_fallocate(self._fd, 0, reserve_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
