"""`pinnace raftstore`: one member of the replicated store, in the foreground."""

import os

# Read by grpc at import: its fork handlers print warnings whenever a child process is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# Connections of members that come and go are nothing to tell; ours are told by the transport.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

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
from raftstore.daemon import flags as flag_module
from raftstore.daemon import notify
from raftstore.daemon.flags import Flags
from raftstore.daemon.flagtable import FlagError, HelpAsked

USAGE_ERROR = 2
SWITCH_INTERVAL_S = 0.0005
"""A thread's answer waits for the loop thread to let go of the interpreter."""
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code: 2 for flags, 1 for a store that cannot
    be opened or go on."""
    try:
        flags = flag_module.parse(argv, os.environ)
    except HelpAsked:
        print(_help())  # noqa: T201
        return 0
    except FlagError as error:
        _complain(error)
        return USAGE_ERROR
    base.log.setup()
    logging.getLogger().setLevel(_LEVELS[flags.log_level])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return _run(flags)


def _run(flags: Flags) -> int:
    # What follows takes 50 ms to load: after the flags.
    from raftstore.daemon.process import StartError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(flags))
    except FlagError as error:
        _complain(error)
        return USAGE_ERROR
    except StartError as error:
        _complain(error)
        return 1
    return 0


async def _serve(flags: Flags) -> None:
    from raftstore.daemon.process import StartError, open_store

    log = logging.getLogger("raftstore")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    for variable in flags.unknown_variables:
        log.warning("unrecognized environment variable %s", variable)
    store = await open_store(flags, SystemClock(), random.SystemRandom())
    stop = asyncio.ensure_future(stopped.wait())
    failed = asyncio.ensure_future(store.failed())
    ready = asyncio.ensure_future(store.ready())
    try:
        await asyncio.wait({stop, failed, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            # What is loaded by now stays; the collector need not look at it again.
            gc.collect()
            gc.freeze()
            print(ready.result(), flush=True)  # noqa: T201
            notify.tell("READY=1")
            await asyncio.wait({stop, failed}, return_when=asyncio.FIRST_COMPLETED)
        notify.tell("STOPPING=1")
        if failed.done():
            raise StartError(failed.result())
    finally:
        for task in (stop, failed, ready):
            task.cancel()
        await asyncio.gather(stop, failed, ready, return_exceptions=True)
        await store.close()


def _help() -> str:
    return (
        "usage: pinnace raftstore [FLAGS]\n\nRun one member of the replicated store, in the "
        "foreground. Flags and ETCD_* variables\nare etcd's; docs/store.md tells how to run a "
        f"cluster.\n\n{flag_module.TABLE.help_text()}"
    )


def _complain(error: Exception) -> None:
    print(f"pinnace raftstore: {error}", file=sys.stderr)  # noqa: T201
