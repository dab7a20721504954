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
        # Syncs that have not ended yet, as far as the world outside can know.
        self.under_way: list[tuple[float, Inode, bytes]] = []

    def create(self, path: Path, reserve_bytes: int) -> FakeFile:
        self.before("create", path)
        self.names_now[path] = Inode()
        return _SimFile(self, path, 0, reserve_bytes)

    def open_append(self, path: Path, offset: int, reserve_bytes: int) -> FakeFile:
        inode = self._inode(path)
        del inode.data[offset:]
        return _SimFile(self, path, offset, reserve_bytes)

    def begin_sync(self, inode: Inode) -> None:
        duration_s = self.sync_s()
        if duration_s > 0:
            self.under_way = [entry for entry in self.under_way if entry[0] > self._now_s()]
            self.under_way.append((self._now_s() + duration_s, inode, inode.durable))
            self.slow(duration_s)

    # -- what is found by the next process

    def after_kill(self) -> "SimFiles":
        """The program was killed, the machine runs on: all that was written is there."""
        return self._rebuilt(self.names_now, lambda inode: (bytes(inode.data), inode.durable))

    def after_power_loss(self, rng: random.Random) -> "SimFiles":
        for until_s, inode, durable in reversed(self.under_way):
            if until_s > self._now_s():
                inode.durable = durable
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
        self._files.begin_sync(self._inode)
        super().sync()


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
