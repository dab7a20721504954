"""`pinnace status` and `pinnace kubeconfig`: what runs, and how to reach it."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path

from cluster import control, options, preflight
from cluster.api import Api, ApiError
from cluster.control import DaemonStatus
from cluster.errors import CommandError, command_name
from cluster.up import node_state

# As systemctl status: 0 all is well, 1 something is wrong, 3 it does not run.
WELL, WRONG, STOPPED = 0, 1, 3


def main(argv: list[str]) -> int:
    parser = options.data_dir_parser(
        "status", "What runs. Exit code 0: all is well; 1: something is wrong; 3: nothing runs."
    )
    layout = options.layout_of(parser.parse_args(argv))
    preflight.require_ours(layout)
    running = control.daemons(layout)
    if running is None:
        orphans = sorted(preflight.own_pids(layout))
        if orphans:
            print(f"processes {orphans} run without a supervisor: {command_name()} up takes them")
            return WRONG
        print(f"the cluster is down: start it with {command_name()} up")
        return STOPPED
    chosen = options.load(layout)
    server, node = "not ready", "unknown"
    name = options.node_name(chosen)
    try:
        api = Api(layout, chosen)
        server = "ready" if api.text("/readyz") == "ok" else "not ready"
        node = node_state(api, name)
    except (OSError, http.client.HTTPException, ApiError, json.JSONDecodeError) as error:
        server = f"{server}: {error}"
    print(f"API server  {options.server(chosen)}  {server}")
    print(f"node        {name}  {node}")
    print(f"data        {layout.data_dir}")
    print(f"kubeconfig  {layout.kubeconfig}\n")
    print("\n".join(table(running)))
    well = server == "ready" and node == "Ready" and all(daemon.pid for daemon in running)
    return WELL if well else WRONG


def table(running: Sequence[DaemonStatus]) -> list[str]:
    """A line per daemon."""
    lines = [f"{'DAEMON':14}{'PID':>8}{'UP':>9}{'MEMORY':>10}{'RESTARTS':>10}"]
    for daemon in running:
        head = f"{daemon.name:14}{daemon.pid or '-':>8}"
        if daemon.pid:
            lines.append(
                f"{head}{age(daemon.age_s):>9}{memory_mb(daemon.pid):>7.0f} MB{daemon.restarts:>10}"
            )
        else:
            lines.append(f"{head}  down: {daemon.last_exit}; next start in {daemon.due_in_s:.0f} s")
    return lines


def age(duration_s: float) -> str:
    """As kubectl's ages: 42s, 7m, 5h, 12d."""
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if duration_s >= 2 * size_s:
            return f"{duration_s / size_s:.0f}{unit}"
    return f"{duration_s:.0f}s"


def memory_mb(pid: int) -> float:
    """The process' own memory (RssAnon: what it alone would give back), in MB."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [line.split() for line in text.splitlines() if line.startswith("RssAnon:")]
    return int(sizes[0][1]) / 1024 if sizes else 0.0


def kubeconfig(argv: list[str]) -> int:
    parser = options.data_dir_parser("kubeconfig", "Print the path of the kubeconfig.")
    layout = options.layout_of(parser.parse_args(argv))
    try:
        there = layout.kubeconfig.exists()
    except PermissionError:
        there = True
    if not there:
        raise CommandError(f"no cluster was started in {layout.data_dir}: {command_name()} up")
    print(layout.kubeconfig)
    return 0
