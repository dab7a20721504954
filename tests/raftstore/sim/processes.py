"""Processes within one event loop: each with a clock of its own, to be paused and killed.

A process is known by its context: whatever a member's code schedules inherits it. So the loop can
tell whose callback it is about to run, and keep it back (SIGSTOP, a slow disk) or drop it
(SIGKILL); and `loop.time()` seen from inside is the machine's own clock, fast, slow or exact.
"""

import asyncio
import contextvars
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from base.virtualtime import VirtualTimeLoop

T = TypeVar("T")

# Callbacks of processes in one moment of virtual time; a busy one has a few hundred.
CALLS_MAX = 100_000

_process: "contextvars.ContextVar[Process | None]" = contextvars.ContextVar("process", default=None)


class MachineClock:
    """`base.clock.Clock` of one machine: its monotonic clock runs at `rate` of true time, its wall
    clock jumps. Outlives the processes of the machine."""

    def __init__(self, loop: "SimLoop", rate: float, epoch_s: float) -> None:
        self._loop = loop
        self._rate = rate
        self._epoch_s = epoch_s
        self._since_true_s = loop.true_time()
        self._since_s = 1000.0 * rate

    def now_s(self) -> float:
        return self._epoch_s + self.monotonic_s()

    def monotonic_s(self) -> float:
        return self._since_s + (self._loop.true_time() - self._since_true_s) * self._rate

    def true_time_of(self, monotonic_s: float) -> float:
        return self._since_true_s + (monotonic_s - self._since_s) / self._rate

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)

    def drift(self, rate: float) -> None:
        """From now on run at `rate`."""
        self._since_s = self.monotonic_s()
        self._since_true_s = self._loop.true_time()
        self._rate = rate

    def jump(self, duration_s: float) -> None:
        """Of the wall clock: somebody set it."""
        self._epoch_s += duration_s


class Process:
    """One life of a program on a machine. Its code runs only through what was made in `context`."""

    def __init__(self, loop: "SimLoop", clock: MachineClock, name: str) -> None:
        self.name = name
        self.clock = clock
        self.alive = True
        self.tasks: list[asyncio.Task[Any]] = []
        self.context = contextvars.copy_context()
        self.context.run(_process.set, self)
        self._loop = loop
        self._stopped_until = 0.0
        self._held: list[_Gated] = []
        self._leaving: list[Callable[[], None]] = []
        self._unheard: list[asyncio.Task[Any]] = []

    # -- what the world does to it

    def stop_for(self, duration_s: float) -> None:
        """It does nothing for so long; its clock goes on, and what it was to do piles up."""
        until = self._loop.true_time() + duration_s
        if self.alive and until > self._stopped_until:
            self._stopped_until = until
            self._loop.at(until, self._go_on)

    def kill(self) -> None:
        """It never runs again; what had not left it yet never leaves."""
        self.alive = False
        self._held.clear()
        self._leaving.clear()

    @property
    def is_stopped(self) -> bool:
        return self._loop.true_time() < self._stopped_until

    def run(self, call: Callable[..., object], *arguments: object) -> None:
        """Something from outside reaches it: soon, or when it goes on, or never."""
        if self.alive:
            self._loop.call_soon(call, *arguments, context=self.context)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        return self._loop.create_task(coroutine, context=self.context)

    def leaves(self, call: Callable[[], None]) -> None:
        """What its code lets out takes effect outside. While a sync is under way the code only
        seems to be past it: what it sends then leaves when the sync is done, or never."""
        if not self.alive:
            return
        if self.is_stopped:
            self._leaving.append(call)
        else:
            call()

    def _go_on(self) -> None:
        if not self.alive or self.is_stopped:
            return
        leaving, self._leaving = self._leaving, []
        for call in leaving:
            call()
        held, self._held = self._held, []
        for gated in held:
            gated.again()

    def hold(self, gated: "_Gated") -> None:
        self._held.append(gated)

    def remember(self, task: "asyncio.Task[Any]") -> None:
        if len(self.tasks) > 200:
            self.tasks = [task for task in self.tasks if not task.done() or _is_unheard(task)]
        self.tasks.append(task)

    def unheard_twice(self) -> "list[asyncio.Task[Any]]":
        """Tasks that have failed, and whose error nobody has taken since the last call."""
        unheard = [task for task in self.tasks if task.done() and _is_unheard(task)]
        before, self._unheard = self._unheard, unheard
        return [task for task in unheard if task in before]


def _is_unheard(task: "asyncio.Task[Any]") -> bool:
    # What asyncio itself goes by when it complains that an error was never retrieved.
    return bool(task._log_traceback)  # type: ignore[attr-defined]


class _Gated:
    """A callback of a process: run, kept back or dropped, as the process stands by then."""

    __slots__ = ("arguments", "callback", "handle", "loop", "process")

    def __init__(
        self,
        loop: "SimLoop",
        process: Process,
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
    ) -> None:
        self.loop = loop
        self.process = process
        self.callback = callback
        self.arguments = arguments
        self.handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        process = self.process
        if not process.alive or (self.handle is not None and self.handle.cancelled()):
            return
        if process.is_stopped:
            process.hold(self)
            return
        self.loop.count_call(process)
        self.callback(*self.arguments)

    def again(self) -> None:
        self.loop.call_ungated(self, self.process.context)


class SimLoop(VirtualTimeLoop):
    """Virtual time, with processes. Outside of any process it is an ordinary loop."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self._counted_s = 0.0
        self._calls = 0
        super().__init__()

    def true_time(self) -> float:
        return self._virtual_now_s

    def time(self) -> float:
        process = _process.get()
        return self._virtual_now_s if process is None else process.clock.monotonic_s()

    def process(self, clock: MachineClock, name: str) -> Process:
        process = Process(self, clock, name)
        self.processes.append(process)
        return process

    def at(self, true_s: float, callback: Callable[..., object], *arguments: object) -> None:
        """Of the world itself, not of a process."""
        super().call_at(true_s, callback, *arguments, context=_WORLD)  # type: ignore[arg-type]

    def after(self, delay_s: float, callback: Callable[..., object], *arguments: object) -> None:
        self.at(self._virtual_now_s + delay_s, callback, *arguments)

    def call_ungated(self, callback: Callable[..., object], context: contextvars.Context) -> None:
        super().call_soon(callback, context=context)

    def count_call(self, process: Process) -> None:
        """Time stands still while anything is to do: who never comes to rest would stop it."""
        if self._virtual_now_s != self._counted_s:
            self._counted_s, self._calls = self._virtual_now_s, 0
        self._calls += 1
        if self._calls > CALLS_MAX:
            process.kill()
            context = {"message": f"{process.name} never comes to rest"}
            self.call_exception_handler(context)

    # -- AbstractEventLoop

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.is_closed():
            # Something that the run left behind is let go of: nobody is there any more.
            return asyncio.Handle(callback, args, self, context)
        process = _process.get() if context is None else context.get(_process)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        gated = _Gated(self, process, callback, args)
        handle = super().call_soon(gated, context=context)
        gated.handle = handle
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        process = _process.get() if context is None else context.get(_process)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        gated = _Gated(self, process, callback, args)
        true_s = process.clock.true_time_of(when)
        handle = super().call_at(true_s, gated, context=context)
        gated.handle = handle
        return handle

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task = super().create_task(coro, name=name, context=context)
        process = _process.get() if context is None else context.get(_process)
        if process is not None:
            process.remember(task)
        return task


_WORLD = contextvars.Context()


def run(main: Callable[[SimLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on a fresh loop. What its processes left is let go of without running it."""
    loop = SimLoop()
    collecting = gc.isenabled()
    # Finalizers would run at moments that no seed decides.
    gc.disable()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main(loop))
    finally:
        _bury(loop)
        asyncio.set_event_loop(None)
        loop.close()
        if collecting:
            gc.enable()


def _bury(loop: SimLoop) -> None:
    for process in loop.processes:
        process.kill()
    loop.set_exception_handler(lambda loop, context: None)
    for task in asyncio.all_tasks(loop):
        # The C task takes this attribute; typeshed does not know it.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        try:
            task.get_coro().close()  # type: ignore[union-attr]
        except (RuntimeError, ValueError):
            # It waits for something in its `finally`, or is the one that runs: it ends with the
            # loop.
            continue
    loop.run_until_complete(loop.shutdown_asyncgens())
    for process in loop.processes:
        process.tasks.clear()
    # What refers to itself goes while there is a loop to tell of it.
    gc.collect()
