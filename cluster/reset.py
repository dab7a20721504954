"""`pinnace reset`: everything of ours leaves this machine, whatever state it was left in."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cluster import control, daemons, leftovers, options, packages, pods, preflight, supervisor
from cluster.errors import CommandError
from cluster.options import Options
from cluster.paths import Layout
from cluster.steps import Steps

NOT_CONFIRMED = 2
CALL_S = 60.0
KILL_S = 10.0
ROUNDS = 5
FIXED_PLACES = (
    leftovers.SHIM_SOCKETS,
    leftovers.SHIM_SOCKETS.parent,
    leftovers.CNI_RESULTS,
    leftovers.CNI_RESULTS.parent,
)


def main(argv: list[str]) -> int:
    parser = options.data_dir_parser("reset", "Stop everything and remove all that is Pinnace's.")
    parser.add_argument("--yes", action="store_true", help="do it; without, say what would go")
    parser.add_argument("--cgroup-root", help="where its record is lost and it is not /pinnace")
    arguments = parser.parse_args(argv)
    layout = options.layout_of(arguments)
    preflight.require_ours(layout)
    chosen = _saved_options(layout)
    if arguments.cgroup_root:
        chosen = replace(chosen, cgroup_root=arguments.cgroup_root)
    left_packages = _packages(layout)
    if not arguments.yes:
        return _tell(layout, chosen)
    steps = Steps()
    for text, remove in _removals(layout, chosen):
        with steps.step(text):
            remove()
    remaining = leftovers.find(layout, chosen.cgroup_root)
    if remaining:
        names = "; ".join(f"{left.kind} {left.what}" for left in remaining[:5])
        raise CommandError(f"{len(remaining)} things are still there: {names}")
    print("\nNothing of the cluster is left on this machine.")
    if left_packages:
        print(f"Debian packages that it installed, left in place: {', '.join(left_packages)}")
    return 0


def _saved_options(layout: Layout) -> Options:
    """The options of the last `up`; a file that cannot be read must not keep it from going."""
    try:
        return options.load(layout)
    except CommandError as error:
        print(f"pinnace reset: {error}; going on with the defaults", file=sys.stderr)
        return Options()


def _packages(layout: Layout) -> list[str]:
    launcher = Path(sys.prefix) / "pinnace.packages"
    return [*packages.recorded(layout.packages), *packages.recorded(launcher)]


def _tell(layout: Layout, chosen: Options) -> int:
    found = leftovers.find(layout, chosen.cgroup_root)
    if not found:
        print("nothing of Pinnace's is on this machine")
        return 0
    print("pinnace reset --yes would end or remove, with all data of the cluster:")
    for left in found:
        print(f"  {left.kind}: {left.what}")
    return NOT_CONFIRMED


def _removals(layout: Layout, chosen: Options) -> list[tuple[str, Callable[[], None]]]:
    """What reset does, in its order; each step does what is there to do and no more."""
    # Found by the sandboxes that there are: to be listed before the first of them goes.
    outside = leftovers.outside(layout)
    return [
        ("pods", lambda: _remove_pods(layout, chosen)),
        ("daemons", lambda: _stop_daemons(layout)),
        ("processes", lambda: _kill_processes(layout, chosen)),
        ("network", lambda: _remove_network(layout)),
        ("mounts", lambda: _unmount(layout)),
        ("cgroups", lambda: _remove_cgroups(chosen)),
        ("files", lambda: _remove_files(layout, outside)),
    ]


def _remove_pods(layout: Layout, chosen: Options) -> None:
    """The orderly way, through containerd. Where that does not work the next steps do it."""
    if not layout.containerd_config.exists():
        return
    try:
        pods.only_containerd(layout, chosen, daemons.environment(os.environ))
        pods.stop_all(layout, grace_s_max=0, remove=True)
    except (CommandError, OSError) as error:
        print(f"pinnace reset: {error}; killing what runs instead", file=sys.stderr)


def _stop_daemons(layout: Layout) -> None:
    control.stop(layout)
    control.stop_orphans(layout)


def _kill_processes(layout: Layout, chosen: Options) -> None:
    """Shims and containers that outlived the orderly way. More than one round: a shim that dies
    lets its container go on, one that lives may start another process."""
    for _ in range(ROUNDS):
        pids = leftovers.processes(layout, chosen.cgroup_root)
        if not pids:
            return
        for pid in pids:
            _kill(pid)
    raise CommandError(f"processes {pids} do not end")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            control.wait_ended(pidfd, KILL_S)
        finally:
            os.close(pidfd)


def _remove_network(layout: Layout) -> None:
    from cni.server.firewall import FirewallFailure
    from cni.server.netlink import NetlinkFailure
    from cni.server.teardown import remove_all

    try:
        asyncio.run(remove_all(layout.data_dir / "cni"))
    except (NetlinkFailure, FirewallFailure) as error:
        raise CommandError(f"the pod network could not be removed: {error}") from error
    _run([*daemons.program("netproxy"), "--cleanup"])


def _unmount(layout: Layout) -> None:
    for _ in range(ROUNDS):
        points = leftovers.mounts(layout)
        if not points:
            return
        for point in points:
            # A busy one is detached: nothing of ours runs, so nobody can miss it.
            with contextlib.suppress(CommandError):
                _run(["umount", "--lazy", point])
    raise CommandError(f"cannot unmount {points[0]}")


def _remove_cgroups(chosen: Options) -> None:
    """rmdir refuses a cgroup that has a process; a dying one needs a moment to leave."""
    deadline_s = supervisor.now_s() + KILL_S
    while remaining := leftovers.cgroups(chosen.cgroup_root):
        for path in remaining:
            with contextlib.suppress(OSError):
                path.rmdir()
        if supervisor.now_s() > deadline_s:
            raise CommandError(f"cannot remove the cgroup {remaining[0]}")


def _remove_files(layout: Layout, outside: list[Path]) -> None:
    for path in [*outside, *leftovers.files(layout)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for directory in FIXED_PLACES:
        # Made by our containerd where nobody had them: they stay where anybody else uses them.
        with contextlib.suppress(OSError):
            directory.rmdir()


def _run(argv: list[str]) -> None:
    done = subprocess.run(
        argv,
        env={"PATH": packages.PATH, "HOME": "/root"},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
        cwd="/",
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CommandError(f"{' '.join(argv[-2:])}: {lines[-1]}")
