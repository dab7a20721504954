"""`pinnace controlplane`: store, API, controllers and scheduler in one process and one loop."""

import os

# Read by grpc at import: its fork handlers print warnings whenever a child process is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import asyncio
import gc
import logging
import random
import signal
import sys
from collections.abc import Sequence

import uvloop

import base.log
from base.clock import SystemClock
from controlplane import flags as flag_module
from controlplane.flags import Flags
from controlplane.process import ControlPlane, StartError

log = logging.getLogger("controlplane")

SWITCH_INTERVAL_S = 0.0005
"""A thread's answer waits for the loop thread to let go of the interpreter."""


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    flags = flag_module.parse(argv)
    base.log.setup(flags.verbosity)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(flags))
    except StartError as error:
        print(f"pinnace controlplane: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _serve(flags: Flags) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    plane = ControlPlane(flags, SystemClock(), random.SystemRandom())
    stop = asyncio.ensure_future(stopped.wait())
    # A start may have to wait for the store.
    start = asyncio.ensure_future(plane.start())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait({start})
        return
    await start
    try:
        # What is loaded by now stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        failed = asyncio.ensure_future(plane.failed())
        await asyncio.wait({failed, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in (failed, stop):
            task.cancel()
        if failed.done() and not failed.cancelled():
            raise StartError(str(failed.result()))
    finally:
        await plane.stop()
