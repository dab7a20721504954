"""Talking to the supervisor: start it, ask it, stop it.

The answers are data of `cluster/supervisor.py`; nothing here decides what should run.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import supervisor
from cluster.errors import CommandError
from cluster.paths import Layout

CONNECT_S = 5.0
# Each daemon gets supervisor.STOP_S to end, one after the other.
STOP_S = 90.0


@dataclass(frozen=True)
class DaemonSpec:
    """A daemon that should run: its name, and its whole command line."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class DaemonStatus:
    """A daemon as the supervisor sees it; `pid` is 0 while it does not run."""

    name: str
    pid: int
    age_s: float
    restarts: int
    failures: int
    last_exit: str
    due_in_s: float


def write_spec(
    layout: Layout, daemons: Sequence[DaemonSpec], environment: Mapping[str, str]
) -> None:
    """Write what the supervisor shall run."""
    layout.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout.logs.mkdir(mode=0o750, parents=True, exist_ok=True)
    spec = {
        "data_dir": str(layout.data_dir),
        "pid_file": str(layout.supervisor_pid),
        "socket": str(layout.supervisor_socket),
        "log_dir": str(layout.logs),
        "environment": dict(environment),
        "daemons": [{"name": d.name, "argv": list(d.argv)} for d in daemons],
    }
    temporary = layout.supervisor_spec.with_suffix(".tmp")
    temporary.write_text(json.dumps(spec, indent=1))
    temporary.chmod(0o600)
    temporary.replace(layout.supervisor_spec)


def owner(layout: Layout) -> Path | None:
    """The data directory of the cluster that has the run directory; None where nobody has it."""
    try:
        return Path(json.loads(layout.supervisor_spec.read_text())["data_dir"])
    except (OSError, ValueError, KeyError):
        return None


def daemons(layout: Layout) -> list[DaemonStatus] | None:
    """What the supervisor runs; None where no supervisor answers."""
    return _request(layout, "status")


def reload(layout: Layout) -> list[DaemonStatus] | None:
    """Have a running supervisor apply the spec as it is now; None where there is none."""
    return _request(layout, "reload", limit_s=STOP_S)


def start(layout: Layout) -> None:
    """Start a supervisor that outlives this process and its terminal."""
    read_end, write_end = os.pipe()
    log = os.open(
        layout.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640
    )
    argv = [sys.executable, "-I", "-S", supervisor.__file__, str(layout.supervisor_spec)]
    try:
        process = subprocess.Popen(
            [*argv, str(write_end)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(write_end)
        os.close(log)
    with os.fdopen(read_end, "rb") as ready:
        if ready.readline() == b"ready\n":
            # It is nobody's child from here on; without this Python would warn of it.
            process.returncode = 0
            return
    process.wait()
    lines = (layout.logs / "supervisor.log").read_text(errors="replace").splitlines()
    why = lines[-1] if lines else f"exit code {process.returncode}"
    raise CommandError(f"the supervisor did not start: {why}")


def stop(layout: Layout, limit_s: float = STOP_S) -> bool:
    """Stop the supervisor and with it the daemons; False where there was none."""
    pid = supervisor_pid(layout)
    if pid is None:
        return False
    pidfd = os.pidfd_open(pid)
    try:
        _request(layout, "stop")
        if not wait_ended(pidfd, limit_s):
            raise CommandError(f"the supervisor, process {pid}, does not end; see {layout.logs}")
    finally:
        os.close(pidfd)
    return True


def stop_orphans(layout: Layout) -> list[str]:
    """End daemons whose supervisor is gone; returns their names."""
    found = supervisor.find_marked(str(layout.data_dir))
    for name, pid in reversed(found):
        orphan = supervisor.Daemon(name, [])
        with contextlib.suppress(ProcessLookupError):
            orphan.took(pid)
            orphan.stop()
    return [name for name, _ in found]


def supervisor_pid(layout: Layout) -> int | None:
    """The supervisor's process, by who holds the other end of its socket."""
    try:
        with _connect(layout) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    return int.from_bytes(credentials[:4], sys.byteorder)


def wait_ended(pidfd: int, limit_s: float) -> bool:
    """Wait until the process ended; False when it had not after `limit_s`."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(limit_s * 1000))


def last_log_line(log: Path) -> str:
    """What a daemon said last, for an error message."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""
    return ""


def _connect(layout: Layout, limit_s: float = CONNECT_S) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(limit_s)
    try:
        connection.connect(str(layout.supervisor_socket))
    except OSError:
        connection.close()
        raise
    return connection


def _request(layout: Layout, do: str, limit_s: float = CONNECT_S) -> list[DaemonStatus] | None:
    try:
        with _connect(layout, limit_s) as connection:
            connection.sendall(json.dumps({"do": do}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except TimeoutError as error:
        raise CommandError(f"the supervisor does not answer in {limit_s:.0f} s") from error
    answer: dict[str, Any] = json.loads(line or b"{}")
    if "error" in answer:
        raise CommandError(f"the supervisor could not {do}: {answer['error']}")
    return [DaemonStatus(**daemon) for daemon in answer.get("daemons", ())]
