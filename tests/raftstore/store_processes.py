"""Real processes for the tests: members of a store with certificates, and Debian's etcd."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from base import tls

PINNACE = Path(sys.executable).with_name("pinnace")
READY_S = 30.0
TOKEN = "tour"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Certificates:
    """A CA, and a certificate of it for whoever is named: PEM files in one directory."""

    def __init__(self, directory: Path, name: str = "store") -> None:
        self.directory = directory
        self._ca = tls.make_ca(name, time.time())
        self.ca = directory / f"{name}-ca.crt"
        self._ca.write(self.ca, directory / f"{name}-ca.key")

    def pair(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """(certificate, key); made at the first call."""
        cert, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        if not cert.exists():
            tls.issue(self._ca, name, time.time(), hosts=hosts).write(cert, key)
        return cert, key


class Process:
    """A daemon of a test: what it says goes to a file, and it ends with the test."""

    def __init__(self, argv: Sequence[str | Path], log: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as out:
            # What it said at earlier starts is not this one's.
            self._said_before = out.tell()
            self._popen = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    def said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode(errors="replace")

    def wait_said(self, text: str, timeout_s: float = READY_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while text not in self.said():
            if self.exit_code is not None:
                raise AssertionError(f"ended with {self.exit_code}: {self.said()}")
            assert time.monotonic() < deadline_s, f"never said {text!r}: {self.said()}"
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = READY_S) -> int:
        return self._popen.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, and wait until nothing of it is left."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, timeout_s: float = READY_S) -> int:
        """SIGTERM; returns the exit code."""
        self._popen.terminate()
        return self._popen.wait(timeout_s)


@dataclass
class Member:
    """One member and how it is started; `enter` is what runs a command where it lives."""

    name: str
    directory: Path
    host: str
    client_port: int
    peer_port: int
    certificates: Certificates
    enter: Sequence[str] = ()
    flags: list[str] = field(default_factory=list)
    process: Process | None = None

    @property
    def client_url(self) -> str:
        return f"https://{self.host}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"https://{self.host}:{self.peer_port}"

    @property
    def data_dir(self) -> Path:
        return self.directory / f"{self.name}.etcd"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    def argv(self, initial_cluster: str, *more: str) -> list[str]:
        cert, key = self.certificates.pair(self.name, self.host)
        ca = self.certificates.ca
        settings = {
            "name": self.name,
            "data-dir": self.data_dir,
            "listen-client-urls": self.client_url,
            "advertise-client-urls": self.client_url,
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": initial_cluster,
            "initial-cluster-token": TOKEN,
            "cert-file": cert,
            "key-file": key,
            "trusted-ca-file": ca,
            "peer-cert-file": cert,
            "peer-key-file": key,
            "peer-trusted-ca-file": ca,
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return [*self.enter, str(PINNACE), "raftstore", *flags, *self.flags, *more]

    def start(self, initial_cluster: str, *more: str) -> Process:
        assert self.process is None or self.process.exit_code is not None
        self.process = Process(self.argv(initial_cluster, *more), self.log)
        return self.process

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        assert self.process is not None
        self.process.wait_said("ready: member", timeout_s)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()


@contextlib.contextmanager
def real_etcd(directory: Path, *flags: str) -> Iterator[str]:
    """Debian's etcd with one member, on loopback without TLS; gives its client URL."""
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    directory.mkdir()
    argv = [
        "etcd", "--name=real", f"--data-dir={directory / 'data'}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=real={peer}", "--logger=zap", *flags,
    ]  # fmt: skip
    process = Process(argv, directory / "etcd.log")
    try:
        process.wait_said("serving client traffic")
        yield client
    finally:
        process.signal(signal.SIGKILL)
        process.wait()


def etcdctl(
    endpoint: str,
    *words: str | Path,
    certificates: Certificates | None = None,
    check: bool = True,
    text: str = "",
) -> subprocess.CompletedProcess[str]:
    """Debian's etcdctl, with the certificate of the user `client` where TLS is on; `text` is its
    input."""
    argv = ["etcdctl", f"--endpoints={endpoint}"]
    if certificates is not None:
        cert, key = certificates.pair("client")
        argv += [f"--cacert={certificates.ca}", f"--cert={cert}", f"--key={key}"]
    done = subprocess.run(
        [*argv, *map(str, words)],
        input=text,
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def pinnace(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The installed command."""
    done = subprocess.run(
        [str(PINNACE), *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done
