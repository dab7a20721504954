"""The supervisor with real processes: what dies comes back, what outlived it is taken over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import control, supervisor
from cluster.control import DaemonSpec, DaemonStatus
from cluster.errors import CommandError
from cluster.paths import Layout

SLEEP = ("/bin/sleep", "600")
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "data", tmp_path / "run")
    yield layout
    control.stop(layout)
    control.stop_orphans(layout)


def run(layout: Layout, *daemons: DaemonSpec) -> dict[str, DaemonStatus]:
    """Have these daemons, by a first start or by a reload."""
    control.write_spec(layout, daemons, ENVIRONMENT)
    if control.reload(layout) is None:
        control.start(layout)
    return status(layout)


def status(layout: Layout) -> dict[str, DaemonStatus]:
    return {daemon.name: daemon for daemon in control.daemons(layout) or ()}


def until(holds: Callable[[], bool]) -> None:
    """Real processes end when they end: wait for it, 10 s at most."""
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("did not happen in 10 s")


def kill(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert control.wait_ended(pidfd, 10)
    os.close(pidfd)


@pytest.mark.parametrize(
    ("failures", "delay_s"), [(1, 0.1), (2, 0.2), (3, 0.4), (9, 25.6), (10, 30.0), (10_000, 30.0)]
)
def test_restart_delay(failures: int, delay_s: float) -> None:
    assert supervisor.restart_delay_s(failures) == pytest.approx(delay_s)


@pytest.mark.parametrize(
    ("status", "text"), [(0, "exit code 0"), (256, "exit code 1"), (9, "killed by SIGKILL")]
)
def test_exit_in_words(status: int, text: str) -> None:
    assert supervisor.exit_text(status) == text


def test_a_daemon_that_dies_is_started_again(layout: Layout) -> None:
    before = run(layout, DaemonSpec("a", SLEEP), DaemonSpec("b", SLEEP))
    kill(before["a"].pid)
    until(lambda: status(layout)["a"].pid not in (0, before["a"].pid))
    after = status(layout)
    assert after["a"].restarts == 1
    assert after["a"].last_exit == "killed by SIGKILL"
    assert after["b"] == DaemonStatus("b", before["b"].pid, after["b"].age_s, 0, 0, "", 0.0)
    assert "ended: killed by SIGKILL" in (layout.logs / "supervisor.log").read_text()


def test_one_that_cannot_start_or_ends_at_once_is_tried_ever_later(layout: Layout) -> None:
    run(layout, DaemonSpec("gone", ("/no/such",)), DaemonSpec("bad", ("/bin/false",)))
    until(lambda: all(daemon.failures >= 3 for daemon in status(layout).values()))
    after = status(layout)
    assert "No such file" in after["gone"].last_exit
    assert after["bad"].last_exit == "exit code 1"
    started = (layout.logs / "supervisor.log").read_text().count("bad started")
    assert started == pytest.approx(after["bad"].failures, abs=1)


def test_stop_ends_them_in_reverse_order_with_term(layout: Layout) -> None:
    top = layout.data_dir
    script = (
        f"trap 'echo $0 >>{top}/order; exit 0' TERM; touch {top}/$0; while sleep 0.05; do :; done"
    )
    names = ("first", "second", "third")
    before = run(layout, *(DaemonSpec(n, ("/bin/sh", "-c", script, n)) for n in names))
    until(lambda: all((top / name).exists() for name in names))
    assert control.stop(layout)
    assert (layout.data_dir / "order").read_text().split() == ["third", "second", "first"]
    assert not any(supervisor.is_running(daemon.pid) for daemon in before.values())
    assert control.daemons(layout) is None
    assert not control.stop(layout)


def test_the_next_supervisor_takes_over_what_outlived_a_killed_one(layout: Layout) -> None:
    before = run(layout, DaemonSpec("same", SLEEP), DaemonSpec("changed", SLEEP))
    killed = control.supervisor_pid(layout)
    assert killed
    kill(killed)
    assert supervisor.is_running(before["same"].pid)
    after = run(layout, DaemonSpec("same", SLEEP), DaemonSpec("changed", ("/bin/sleep", "601")))
    assert after["same"].pid == before["same"].pid
    assert after["changed"].pid != before["changed"].pid
    # A process shows its environment a moment after exec has let its parent go on.
    wanted = sorted((name, daemon.pid) for name, daemon in after.items())
    until(lambda: sorted(supervisor.find_marked(str(layout.data_dir))) == wanted)
    # It is no child of the new supervisor, and its death is seen all the same.
    kill(after["same"].pid)
    until(lambda: status(layout)["same"].pid not in (0, after["same"].pid))


def test_reload_touches_only_what_changed(layout: Layout) -> None:
    before = run(layout, DaemonSpec("a", SLEEP), DaemonSpec("b", SLEEP), DaemonSpec("c", SLEEP))
    after = run(layout, DaemonSpec("a", SLEEP), DaemonSpec("b", ("/bin/sleep", "601")))
    assert list(after) == ["a", "b"]
    assert after["a"].pid == before["a"].pid
    assert after["b"].pid != before["b"].pid
    assert not supervisor.is_running(before["c"].pid)


def test_what_a_daemon_started_is_left_alone(layout: Layout) -> None:
    """As containerd's shims: in a process group of their own, with the daemon's environment."""
    pid_file = layout.data_dir / "shim"
    script = (
        f"import os, subprocess, time; p = subprocess.Popen({SLEEP!r}, process_group=0);"
        f"open({str(pid_file)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    run(layout, DaemonSpec("parent", (sys.executable, "-I", "-c", script)))
    until(lambda: pid_file.exists() and pid_file.read_text() != "")
    shim = int(pid_file.read_text())
    control.stop(layout)
    try:
        assert supervisor.is_running(shim)
        assert supervisor.find_marked(str(layout.data_dir)) == []
    finally:
        kill(shim)


def test_only_one_supervisor(layout: Layout) -> None:
    run(layout, DaemonSpec("a", SLEEP))
    with pytest.raises(CommandError, match="a supervisor runs already, as process"):
        control.start(layout)
    assert status(layout)["a"].restarts == 0


def test_a_request_it_does_not_know(layout: Layout) -> None:
    run(layout)
    with pytest.raises(CommandError, match="no request 'dance'"):
        control._request(layout, "dance")


def test_it_stays_small(layout: Layout) -> None:
    run(layout, DaemonSpec("a", SLEEP))
    text = Path(f"/proc/{control.supervisor_pid(layout)}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    assert int(fields["VmRSS"].split()[0]) <= 12 * 1024


def test_a_long_log_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab") as writer:
        writer.write(b"x" * supervisor.LOG_BYTES_MAX)
        writer.flush()
        supervisor.rotate(str(path))
        assert path.stat().st_size == supervisor.LOG_BYTES_MAX
        writer.write(b"y")
        writer.flush()
        supervisor.rotate(str(path))
        writer.write(b"z")
        writer.flush()
    assert path.read_bytes() == b"z"
    assert (tmp_path / "a.log.1").stat().st_size == supervisor.LOG_BYTES_MAX + 1


def test_imports_only_the_standard_library(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({}))
    done = subprocess.run(
        [sys.executable, "-I", "-S", supervisor.__file__, str(spec)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "KeyError: 'data_dir'" in done.stderr
