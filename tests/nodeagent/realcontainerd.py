"""A private containerd for tests, and the agent beside it: own root, state, socket, CNI folders.

The containerd of the machine, Docker included, is never touched. Images are the product's own,
built from busybox and imported.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from cluster import images
from cluster.containerd import (
    CAP_SYS_RESOURCE,
    Facts,
    choose_snapshotter,
    containerd_config,
    find_binary,
    has_capability,
    parse_version,
)
from nodeagent.cri import CriClient, RuntimeServiceError

BUSYBOX = images.BUSYBOX
NAMESPACE = "k8s.io"
START_LIMIT_S = 30.0


@dataclass
class RealContainerd:
    """A containerd that runs; `root` is the temporary folder of everything."""

    root: Path
    socket: Path
    argv: list[str]
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start_again()

    def start_again(self) -> None:
        """Start it; one that was killed is buried first."""
        if hasattr(self, "process"):
            self.process.wait()
        with (self.root / "containerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def endpoint(self) -> str:
        return f"unix://{self.socket}"

    @property
    def cni_bin(self) -> Path:
        return self.root / "cni" / "bin"

    @property
    def cni_conf(self) -> Path:
        return self.root / "cni" / "conf.d"

    def ctr(self, *arguments: str) -> str:
        argv = [find_binary("ctr"), "-a", str(self.socket), "-n", NAMESPACE, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@contextlib.asynccontextmanager
async def real_containerd(root: Path) -> AsyncIterator[RealContainerd]:
    """Start containerd below `root`, import the images, and leave nothing behind."""
    containerd = _start(root)
    try:
        await _until_ready(containerd)
        archive = root / "images.tar"
        archive.write_bytes(images.machine_archive())
        containerd.ctr("images", "import", str(archive))
        yield containerd
    finally:
        await _tear_down(containerd)


def _start(root: Path) -> RealContainerd:
    # A unix socket's path holds 107 characters; those of pytest's folders are longer.
    state = Path(f"/run/pinnace-test-{os.getpid()}-{abs(hash(str(root))) % 100_000}")
    state.mkdir(parents=True)
    containerd_root = root / "containerd"
    containerd_root.mkdir(parents=True)
    binary = find_binary("containerd")
    version = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True)
    facts = Facts(
        root=str(containerd_root),
        state=str(state / "state"),
        socket=str(state / "containerd.sock"),
        runc_root=str(state / "runc"),
        cni_bin_dir=str(root / "cni" / "bin"),
        cni_conf_dir=str(root / "cni" / "conf.d"),
        registry_dir=str(root / "registries"),
        sandbox_image=images.PAUSE,
        snapshotter=choose_snapshotter(containerd_root),
        restrict_oom_score_adj=not has_capability(CAP_SYS_RESOURCE),
    )
    config = root / "containerd.toml"
    config.write_text(containerd_config(parse_version(version.stdout), facts))
    for folder in (facts.cni_bin_dir, facts.cni_conf_dir, facts.registry_dir):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return RealContainerd(root, Path(facts.socket), [binary, "--config", str(config)])


async def _until_ready(containerd: RealContainerd) -> None:
    client = CriClient(containerd.endpoint)
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while True:
                with contextlib.suppress(RuntimeServiceError):
                    await client.version()
                    return
                if containerd.process.poll() is not None:
                    log = (containerd.root / "containerd.log").read_text()
                    raise RuntimeError(f"containerd ended at once:\n{log[-2000:]}")
                await asyncio.sleep(0.02)
    finally:
        await client.close()


async def remove_sandboxes(containerd: RealContainerd) -> None:
    client = CriClient(containerd.endpoint)
    try:
        for sandbox in await client.list_sandboxes():
            with contextlib.suppress(RuntimeServiceError):
                await client.stop_sandbox(sandbox.id)
                await client.remove_sandbox(sandbox.id)
    finally:
        await client.close()


async def _tear_down(containerd: RealContainerd) -> None:
    try:
        await remove_sandboxes(containerd)
    finally:
        containerd.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(containerd.process.wait, 20)
        _unmount_below(containerd.root)
        _unmount_below(containerd.socket.parent)
        shutil.rmtree(containerd.socket.parent, ignore_errors=True)


def _unmount_below(folder: Path) -> None:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def agent_command(*flags: str) -> list[str]:
    """The agent as a process of its own, as the supervisor starts it."""
    return [sys.executable, "-m", "nodeagent.main", *flags]
