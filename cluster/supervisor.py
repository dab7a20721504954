"""Keeps the daemons of one machine running: a small process, standard library only.

Run as `python -I -S supervisor.py SPEC [READY_FD]`, so it can import nothing of Pinnace: it must
stay small for as long as the machine is up. SPEC is a JSON file (cluster/daemons.py writes it):
where pid file, socket and logs lie, and the daemons in the order of their start.

It waits on the daemons' pidfds, so a daemon that outlived an earlier supervisor (kill -9) is
found by the mark in its environment and supervised again rather than started twice. Each daemon
is a session of its own and writes its log file itself: no death here takes one along, and
containerd's shims and containers are in nobody's way when containerd stops.
"""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import time

# In each daemon's environment: "<data directory>:<daemon>".
MARK = "PINNACE_DAEMON"
FIRST_DELAY_S = 0.1
DELAY_S_MAX = 30.0
# A daemon that ran this long had started well: its next death counts as the first.
SETTLED_S = 60.0
STOP_S = 15.0
LOG_CHECK_S = 60.0
LOG_BYTES_MAX = 16 * 1024 * 1024
REQUEST_S = 1.0
REQUEST_BYTES_MAX = 4096
_STAT_STATE, _STAT_START_TICKS = 0, 19


def now_s() -> float:
    """Seconds since boot: the scale of the start times in /proc, and no wall clock to jump."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def log(message: str) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{when} info    supervisor: {message}", file=sys.stderr, flush=True)


def restart_delay_s(failures: int) -> float:
    """How long to wait before the next start, after so many deaths in a row."""
    return min(DELAY_S_MAX, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))


def exit_text(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; empty for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2].split()
    except OSError:
        return []


def is_running(pid: int) -> bool:
    return stat_fields(pid)[_STAT_STATE : _STAT_STATE + 1] not in ([], ["Z"], ["X"])


def started_s(pid: int) -> float:
    """When the process started, in seconds since boot."""
    fields = stat_fields(pid)
    return int(fields[_STAT_START_TICKS]) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _proc_words(pid: int, name: str) -> list[str]:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return os.fsdecode(file.read()).split("\0")[:-1]
    except OSError:
        return []


def find_marked(data_dir: str) -> list[tuple[str, int]]:
    """(daemon, pid) of every daemon of `data_dir` that runs, whoever started it.

    What a daemon starts inherits the mark (a shim, a mount helper) but not the session.
    """
    prefix = f"{MARK}={data_dir}:"
    found = []
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        marks = [w for w in _proc_words(pid, "environ") if w.startswith(prefix)]
        with contextlib.suppress(ProcessLookupError):
            if marks and os.getsid(pid) == pid and is_running(pid):
                found.append((marks[0].removeprefix(prefix), pid))
    return found


def rotate(path: str) -> None:
    """Copy a log that grew too long to `<path>.1` and empty it. Its writer appends, so it goes on
    at the start; a line written between copy and cut is lost."""
    try:
        if os.stat(path).st_size <= LOG_BYTES_MAX:
            return
    except FileNotFoundError:
        return
    with open(path, "rb+") as old, open(f"{path}.1", "wb") as new:
        while chunk := old.read(1024 * 1024):
            new.write(chunk)
        old.truncate(0)


class Daemon:
    """One process that should run; `pid` is 0 while it does not, and `due_s` says when to try."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self.argv = argv
        self.pid = 0
        self.pidfd = -1
        self.started_s = 0.0
        self.due_s = 0.0
        self.failures = 0
        self.restarts = 0
        self.last_exit = ""

    def took(self, pid: int) -> None:
        """It runs as `pid`."""
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.started_s = started_s(pid) or now_s()

    def ended(self, why: str) -> None:
        """It does not run any more; decides when to start it again."""
        settled = self.pid and now_s() - self.started_s >= SETTLED_S
        self.failures = 1 if settled else self.failures + 1
        self.restarts += 1
        self.due_s = now_s() + restart_delay_s(self.failures)
        self.last_exit = why
        self.forget()

    def forget(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pid, self.pidfd = 0, -1

    def reap(self) -> str:
        """What the process died of. One that an earlier supervisor started is not our child."""
        try:
            return exit_text(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return "ended"

    def stop(self) -> str:
        """Ask it to end, then make it; returns how it ended."""
        if not self.pid:
            return "was not running"
        _send(self.pidfd, signal.SIGTERM)
        if not _wait(self.pidfd, STOP_S):
            log(f"{self.name} did not end in {STOP_S:.0f} s, killing it")
            _send(self.pidfd, signal.SIGKILL)
            _wait(self.pidfd, STOP_S)
        how = self.reap()
        self.forget()
        return how

    def status(self) -> dict[str, object]:
        return {
            "name": self.name,
            "pid": self.pid,
            "age_s": now_s() - self.started_s if self.pid else 0.0,
            "restarts": self.restarts,
            "failures": self.failures,
            "last_exit": self.last_exit,
            "due_in_s": 0.0 if self.pid else max(0.0, self.due_s - now_s()),
        }


def _send(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _wait(pidfd: int, limit_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(limit_s * 1000))


class Supervisor:
    """The daemons of one SPEC, the socket that `pinnace` talks to, and the loop that waits."""

    def __init__(self, spec_path: str) -> None:
        self._spec_path = spec_path
        self._daemons: list[Daemon] = []
        self._stopping = False
        self._next_log_check_s = now_s() + LOG_CHECK_S
        self._read_spec()

    def _read_spec(self) -> None:
        with open(self._spec_path) as file:
            spec = json.load(file)
        self._data_dir: str = spec["data_dir"]
        self._pid_file: str = spec["pid_file"]
        self._socket_path: str = spec["socket"]
        self._log_dir: str = spec["log_dir"]
        self._environment: dict[str, str] = spec["environment"]
        self._wanted = [Daemon(d["name"], d["argv"]) for d in spec["daemons"]]

    def lock(self) -> None:
        """Be the only supervisor of this run directory, for as long as this process lives."""
        os.makedirs(os.path.dirname(self._pid_file), mode=0o700, exist_ok=True)
        fd = os.open(self._pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 32).decode().strip()
            raise SystemExit(f"a supervisor runs already, as process {holder}") from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())

    def listen(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket_path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        self._listener.bind(self._socket_path)
        os.umask(before)
        self._listener.listen(8)
        # A signal wakes the poll through this pair; the handlers have nothing left to do.
        self._signals, wakeup = socket.socketpair()
        for end in (self._signals, wakeup):
            end.setblocking(False)
        self._wakeup = wakeup
        signal.set_wakeup_fd(wakeup.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_stop_signal(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def apply(self) -> None:
        """Make what runs what is wanted: daemons with another command line are started anew,
        ones that are not wanted end, ones that an earlier supervisor left are taken over."""
        wanted = {daemon.name: daemon for daemon in self._wanted}
        for old in reversed(self._daemons):
            new = wanted.get(old.name)
            if new is None or new.argv != old.argv:
                log(f"{old.name} is not wanted as it is: {old.stop()}")
            else:
                wanted[old.name] = old
        self._daemons = list(wanted.values())
        self._adopt()
        self._start_due()

    def _adopt(self) -> None:
        running = {daemon.pid for daemon in self._daemons}
        by_name = {daemon.name: daemon for daemon in self._daemons}
        for name, pid in find_marked(self._data_dir):
            if pid in running:
                continue
            daemon = by_name.get(name)
            if daemon and not daemon.pid and _proc_words(pid, "cmdline") == daemon.argv:
                daemon.took(pid)
                log(f"{name} runs already, as process {pid}")
                continue
            orphan = Daemon(name, [])
            orphan.took(pid)
            log(f"{name} of an earlier start, process {pid}: {orphan.stop()}")

    def _start_due(self) -> None:
        for daemon in self._daemons:
            if daemon.pid or daemon.due_s > now_s():
                continue
            try:
                daemon.took(self._spawn(daemon))
            except OSError as error:
                daemon.ended(str(error))
                log(f"{daemon.name} cannot be started: {error}")
            else:
                log(f"{daemon.name} started as process {daemon.pid}")

    def _spawn(self, daemon: Daemon) -> int:
        log_file = f"{self._log_dir}/{daemon.name}.log"
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            daemon.argv[0],
            daemon.argv,
            self._environment | {MARK: f"{self._data_dir}:{daemon.name}"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, append, 0o640),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            # Python ignores SIGPIPE and SIGXFSZ, which a child would inherit.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP],
            setsigmask=[],
        )

    def run(self) -> None:
        """Until a stop is asked for: start what is due, wait for deaths and requests."""
        while not self._stopping:
            self._start_due()
            self._check_logs()
            poll = select.poll()
            poll.register(self._listener, select.POLLIN)
            poll.register(self._signals, select.POLLIN)
            by_fd = {daemon.pidfd: daemon for daemon in self._daemons if daemon.pid}
            for fd in by_fd:
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(self._timeout_ms()):
                if fd in by_fd:
                    self._on_death(by_fd[fd])
                elif fd == self._listener.fileno():
                    self._on_request()
                    break  # daemons may have come and gone: their descriptors are stale
        self.stop()

    def _timeout_ms(self) -> float:
        dues_s = [daemon.due_s for daemon in self._daemons if not daemon.pid]
        return max(0.0, (min([*dues_s, self._next_log_check_s]) - now_s()) * 1000 + 1)

    def _check_logs(self) -> None:
        if now_s() >= self._next_log_check_s:
            self._next_log_check_s = now_s() + LOG_CHECK_S
            for name in [*(daemon.name for daemon in self._daemons), "supervisor"]:
                try:
                    rotate(f"{self._log_dir}/{name}.log")
                except OSError as error:
                    log(f"the log of {name} cannot be shortened: {error}")

    def _on_death(self, daemon: Daemon) -> None:
        pid, how = daemon.pid, daemon.reap()
        daemon.ended(how)
        delay_s = restart_delay_s(daemon.failures)
        log(f"{daemon.name} (process {pid}) ended: {how}; starting it again in {delay_s:.1f} s")

    def _on_request(self) -> None:
        """One line of JSON in, {"do": "status" | "reload" | "stop"}, one line out."""
        with contextlib.suppress(OSError), self._listener.accept()[0] as connection:
            connection.settimeout(REQUEST_S)
            answer = self._answer(connection.recv(REQUEST_BYTES_MAX))
            connection.settimeout(REQUEST_S)
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            do = json.loads(line)["do"]
            if do == "stop":
                self._stopping = True
            elif do == "reload":
                self._read_spec()
                self.apply()
            elif do != "status":
                return {"error": f"no request {do!r}"}
        except (ValueError, KeyError, TypeError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        daemons = [daemon.status() for daemon in self._daemons]
        return {"pid": os.getpid(), "daemons": daemons}

    def stop(self) -> None:
        """End the daemons, last started first: each finds what it depends on until its end."""
        for daemon in reversed(self._daemons):
            log(f"{daemon.name}: {daemon.stop()}")
        # The pid file stays: who unlinks a locked file lets two hold "the" lock. The spec stays
        # too: it tells whose containers run on.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket_path)
        log("stopped")


def main(argv: list[str]) -> None:
    os.chdir("/")
    os.umask(0o022)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ready_fd = int(argv[2]) if len(argv) > 2 else -1
    if ready_fd >= 0:
        os.set_inheritable(ready_fd, False)
    supervisor = Supervisor(argv[1])
    supervisor.lock()
    supervisor.listen()
    supervisor.apply()
    if ready_fd >= 0:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
    supervisor.run()


if __name__ == "__main__":
    main(sys.argv)
