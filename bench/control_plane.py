"""The control plane by itself: how long from its start to ready, what it holds, what it idles at.

    python bench/control_plane.py [--rounds 5] [--idle 10]

A first start makes certificates and the objects every cluster has; the others find them. "Ready"
is 200 from /readyz over TLS. Prints medians over the rounds. Needs no root.
"""

import argparse
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

START_LIMIT_S = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(data_dir: Path, port: int) -> tuple[subprocess.Popen[bytes], float]:
    """The process, and the seconds until it was ready."""
    begun_s = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "cluster.main", "controlplane", "--data-dir", str(data_dir),
            "--bind-address", "127.0.0.1", "--secure-port", str(port),
            "--grpc-port", str(free_port()),
        ],
        cwd=Path(__file__).parents[1],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while time.perf_counter() - begun_s < START_LIMIT_S:
        if is_ready(data_dir / "pki" / "ca.crt", port):
            return process, time.perf_counter() - begun_s
        if process.poll() is not None:
            raise SystemExit(f"the control plane ended with status {process.returncode}")
        time.sleep(0.002)
    process.kill()
    raise SystemExit(f"the control plane was not ready after {START_LIMIT_S} s")


def is_ready(ca: Path, port: int) -> bool:
    try:
        context = ssl.create_default_context(cafile=str(ca))
        url = f"https://127.0.0.1:{port}/readyz"
        with urllib.request.urlopen(url, context=context, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def anonymous_memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc has no RssAnon")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds to idle in each round")
    given = parser.parse_args()
    first, again, memory_mb, idle = [], [], [], []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as directory:
            for durations in (first, again):
                process, took_s = start(Path(directory), free_port())
                durations.append(took_s)
                if durations is again:
                    time.sleep(2)  # controllers fill their caches
                    before_s = cpu_s(process.pid)
                    time.sleep(given.idle)
                    idle.append((cpu_s(process.pid) - before_s) / given.idle * 100)
                    memory_mb.append(anonymous_memory_mb(process.pid))
                process.terminate()
                process.wait(timeout=10)
    for name, values, unit in (
        ("first start to ready", first, "s"),
        ("start to ready", again, "s"),
        ("RssAnon, empty", memory_mb, "MB"),
        ("idle", idle, "% of a core"),
    ):
        print(f"{name:22} {statistics.median(values):8.2f} {unit}  (of {given.rounds})")


if __name__ == "__main__":
    main()
