"""Pinnace's own containerd: its configuration for the version on the machine, and its client.

The binary is the machine's, whichever package brought it. Root, state, socket, CNI folders and
network namespaces are ours, so a Docker or containerd in use there is never touched.
Sources: containerd's docs/cri/config.md and docs/PLUGINS.md of 1.6, 1.7, 2.0 and 2.1.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import supervisor
from cluster.errors import CommandError
from cluster.paths import Layout

NAMESPACE = "k8s.io"
OLDEST, NEWEST_MAJOR = (1, 6), 2
CALL_S = 60.0
# Kubernetes' own limit of a line in a container's log file, before it is split (KEP-2578 names
# the format): containerd's default, stated because the agent's log reader counts on it.
LOG_LINE_BYTES = 16384

# Plugins that a node of ours never uses; each would cost start-up time, memory or a warning.
# A version that lacks one skips its name.
DISABLED = (
    "io.containerd.container.v1.restart",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.monitor.container.v1.restart",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)

Toml = Mapping[str, "Toml | str | int | bool | Sequence[str]"]


@dataclass(frozen=True)
class Facts:
    """What the configuration depends on besides containerd's version."""

    root: str
    state: str
    socket: str
    runc_root: str
    cni_bin_dir: str
    cni_conf_dir: str
    registry_dir: str
    sandbox_image: str
    snapshotter: str
    # Without CAP_SYS_RESOURCE a process cannot lower its oom_score_adj, and runc fails with
    # "can't get final child's PID from pipe: EOF" for each sandbox, which asks for -998.
    restrict_oom_score_adj: bool


def containerd_config(version: tuple[int, int], facts: Facts) -> str:
    """The TOML for containerd `version` (major, minor). Raises CommandError for one that we do
    not know: its CRI settings would be ignored in silence."""
    if version < OLDEST or version[0] > NEWEST_MAJOR:
        found = ".".join(map(str, version))
        raise CommandError(f"containerd {found} is not supported: it takes 1.6, 1.7 or 2.x")
    plugins = _plugins_2(version, facts) if version[0] >= 2 else _plugins_1(facts)
    config: Toml = {
        "version": 3 if version[0] >= 2 else 2,
        "root": facts.root,
        "state": facts.state,
        "disabled_plugins": DISABLED,
        "grpc": {"address": facts.socket},
        "debug": {"level": "warn"},
        "plugins": plugins,
    }
    return _toml(config)


def _runc(facts: Facts) -> Toml:
    """The cgroupfs driver: pods lie under the agent's own cgroup parent, with or without systemd.
    Root: runc's state, which is in /run/containerd unless told."""
    options: Toml = {"SystemdCgroup": False, "Root": facts.runc_root}
    return {"runtime_type": "io.containerd.runc.v2", "options": options}


def _plugins_1(facts: Facts) -> Toml:
    cri: Toml = {
        "sandbox_image": facts.sandbox_image,
        "stream_server_address": "127.0.0.1",
        "stream_server_port": "0",
        "max_container_log_line_size": LOG_LINE_BYTES,
        "netns_mounts_under_state_dir": True,
        "restrict_oom_score_adj": facts.restrict_oom_score_adj,
        "containerd": {
            "snapshotter": facts.snapshotter,
            "default_runtime_name": "runc",
            "runtimes": {"runc": _runc(facts)},
        },
        "cni": {"bin_dir": facts.cni_bin_dir, "conf_dir": facts.cni_conf_dir},
        "registry": {"config_path": facts.registry_dir},
    }
    return {"io.containerd.grpc.v1.cri": cri}


def _plugins_2(version: tuple[int, int], facts: Facts) -> Toml:
    # 2.1 made bin_dir a list and deprecated the single one.
    bins: Toml = (
        {"bin_dirs": (facts.cni_bin_dir,)} if version >= (2, 1) else {"bin_dir": facts.cni_bin_dir}
    )
    return {
        "io.containerd.cri.v1.images": {
            "snapshotter": facts.snapshotter,
            "pinned_images": {"sandbox": facts.sandbox_image},
            "registry": {"config_path": facts.registry_dir},
        },
        "io.containerd.cri.v1.runtime": {
            "max_container_log_line_size": LOG_LINE_BYTES,
            "netns_mounts_under_state_dir": True,
            "restrict_oom_score_adj": facts.restrict_oom_score_adj,
            "containerd": {"default_runtime_name": "runc", "runtimes": {"runc": _runc(facts)}},
            "cni": {**bins, "conf_dir": facts.cni_conf_dir},
        },
        "io.containerd.grpc.v1.cri": {
            "stream_server_address": "127.0.0.1",
            "stream_server_port": "0",
        },
    }


def _toml(table: Toml, path: str = "") -> str:
    """TOML of nested tables: a table's own values first, then its tables."""
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{path}]"] if path and values else []
    lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    text = "\n".join(lines) + "\n\n" if lines else ""
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = key if key.isidentifier() else json.dumps(key)
            text += _toml(value, f"{path}.{name}" if path else name)
    return text if path else text.rstrip("\n") + "\n"


def _value(value: object) -> str:
    """JSON's strings, numbers, booleans and arrays of strings are TOML's too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def parse_version(text: str) -> tuple[int, int]:
    """(major, minor) of what `containerd --version` prints."""
    match = re.search(r"\bv?(\d+)\.(\d+)\.\d+", text)
    if match is None:
        raise CommandError(f"cannot tell containerd's version from {text.strip()!r}")
    return int(match[1]), int(match[2])


def machine_config(layout: Layout, sandbox_image: str) -> str:
    """The configuration for this machine: its containerd, its kernel, our folders."""
    binary = find_binary("containerd")
    facts = Facts(
        root=str(layout.containerd_root),
        state=str(layout.containerd_state),
        socket=str(layout.containerd_socket),
        runc_root=str(layout.runc_root),
        cni_bin_dir=str(layout.cni_bin),
        cni_conf_dir=str(layout.cni_conf),
        registry_dir=str(layout.registries),
        sandbox_image=sandbox_image,
        snapshotter=choose_snapshotter(layout.containerd_root),
        restrict_oom_score_adj=not has_capability(CAP_SYS_RESOURCE),
    )
    version = parse_version(_run([binary, "--version"]))
    return containerd_config(version, facts)


def find_binary(name: str) -> str:
    """The program's path. The PATH of root's cron, sudo or a bare container lacks sbin."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise CommandError(f"needs {name}, which is not on the PATH")
    return found


CAP_SYS_RESOURCE = 24


def has_capability(number: int) -> bool:
    """Whether this process holds the capability (its effective set in /proc/self/status)."""
    text = Path("/proc/self/status").read_text()
    effective = re.search(r"^CapEff:\s*(\w+)$", text, re.M)
    return effective is not None and bool(int(effective[1], 16) >> number & 1)


def choose_snapshotter(root: Path) -> str:
    """`overlayfs` where its first mount would work below `root`, else `native`, which copies.

    Once images are unpacked the choice stays: another snapshotter would not find them.
    """
    for name in ("overlayfs", "native"):
        if any((root / f"io.containerd.snapshotter.v1.{name}" / "snapshots").glob("*")):
            return name
    trial = root / "overlay-trial"
    for part in ("lower", "upper", "work", "merged"):
        (trial / part).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work"
    merged = str(trial / "merged")
    try:
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, merged],
            capture_output=True,
            timeout=CALL_S,
            check=False,
        )
        if done.returncode == 0:
            subprocess.run(["umount", merged], timeout=CALL_S, check=True)
        return "overlayfs" if done.returncode == 0 else "native"
    finally:
        shutil.rmtree(trial)


def wait_ready(layout: Layout, limit_s: float = CALL_S) -> None:
    """Wait until our containerd answers. Its socket appears a moment before it does."""
    deadline_s = supervisor.now_s() + limit_s
    while True:
        try:
            if layout.containerd_socket.exists():
                ctr(layout, "version")
                return
            why = f"no socket {layout.containerd_socket}"
        except CommandError as error:
            why = str(error)
        if supervisor.now_s() > deadline_s:
            raise CommandError(f"containerd is not ready after {limit_s:.0f} s: {why}")
        time.sleep(0.02)


def ctr(layout: Layout, *arguments: str) -> str:
    """What containerd's own client prints for `arguments`, in Kubernetes' namespace."""
    address = str(layout.containerd_socket)
    return _run([find_binary("ctr"), "-a", address, "-n", NAMESPACE, *arguments])


def image_names(layout: Layout) -> set[str]:
    """The names of the images that our containerd has."""
    return set(ctr(layout, "images", "ls", "-q").split())


def import_images(layout: Layout, archive: Path) -> None:
    """Have every image of an OCI layout archive."""
    ctr(layout, "images", "import", str(archive))


def _run(argv: Sequence[str]) -> str:
    program = Path(argv[0]).name
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=CALL_S, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{program} did not answer in {CALL_S:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CommandError(f"{program} failed: {lines[-1]}")
    return done.stdout
