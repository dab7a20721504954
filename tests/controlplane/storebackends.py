"""The stores that stand behind the Store protocol, for tests of it: opened, killed, restarted."""

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from base.clock import LoopClock, SystemClock
from controlplane.store import Event, Op, Store, StoreError
from controlplane.store.embedded import open_embedded
from controlplane.store.endpoints import Servers
from controlplane.store.etcd import EtcdStore

START_S = 30.0
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def put(store: Store, key: bytes, value: bytes, lease: int = 0) -> int:
    return (await store.txn([], [Op.put(key, value, lease)])).revision


async def until(holds: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait for what the store tells in its own time."""
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(0.01)


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[Event]]] = []
        self.lost: list[StoreError] = []

    def __call__(self, events: Sequence[Event], revision: int) -> None:
        if events:
            self.calls.append((revision, list(events)))

    @property
    def revisions(self) -> list[int]:
        return [revision for revision, _ in self.calls]

    @property
    def summary(self) -> list[tuple[int, list[tuple[bytes, bytes, bool]]]]:
        return [
            (revision, [(e.kv.key, e.kv.value, e.deleted) for e in events])
            for revision, events in self.calls
        ]


class Etcd:
    """Debian's etcd on one port, whatever happens to its process; with TLS on both sides by the
    files ca, server and client (.crt, .key) in `pki`."""

    program: tuple[str, ...] = ("etcd",)

    def __init__(self, directory: Path, pki: Path | None = None) -> None:
        directory.mkdir(mode=0o700)
        self._directory = directory
        self._pki = pki
        self.url = f"{'https' if pki else 'http'}://127.0.0.1:{free_port()}"
        self.client_files = _client_files(pki) if pki else ()
        self._peer_url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [
            *self.program,
            f"--data-dir={self._directory / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self._peer_url}",
            f"--initial-advertise-peer-urls={self._peer_url}",
            f"--initial-cluster=default={self._peer_url}",
            "--heartbeat-interval=20",
            "--election-timeout=200",
            *(_server_flags(self._pki) if self._pki else ()),
        ]

    def start(self) -> None:
        """Returns when it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), cwd=ROOT, stdout=log, stderr=log)
        with self._channel() as channel:
            grpc.channel_ready_future(channel).result(START_S)

    def _channel(self) -> grpc.Channel:
        target = self.url.partition("://")[2]
        if not self.client_files:
            return grpc.insecure_channel(target)
        ca, cert, key = (Path(name).read_bytes() for name in self.client_files)
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(ca, key, cert))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def store(self, lease_ttl_s: int = 2) -> EtcdStore:
        """A store over it; close it when done."""
        return EtcdStore(Servers((self.url,)), SystemClock(), random.Random(1), lease_ttl_s)


class Raftstore(Etcd):
    """`pinnace raftstore` in its place."""

    program = (sys.executable, "-m", "cluster.main", "raftstore")


def _client_files(pki: Path) -> tuple[str, str, str]:
    return str(pki / "ca.crt"), str(pki / "client.crt"), str(pki / "client.key")


def _server_flags(pki: Path) -> list[str]:
    return [
        f"--cert-file={pki / 'server.crt'}",
        f"--key-file={pki / 'server.key'}",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        "--client-cert-auth",
    ]


class Embedded:
    """On virtual time."""

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[Store]:
        store = await open_embedded(directory / "store", LoopClock(), random.Random(1))
        try:
            yield store
        finally:
            await store.close()


class Remote:
    """Debian's etcd-server, or `pinnace raftstore`, over gRPC."""

    def __init__(self, server: type[Etcd]) -> None:
        self._server = server

    @asynccontextmanager
    async def open(self, directory: Path) -> AsyncIterator[Store]:
        etcd = self._server(directory / "etcd")
        etcd.start()
        store = etcd.store()
        try:
            yield store
        finally:
            await closed(store)
            etcd.kill()


async def closed(store: EtcdStore) -> None:
    """Close it, wholly."""
    await store.close()
    await grpc_settled()


async def grpc_settled() -> None:
    """A cancelled stream of grpc's is over when grpc's own thread has said so."""
    async with asyncio.timeout(5):
        while any("cython" in repr(task.get_coro()) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


Backend = Embedded | Remote

BACKENDS = [
    pytest.param(Embedded(), id="embedded"),
    pytest.param(Remote(Etcd), id="etcd", marks=[pytest.mark.realtime, pytest.mark.needs("etcd")]),
    pytest.param(Remote(Raftstore), id="raftstore", marks=pytest.mark.realtime),
]
