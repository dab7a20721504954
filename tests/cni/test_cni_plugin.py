"""The executable as containerd starts it: a process of its own, against a server or nobody."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cni import install as installer
from cni.install import install, interpreter

CONFIG = json.dumps({"cniVersion": "1.0.0", "name": "pinnace", "type": "pinnace"})


class Installed:
    """The plugin installed under a folder; its patience shortened."""

    def __init__(self, root: Path, wait_s: float = 0.3) -> None:
        self.bin, self.conf, self.state = root / "bin", root / "conf.d", root / "state"
        self.socket = root / "cni.sock"
        install(self.bin, self.conf, self.socket, self.state)
        text = (self.bin / "pinnace").read_text()
        assert text.count("AGENT_WAIT_S = 10.0\n") == 1
        (self.bin / "pinnace").write_text(
            text.replace("AGENT_WAIT_S = 10.0", f"AGENT_WAIT_S = {wait_s}")
        )

    def run(
        self, command: str, config: str = CONFIG, name: str = "pinnace"
    ) -> subprocess.CompletedProcess[str]:
        environ = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": "c1",
            "CNI_NETNS": "/run/netns/x",
            "CNI_IFNAME": "eth0",
            "PATH": "/nowhere",
            "SECRET": "s",
        }
        return subprocess.run(
            [self.bin / name],
            input=config,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def tombstones(self) -> list[Path]:
        directory = self.state / "tombstones"
        return sorted(directory.iterdir()) if directory.exists() else []


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


class Server:
    """Answers what it is told to, one connection after the other."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            with connection:
                self.requests.append(_all_of(connection.recv))
                connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def _all_of(recv: Callable[[int], bytes]) -> bytes:
    parts = []
    while part := recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_the_request_is_passed_and_the_answer_printed(installed: Installed) -> None:
    server = Server(installed.socket, [b'0 8\n{"a": 1}', b"1 2\n{}"])
    done = installed.run("ADD")
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"a": 1}', "")
    done = installed.run("CHECK", config="whatever")
    assert (done.returncode, done.stdout) == (1, "{}")
    server.close()
    head, _, config = server.requests[0].partition(b"\0\0")
    assert set(head.split(b"\0")) == {
        b"CNI_COMMAND=ADD",
        b"CNI_CONTAINERID=c1",
        b"CNI_NETNS=/run/netns/x",
        b"CNI_IFNAME=eth0",
    }
    assert config.decode() == CONFIG
    assert server.requests[1].endswith(b"\0\0whatever")


@pytest.mark.parametrize(
    ("command", "code"), [("ADD", 11), ("CHECK", 11), ("GC", 11), ("VERSION", 11), ("STATUS", 50)]
)
def test_without_an_agent_the_error_is_json_with_its_code(
    installed: Installed, command: str, code: int
) -> None:
    done = installed.run(command)
    error = json.loads(done.stdout)
    assert (done.returncode, error["code"]) == (1, code)
    assert str(installed.socket) in error["details"]


def test_add_waits_for_an_agent_that_is_being_restarted(tmp_path: Path) -> None:
    installed = Installed(tmp_path, wait_s=20.0)
    servers: list[Server] = []

    def start_late() -> None:
        # The first agent dies on us before it has answered; the next one is better.
        servers.append(Server(installed.socket, [b"0 99\ncut", b"", b"x\n", b"0 2\nok"]))

    timer = threading.Timer(0.2, start_late)
    timer.start()
    done = installed.run("ADD")
    timer.join()
    servers[0].close()
    assert (done.returncode, done.stdout) == (0, "ok")
    assert len(set(servers[0].requests)) == 1


def test_del_without_an_agent_leaves_a_tombstone_and_succeeds(installed: Installed) -> None:
    for _ in range(2):
        done = installed.run("DEL")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert [path.name for path in installed.tombstones()] == ["c1-eth0"]
    assert installed.run("DEL", name="loopback").returncode == 0
    assert len(installed.tombstones()) == 1
    data = installed.tombstones()[0].read_bytes()
    assert b"CNI_CONTAINERID=c1\0" in data
    assert data.endswith(b"\0\0" + CONFIG.encode())


def test_del_with_an_agent_leaves_none(installed: Installed) -> None:
    server = Server(installed.socket, [b"0 0\n"])
    assert installed.run("DEL").returncode == 0
    server.close()
    assert installed.tombstones() == []


def test_del_asks_again_after_the_tombstone_and_then_takes_it_back(installed: Installed) -> None:
    """Nobody answers the first time, an agent the second: the gap while one starts."""
    server = Server(installed.socket, [b"", b"0 0\n"])
    assert installed.run("DEL").returncode == 0
    server.close()
    assert len(server.requests) == 2
    assert installed.tombstones() == []


def test_a_stale_socket_is_nobody(installed: Installed) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(installed.socket))
    assert json.loads(installed.run("ADD").stdout)["code"] == 11


def test_what_is_installed_and_how(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    for name in ("pinnace", "loopback"):
        assert stat.S_IMODE((installed.bin / name).stat().st_mode) == 0o755
    conflist = installed.conf / "10-pinnace.conflist"
    assert stat.S_IMODE(conflist.stat().st_mode) == 0o644
    assert json.loads(conflist.read_text()) == {
        "cniVersion": "1.0.0",
        "cniVersions": ["1.0.0", "1.1.0"],
        "name": "pinnace",
        "plugins": [{"type": "pinnace"}],
    }
    before = (installed.bin / "loopback").read_text()
    install(installed.bin, installed.conf, installed.socket, installed.state)
    assert (installed.bin / "loopback").read_text() == before
    assert sorted(p.name for p in installed.bin.iterdir()) == ["loopback", "pinnace"]


def test_the_executable_needs_nothing_of_the_checkout(installed: Installed) -> None:
    first = (installed.bin / "pinnace").read_text().splitlines()[0]
    python = first.removeprefix("#!").removesuffix(" -IS")
    assert os.path.isabs(python)
    assert not python.startswith(sys.prefix + "/") or sys.prefix == sys.base_prefix
    loaded = subprocess.run(
        [python, "-I", "-S", "-X", "importtime", "-c", "import _socket, os, sys, time"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = [line.rpartition("|")[2].strip() for line in loaded.stderr.splitlines()]
    assert not {"json", "socket", "enum", "re"} & set(imported)


def test_paths_that_python_must_quote(tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted" \\ place'
    text = installer.executable_text(interpreter(), odd / "cni.sock", odd)
    values: dict[str, object] = {"__name__": "test"}
    exec(compile(text, "plugin", "exec"), values)
    assert values["SOCKET_PATH"] == str(odd / "cni.sock")
    assert values["TOMBSTONE_DIR"] == str(odd / "tombstones")
