"""A machine: a clock, a disk, and one member on it that lives, stops, dies and comes back."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raftstore.disk import DiskError, Founding
from raftstore.errors import ClusterError, NodeError, Removed
from raftstore.mvcc import MvccError, PublishMember
from raftstore.node import Node
from raftstore.node.member import Options
from sim.disks import SimFiles
from sim.network import Network, SimTransport
from sim.processes import MachineClock, Process, SimLoop
from sim.trace import Trace, Violation
from sim.witness import Witness

STORE = Path("/store")


class Disconnected(Exception):
    """The member was not there, or died before it answered."""


@dataclass
class Life:
    """One process of the machine, with the node once it is open."""

    process: Process
    node: Node | None = None
    failure: BaseException | None = None


class Machine:
    """`damage`: a bit was flipped, (file, bit) to flip back."""

    def __init__(
        self,
        loop: SimLoop,
        network: Network,
        trace: Trace,
        witness: Witness,
        rng: random.Random,
        name: str,
        options: Options,
        rate: float,
    ) -> None:
        self.name = name
        self.url = f"http://{name}:2380"
        self.options = options
        self.member_id = 0
        self.clock = MachineClock(loop, rate, 1_700_000_000.0 + rng.uniform(-100.0, 100.0))
        self.files = SimFiles(loop.true_time)
        # Where others are to be reached, for one that joins: as --initial-cluster tells it.
        self.peers: dict[int, list[str]] = {}
        self.lives = 0
        self.is_beyond_repair = False
        self.damage: tuple[Path, int] | None = None
        self._loop = loop
        self._network = network
        self._trace = trace
        self._witness = witness
        self._rng = rng
        self._life: Life | None = None
        self._waiting: dict[asyncio.Future[Any], None] = {}

    # -- what there is to see

    @property
    def is_up(self) -> bool:
        """Whether a process is there; it may be opening its store, or have failed."""
        return self._life is not None

    @property
    def node(self) -> Node | None:
        """Open, and not failed."""
        life = self._life
        if life is None or life.node is None or life.node.failure is not None:
            return None
        return life.node

    @property
    def failure(self) -> BaseException | None:
        """Why the process cannot go on."""
        if self._life is None:
            return None
        node = self._life.node
        return node.failure if node is not None else self._life.failure

    @property
    def process(self) -> Process:
        assert self._life is not None
        return self._life.process

    @property
    def label(self) -> str:
        return f"{self.name}.{self.lives}"

    # -- life and death

    def start(self, founding: Founding | None = None) -> None:
        """For the first time as `founding` says."""
        assert self._life is None, f"{self.name} is running"
        self.lives += 1
        process = self._loop.process(self.clock, self.label)
        life = self._life = Life(process)
        self.files.slow = process.stop_for
        self._trace.say(f"{self.label} starts")
        process.spawn(self._run(life, founding))

    async def _run(self, life: Life, founding: Founding | None) -> None:
        transport = SimTransport(self._network, life.process, self.url, self._trace)
        rng = random.Random(self._rng.random())
        try:
            node = await Node.open(
                STORE, self.clock, rng, self.options, self.files, founding, transport
            )
        except (DiskError, Removed) as error:
            self._trace.say(f"{life.process.name} does not start: {error}")
            life.failure = error
            return
        except Exception as error:
            self._witness.violate(f"{life.process.name} does not start: {error!r}")
            raise
        life.node = node
        node.meet(self.peers)
        self.member_id = node.member_id
        self._trace.say(f"{life.process.name} is open, term {node.term}")
        self._witness.watch(node, life.process)
        await self._publish(node)

    async def _publish(self, node: Node) -> None:
        """As the program does after its start: say one's name, until the cluster has heard it."""
        record = node.state.members.get(node.member_id)
        while record is None or not record.name:
            try:
                await node.propose(PublishMember(node.member_id, self.name, (self.url,)))
                return
            except NodeError as error:
                if node.failure is not None:
                    return
                self._trace.say(f"{self.label} is not published: {error}")
                await self.clock.sleep(0.5)
            except MvccError:
                return

    def check_tasks(self) -> None:
        """A task that ended in an error which nobody has taken: a defect that stays unheard of."""
        if self._life is None or self._life.process.is_stopped:
            return
        for task in self._life.process.unheard_twice():
            self._witness.violate(f"{self.label}: unheard of: {task.exception()!r} of {task}")

    def kill(self) -> None:
        """SIGKILL: what was written is there, synced or not."""
        self._trace.say(f"{self.label} is killed")
        self._end()
        self.files = self.files.after_kill()

    def lose_power(self) -> None:
        self._trace.say(f"{self.label} loses power")
        self._end()
        self.files = self.files.after_power_loss(self._rng)

    async def stop(self) -> None:
        """As by SIGTERM."""
        life, node = self._life, self.node
        if node is not None:
            # It may be killed while it stops.
            with contextlib.suppress(Disconnected):
                await self.request(lambda node: node.close())
        if self._life is not None and self._life is life:
            self._trace.say(f"{self.label} has stopped")
            self._end()
            self.files = self.files.after_kill()

    def pause(self, duration_s: float) -> None:
        if self._life is not None:
            self._trace.say(f"{self.label} is stopped for {duration_s:.3f} s")
            self._life.process.stop_for(duration_s)

    def start_again(self) -> None:
        """Unless it runs, or is never to run again."""
        if self._life is None and not self.is_beyond_repair:
            self.start()

    def bury(self) -> None:
        """The process has failed: it ends, by a loss of power for all that is known."""
        self._trace.say(f"{self.label} ends")
        self._end()
        if self.damage is None:
            self.files = self.files.after_power_loss(self._rng)
        else:
            self.files = self.files.after_kill()

    def put_back(self) -> None:
        """The damaged file is put back from a copy, if it is still there."""
        assert self.damage is not None
        path, bit = self.damage
        if self.files.exists(path):
            self._trace.say(f"{self.name}: {path} is put back")
            self.files.flip(path, bit)
        self.damage = None

    def give_up(self) -> None:
        """The disk is beyond repair: the machine is not started any more."""
        self.is_beyond_repair = True

    def end(self) -> None:
        """It is not in the cluster any more."""
        self.is_beyond_repair = True
        if self._life is not None:
            self._trace.say(f"{self.label} is switched off")
            self._end()

    def _end(self) -> None:
        if self._life is not None:
            self._life.process.kill()
            self._life = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_exception(Disconnected())

    # -- its door for clients

    async def request(self, call: Callable[[Node], Awaitable[Any]]) -> Any:
        """What `call` gives, run inside the process. Raises what it raises, or Disconnected."""
        life = self._life
        if life is None or life.node is None:
            raise Disconnected
        node = life.node
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = None
        life.process.spawn(self._serve(life.process, node, call, answer))
        try:
            return await answer
        finally:
            self._waiting.pop(answer, None)

    async def _serve(
        self,
        process: Process,
        node: Node,
        call: Callable[[Node], Awaitable[Any]],
        answer: "asyncio.Future[Any]",
    ) -> None:
        result: Any = None
        failure: Exception | None = None
        try:
            result = await call(node)
        except (MvccError, NodeError, ClusterError) as error:
            failure = error
        except Exception as error:
            failure = Violation(f"{process.name} raised {error!r}")
            failure.__cause__ = error

        def leave() -> None:
            if answer.done():
                return
            if failure is not None:
                answer.set_exception(failure)
            else:
                answer.set_result(result)

        process.leaves(leave)
