"""What must hold before anything is started: each failure is one line that says what to do."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from cluster import control, supervisor
from cluster.errors import CommandError
from cluster.packages import PATH
from cluster.paths import Layout

MODULES = ("overlay", "bridge", "veth", "nf_conntrack")
CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "memory", "pids")
# What agent and proxy serve: kubelet's port, kube-proxy's metrics and health.
NODE_PORTS = (10249, 10256)
CALL_S = 20.0
# linux/sockios.h
_SIOCBRADDBR, _SIOCBRDELBR = 0x89A0, 0x89A1
_TRIAL_BRIDGE = b"pinnace-trial\0"


def claim_data_dir(layout: Layout) -> None:
    """Make the data directory ours, or refuse one that is somebody else's."""
    data_dir = layout.data_dir
    other = control.owner(layout)
    if other not in (None, data_dir):
        raise CommandError(
            f"this machine has a cluster with its data in {other}: "
            f"use --data-dir {other}, or remove it first with reset --data-dir {other}"
        )
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        entries = {path.name for path in data_dir.iterdir()} - {"lost+found"}
        foreign = not layout.marker.exists() and sorted(entries)
    except FileExistsError:
        raise CommandError(f"{data_dir} is not a directory: choose another --data-dir") from None
    except OSError as error:
        raise CommandError(f"cannot use {data_dir}: {error.strerror}") from error
    if foreign:
        raise CommandError(
            f"{data_dir} is not Pinnace's: it holds {foreign[0]}; choose another --data-dir"
        )
    try:
        layout.marker.write_text("This directory belongs to pinnace; `pinnace reset` removes it.\n")
    except OSError as error:
        raise CommandError(f"cannot write to {data_dir}: {error.strerror}") from error


def require_ours(layout: Layout) -> None:
    """Refuse a data directory that no `up` has made, and one that is not this machine's cluster:
    there is one at a time, and stopping or removing the wrong one cannot be undone."""
    if layout.data_dir.exists() and not layout.marker.exists():
        raise CommandError(f"{layout.data_dir} is not Pinnace's: choose another --data-dir")
    other = control.owner(layout)
    if other not in (None, layout.data_dir):
        raise CommandError(
            f"the cluster of this machine has its data in {other}: use --data-dir {other}"
        )


def check_ports(ports: Sequence[int], ours: Collection[int]) -> None:
    """Refuse a port that a process other than `ours` (pids) listens on."""
    for port in ports:
        if _is_free(port):
            continue
        holders = port_holders(port)
        if holders and holders <= set(ours):
            continue
        named = " and ".join(f"{_command_of(pid)} (process {pid})" for pid in sorted(holders))
        raise CommandError(
            f"port {port} is taken by {named or 'another process'}; stop it or choose another port"
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  nothing listens, it asks whether one could
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def port_holders(port: int) -> set[int]:
    """The processes that listen on the TCP port."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            inodes |= listening_inodes(Path(f"/proc/net/{table}").read_text(), port)
    wanted = {f"socket:[{inode}]" for inode in inodes}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {pid for pid in pids if _holds(pid, wanted)}


def _holds(pid: int, wanted: Collection[str]) -> bool:
    """Whether one of the process' descriptors is one of these sockets. It may end meanwhile."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") in wanted:
                    return True
    return False


def listening_inodes(table: str, port: int) -> set[str]:
    """The sockets in state LISTEN (0A) on `port` in the text of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def _command_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "a process that just ended"


def check_kernel() -> None:
    """Refuse a kernel without what containers and their network need; loads modules first."""
    if shutil.which("modprobe", path=PATH):
        for module in MODULES:
            # One that is built in, or that this kernel lacks, is judged below by what works.
            subprocess.run(
                ["modprobe", "-q", module],
                env={"PATH": PATH},
                capture_output=True,
                timeout=CALL_S,
                check=False,
            )
    lacking = [name for name in CONTROLLERS if name not in cgroup_controllers(CGROUPS)]
    if lacking:
        raise CommandError(
            f"no cgroup controller {', '.join(lacking)} under {CGROUPS}: "
            "mount cgroups (v2, or v1 with these controllers) and try again"
        )
    _check_bridge()


def _check_bridge() -> None:
    """Make a bridge and remove it: the only sure sign that the kernel has them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCBRADDBR, _TRIAL_BRIDGE)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise CommandError(
                    f"the kernel cannot make a network bridge ({error.strerror}): "
                    "load its module bridge, or use a kernel that has it"
                ) from error
        fcntl.ioctl(any_socket, _SIOCBRDELBR, _TRIAL_BRIDGE)


def cgroup_controllers(root: Path) -> set[str]:
    """The controllers at hand: listed in one file by v2, a folder each in v1."""
    with contextlib.suppress(OSError):
        return set((root / "cgroup.controllers").read_text().split())
    with contextlib.suppress(OSError):
        return {name for entry in root.iterdir() for name in entry.name.split(",")}
    return set()


def check_iptables() -> None:
    """Refuse a machine where rules cannot be read, which is what would fail later."""
    done = subprocess.run(
        ["iptables-save", "-t", "nat"],
        env={"PATH": PATH},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    if done.returncode != 0:
        lines = re.split(r"\n+", done.stderr.strip())
        raise CommandError(f"iptables does not work here: {lines[0]}")


def own_pids(layout: Layout) -> set[int]:
    """The daemons of this data directory that run now."""
    return {pid for _, pid in supervisor.find_marked(str(layout.data_dir))}
