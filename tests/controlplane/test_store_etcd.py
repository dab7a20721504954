"""What etcd goes through, and the store over it comes through: death, silence, another endpoint,
TLS, history that is gone."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base import tls
from base.clock import SystemClock
from controlplane.store import Compacted, Op, StoreError, endpoints
from controlplane.store import etcd as etcd_module
from controlplane.store.election import Elected
from controlplane.store.endpoints import Servers, parse_servers
from controlplane.store.etcd import EtcdStore
from tests.controlplane.storebackends import Etcd, Heard, closed, free_port, put, until

pytestmark = [pytest.mark.realtime, pytest.mark.needs("etcd")]


@asynccontextmanager
async def running(etcd: Etcd, *servers: str, ttl_s: int = 2) -> AsyncIterator[EtcdStore]:
    etcd.start()
    store = EtcdStore(
        Servers(servers or (etcd.url,), *etcd.client_files), SystemClock(), random.Random(1), ttl_s
    )
    try:
        yield store
    finally:
        await closed(store)
        etcd.kill()


async def test_a_watch_goes_on_where_it_was_when_etcd_dies(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    async with running(etcd) as store:
        everything, other = Heard(), Heard()
        store.watch(b"\0", b"\0", 2, everything)
        store.watch(b"b", b"", 2, other)
        for number in range(10):
            await put(store, b"a", b"%d" % number)
        for _ in range(2):
            etcd.kill()
            while "failed to connect" not in await store.check():  # noqa: ASYNC110 - it is polled
                await asyncio.sleep(0.01)
            # It cannot be sent, so it may wait.
            waiting = asyncio.create_task(put(store, b"a", b"patient"))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            etcd.start()
            await waiting
            for number in range(10):
                await put(store, b"ab"[number % 2 :][:1], b"%d" % number)
        await until(lambda: len(everything.calls) + 1 >= store.revision)
        assert everything.revisions == list(range(2, store.revision + 1))
        of_b = [r for r, events in everything.calls if events[0].kv.key == b"b"]
        await until(lambda: len(other.calls) >= len(of_b))
        assert other.revisions == of_b


async def test_history_that_went_while_nobody_listened_is_told(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    async with running(etcd) as store:
        heard, late = Heard(), Heard()
        store.watch(b"a", b"", 2, heard, heard.lost.append)
        await put(store, b"a", b"1")
        await until(lambda: heard.revisions == [2])
        # The stream is held up while others write and compact.
        stream = store._watches
        assert stream._task is not None
        stream._task.cancel()
        await asyncio.wait({stream._task})
        for _ in range(5):
            await put(store, b"a", b"2")
        await store.compact(5)
        stream._task = None
        store.watch(b"a", b"", 6, late)
        await until(lambda: bool(heard.lost) and late.revisions == [6, 7])
        assert isinstance(heard.lost[0], Compacted)
        assert (heard.lost[0].compact_revision, heard.revisions) == (5, [2])


async def test_an_endpoint_that_is_away_is_passed_over(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    nobody = f"http://127.0.0.1:{free_port()}"
    async with running(etcd, nobody, etcd.url) as store:
        heard = Heard()
        store.watch(b"a", b"", 2, heard)
        assert await put(store, b"a", b"1") == 2
        assert (await store.range(b"a")).count == 1
        assert await store.check() == ""
        await until(lambda: heard.revisions == [2])


async def test_a_write_whose_fate_is_unknown_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "ATTEMPT_S", 0.5)
    etcd = Etcd(tmp_path / "etcd")
    async with running(etcd) as store:
        await put(store, b"a", b"1")
        etcd.signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="DEADLINE_EXCEEDED"):
            await store.txn([], [Op.put(b"b", b"")])
        reading = asyncio.create_task(store.range(b"a"))
        await asyncio.sleep(1.2)
        etcd.signal(signal.SIGCONT)
        assert (await reading).kvs[0].value == b"1"
        found = await store.range(b"b")
        assert [kv.version for kv in found.kvs] in ([], [1])


async def test_a_long_range_comes_in_pages_of_one_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_module, "PAGE_KEYS", 7)
    etcd = Etcd(tmp_path / "etcd")
    async with running(etcd) as store:
        names = [b"/a/%03d" % number for number in range(50)]
        await store.txn([], [Op.put(name, b"v" + name) for name in names])
        reading = asyncio.create_task(store.range(b"/a/", b"/a0"))
        await store.txn([], [Op.delete(b"/a/", b"/a0")])
        found = await reading
        assert [kv.key for kv in found.kvs] in (names, [])
        past = await store.range(b"/a/", b"/a0", revision=2)
        assert [(kv.key, kv.value) for kv in past.kvs] == [(n, b"v" + n) for n in names]
        assert (past.count, past.more) == (50, False)


async def test_a_leader_that_is_gone_is_followed_when_its_lease_ends(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path / "etcd")
    async with running(etcd) as store:
        first = await store.lead("manager", "one")
        assert isinstance(first, Elected)
        second = asyncio.ensure_future(store.lead("manager", "two"))
        await asyncio.sleep(3)
        assert not second.done()
        await first.abandon()
        async with asyncio.timeout(10):
            await (await second).resign()


async def test_tls_on_both_sides(tmp_path: Path) -> None:
    now_s = SystemClock().now_s()
    ca = tls.make_ca("etcd-ca", now_s)
    ca.write(tmp_path / "ca.crt", tmp_path / "ca.key")
    tls.issue(ca, "etcd", now_s, hosts=["127.0.0.1"]).write(
        tmp_path / "server.crt", tmp_path / "server.key"
    )
    tls.issue(ca, "apiserver", now_s).write(tmp_path / "client.crt", tmp_path / "client.key")
    etcd = Etcd(tmp_path / "etcd", pki=tmp_path)
    async with running(etcd) as store:
        assert etcd.url.startswith("https://")
        assert await put(store, b"k", b"1") == 2
        nobody = EtcdStore(
            Servers((etcd.url,), str(tmp_path / "ca.crt")), SystemClock(), random.Random(1)
        )
        assert await nobody.check() != ""
        await closed(nobody)


async def test_a_tls_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"ca\.crt"):
        EtcdStore(
            Servers(("https://127.0.0.1:1",), str(tmp_path / "ca.crt")),
            SystemClock(),
            random.Random(1),
        )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://10.0.0.1:2379", "plain http is for addresses on loopback"),
        ("127.0.0.1:2379", "URL scheme must be http or https"),
        ("https://etcd", "host:port"),
        ("https://a:1,,https://b:1", "URL scheme"),
    ],
)
def test_servers_that_make_no_sense(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_servers(text)


def test_servers() -> None:
    text = "https://a.example:2379, https://[::1]:2379,http://localhost:2379"
    assert parse_servers(text) == tuple(text.replace(" ", "").split(","))
