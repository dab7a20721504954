"""`pinnace nodeagent`: one process, one loop; SIGTERM ends it at once and leaves containers."""

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
from nodeagent import flags as flag_module
from nodeagent.agent import Agent, StartError
from nodeagent.flags import Flags

log = logging.getLogger("nodeagent")

# A thread's answer (the CNI server's) waits for the loop thread to let go of the interpreter.
SWITCH_INTERVAL_S = 0.0005
STOP_LIMIT_S = 2.0


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    flags = flag_module.parse(argv)
    if os.geteuid() != 0:
        print("pinnace nodeagent: needs root", file=sys.stderr)  # noqa: T201
        return 1
    base.log.setup(flags.verbosity)
    # It logs each netlink attribute.
    logging.getLogger("pyroute2").setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(flags))
    except StartError as error:
        print(f"pinnace nodeagent: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except Exception:
        log.exception("the agent failed")
        return 1
    return 0


async def _serve(flags: Flags) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    agent = asyncio.create_task(Agent(flags, SystemClock(), random.SystemRandom()).run())
    stop = asyncio.create_task(stopped.wait())
    gc.collect()
    # What is loaded by now stays; the collector need not look at it again.
    gc.freeze()
    await asyncio.wait({agent, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not agent.done():
        agent.cancel()
        await asyncio.wait({agent}, timeout=STOP_LIMIT_S)
    if agent.done() and not agent.cancelled():
        agent.result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
