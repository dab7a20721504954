"""The operator: hands leadership over, adds, promotes, removes and replaces members.

One change at a time, tried until it is done or found done. A machine whose disk is beyond repair
is replaced by a new member on a new machine, as the documentation tells to.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from raftstore.errors import ClusterError, LearnerNotReady, MemberNotFound, NodeError
from raftstore.mvcc import MemberRecord, MvccError
from raftstore.node import Node
from raftstore.node.founding import joining
from raftstore.peers.messages import AddMember, PromoteMember, RemoveMember
from sim.machines import Disconnected, Machine

if TYPE_CHECKING:
    from sim.world import World

MEMBERS_MAX = 5


class Admin:
    def __init__(self, world: "World", rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._lock = asyncio.Lock()
        self._joined = 0
        self.changes = 0
        # The ids of those that were asked to be removed.
        self.removed: set[int] = set()

    @property
    def is_busy(self) -> bool:
        return self._lock.locked()

    async def ask(self, call: Callable[[Node], Awaitable[Any]]) -> Any:
        """Of any member that is open. Raises what it raises, Disconnected, TimeoutError."""
        open_ones = [m for m in self._world.machines.values() if m.node is not None]
        if not open_ones:
            raise Disconnected
        async with asyncio.timeout(10.0):
            return await self._rng.choice(open_ones).request(call)

    async def transfer(self) -> None:
        leader = self._world.leader()
        others = [m for m in self._world.machines.values() if m is not leader and m.member_id]
        if leader is None or not others:
            return
        to = self._rng.choice(others)

        async def call(node: Node) -> None:
            await node.transfer_leadership(to.member_id)

        self._world.trace.say(f"leadership is to go from {leader.name} to {to.name}")
        try:
            async with asyncio.timeout(10.0):
                await leader.request(call)
        except (NodeError, ClusterError, Disconnected, TimeoutError) as error:
            self._world.trace.say(f"it did not go to {to.name}: {error!r}")

    async def compare(self) -> None:
        """Any two members hold the same at a revision that both have."""
        open_ones = [m for m in self._world.machines.values() if m.node is not None]
        if len(open_ones) < 2:
            return
        pair = self._rng.sample(open_ones, 2)
        revision = min(m.node.state.keyspace.revision for m in pair if m.node is not None)
        try:
            async with asyncio.timeout(10.0):
                one, other = [await machine.request(_hash_at(revision)) for machine in pair]
        except (NodeError, MvccError, Disconnected, TimeoutError):
            return
        if one.compact_revision == other.compact_revision and one.hash != other.hash:
            names = " and ".join(machine.label for machine in pair)
            self._world.witness.violate(f"the hashes of {names} at {revision} differ")

    async def change_members(self) -> None:
        """Something, unless a change is under way. Who takes a sound voter away while another is
        lost takes the quorum away."""
        if self._lock.locked() or any(m.damage for m in self._world.machines.values()):
            return
        async with self._lock:
            machines = self._world.machines
            if len(machines) < MEMBERS_MAX and self._rng.random() < 0.5:
                await self._add()
            elif len(machines) > 2:
                await self._replace(self._rng.choice(list(machines.values())))

    async def replace(self, machine: Machine) -> None:
        async with self._lock:
            if machine.name in self._world.machines:
                await self._remove(machine)
            await self._add()

    async def _remove_the_dead(self) -> None:
        """While a voter is dead for good nothing can be added, and no other one be spared."""
        for machine in list(self._world.machines.values()):
            if machine.is_beyond_repair:
                await self._remove(machine)

    async def _replace(self, machine: Machine) -> None:
        """Remove first: who is dead must not count any more when the new one comes."""
        await self._remove(machine)
        await self._add()

    async def _remove(self, machine: Machine) -> None:
        self._world.trace.say(f"{machine.name} is to be removed")
        member_id = machine.member_id
        self.removed.add(member_id)
        while member_id in await self._members():
            try:
                await self.ask(lambda node: node.change_membership(RemoveMember(member_id)))
            except MemberNotFound:
                break
            except _TRY_AGAIN as error:
                self._world.trace.say(f"{machine.name} is not removed: {error!r}")
                if not machine.is_beyond_repair:
                    await self._remove_the_dead()
                await asyncio.sleep(0.5)
        self.changes += 1
        self._world.retire(machine)

    async def _add(self) -> None:
        self._joined += 1
        machine = self._world.new_machine(f"n{self._joined}")
        is_learner = self._rng.random() < 0.6
        self._world.trace.say(f"{machine.name} is to join{' as a learner' * is_learner}")
        record = await self._added(machine, is_learner)
        machine.member_id = record.member_id
        machine.peers = {m.member_id: [m.url] for m in self._world.machines.values()}
        self._world.machines[machine.name] = machine
        machine.start(joining(record.member_id, self._world.cluster_id))
        self.changes += 1
        if is_learner:
            await self._promote(machine)

    async def _added(self, machine: Machine, is_learner: bool) -> MemberRecord:
        """A request whose outcome is not known is not asked again before it is seen whether it
        was done."""
        question = AddMember(0, (machine.url,), is_learner)
        while True:
            for record in (await self._members()).values():
                if machine.url in record.peer_urls:
                    return record
            try:
                members = await self.ask(lambda node: node.change_membership(question))
                # Where a second voter comes to a first one, the cluster now waits for it.
                return next(record for record in members if machine.url in record.peer_urls)
            except _TRY_AGAIN as error:
                self._world.trace.say(f"{machine.name} is not added: {error!r}")
                await self._remove_the_dead()
                await asyncio.sleep(0.5)

    async def _promote(self, machine: Machine) -> None:
        member_id = machine.member_id
        while True:
            record = (await self._members()).get(member_id)
            if record is None or not record.is_learner:
                return
            if machine.is_beyond_repair:
                # It will never catch up: it is replaced.
                return
            try:
                await self.ask(lambda node: node.change_membership(PromoteMember(member_id)))
                self.changes += 1
            except LearnerNotReady:
                await asyncio.sleep(0.5)
            except _TRY_AGAIN as error:
                self._world.trace.say(f"{machine.name} is not promoted: {error!r}")
                await self._remove_the_dead()
                await asyncio.sleep(0.5)

    async def _members(self) -> dict[int, MemberRecord]:
        """As a majority knows them."""

        async def call(node: Node) -> dict[int, MemberRecord]:
            await node.read_barrier()
            return dict(node.state.members)

        while True:
            try:
                members: dict[int, MemberRecord] = await self.ask(call)
                return members
            except _TRY_AGAIN:
                await asyncio.sleep(0.5)


_TRY_AGAIN = (ClusterError, NodeError, MvccError, Disconnected, TimeoutError)


def _hash_at(revision: int) -> Callable[[Node], Awaitable[Any]]:
    async def call(node: Node) -> Any:
        return await node.hash_kv(revision)

    return call
