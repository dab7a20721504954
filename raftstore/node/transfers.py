"""Whole states on their way: sent to members that lag behind the log, and taken from the leader.

What is sent is the state as it is now, not the last snapshot on the disk: the member then needs
the least of the log. What is received goes into a file and into memory side by side; only when
both are whole does Raft hear of it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

from raftstore.core import InstallSnapshot, SnapshotMeta
from raftstore.errors import NodeError
from raftstore.mvcc import StateMachine
from raftstore.mvcc.snapshot import SLICE_SIZE_BYTES, Loader, stream
from raftstore.node.member import Member
from raftstore.node.offloop import OffLoop


class TransferRefused(NodeError):
    """Another state is being taken already, or this one has stopped coming."""

    def __init__(self, why: str = "another snapshot is being received") -> None:
        super().__init__(why)


# A sender has as long for each of its frames.
SLICE_TIMEOUT_S = 30.0


class HeldSlices:
    """The state's slices; until it is closed, no history is freed."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._slices = stream(member.state)
        self._open = True
        member.history_holds += 1

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._slices)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._member.history_holds -= 1


def present_snapshot(member: Member) -> SnapshotMeta:
    """What the state stands for now."""
    log = member.raft.log
    return SnapshotMeta(log.applied, log.term(log.applied) or 0, log.membership_at(log.applied))


async def _in_time(slices: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Raises TransferRefused where the next one does not come: its sender may be gone without a
    word, and another one waits to send."""
    while True:
        try:
            async with asyncio.timeout(SLICE_TIMEOUT_S):
                data = await anext(slices)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise TransferRefused("nothing more came of the snapshot") from None
        yield data


@dataclass(frozen=True)
class Received:
    """A state that is on the disk, and in memory, and not in use yet."""

    snapshot: SnapshotMeta
    state: StateMachine
    size_bytes: int


class Receiving:
    """Takes one state at a time."""

    def __init__(self, member: Member, off_loop: OffLoop) -> None:
        self._member = member
        self._off_loop = off_loop
        self._task: asyncio.Task[object] | None = None
        self.received: Received | None = None

    async def take(self, message: InstallSnapshot, slices: AsyncIterator[bytes]) -> None:
        """Raises SnapshotMismatch, DiskFailed, TransferRefused."""
        if self._task is not None or self.received is not None:
            raise TransferRefused
        self._task = asyncio.current_task()
        try:
            self.received = await self._take(message.snapshot, slices)
        finally:
            self._task = None

    async def _take(self, snapshot: SnapshotMeta, slices: AsyncIterator[bytes]) -> Received:
        loader = Loader()
        begin = partial(self._member.storage.begin_snapshot, snapshot, received=True)
        writer = await self._off_loop.run(begin)
        try:
            batch: list[bytes] = []
            async for data in _in_time(slices):
                loader.feed(data)
                batch.append(data)
                if sum(map(len, batch)) >= SLICE_SIZE_BYTES:
                    await self._off_loop.run(writer.write, batch)
                    batch = []
            state = loader.finish()
            await self._off_loop.run(writer.write, batch)
            await self._off_loop.run(writer.finish)
        except BaseException:
            writer.abandon()
            raise
        return Received(snapshot, state, writer.size_bytes)

    def keep(self, wanted: SnapshotMeta | None) -> None:
        """Raft has taken the received state or not; what it does not want is let go. Its file may
        stay until the next snapshot: it holds what is committed."""
        if self.received is not None and self.received.snapshot != wanted:
            self.received = None

    async def close(self) -> None:
        """What is under way is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
