"""The cgroups above the containers': root, QoS class and pod, on cgroup v1 or v2.

`/pinnace/pod<uid>` for Guaranteed pods, `/pinnace/burstable/pod<uid>` and
`/pinnace/besteffort/pod<uid>` for the others: the layout of the kubelet's cgroupfs driver. The
containers' own cgroups below are runc's. It touches nothing outside its root.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kubeapi.types import core_v1
from nodeagent.pods.qos import MAX_SHARES, MIN_SHARES, Limits, pod_limits, qos_class
from nodeagent.pods.spec import spec_of, uid_of

log = logging.getLogger(__name__)

CPU_PERIOD_US = 100_000
CLASS_FOLDERS = {"Guaranteed": "", "Burstable": "burstable", "BestEffort": "besteffort"}
_POD = re.compile(r"pod([0-9a-f-]{36}|[^/]+)")
V2_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io", "hugetlb")


class CgroupError(Exception):
    """The kernel did not take a setting, or the machine's cgroups cannot be used."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy: all controllers on v2, one or a few on v1."""

    mount: Path
    controllers: tuple[str, ...]
    unified: bool


def find_hierarchies(mounts: str) -> list[Hierarchy]:
    """From the text of /proc/self/mounts. v1 where it has any controller, else v2."""
    v1: list[Hierarchy] = []
    v2: list[Hierarchy] = []
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        mount, kind, options = Path(fields[1]), fields[2], fields[3].split(",")
        if kind == "cgroup2":
            v2.append(Hierarchy(mount, (), True))
        elif kind == "cgroup":
            known = tuple(o for o in options if o not in ("rw", "ro") and "=" not in o)
            named = tuple(o for o in options if o.startswith("name="))
            v1.append(Hierarchy(mount, known or named, False))
    return v1 if any("memory" in h.controllers for h in v1) else v2[:1]


class CgroupManager:
    """Makes and removes the cgroups of pods under `root` (like /pinnace)."""

    def __init__(self, root: str, hierarchies: Iterable[Hierarchy]) -> None:
        self.root = "/" + root.strip("/")
        self.hierarchies = list(hierarchies)
        self._pods: dict[str, Limits] = {}
        self._burstable: dict[str, int] = {}
        if not self.hierarchies:
            raise CgroupError("no cgroup hierarchy is mounted below /sys/fs/cgroup")

    @property
    def unified(self) -> bool:
        return self.hierarchies[0].unified

    def pod_parent(self, pod: core_v1.Pod) -> str:
        """The cgroup_parent of the pod's sandbox and containers."""
        folder = CLASS_FOLDERS[qos_class(spec_of(pod))]
        parts = [self.root.lstrip("/"), folder, f"pod{uid_of(pod)}"]
        return "/" + "/".join(part for part in parts if part)

    def prepare(self) -> None:
        """Make the root and the classes; raises CgroupError where that is not possible."""
        for folder in ("", "burstable", "besteffort"):
            path = f"{self.root}/{folder}".rstrip("/")
            shares = Limits(MIN_SHARES if folder else 1024)
            for hierarchy in self.hierarchies:
                self._make(hierarchy, path)
                self._apply(hierarchy, path, shares)

    def ensure_pod(self, pod: core_v1.Pod) -> None:
        """Make the pod's cgroup with its limits; what has been done already is not done again."""
        uid, path, limits = uid_of(pod), self.pod_parent(pod), pod_limits(spec_of(pod))
        if self._pods.get(uid) == limits:
            return
        for hierarchy in self.hierarchies:
            self._make(hierarchy, path)
            self._apply(hierarchy, path, limits)
        self._pods[uid] = limits
        if qos_class(spec_of(pod)) == "Burstable":
            self._burstable[uid] = limits.cpu_shares
            self._weigh_burstable()

    def _weigh_burstable(self) -> None:
        """The Burstable class weighs what its pods requested together."""
        shares = min(MAX_SHARES, max(MIN_SHARES, sum(self._burstable.values())))
        for hierarchy in self.hierarchies:
            self._apply(hierarchy, f"{self.root}/burstable", Limits(shares))

    def remove_pod(self, uid: str) -> bool:
        """Remove the pod's cgroups; False where the kernel still has something in them."""
        gone = True
        self._pods.pop(uid, None)
        if self._burstable.pop(uid, None) is not None:
            self._weigh_burstable()
        for hierarchy in self.hierarchies:
            for folder in CLASS_FOLDERS.values():
                path = hierarchy.mount / self.root.lstrip("/") / folder / f"pod{uid}"
                gone = _remove_tree(path) and gone
        return gone

    def pod_uids(self) -> set[str]:
        """Uids of all pods that have a cgroup."""
        found = set()
        for hierarchy in self.hierarchies:
            for folder in CLASS_FOLDERS.values():
                base = hierarchy.mount / self.root.lstrip("/") / folder
                for child in base.glob("pod*") if base.is_dir() else ():
                    match = _POD.fullmatch(child.name)
                    if match is not None:
                        found.add(match.group(1))
        return found

    def _make(self, hierarchy: Hierarchy, path: str) -> None:
        folder = hierarchy.mount
        for part in path.strip("/").split("/"):
            if hierarchy.unified:
                _enable_controllers(folder)
            child = folder / part
            try:
                child.mkdir(exist_ok=True)
            except OSError as error:
                raise CgroupError(f"cannot make cgroup {child}: {error.strerror}") from None
            if "cpuset" in hierarchy.controllers:
                _inherit_cpuset(folder, child)
            folder = child

    def _apply(self, hierarchy: Hierarchy, path: str, limits: Limits) -> None:
        folder = hierarchy.mount / path.lstrip("/")
        settings = _v2_settings(limits) if hierarchy.unified else _v1_settings(hierarchy, limits)
        for name, text in settings.items():
            _write(folder / name, text)


def cpu_weight(shares: int) -> int:
    """cgroup v2's weight (1..10000) for v1 shares (2..262144), as the OCI runtimes map them."""
    return 1 + (shares - 2) * 9999 // 262_142


def _v1_settings(hierarchy: Hierarchy, limits: Limits) -> dict[str, str]:
    found: dict[str, str] = {}
    if "cpu" in hierarchy.controllers:
        found["cpu.shares"] = str(limits.cpu_shares)
        found["cpu.cfs_period_us"] = str(CPU_PERIOD_US)
        found["cpu.cfs_quota_us"] = str(limits.cpu_quota_us or -1)
    if "memory" in hierarchy.controllers and limits.memory_bytes:
        found["memory.limit_in_bytes"] = str(limits.memory_bytes)
    return found


def _v2_settings(limits: Limits) -> dict[str, str]:
    return {
        "cpu.weight": str(cpu_weight(limits.cpu_shares)),
        "cpu.max": f"{limits.cpu_quota_us or 'max'} {CPU_PERIOD_US}",
        "memory.max": str(limits.memory_bytes or "max"),
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except FileNotFoundError:
        # The controller is not there on this machine; the containers' limits fail by name then.
        log.debug("no %s", path)
    except OSError as error:
        raise CgroupError(f"cannot write {text!r} to {path}: {error.strerror}") from None


def _enable_controllers(folder: Path) -> None:
    """v2: children have a controller only where the parent's subtree_control names it."""
    try:
        available = (folder / "cgroup.controllers").read_text().split()
        enabled = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return
    for controller in V2_CONTROLLERS:
        if controller in available and controller not in enabled:
            try:
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError as error:
                log.warning("cannot enable %s in %s: %s", controller, folder, error.strerror)


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """v1: a cpuset without cpus and memory nodes takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (child / name).read_text().strip():
            _write(child / name, (parent / name).read_text().strip())


def _remove_tree(path: Path) -> bool:
    if not path.is_dir():
        return True
    for child in path.iterdir():
        if child.is_dir():
            _remove_tree(child)
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        log.debug("cgroup %s stays for now: %s", path, error.strerror)
        return False
    return True
