"""The disk of one machine: `FakeFiles` with slow and failing syncs, flipped bits, power losses.

A power loss leaves a new disk: what a dead process still has open is no file of it any more. Names
are gone through in their order, so that a seed means the same whatever strings hash to.
"""

import errno
import random
from collections.abc import Callable
from pathlib import Path

from fake_files import SECTOR, FakeFile, FakeFiles, Inode


class SimFiles(FakeFiles):
    """`slow` is told how long each sync takes, from `sync_s`; `before` may raise."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s
        self.sync_s: Callable[[], float] = lambda: 0.0
        self.slow: Callable[[float], None] = lambda duration_s: None
        self._steps = 0
        self._at_step: Callable[[], None] = lambda: None
        # While a slow sync is under way, the disk as it was when that began: what the program
        # does behind it in the same turn has not happened yet.
        self._before_sync: SimFiles | None = None
        self._sync_ends_s = 0.0

    def create(self, path: Path, reserve_bytes: int) -> FakeFile:
        self.before("create", path)
        self.names_now[path] = Inode()
        file = _SimFile(self, path, 0, reserve_bytes)
        self.after("create")
        return file

    def open_append(self, path: Path, offset: int, reserve_bytes: int) -> FakeFile:
        inode = self._inode(path)
        del inode.data[offset:]
        return _SimFile(self, path, offset, reserve_bytes)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.after("rename")

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.after("remove")

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self.after("sync_directory")

    def after(self, what: str) -> None:
        """Every step on the disk that has been done, in a process or by its opening."""
        if self._steps > 0:
            self._steps -= 1
            if not self._steps:
                self._at_step()

    def at_step(self, steps: int, call: Callable[[], None]) -> None:
        """`call` when so many steps on the disk have been done, in the middle of everything."""
        self._steps, self._at_step = steps, call

    def begin_sync(self) -> None:
        duration_s, now_s = self.sync_s(), self._now_s()
        if duration_s > 0:
            if self._sync_ends_s <= now_s:
                self._before_sync, self._sync_ends_s = self._copy(), now_s
            self._sync_ends_s += duration_s
            self.slow(self._sync_ends_s - now_s)

    # -- what is found by the next process

    def after_kill(self) -> "SimFiles":
        """The program was killed, the machine runs on: all that was written is there."""
        return self._happened()._copy()

    def after_power_loss(self, rng: random.Random) -> "SimFiles":
        return self._happened()._torn_copy(rng)

    def _happened(self) -> "SimFiles":
        if self._before_sync is not None and self._now_s() < self._sync_ends_s:
            return self._before_sync
        return self

    def _copy(self) -> "SimFiles":
        return self._rebuilt(self.names_now, lambda inode: (bytes(inode.data), inode.durable))

    def _torn_copy(self, rng: random.Random) -> "SimFiles":
        names = dict(self.names_now)
        for path in sorted({*self.names_now, *self.names_durable}):
            if names.get(path) is not self.names_durable.get(path) and rng.random() < 0.5:
                if path in self.names_durable:
                    names[path] = self.names_durable[path]
                else:
                    del names[path]
        found = self._rebuilt(names, lambda inode: (torn := _torn(inode, rng), torn))
        found.names_durable = dict(found.names_now)
        return found

    def _rebuilt(
        self,
        names: dict[Path, Inode | None],
        contents: Callable[[Inode], tuple[bytes, bytes]],
    ) -> "SimFiles":
        found = SimFiles(self._now_s)
        found.sync_s = self.sync_s
        copies: dict[int, Inode] = {}
        for path in sorted({*names, *self.names_durable}):
            for table, target in (
                (names, found.names_now),
                (self.names_durable, found.names_durable),
            ):
                if path in table:
                    target[path] = _copied(table[path], copies, contents)
        return found

    # -- damage

    def flip_bit(self, rng: random.Random) -> tuple[Path, int] | None:
        """Of a file at rest; (file, bit) to name it and to flip it back. None: nothing is there."""
        used = [
            (path, inode)
            for path, inode in sorted(self.names_now.items())
            if inode is not None and bytes(inode.data).rstrip(b"\0")
        ]
        if not used:
            return None
        path, inode = rng.choice(used)
        # Room that was set aside and never written says nothing.
        bit = rng.randrange(8 * len(bytes(inode.data).rstrip(b"\0")))
        self.flip(path, bit)
        return path, bit

    def flip(self, path: Path, bit: int) -> None:
        inode = self._inode(path)
        inode.data[bit // 8] ^= 1 << (bit % 8)
        inode.durable = bytes(inode.data)

    def fail(self, what: str, after: int, error: int) -> None:
        """The `after`-th next `what` ("sync", "write", "create", "rename") and all later ones."""
        left = [after]

        def before(operation: str, path: Path) -> None:
            if operation == what:
                left[0] -= 1
                if left[0] <= 0:
                    raise OSError(error, errno.errorcode[error])

        self.before = before


class _SimFile(FakeFile):
    _files: SimFiles

    def sync(self) -> None:
        self._files.before("sync", self._path)
        self._files.begin_sync()
        super().sync()
        self._files.after("sync")

    def write(self, data: bytes) -> None:
        super().write(data)
        self._files.after("write")


def _copied(
    inode: Inode | None, copies: dict[int, Inode], contents: Callable[[Inode], tuple[bytes, bytes]]
) -> Inode | None:
    if inode is None:
        return None
    if id(inode) not in copies:
        copy = copies[id(inode)] = Inode()
        data, copy.durable = contents(inode)
        copy.data = bytearray(data)
    return copies[id(inode)]


def _torn(inode: Inode, rng: random.Random) -> bytes:
    """Of what was not synced any sectors, and any size that the file had on the way."""
    data, durable = bytes(inode.data), inode.durable
    if data == durable:
        return data
    shorter, longer = sorted((len(durable), len(data)))
    size = rng.choice([len(durable), len(data), rng.randint(shorter, longer)])
    kept = bytearray()
    for at in range(0, size, SECTOR):
        source = durable if rng.random() < 0.5 else data
        end = min(at + SECTOR, size)
        kept += source[at:end].ljust(end - at, b"\0")
    return bytes(kept)
