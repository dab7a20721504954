"""`pinnace netproxy`: the daemon in the foreground, until SIGTERM or SIGINT.

When it ends, the rules stay: traffic flows on while it restarts. `--cleanup` takes them away.
"""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
from collections.abc import Callable

# iptables-restore is started while gRPC's threads run; its fork handlers only complain then.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import uvloop

from base import log, process
from base.clock import SystemClock
from kubeapi.grpc_client import connect
from kubeapi.informer import SharedInformers
from netproxy import flags
from netproxy.backends import Backend, BackendFailure
from netproxy.backends.iptables import IptablesBackend
from netproxy.metrics import Metrics
from netproxy.model import RuleSet
from netproxy.statuspage import StatusPage, pages
from netproxy.syncer import Syncer
from netproxy.tracker import Tracker

logger = logging.getLogger("netproxy")

BACKENDS: dict[str, Callable[[], Backend]] = {"iptables": IptablesBackend}


def main(argv: list[str]) -> int:
    """Exit status: 0, or 1 with one line on standard error."""
    wanted = flags.parse(argv)
    log.setup(wanted.verbosity)
    try:
        uvloop.run(cleanup(wanted) if wanted.cleanup else serve(wanted))
    except (OSError, ValueError, BackendFailure, process.ProcessFailure) as error:
        print(f"pinnace netproxy: {error}", file=sys.stderr)  # noqa: T201 - for who started us
        return 1
    return 0


async def cleanup(wanted: flags.Flags) -> None:
    if await BACKENDS[wanted.proxy_mode]().cleanup():
        logger.info("removed all rules of Pinnace's Service proxy")


async def serve(wanted: flags.Flags) -> None:
    """Run until told to stop."""
    if os.geteuid() != 0:
        raise ValueError("needs root to change packet filter rules")
    process.find("iptables-restore")
    client = connect(wanted.server, wanted.ca_file, wanted.cert_file, wanted.key_file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock, rng = SystemClock(), random.Random()  # noqa: S311 - jitter
    metrics = Metrics(wanted.proxy_mode)
    syncer = Syncer(
        BACKENDS[wanted.proxy_mode](),
        clock,
        rng,
        metrics,
        min_interval_s=wanted.min_sync_period_s,
        resync_every_s=wanted.sync_period_s,
    )
    informers = SharedInformers(client, rng)
    tracker = Tracker(informers, wanted.hostname_override, _base(wanted), syncer.wake)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        for address in sorted({wanted.metrics_bind_address, wanted.healthz_bind_address} - {""}):
            page = StatusPage(address, pages(metrics, clock))
            await page.start()
            stack.push_async_callback(page.stop)
        informers.start()
        stack.push_async_callback(informers.stop)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(_keep_rules(informers, syncer, tracker))
            await stop.wait()
            work.cancel()


async def _keep_rules(informers: SharedInformers, syncer: Syncer, tracker: Tracker) -> None:
    """Write nothing before everything was listed once: half the Services would vanish."""
    await informers.wait_synced()
    await syncer.run(tracker.rules)


def _base(wanted: flags.Flags) -> RuleSet:
    return RuleSet(
        cluster_cidr=wanted.cluster_cidr,
        localhost_node_ports=wanted.localhost_node_ports,
        node_port_addresses=wanted.node_port_addresses,
    )
