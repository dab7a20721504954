"""The load: clients on all members that write down what they asked and what they were answered."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from raftstore.errors import NodeError, NotTheLeader, TooManyRequests
from raftstore.mvcc import (
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    Event,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)
from raftstore.mvcc.check import check_txn
from raftstore.mvcc.errors import Compacted, DuplicateKey
from raftstore.mvcc.statemachine import is_read_only
from raftstore.node import Node
from sim.history import Change, History, KeepAlive, Operation, Outcome, WatchLog
from sim.machines import Disconnected, Machine
from sim.model import plain
from sim.processes import SimLoop
from sim.trace import Trace

KEYS = [b"k%02d" % number for number in range(16)]
ALL = (b"\0", b"\0")


class Desk:
    """What clients share: the cluster, the history, and the way a request takes."""

    def __init__(
        self, loop: SimLoop, machines: dict[str, Machine], history: History, trace: Trace
    ) -> None:
        self.loop = loop
        self.machines = machines
        self.history = history
        self.trace = trace
        self.open = True
        # Between two requests of a writer, on average.
        self.pace_s = 0.05
        # The highest revision that any answer has told.
        self.revision = 1
        self._count = 0

    def fresh_value(self, client: str) -> bytes:
        """No two writes write the same."""
        self._count += 1
        return f"{client}-{self._count}".encode()

    async def perform(
        self,
        client: str,
        machine: Machine,
        request: Any,
        timeout_s: float = 10.0,
        *,
        linearizable: bool = True,
    ) -> Operation:
        operation = Operation(
            len(self.history.operations),
            client,
            machine.label,
            request,
            self.trace.stamp(),
            linearizable,
        )
        self.history.operations.append(operation)
        call = _call_of(request, linearizable)
        try:
            async with asyncio.timeout(timeout_s):
                operation.result = await machine.request(call)
            operation.outcome = Outcome.OK
            operation.revision = getattr(operation.result, "revision", 0)
            self.revision = max(self.revision, operation.revision)
        except MvccError as error:
            operation.outcome, operation.error = Outcome.REFUSED, type(error).__name__
        except (TooManyRequests, NotTheLeader) as error:
            operation.outcome, operation.error = Outcome.NOT_DONE, str(error)
        except (NodeError, Disconnected, TimeoutError) as error:
            operation.error = f"{type(error).__name__}: {error}"
        operation.returned_s = self.trace.stamp()
        self.trace.say(str(operation))
        return operation


def _call_of(request: Any, linearizable: bool) -> Callable[[Node], Awaitable[Any]]:
    """As the gRPC services do it."""

    async def read(node: Node) -> Any:
        if linearizable:
            await node.read_barrier()
        return node.range(request) if isinstance(request, Range) else node.read_txn(request)

    async def keep_alive(node: Node) -> Any:
        return await node.renew_lease(request.lease_id)

    async def write(node: Node) -> Any:
        return await node.propose(request)

    if isinstance(request, KeepAlive):
        return keep_alive
    if isinstance(request, Range) or (isinstance(request, Txn) and is_read_only(request)):
        return read
    return write


class Client:
    """Stays with a member until that one fails it."""

    def __init__(self, desk: Desk, rng: random.Random, name: str) -> None:
        self.name = name
        self._desk = desk
        self._rng = rng
        self._machine = rng.choice(list(desk.machines.values()))

    async def ask(self, request: Any, *, linearizable: bool = True) -> Operation:
        timeout_s = self._rng.choice((0.5, 3.0, 10.0, 10.0))
        operation = await self._desk.perform(
            self.name, self._machine, request, timeout_s, linearizable=linearizable
        )
        if operation.outcome is Outcome.UNKNOWN or self._rng.random() < 0.02:
            self.move()
        return operation

    def move(self) -> None:
        running = [m for m in self._desk.machines.values() if m.node is not None]
        self._machine = self._rng.choice(running or list(self._desk.machines.values()))

    async def pause(self, mean_s: float) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / mean_s))


class Writer(Client):
    """Puts, reads, deletes, transactions, compactions."""

    async def run(self) -> None:
        rng = self._rng
        while self._desk.open:
            kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
            request, linearizable = kind(self), rng.random() < 0.7
            reads = isinstance(request, Range) or (
                isinstance(request, Txn) and is_read_only(request)
            )
            await self.ask(request, linearizable=linearizable or not reads)
            await self.pause(self._desk.pace_s)

    def put(self) -> Any:
        prev_kv = self._rng.random() < 0.5
        return Put(self._key(), self._desk.fresh_value(self.name), prev_kv=prev_kv)

    def put_anew(self) -> Any:
        """Keeps the value or the lease of a key that may not be there."""
        if self._rng.random() < 0.5:
            return Put(self._key(), ignore_value=True, prev_kv=True)
        return Put(self._key(), self._desk.fresh_value(self.name), ignore_lease=True)

    def read(self) -> Any:
        rng = self._rng
        key = self._key()
        end = rng.choice((b"", b"", b"\0", self._key()))
        return Range(
            key,
            end,
            limit=rng.choice((0, 0, 3)),
            sort_order=rng.choice(list(SortOrder)),
            sort_target=rng.choice(list(SortTarget)),
            keys_only=rng.random() < 0.1,
            count_only=rng.random() < 0.1,
        )

    def read_the_past(self) -> Any:
        revision = max(1, self._desk.revision - self._rng.randrange(-2, 60))
        return Range(self._key(), b"\0", revision=revision)

    def read_all(self) -> Any:
        return Range(*ALL)

    def read_txn(self) -> Any:
        return Txn([self._compare()], [Range(*ALL)], [self.read()])

    def delete(self) -> Any:
        key = self._key()
        end = b"" if self._rng.random() < 0.7 else key + b"~"
        return DeleteRange(key, end, prev_kv=self._rng.random() < 0.5)

    def delete_many(self) -> Any:
        first, last = sorted((self._key(), self._key()))
        return DeleteRange(first, last)

    def compact(self) -> Any:
        return Compact(max(1, self._desk.revision - self._rng.randrange(0, 80)))

    def txn(self) -> Any:
        while True:
            compares = [self._compare() for _ in range(self._rng.randrange(3))]
            txn = Txn(compares, self._operations(1), self._operations(1))
            try:
                check_txn(txn)
            except DuplicateKey:
                continue
            return txn

    def compare_and_put(self) -> Any:
        """What a control plane does nearly always."""
        key = self._key()
        revision = self._rng.choice((0, self._desk.revision))
        compare = Compare(key, CompareTarget.MOD, CompareOperator.EQUAL, revision)
        return Txn([compare], [Put(key, self._desk.fresh_value(self.name))], [Range(key)])

    def _operations(self, depth: int) -> list[Any]:
        return [self._operation(depth) for _ in range(self._rng.randrange(4))]

    def _operation(self, depth: int) -> Any:
        choices: list[Callable[[], Any]] = [self.put, self.put, self.delete, self.read]
        if depth:
            choices.append(lambda: Txn([self._compare()], self._operations(0), self._operations(0)))
        return self._rng.choice(choices)()

    def _compare(self) -> Compare:
        rng = self._rng
        target = rng.choice(list(CompareTarget))
        numbers = {
            CompareTarget.VERSION: rng.randrange(5),
            CompareTarget.CREATE: max(0, self._desk.revision - rng.randrange(50)),
            CompareTarget.MOD: max(0, self._desk.revision - rng.randrange(20)),
            CompareTarget.LEASE: 0,
        }
        value = numbers.get(target, b"w")
        end = b"" if rng.random() < 0.7 else b"\0"
        return Compare(self._key(), target, rng.choice(list(CompareOperator)), value, end)

    def _key(self) -> bytes:
        return self._rng.choice(KEYS)


_KINDS: dict[Callable[[Writer], Any], int] = {
    Writer.put: 30,
    Writer.put_anew: 4,
    Writer.read: 12,
    Writer.read_all: 12,
    Writer.read_the_past: 6,
    Writer.read_txn: 4,
    Writer.delete: 8,
    Writer.delete_many: 2,
    Writer.txn: 14,
    Writer.compare_and_put: 8,
    Writer.compact: 2,
}


class LeaseHolder(Client):
    """Keeps a lease alive for a while, with keys on it, then gives it up or forgets it."""

    async def run(self) -> None:
        rng = self._rng
        while self._desk.open:
            # Short enough to end while the faults go on.
            grant = LeaseGrant(rng.randrange(1, 1 << 62), rng.randrange(2, 7))
            granted = await self.ask(grant)
            if granted.outcome in (Outcome.UNKNOWN, Outcome.OK):
                await self._hold(grant)
            await self.pause(0.5)

    async def _hold(self, grant: LeaseGrant) -> None:
        rng = self._rng
        keys = [b"l/" + self.name.encode() + b"/%d" % n for n in range(rng.randrange(4))]
        keys += rng.sample(KEYS, rng.randrange(2))
        for key in keys:
            await self.ask(Put(key, self._desk.fresh_value(self.name), grant.lease_id))
        times, every_s = rng.choice(((3, grant.ttl_s / 4), (8, grant.ttl_s / 3), (25, 0.3)))
        for _ in range(rng.randrange(times + 1)):
            await self.pause(every_s)
            if not self._desk.open:
                return
            kept = await self.ask(KeepAlive(grant.lease_id))
            if kept.outcome is Outcome.REFUSED:
                return
        if rng.random() < 0.4:
            await self.ask(LeaseRevoke(grant.lease_id))
        else:
            await asyncio.sleep(rng.uniform(0, 2 * grant.ttl_s))


class Watching(Client):
    """One watch after the other; after a failure it goes on behind what it has heard."""

    async def run(self) -> None:
        rng = self._rng
        while self._desk.open:
            first = rng.choice((0, 0, 1, max(1, self._desk.revision - 30), self._desk.revision + 3))
            key, end = rng.choice((ALL, ALL, (b"k", b"l"), (KEYS[3], b""), (KEYS[2], KEYS[9])))
            for _ in range(rng.randrange(1, 8)):
                first = await self._watch_for(rng.expovariate(0.3), key, end, first)
                if not self._desk.open or not first:
                    break

    async def _watch_for(self, duration_s: float, key: bytes, end: bytes, first: int) -> int:
        """Where to go on."""
        log: WatchLog | None = None
        ended = asyncio.Event()
        try:
            log = await self._begin(key, end, first, ended)
        except Compacted as error:
            return error.compact_revision
        except (NodeError, Disconnected, TimeoutError):
            await self.pause(0.3)
            self.move()
            return first
        self._desk.history.watches.append(log)
        deadline_s = self._desk.loop.true_time() + duration_s
        while self._desk.loop.true_time() < deadline_s and not ended.is_set():
            await self.pause(0.3)
            if not await self._progress(log):
                break
        heard = max((revision for revision, _ in log.heard), default=0)
        self._desk.trace.say(f"{log} ends, has heard {heard} and all up to {log.upto}")
        self.move()
        return max(log.first, heard + 1, log.upto + 1)

    async def _begin(self, key: bytes, end: bytes, first: int, ended: asyncio.Event) -> WatchLog:
        log = WatchLog(self.name, self._machine.label, key, end, first)

        async def call(node: Node) -> None:
            process = self._machine.process

            def heard(events: Sequence[Event], revision: int) -> None:
                changes = [_change(event) for event in events]
                process.leaves(lambda: log.heard.append((revision, changes)))

            def compacted(revision: int) -> None:
                process.leaves(ended.set)

            log.watcher = node.watch(key, end, first, heard, compacted)
            if not first:
                log.first = node.state.keyspace.revision + 1

        async with asyncio.timeout(5):
            await self._machine.request(call)
        self._desk.trace.say(f"{log} begins")
        return log

    async def _progress(self, log: WatchLog) -> bool:
        """A progress notification: the watcher is up to date with the member, which is at this
        revision. False: the member is gone."""
        if self._machine.label != log.served_by:
            return False

        async def call(node: Node) -> int:
            watcher = log.watcher
            return node.state.keyspace.revision if watcher.active and watcher.synced else 0

        try:
            async with asyncio.timeout(5):
                log.upto = max(log.upto, await self._machine.request(call))
        except (NodeError, Disconnected, TimeoutError):
            return False
        return True


def _change(event: Event) -> Change:
    kv = plain(event.kv)
    assert kv is not None
    return Change(kv, plain(event.prev))
