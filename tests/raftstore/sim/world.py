"""One seed from its beginning to its judgement.

First faults under load (safety), then none (liveness): the cluster must soon have a leader, answer
on every member, end every lease, and all its members must hold what the history says.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from raftstore.errors import Removed
from raftstore.mvcc import Compact, DeleteRange, MemberRecord, Put, Range
from raftstore.node import Node
from raftstore.node.founding import founding
from raftstore.node.member import Options
from sim.admin import Admin
from sim.clients import ALL, Client, Desk, LeaseHolder, Watching, Writer
from sim.faults import RATE_MAX, RATE_MIN, Faults
from sim.history import History, Outcome
from sim.machines import Machine
from sim.model import Timeline, answer_of, evaluate
from sim.network import Network
from sim.oracle import judge
from sim.processes import SimLoop, run
from sim.trace import Trace, Violation
from sim.witness import Witness

CLUSTER_ID = 0x51ED
START_BOUND_S = 20.0
# An election, what waits for its deadline, and a member that must first be replaced.
CONVERGE_BOUND_S = 60.0
# The longest lease of the load, counted anew by one more leader on a slow clock.
LEASES_END_S = 2 * 7.0 / RATE_MIN + 2.0
_LOOK_EVERY_S = 0.05


@dataclass
class Report:
    """How a seed went. `complaints` are empty where all was right."""

    seed: int
    size: int
    digest: str = ""
    complaints: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    virtual_s: float = 0.0
    converged_s: float = 0.0
    revisions: int = 0
    elections: int = 0
    changes: int = 0
    carried: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class World:
    def __init__(self, loop: SimLoop, seed: int) -> None:
        self.loop = loop
        self.seed = seed
        self._rng = random.Random(f"world {seed}")
        self.trace = Trace(loop.true_time)
        self.network = Network(loop, random.Random(f"network {seed}"), self.trace)
        self.witness = Witness(self.trace)
        self.history = History(seen=self.witness.seen, rate_max=RATE_MAX)
        self.cluster_id = CLUSTER_ID
        self.size = self._rng.choices((1, 3, 5), (1, 4, 2))[0]
        self.options = self._options()
        self.history.has_quota = bool(self.options.quota_bytes)
        self.machines: dict[str, Machine] = {}
        for number in range(1, self.size + 1):
            machine = self.new_machine(f"m{number}")
            machine.member_id = number
            self.machines[machine.name] = machine
        self.retired: list[Machine] = []
        self.admin = Admin(self, random.Random(f"admin {seed}"))
        self.faults = Faults(self, random.Random(f"faults {seed}"))
        self.desk = Desk(loop, self.machines, self.history, self.trace)
        self.desk.pace_s = self._rng.choice((0.02, 0.04, 0.08, 0.15))
        self._tasks: list[asyncio.Task[Any]] = []
        self._calm = False
        self._replacing: set[str] = set()
        loop.set_exception_handler(self._defect)

    def _options(self) -> Options:
        rng = self._rng
        return Options(
            use_threads=False,
            segment_size_bytes=rng.choice((2048, 8192, 65536)),
            snapshot_log_min_bytes=rng.choice((2000, 10_000, 1 << 20)),
            log_keep_bytes=rng.choice((500, 5000, 1 << 20)),
            quota_bytes=rng.choice((0, 0, 0, 700, 2000)),
        )

    def new_machine(self, name: str) -> Machine:
        rng = random.Random(f"machine {self.seed} {name}")
        return Machine(
            self.loop,
            self.network,
            self.trace,
            self.witness,
            rng,
            name,
            self.options,
            rng.choice((1.0, rng.uniform(RATE_MIN, RATE_MAX))),
        )

    # -- what there is to see

    def leader(self) -> Machine | None:
        """Who leads in the highest term."""
        leading = [m for m in self.machines.values() if m.node is not None and m.node.leader_term]
        return max(leading, key=lambda m: m.node.leader_term, default=None)  # type: ignore[union-attr]

    def may_destroy(self, machine: Machine) -> bool:
        """Whether the cluster can lose what is on its disk: only a minority is ever without."""
        if self.size == 1:
            # It is put back from a copy.
            return len(self.machines) == 1
        lost = [m for m in self.machines.values() if m.damage is not None]
        voters = [m for m in self.machines.values() if m.member_id]
        settled = len(voters) >= 3 and not self.admin.is_busy
        return settled and len(lost) + 1 <= (len(voters) - 1) // 2

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._tasks = [task for task in self._tasks if not task.done() or task.exception()]
        self._tasks.append(self.loop.create_task(coroutine))

    def retire(self, machine: Machine) -> None:
        """The cluster has removed it; it may go on for a while and not know."""
        self.machines.pop(machine.name, None)
        self.retired.append(machine)
        self.loop.after(self._rng.uniform(0.0, 5.0), machine.end)

    def _defect(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.witness.violate(f"{context.get('message')}: {error!r}")

    # -- the run

    async def run(self) -> Report:
        report = Report(self.seed, self.size)
        try:
            await self._live(report)
        except Violation as violation:
            report.complaints.append(str(violation))
        report.complaints += self._judge(report)
        report.digest = self.trace.digest
        report.lines = list(self.trace.lines)
        report.virtual_s = self.loop.true_time()
        report.revisions = self.witness.revision
        report.elections = self.witness.elections
        report.changes = self.admin.changes
        report.carried = self.network.carried
        report.faults = Counter(self.faults.counts)
        report.operations = Counter(o.outcome.value for o in self.history.operations)
        return report

    async def _live(self, report: Report) -> None:
        self._found()
        self.spawn(self._look_after())
        await self._until(
            lambda: self.leader() is not None, START_BOUND_S, "no leader at the start"
        )
        clients = [self.loop.create_task(client.run()) for client in self._clients()]
        faults = self.loop.create_task(self.faults.run())
        await self._for(self._rng.choice((6.0, 12.0, 25.0)))
        self.faults.stop()
        self._calm = True
        began_s = self.loop.true_time()
        await self._converge()
        report.converged_s = self.loop.true_time() - began_s
        self.desk.open = False
        await self._all_done([*clients, faults])
        await self._for(LEASES_END_S)
        self.history.leases_over_s = self.loop.true_time()
        await self._all_equal()
        self.history.end_s = self.loop.true_time() + 1.0

    def _found(self) -> None:
        records = [
            MemberRecord(m.member_id, name, (m.url,), ()) for name, m in self.machines.items()
        ]
        for machine in self.machines.values():
            machine.start(founding(machine.member_id, CLUSTER_ID, records))

    def _clients(self) -> list[Any]:
        makers: list[type[Client]] = [Writer] * 4 + [LeaseHolder] * 2 + [Watching] * 3
        return [
            maker(self.desk, random.Random(f"client {self.seed} {n}"), f"c{n}")
            for n, maker in enumerate(makers)
        ]

    async def _look_after(self) -> None:
        """What a supervisor does, and what nobody may do."""
        while True:
            for machine in list(self.machines.values()):
                machine.check_tasks()
                node = machine.node
                if node is not None and node.leader_term:
                    self.witness.leads(node.leader_term, machine.name)
                if machine.failure is not None:
                    self._failed(machine)
                elif not machine.is_up and self._calm:
                    machine.start_again()
            self._check()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _failed(self, machine: Machine) -> None:
        """It has stopped for good, or does not start."""
        failure = machine.failure
        self.trace.say(f"{machine.label} has failed: {failure}")
        machine.bury()
        if isinstance(failure, Removed):
            if machine.member_id not in self.admin.removed:
                self.witness.violate(f"{machine.label} believes it was removed: {failure}")
            machine.give_up()
        elif machine.damage is None:
            self.loop.after(self._rng.uniform(0.1, 2.0), machine.start_again)
        elif len(self.machines) == 1 or self._rng.random() < 0.3:
            machine.put_back()
            self.loop.after(self._rng.uniform(0.1, 2.0), machine.start_again)
        else:
            machine.give_up()
            self.spawn(self.admin.replace(machine))

    # -- the end

    async def _converge(self) -> None:
        """Every member answers, and has applied what the others have."""
        await self._until(self._all_open, CONVERGE_BOUND_S, "not all members are up and agree")
        deadline_s = self.loop.true_time() + CONVERGE_BOUND_S
        for machine in list(self.machines.values()):
            request = Put(b"end", self.desk.fresh_value("end"))
            while True:
                operation = await self.desk.perform("end", machine, request)
                if operation.outcome is Outcome.OK:
                    break
                if operation.error == "NoSpace":
                    await self.desk.perform("end", machine, DeleteRange(*ALL))
                    await self.desk.perform("end", machine, Compact(self.desk.revision))
                await asyncio.sleep(0.5)
                request = Put(b"end", self.desk.fresh_value("end"))
                if self.loop.true_time() > deadline_s:
                    raise Violation(f"{machine.label} takes no write: {operation}")
            self._check()

    def _all_open(self) -> bool:
        nodes = [machine.node for machine in self.machines.values()]
        leaders = {node.leader for node in nodes if node is not None}
        return (
            None not in nodes
            and len(leaders) == 1
            and leaders != {0}
            and self.leader() is not None
            and not self.admin.is_busy
        )

    async def _all_equal(self) -> None:
        """The same index, the same hash, and what the history says."""
        last = self.witness.revision
        await self._until(self._all_applied, CONVERGE_BOUND_S, "not all members apply the same")
        timeline = Timeline()
        for seen in self.witness.seen:
            timeline.append(seen.changes)
        expected, _ = evaluate(timeline, timeline.revision, Range(*ALL))
        hashes: dict[str, Any] = {}
        for machine in self.machines.values():
            found = await machine.request(_final)
            hashes[machine.name] = found[0]
            if answer_of(found[1]) != expected or found[1].revision != last:
                raise Violation(f"{machine.label} holds {found[1]}, not {expected} of {last}")
        if len(set(hashes.values())) > 1:
            raise Violation(f"hashes or sizes differ: {hashes}")
        self._check()

    def _all_applied(self) -> bool:
        nodes = [machine.node for machine in self.machines.values()]
        indices = {None if node is None else node.applied_index for node in nodes}
        revisions = {None if node is None else node.state.keyspace.revision for node in nodes}
        return len(indices) == 1 and None not in indices and revisions == {self.witness.revision}

    def _judge(self, report: Report) -> list[str]:
        missing = self.witness.missing
        if missing:
            return [f"revisions {missing} were there and nobody showed them"]
        return judge(self.history)

    # -- waiting

    async def _for(self, duration_s: float) -> None:
        until_s = self.loop.true_time() + duration_s
        while self.loop.true_time() < until_s:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._check()

    async def _until(self, found: Callable[[], bool], bound_s: float, complaint: str) -> None:
        until_s = self.loop.true_time() + bound_s
        while not found():
            if self.loop.true_time() > until_s:
                raise Violation(f"{complaint} after {bound_s:.0f} s: {self._states()}")
            await asyncio.sleep(_LOOK_EVERY_S)
            self._check()

    async def _all_done(self, tasks: list[asyncio.Task[Any]]) -> None:
        until_s = self.loop.true_time() + CONVERGE_BOUND_S
        while not all(task.done() for task in tasks):
            if self.loop.true_time() > until_s:
                raise Violation("a client does not come to an end")
            await asyncio.sleep(_LOOK_EVERY_S)
            self._check()
        for task in tasks:
            task.result()

    def _check(self) -> None:
        if self.witness.violation is not None:
            raise self.witness.violation
        for task in self._tasks:
            if task.done():
                task.result()

    def _states(self) -> str:
        return "; ".join(f"{m.label} {_state(m.node)}" for m in self.machines.values())


def _state(node: Node | None) -> str:
    if node is None:
        return "down"
    return (
        f"term {node.term} leader {node.leader:x} committed {node.raft_index} "
        f"applied {node.applied_index} revision {node.state.keyspace.revision}"
    )


async def _final(node: Node) -> Any:
    found = await node.hash_kv(0)
    whole = found.hash, found.revision, found.compact_revision, node.size_bytes
    return whole, node.range(Range(*ALL))


def simulate(seed: int) -> Report:
    """Run one seed. What goes wrong is in the report."""

    async def main(loop: SimLoop) -> Report:
        return await World(loop, seed).run()

    return run(main)
