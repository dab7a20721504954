"""The stores that stand behind the Store protocol, for tests of it: opened, killed, restarted."""

import asyncio
import random
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from base.clock import Clock, LoopClock, SystemClock
from controlplane.store import Store
from controlplane.store.embedded import open_embedded
from controlplane.store.endpoints import Servers
from controlplane.store.etcd import EtcdStore

START_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Etcd:
    """Debian's etcd on one port for as long as it likes, whatever happens to its process."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        self._directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        self._peer_url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [
            "etcd",
            f"--data-dir={self._directory / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self._peer_url}",
            f"--initial-advertise-peer-urls={self._peer_url}",
            f"--initial-cluster=default={self._peer_url}",
            "--heartbeat-interval=20",
            "--election-timeout=200",
        ]

    def start(self) -> None:
        """Returns when it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        with grpc.insecure_channel(self.url.removeprefix("http://")) as channel:
            grpc.channel_ready_future(channel).result(START_S)

    def kill(self) -> None:
        """As `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def store(self, lease_ttl_s: int = 2) -> EtcdStore:
        """A store over it; close it when done."""
        return EtcdStore(Servers((self.url,)), SystemClock(), random.Random(1), lease_ttl_s)


class Embedded:
    """On virtual time."""

    name = "embedded"

    def clock(self) -> Clock:
        return LoopClock()

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[Store]:
        store = await open_embedded(directory / "store", self.clock(), random.Random(1))
        try:
            yield store
        finally:
            await store.close()


class RealEtcd:
    """Debian's etcd-server, over gRPC."""

    name = "etcd"

    def clock(self) -> Clock:
        return SystemClock()

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[Store]:
        etcd = Etcd(directory / "etcd")
        etcd.start()
        store = etcd.store()
        try:
            yield store
        finally:
            await closed(store)
            etcd.kill()


async def closed(store: EtcdStore) -> None:
    """Close it; a cancelled stream of grpc's is over when its own thread has said so."""
    await store.close()
    async with asyncio.timeout(5):
        while any("cython" in repr(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


Backend = Embedded | RealEtcd

BACKENDS = [
    pytest.param(Embedded(), id="embedded"),
    pytest.param(RealEtcd(), id="etcd", marks=[pytest.mark.realtime, pytest.mark.needs("etcd")]),
]
