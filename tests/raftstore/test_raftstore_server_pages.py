"""The HTTP pages of a member: what probes and Prometheus read."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from base.clock import SystemClock
from raftstore.mvcc import AlarmKind, Put
from raftstore.node import Node
from raftstore.server.pages import Pages, PagesServer

pytestmark = pytest.mark.realtime


class Browser:
    def __init__(self, node: Node, base: str, session: aiohttp.ClientSession) -> None:
        self.node = node
        self._base = base
        self._session = session

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._base + path) as response:
            return response.status, await response.text()


@asynccontextmanager
async def paged(directory: Path) -> AsyncIterator[Browser]:
    node = await Node.open(directory / "store", SystemClock(), random.Random(7))
    pages = PagesServer(Pages(node))
    port = await pages.listen("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield Browser(node, f"http://127.0.0.1:{port}", session)
    finally:
        await pages.stop()
        await node.close()


async def test_a_healthy_member(tmp_path: Path) -> None:
    async with paged(tmp_path) as browser:
        assert await browser.get("/health") == (200, '{"health":"true","reason":""}')
        assert await browser.get("/livez") == (200, "ok\n")
        assert await browser.get("/readyz") == (200, "ok\n")
        assert await browser.get("/readyz?verbose") == (
            200,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n"
            "[+]non_learner ok\nok\n",
        )
        assert await browser.get("/readyz/linearizable_read") == (200, "ok\n")
        assert (await browser.get("/readyz/nonsense"))[0] == 404


async def test_alarms(tmp_path: Path) -> None:
    async with paged(tmp_path) as browser:
        member_id = browser.node.member_id
        await browser.node.set_alarm(member_id, AlarmKind.NOSPACE, active=True)
        sick = '{"health":"false","reason":"ALARM NOSPACE"}\n'
        assert await browser.get("/health") == (503, sick)
        assert (await browser.get("/health?exclude=NOSPACE"))[0] == 200
        assert (await browser.get("/readyz"))[0] == 200
        await browser.node.set_alarm(member_id, AlarmKind.CORRUPT, active=True)
        code, text = await browser.get("/readyz")
        assert code == 503
        assert "[-]data_corruption failed: alarm activated: CORRUPT\n" in text
        assert (await browser.get("/readyz?exclude=data_corruption"))[0] == 200


async def test_no_leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with paged(tmp_path) as browser:
        monkeypatch.setattr(type(browser.node), "leader", property(lambda _: 0))
        sick = '{"health":"false","reason":"RAFT NO LEADER"}\n'
        assert await browser.get("/health") == (503, sick)
        assert (await browser.get("/health?serializable=true"))[0] == 200
        assert (await browser.get("/livez"))[0] == 200


async def test_a_stopped_member(tmp_path: Path) -> None:
    async with paged(tmp_path) as browser:
        await browser.node.close()
        assert (await browser.get("/health"))[0] == 503
        code, text = await browser.get("/livez")
        assert code == 503
        assert text.startswith("[-]serializable_read failed: etcdserver: server stopped\n")


async def test_version_and_metrics(tmp_path: Path) -> None:
    async with paged(tmp_path) as browser:
        await browser.node.propose(Put(b"a", b"1"))
        assert '"etcdserver": "3.6.' in (await browser.get("/version"))[1]
        code, text = await browser.get("/metrics")
        assert code == 200
        assert "etcd_server_has_leader 1.0\n" in text
        assert "etcd_debugging_mvcc_current_revision 2.0\n" in text
