"""Members of one cluster in one process, on a network that can be cut.

Messages arrive after a short time, in order; what would cross a cut is lost. `sim_*` has a network
that does worse; this one is for tests of one thing at a time.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fake_files import FakeFiles

from base.clock import LoopClock
from raftstore.core import InstallSnapshot
from raftstore.disk import Founding
from raftstore.errors import Unreachable
from raftstore.mvcc import MemberRecord, Put, Range
from raftstore.node import Node
from raftstore.node.founding import founding, joining
from raftstore.node.member import Options
from raftstore.peers.messages import PeerMessage, Question
from raftstore.peers.transport import Receiver

CLUSTER_ID = 99
DELAY_S = 0.001
STORE = Path("/store")
SMALL = Options(use_threads=False, segment_size_bytes=8192, snapshot_log_min_bytes=1 << 30)


class MemoryNetwork:
    def __init__(self) -> None:
        self.receivers: dict[int, Receiver] = {}
        self.cuts: set[tuple[int, int]] = set()
        self.sent_snapshots = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self, one: int, *others: int) -> None:
        for other in others:
            self.cuts |= {(one, other), (other, one)}

    def heal(self) -> None:
        self.cuts.clear()

    def carries(self, sender: int, to: int) -> bool:
        return to in self.receivers and sender in self.receivers and (sender, to) not in self.cuts

    def start(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class MemoryTransport:
    def __init__(self, network: MemoryNetwork, member_id: int) -> None:
        self._network = network
        self._member_id = member_id
        self.addresses: dict[int, Sequence[str]] = {}

    def start(self, receiver: Receiver) -> None:
        self._network.receivers[self._member_id] = receiver

    def set_members(self, addresses: Mapping[int, Sequence[str]]) -> None:
        self.addresses = dict(addresses)

    def send(self, peer: int, messages: Sequence[PeerMessage]) -> None:
        asyncio.get_running_loop().call_later(DELAY_S, self._arrive, peer, list(messages))

    def _arrive(self, peer: int, messages: list[PeerMessage]) -> None:
        if peer in self.addresses and self._network.carries(self._member_id, peer):
            self._network.receivers[peer].receive(messages)

    def send_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        self._network.start(self._carry_snapshot(message, slices))

    async def _carry_snapshot(self, message: InstallSnapshot, slices: Iterator[bytes]) -> None:
        ok = False
        try:
            if self._network.carries(self._member_id, message.to):
                receiver = self._network.receivers[message.to]
                await receiver.receive_snapshot(message, _slowly(slices))
                self._network.sent_snapshots += 1
                ok = True
        except Exception:
            ok = False
        finally:
            slices.close()  # type: ignore[attr-defined]
            if self._member_id in self._network.receivers:
                self._network.receivers[self._member_id].snapshot_sent(message.to, ok=ok)

    async def ask(self, peer: int, question: Question) -> Any:
        await asyncio.sleep(DELAY_S)
        if not self._network.carries(self._member_id, peer):
            raise Unreachable(peer, "cut")
        return await self._network.receivers[peer].answer(question)

    async def close(self) -> None:
        self._network.receivers.pop(self._member_id, None)


async def _slowly(slices: Iterator[bytes]) -> AsyncIterator[bytes]:
    for data in slices:
        await asyncio.sleep(DELAY_S)
        if data:
            yield data


class MemoryCluster:
    """Members 1 to `size` on their own disks; they can be stopped, crashed and started again."""

    def __init__(self, size: int, options: Options = SMALL, seed: int = 1) -> None:
        self.network = MemoryNetwork()
        self.options = options
        self.nodes: dict[int, Node] = {}
        self.disks: dict[int, FakeFiles] = {}
        self._rng = random.Random(seed)
        self.records = [
            MemberRecord(m, f"m{m}", (f"memory://{m}",), (), False) for m in range(1, size + 1)
        ]

    async def __aenter__(self) -> "MemoryCluster":
        for record in self.records:
            start = founding(record.member_id, CLUSTER_ID, self.records)
            await self.start(record.member_id, start)
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in list(self.nodes.values()):
            await node.close()
        await self.network.close()

    async def start(self, member: int, start: Founding | None = None) -> Node:
        """Start it, for the first time as `start` says."""
        files = self.disks.setdefault(member, FakeFiles())
        rng = random.Random(self._rng.random())
        transport = MemoryTransport(self.network, member)
        others = {r.member_id: r.peer_urls for r in self.records if r.member_id != member}
        node = await Node.open(STORE, LoopClock(), rng, self.options, files, start, transport)
        node.meet(others)
        self.nodes[member] = node
        return node

    async def join(self, member: int) -> Node:
        """Start a member that the cluster has added, with an empty disk."""
        return await self.start(member, joining(member, CLUSTER_ID))

    async def stop(self, member: int) -> None:
        await self.nodes.pop(member).close()

    async def crash(self, member: int) -> None:
        """As by a loss of power: only what was synced is on the disk."""
        node, files = self.nodes.pop(member), self.disks[member]
        self.network.receivers.pop(member, None)
        copy = files.copy_durable() if hasattr(files, "copy_durable") else None
        if copy is None:
            files.crash(random.Random(self._rng.random()))
        await node.close()
        if copy is not None:
            self.disks[member] = copy

    async def leader(self, *, other_than: int = 0) -> Node:
        """Wait for a leader that has applied its own entry."""
        return await self.until(
            lambda: next(
                (n for n in self.nodes.values() if n.leader_term and n.member_id != other_than),
                None,
            )
        )

    async def until(self, found: Callable[[], Any], timeout_s: float = 30.0) -> Any:
        async with asyncio.timeout(timeout_s):
            while not (result := found()):  # noqa: ASYNC110 - the answer is in many members
                await asyncio.sleep(0.01)
        return result

    async def applied_everywhere(self) -> None:
        index = max(node.raft_index for node in self.nodes.values())
        await self.until(lambda: all(n.applied_index >= index for n in self.nodes.values()))

    def followers(self) -> list[Node]:
        return [node for node in self.nodes.values() if not node.leader_term]


async def put(node: Node, key: bytes, value: bytes = b"v") -> int:
    return (await node.propose(Put(key, value))).revision


def keys(node: Node) -> dict[bytes, bytes]:
    return {kv.key: kv.value for kv in node.range(Range(b"\0", b"\0")).kvs}
