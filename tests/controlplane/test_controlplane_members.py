"""Three control planes, each with a member of the store in its process: any of them serves, one of
them leads, and the death of one is survived."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane import flags
from tests.controlplane.planes import (
    CONFIGMAPS,
    PODS,
    REPLICASETS,
    Admin,
    configmap,
    eventually,
    replicaset,
)
from tests.controlplane.storebackends import ROOT, free_port

pytestmark = pytest.mark.realtime

NAMES = ("a", "b", "c")


class Member:
    """One control plane, in a process of its own."""

    def __init__(self, directory: Path, name: str, peers: dict[str, str]) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        self._words = [
            "--data-dir", str(directory / name), "--bind-address", "127.0.0.1",
            "--advertise-address", "127.0.0.1",
            "--secure-port", str(free_port()), "--grpc-port", str(free_port()),
            "--name", name, "--listen-peer-urls", peers[name],
            "--initial-advertise-peer-urls", peers[name],
            "--initial-cluster", ",".join(f"{n}={url}" for n, url in peers.items()),
        ]  # fmt: skip
        self.admin = Admin(flags.parse(self._words))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "cluster.main", "controlplane", *self._words]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def is_ready(self) -> bool:
        try:
            return (await self.admin.ask("GET", "/readyz"))[0] == 200
        except OSError:
            return False

    async def leads(self) -> bool:
        _, text = await self.admin.ask("GET", "/metrics")
        return 'leader_election_master_status{name="controlplane"} 1.0' in text

    async def pods(self) -> int:
        return len(await self.admin.names(PODS))


@contextmanager
def three(directory: Path) -> Iterator[list[Member]]:
    peers = {name: f"http://127.0.0.1:{free_port()}" for name in NAMES}
    members = [Member(directory, name, peers) for name in NAMES]
    try:
        for member in members:
            member.start()
        yield members
    finally:
        for member in members:
            member.kill()


async def leader_of(members: list[Member]) -> Member:
    async with asyncio.timeout(60):
        while True:
            leading = [member for member in members if await member.leads()]
            if leading:
                assert len(leading) == 1
                return leading[0]
            await asyncio.sleep(0.1)


async def test_any_serves_one_leads_and_a_death_is_survived(tmp_path: Path) -> None:
    with three(tmp_path) as members:
        for member in members:
            await eventually(member.is_ready, 90)
        for number, member in enumerate(members):
            assert (await member.admin.ask("POST", CONFIGMAPS, configmap(f"c{number}")))[0] == 201
            for other in members:
                # Whoever is asked answers from after the write.
                assert (await other.admin.ask("GET", f"{CONFIGMAPS}/c{number}"))[0] == 200
                assert f"c{number}" in await other.admin.names(CONFIGMAPS)
        leader = await leader_of(members)
        others = [member for member in members if member is not leader]
        assert (await others[0].admin.ask("POST", REPLICASETS, replicaset("web", 2)))[0] == 201
        await eventually(lambda: _has_pods(others[1], 2))
        leader.kill()
        await eventually(lambda: _patched(others[0], 4))
        await eventually(lambda: _has_pods(others[1], 4))
        assert await leader_of(others) in others
        leader.start()
        await eventually(leader.is_ready, 60)
        assert await leader.pods() == 4


async def test_a_leader_that_sleeps_wakes_up_deposed(tmp_path: Path) -> None:
    with three(tmp_path) as members:
        for member in members:
            await eventually(member.is_ready, 90)
        sleeper = await leader_of(members)
        others = [member for member in members if member is not sleeper]
        posted = await sleeper.admin.ask("POST", REPLICASETS, replicaset("web", 200))
        assert posted[0] == 201
        sleeper.signal(signal.SIGSTOP)
        leader = await leader_of(others)
        await eventually(lambda: _has_pods(leader, 200), 60)
        sleeper.signal(signal.SIGCONT)
        await eventually(sleeper.is_ready, 60)
        # What it had begun is neither done twice nor undone.
        await asyncio.sleep(2)
        assert [await member.pods() for member in members] == [200, 200, 200]
        assert await leader_of(members) is not sleeper


async def _has_pods(member: Member, count: int) -> bool:
    return await member.pods() == count


async def _patched(member: Member, replicas: int) -> bool:
    """Refused with 503 while nobody leads."""
    patch = {"spec": {"replicas": replicas}}
    return (await member.admin.ask("PATCH", f"{REPLICASETS}/web", patch))[0] == 200
