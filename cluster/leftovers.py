"""What of a cluster is on this machine: found by what marks it as ours, never by guessing.

`reset` removes until this finds nothing; the reset proof compares it with the machine itself.
"""

import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster import supervisor
from cluster.packages import PATH
from cluster.paths import Layout

CHAIN_PREFIX = "PINNACE-"
BRIDGE = "pinnace0"
CGROUPS = Path("/sys/fs/cgroup")
SHIM_SOCKETS = Path("/run/containerd/s")
# Where libcni keeps what each ADD answered, by <network>-<container>-<interface>: containerd does
# not let us move it.
CNI_RESULTS = Path("/var/lib/cni/results")
CNI_NETWORK = "pinnace"
CALL_S = 20.0
TABLES = ("iptables-save", "ip6tables-save")
_MOUNT_POINT = 4


@dataclass(frozen=True)
class Leftover:
    """One thing of ours: its kind (process, mount, ...) and its name."""

    kind: str
    what: str


def find(layout: Layout, cgroup_root: str) -> list[Leftover]:
    """Everything of the cluster of `layout` that is on this machine."""
    found = [Leftover("process", _process_text(pid)) for pid in processes(layout, cgroup_root)]
    found += [Leftover("mount", point) for point in mounts(layout)]
    found += [Leftover("network link", name) for name in links()]
    found += [Leftover("iptables rule", rule) for rule in rules()]
    found += [Leftover("cgroup", str(path)) for path in cgroups(cgroup_root)]
    found += [Leftover("file", str(path)) for path in files(layout)]
    return found


def processes(layout: Layout, cgroup_root: str) -> list[int]:
    """Supervisor, daemons, shims (they carry the daemons' mark) and what runs in our cgroups."""
    mark = f"{supervisor.MARK}={layout.data_dir}:".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            words = (entry / "cmdline").read_bytes().split(b"\0")
            marked = any(word.startswith(mark) for word in environment)
            if marked or os.fsencode(layout.supervisor_spec) in words:
                found.add(pid)
    for cgroup in cgroups(cgroup_root):
        with contextlib.suppress(OSError):
            # 0 stands for a process of another pid namespace: not ours to touch.
            found |= {int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()} - {0}
    return sorted(pid for pid in found - {os.getpid()} if supervisor.is_running(pid))


def mounts(layout: Layout) -> list[str]:
    """Mount points below our directories, the deepest and latest first."""
    points = mount_points(Path("/proc/self/mountinfo").read_text())
    return [point for point in reversed(points) if is_below(point, _directories(layout))]


def mount_points(mountinfo: str) -> list[str]:
    """The mount points in the text of /proc/PID/mountinfo, in the order of mounting (proc(5):
    space, tab, newline and backslash are octal there)."""
    points = [line.split(" ")[_MOUNT_POINT] for line in mountinfo.splitlines()]
    return [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), point) for point in points]


def is_below(path: str, directories: Iterable[Path]) -> bool:
    """Whether it is inside one of them. A directory of ours may itself be a mount point: of a
    disk that somebody gave us, and that stays."""
    return any(directory in Path(path).parents for directory in directories)


def links() -> list[str]:
    """The bridge, and the interfaces that are its ports."""
    net = Path("/proc/net/dev").read_text().splitlines()[2:]
    names = [line.partition(":")[0].strip() for line in net]
    ports = [name for name in names if _bridge_of(name) == BRIDGE]
    return [*ports, *(name for name in names if name == BRIDGE)]


def _bridge_of(name: str) -> str:
    try:
        return os.path.basename(os.readlink(f"/sys/class/net/{name}/master"))
    except OSError:
        return ""


def rules() -> list[str]:
    """Lines of iptables-save that name a chain of ours."""
    found = []
    for program in TABLES:
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run(
                [program],
                env={"PATH": PATH},
                capture_output=True,
                text=True,
                timeout=CALL_S,
                check=False,
            )
            found += [line for line in done.stdout.splitlines() if CHAIN_PREFIX in line]
    return found


def cgroups(cgroup_root: str) -> list[Path]:
    """The directories of our cgroup in every hierarchy, children before their parents."""
    found: list[Path] = []
    for top in _hierarchies():
        root = top / cgroup_root.strip("/")
        if cgroup_root.strip("/") and root.is_dir():
            found += [Path(path) for path, _, _ in os.walk(root, topdown=False)]
    return found


def _hierarchies() -> Iterator[Path]:
    """cgroup v2's root itself, and the folders of v1's controllers."""
    yield CGROUPS
    with contextlib.suppress(OSError):
        yield from (entry for entry in CGROUPS.iterdir() if (entry / "cgroup.procs").exists())


def files(layout: Layout) -> list[Path]:
    """Our directories, and what containerd keeps of ours elsewhere."""
    ours = [path for path in _directories(layout) if path.exists()]
    inside = [path for top in ours if top.is_mount() for path in top.iterdir()]
    kept = [path for path in inside if path.name != "lost+found"]
    kept += [path for path in ours if not path.is_mount()]
    return [*kept, *outside(layout)]


def outside(layout: Layout) -> list[Path]:
    """What containerd keeps of our pods in places that cannot be configured."""
    return [*shim_sockets(layout), *cni_results(layout)]


def shim_sockets(layout: Layout) -> list[Path]:
    """The sockets of our shims; one that was killed leaves its own behind. containerd makes the
    name of a hash of its address, namespace and the sandbox (runtime/v2/shim, SocketAddress)."""
    texts = [f"{layout.containerd_socket}/k8s.io/{sandbox}" for sandbox in _sandboxes(layout)]
    paths = [SHIM_SOCKETS / hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return [path for path in paths if path.exists()]


def cni_results(layout: Layout) -> list[Path]:
    """libcni's records of our pods: those of our network, and those that the same sandboxes have
    of their loopback. A DEL removes them; a pod that was killed leaves its own."""
    ours = {path: path.name.split("-")[1] for path in CNI_RESULTS.glob(f"{CNI_NETWORK}-*-*")}
    ids = {*ours.values(), *_sandboxes(layout)}
    loopback = [CNI_RESULTS / f"cni-loopback-{sandbox}-lo" for sandbox in sorted(ids)]
    return [*sorted(ours), *(path for path in loopback if path.exists())]


def _sandboxes(layout: Layout) -> set[str]:
    """The ids of the sandboxes that containerd, in whichever way, knows: those it keeps state of
    and those whose shim's bundle is there."""
    kept = layout.containerd_root.glob("io.containerd.*cri*/sandboxes/*")
    bundles = layout.containerd_state.glob("io.containerd.runtime.v2.task/k8s.io/*")
    return {path.name for path in (*kept, *bundles)}


def _directories(layout: Layout) -> tuple[Path, Path]:
    return layout.data_dir, layout.run_dir


def _process_text(pid: int) -> str:
    """What it is, for a reader: the daemon that it is or was started by, and its command."""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/comm").read_text().strip()
        environment = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
        marks = [word for word in environment if word.startswith(f"{supervisor.MARK}=")]
        of = f" of {marks[0].rpartition(':')[2]}" if marks else ""
        return f"{pid}, {command}{of}"
    return str(pid)
