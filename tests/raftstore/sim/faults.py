"""What goes wrong: one thing after the other, and several at once, as the seed has it.

Never more than a cluster must survive: at any time at most a minority of its voters has lost what
was on its disk. Everything else may happen to all of them at once.
"""

import asyncio
import errno
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.machines import Machine
from sim.network import Weather
from sim.processes import SimLoop

if TYPE_CHECKING:
    from sim.world import World

RATE_MIN, RATE_MAX = 0.9, 1.1


class Faults:
    def __init__(self, world: "World", rng: random.Random) -> None:
        self._world = world
        self._loop: SimLoop = world.loop
        self._rng = rng
        self._on = True
        self._several = list(world.machines.values())[1:] != []
        kinds = dict(_ALONE)
        if self._several:
            kinds.update(_TOGETHER)
        # A seed has its own mixture, and some faults not at all.
        self._kinds = {kind: rng.random() * weight for kind, weight in kinds.items()}
        for kind in rng.sample(list(self._kinds), len(self._kinds) // 3):
            self._kinds[kind] = 0.0
        self._pause_s = rng.choice((0.3, 1.0, 2.0))
        self.counts: dict[str, int] = {}

    async def run(self) -> None:
        """Until `stop`."""
        while self._on:
            await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
            if self._on and any(self._kinds.values()):
                [kind] = self._rng.choices(list(self._kinds), list(self._kinds.values()))
                if kind in _TOGETHER and len(self._world.machines) == 1:
                    continue
                self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
                kind(self)

    def stop(self) -> None:
        """All is well from now on, but for what was destroyed."""
        self._on = False
        world = self._world
        world.trace.say("the faults stop")
        world.network.weather = Weather()
        world.network.cut.clear()
        for machine in world.machines.values():
            machine.clock.drift(1.0)
            machine.files.sync_s = _no_time
            machine.files.before = lambda what, path: None

    # -- machines

    def _any(self) -> Machine:
        return self._rng.choice(list(self._world.machines.values()))

    def _victim(self) -> Machine:
        """The leader more often than others."""
        leader = self._world.leader()
        return leader if leader is not None and self._rng.random() < 0.4 else self._any()

    def _later(self, call: Callable[[], None], mean_s: float) -> None:
        def unless_over() -> None:
            if self._on:
                call()

        self._loop.after(self._rng.expovariate(1 / mean_s), unless_over)

    def kill(self) -> None:
        machine = self._victim()
        if machine.is_up:
            machine.kill()
            self._later(machine.start_again, 1.0)

    def lose_power(self) -> None:
        machine = self._victim()
        if machine.is_up:
            machine.lose_power()
            self._later(machine.start_again, 1.0)

    def lose_power_at_a_step(self) -> None:
        """In the middle of whatever the member does on its disk, be it the opening."""
        machine = self._victim()

        def now() -> None:
            if machine.is_up and self._on:
                machine.lose_power()
                self._later(machine.start_again, 1.0)

        machine.files.at_step(self._rng.randrange(1, 40), now)

    def lose_all_power(self) -> None:
        """The whole room goes dark."""
        for machine in self._world.machines.values():
            if machine.is_up:
                machine.lose_power()
                self._later(machine.start_again, 1.0)

    def lose_all_power_at_a_step(self) -> None:
        """What one has said before its disk had it, all have heard in vain."""

        def now() -> None:
            if self._on:
                self.lose_all_power()

        self._victim().files.at_step(self._rng.randrange(1, 40), now)

    def restart(self) -> None:
        machine = self._victim()
        if machine.node is not None:
            self._world.spawn(machine.stop())
            self._later(machine.start_again, 1.0)

    def pause(self) -> None:
        machine = self._victim()
        duration_s = self._rng.choice((0.05, 0.5, 1.5, 4.0)) * self._rng.random()
        machine.pause(duration_s)

    def slow_disk(self) -> None:
        files, rng = self._victim().files, self._rng
        worst_s = rng.choice((0.005, 0.05, 0.5))
        files.sync_s = lambda: rng.random() * worst_s

        def quick() -> None:
            files.sync_s = _no_time

        self._later(quick, 2.0)

    def failing_disk(self) -> None:
        machine = self._victim()
        what = self._rng.choice(("sync", "sync", "write", "create", "rename"))
        error = errno.EIO if what == "sync" else errno.ENOSPC
        machine.files.fail(what, self._rng.randrange(1, 6), error)
        self._world.trace.say(f"{machine.name}: {what} will fail")

        def mend() -> None:
            machine.files.before = lambda what, path: None

        self._later(mend, 2.0)

    def flip_bit(self) -> None:
        """At rest: the machine is off meanwhile."""
        machine = self._any()
        if machine.damage is not None or not self._world.may_destroy(machine):
            return
        if machine.is_up:
            machine.lose_power()
        machine.damage = machine.files.flip_bit(self._rng)
        if machine.damage is not None:
            path, bit = machine.damage
            self._world.trace.say(f"{machine.name}: bit {bit} of {path} flips")
        self._later(machine.start_again, 0.5)

    def drift(self) -> None:
        self._any().clock.drift(self._rng.uniform(RATE_MIN, RATE_MAX))

    def jump(self) -> None:
        self._any().clock.jump(self._rng.uniform(-5000.0, 5000.0))

    # -- the network

    def weather(self) -> None:
        rng = self._rng
        chance = rng.choice((0.0, 0.02, 0.1, 0.3))
        self._world.network.weather = Weather(
            delay_min_s=0.0002,
            delay_max_s=rng.choice((0.001, 0.01, 0.05, 0.2)),
            lost=rng.random() * chance,
            repeated=rng.random() * chance,
            late=rng.random() * chance,
            late_s=rng.choice((0.1, 1.0, 4.0)),
            broken=rng.random() * chance,
            in_order=rng.random() < 0.5,
        )
        self._world.trace.say(f"{self._world.network.weather}")

    def partition(self) -> None:
        machines = list(self._world.machines.values())
        self._rng.shuffle(machines)
        place = self._rng.randrange(1, len(machines))
        self._cut(machines[:place], machines[place:])

    def isolate_leader(self) -> None:
        leader = self._world.leader()
        if leader is not None:
            self._cut([leader], [m for m in self._world.machines.values() if m is not leader])

    def one_way(self) -> None:
        machine = self._victim()
        others = [m for m in self._world.machines.values() if m is not machine]
        pairs = [(machine.url, other.url) for other in others]
        if self._rng.random() < 0.5:
            pairs = [(target, source) for source, target in pairs]
        self._world.network.cut.update(pairs)
        self._world.trace.say(f"cut one way: {pairs}")
        self._later(self._world.network.cut.clear, 2.0)

    def cut_one_link(self) -> None:
        """Two members that both reach the others."""
        one, other = self._rng.sample(list(self._world.machines.values()), 2)
        self._cut([one], [other])

    def _cut(self, one_side: list[Machine], other_side: list[Machine]) -> None:
        for one in one_side:
            for other in other_side:
                self._world.network.cut |= {(one.url, other.url), (other.url, one.url)}
        self._world.trace.say(f"cut off: {', '.join(m.name for m in one_side)}")
        self._later(self._world.network.cut.clear, self._rng.choice((1.0, 4.0)))

    # -- what operators do

    def transfer(self) -> None:
        self._world.spawn(self._world.admin.transfer())

    def compare(self) -> None:
        self._world.spawn(self._world.admin.compare())

    def change_members(self) -> None:
        self._world.spawn(self._world.admin.change_members())


def _no_time() -> float:
    return 0.0


_ALONE: dict[Callable[[Faults], None], float] = {
    Faults.kill: 2.0,
    Faults.lose_power: 1.5,
    Faults.lose_power_at_a_step: 3.0,
    Faults.restart: 1.0,
    Faults.pause: 2.0,
    Faults.slow_disk: 1.0,
    Faults.failing_disk: 1.0,
    Faults.flip_bit: 1.0,
    Faults.drift: 1.0,
    Faults.jump: 0.3,
}
_TOGETHER: dict[Callable[[Faults], None], float] = {
    Faults.lose_all_power: 0.4,
    Faults.lose_all_power_at_a_step: 1.2,
    Faults.weather: 2.0,
    Faults.partition: 1.5,
    Faults.isolate_leader: 1.5,
    Faults.one_way: 1.0,
    Faults.cut_one_link: 1.0,
    Faults.compare: 1.0,
    Faults.transfer: 1.5,
    Faults.change_members: 1.5,
}
