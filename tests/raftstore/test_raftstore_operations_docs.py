"""docs/store.md is true: its commands are run as they stand there, in their order.

Addresses become ports of loopback, and names of files are those of the page: certificates are made
under them. A block that begins with `pinnace raftstore` is a member that goes on running.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_processes import PINNACE, Certificates, Process, etcdctl, free_ports, real_etcd

from raftstore.daemon.flags import TABLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "store.md"
UNIT = ROOT / "deploy" / "systemd" / "pinnace-raftstore.service"
ADDRESS = re.compile(r"10\.0\.0\.\d:23(79|80)")
HEADINGS = re.compile(r"^## (.*)$", re.M)


def blocks() -> list[tuple[str, str]]:
    """(section, commands) of every block of shell."""
    parts = HEADINGS.split(PAGE.read_text())
    return [
        (heading, block)
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        for block in re.findall(r"```sh\n(.*?)```", text, re.S)
    ]


class Reader:
    """Somebody who does what the page says, in a directory with the certificates it speaks of."""

    def __init__(self, directory: Path, etcds: dict[str, str]) -> None:
        self._directory = directory
        self._ports: dict[str, int] = {}
        self._etcds = etcds
        self._exports = ""
        self.members: dict[str, Process] = {}
        certificates = Certificates(directory)
        (directory / "ca.crt").write_bytes(certificates.ca.read_bytes())
        for name in ("m1", "m2", "m3", "m4", "r1", "client"):
            certificates.pair(name, "127.0.0.1")

    def follow(self, block: str) -> str:
        text = self._here(block)
        if text.startswith("pinnace raftstore"):
            name = text.split("--name ")[1].split()[0]
            self.start(name, text)
            return ""
        if text.startswith("export "):
            self._exports += text
            return ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._exports + text],
            cwd=self._directory, env=self._environment(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, name: str, text: str) -> None:
        argv = ["bash", "-c", f"cd {self._directory} && exec {text}"]
        path = self._environment()["PATH"]
        self.members[name] = Process(argv, self._directory / f"{name}.log", PATH=path)

    def wait_ready(self) -> None:
        for process in self.members.values():
            process.wait_said("ready: member")

    def stop(self, *names: str) -> None:
        for name in names:
            self.members.pop(name).kill()

    def _here(self, block: str) -> str:
        """With ports of this machine."""
        for url, real in self._etcds.items():
            block = re.sub(re.escape(url) + r"(?!\d)", real, block)
        return ADDRESS.sub(lambda found: f"127.0.0.1:{self._port(found.group())}", block)

    def _port(self, address: str) -> int:
        while address not in self._ports:
            [port] = free_ports(1)
            if port not in self._ports.values():
                self._ports[address] = port
        return self._ports[address]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{PINNACE.parent}:{os.environ['PATH']}"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with real_etcd(tmp_path / "old") as old, real_etcd(tmp_path / "new") as new:
        etcdctl(old, "put", "/registry/pods/default/web", "a pod")
        reader = Reader(tmp_path, {"http://127.0.0.1:2379": old, "http://127.0.0.1:23790": new})
        yield reader
        reader.stop(*reader.members)
        # The way back brought what the way there had taken.
        found = etcdctl(new, "get", "/registry/pods/default/web", "--print-value-only")
        assert found.stdout == "a pod\n"


@pytest.mark.needs("etcd", "etcdctl")
def test_the_page_is_true(reader: Reader) -> None:
    told: dict[str, str] = {}
    # The section on lost quorums comes before the copy, which needs the members.
    in_order = sorted(blocks(), key=lambda found: found[0] == "When the quorum is lost")
    for heading, block in in_order:
        if heading == "Three members" and block.startswith(("export", "etcdctl")):
            reader.wait_ready()
        if heading.startswith("Adding") and "promote" in block:
            reader.wait_ready()
        if heading == "When the quorum is lost":
            reader.stop(*reader.members)
        told[heading] = told.get(heading, "") + reader.follow(block)
        if heading == "Restore" and block.startswith("pinnace raftstore"):
            reader.wait_ready()
            reader.stop("r1")
    assert "hello" in told["Three members"]
    assert told["Three members"].count("is healthy") == 3
    assert "compacted revision" in told["Alarms"]
    assert "Snapshot saved at backup.pnbk" in told["Backup"]
    assert "promoted in cluster" in told["Adding, replacing and removing members"]
    assert "removed from cluster" in told["Adding, replacing and removing members"]
    assert told["Moving to and from etcd"].count("1 keys written") == 2
    assert "Nothing was changed" in told["When the quorum is lost"]
    assert "is the only one of the new cluster" in told["When the quorum is lost"]


def test_every_flag_of_the_page_is_there_and_every_flag_is_on_the_page() -> None:
    section = HEADINGS.split(PAGE.read_text())
    text = section[section.index("Flags") + 1]
    named = set(re.findall(r"`--([a-z-]+)`", text.split("Different from etcd")[0]))
    # Those that have one value.
    hidden = {"logger", "log-outputs", "pre-vote", "enable-v2", "strict-reconfig-check"}
    assert named == {flag.name for flag in TABLE.flags} - hidden


def test_metrics_of_the_page_are_there() -> None:
    section = HEADINGS.split(PAGE.read_text())
    text = section[section.index("What to watch") + 1]
    code = "".join(
        (ROOT / name).read_text() for name in ("base/looplag.py", "raftstore/node/metrics.py")
    )
    named = re.findall(r"`((?:etcd|pinnace)_\w+)`", text)
    assert len(named) >= 7
    for metric in named:
        assert f'"{metric.removesuffix("_total")}' in code, metric


def test_the_unit_starts_what_there_is() -> None:
    settings = dict(
        line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"\w+=", line)
    )
    assert settings["Type"] == "notify"
    assert settings["ExecStart"].split()[1] == "raftstore"
    assert settings["RestartPreventExitStatus"] == "2"
