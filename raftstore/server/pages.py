"""What a member says of itself over HTTP: etcd's health pages, version and metrics
(etcd `server/etcdserver/api/etcdhttp`)."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from raftstore.errors import NodeError, RequestTimedOut
from raftstore.mvcc import AlarmKind
from raftstore.server.maintenance import ETCD_VERSION

if TYPE_CHECKING:
    from raftstore.node import Node

_CHECK_TIMEOUT_S: Final = 5.0
_SHUTDOWN_S: Final = 1.0
_CLUSTER_VERSION: Final = ETCD_VERSION.rpartition(".")[0] + ".0"

Check = Callable[[], Awaitable[None]]
"""Raises NodeError or _Unwell with what is not well."""


class _Unwell(Exception):
    pass


class Pages:
    """`registry`: more than the node's own metrics may be registered there."""

    def __init__(self, node: "Node", registry: CollectorRegistry | None = None) -> None:
        self._node = node
        self._registry = registry or CollectorRegistry()
        self._registry.register(node.metrics)
        self._livez: Mapping[str, Check] = {"serializable_read": self._check_running}
        self._readyz: Mapping[str, Check] = {
            "data_corruption": self._check_corruption,
            "serializable_read": self._check_running,
            "linearizable_read": self._check_linearizable,
            "non_learner": self._check_voter,
        }

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/health", self._health),
            web.get("/livez", self._serve_livez),
            web.get("/livez/{check}", self._serve_livez),
            web.get("/readyz", self._serve_readyz),
            web.get("/readyz/{check}", self._serve_readyz),
            web.get("/version", self._version),
            web.get("/metrics", self._metrics),
        ]

    async def _health(self, request: web.Request) -> web.Response:
        """As etcd's: alarms first, then the leader, then a read; `?exclude=NOSPACE` overlooks
        an alarm, `?serializable=true` asks of this member alone."""
        excluded = set(request.query.getall("exclude", []))
        serializable = request.query.get("serializable") == "true"
        reason = await self._illness(excluded, serializable=serializable)
        answer = {"health": "false" if reason else "true", "reason": reason}
        body = json.dumps(answer, separators=(",", ":"))
        if reason:
            # Go's http.Error ends its text with a newline.
            return web.Response(status=503, text=body + "\n")
        return web.Response(text=body)

    async def _illness(self, excluded: set[str], *, serializable: bool) -> str:
        for _, kind in sorted(self._node.state.alarms):
            if kind.name not in excluded:
                return f"ALARM {kind.name}"
        if not serializable and not self._node.leader:
            return "RAFT NO LEADER"
        try:
            await (self._check_running() if serializable else self._check_linearizable())
        except (NodeError, _Unwell) as error:
            return f"RANGE ERROR:{error}"
        return ""

    async def _serve_livez(self, request: web.Request) -> web.Response:
        return await self._serve_checks(request, "livez", self._livez)

    async def _serve_readyz(self, request: web.Request) -> web.Response:
        return await self._serve_checks(request, "readyz", self._readyz)

    async def _serve_checks(
        self, request: web.Request, page: str, checks: Mapping[str, Check]
    ) -> web.Response:
        only = request.match_info.get("check")
        if only is not None:
            if only not in checks:
                raise web.HTTPNotFound(text="404 page not found\n")
            checks = {only: checks[only]}
        excluded = set(request.query.getall("exclude", []))
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok\n")
                continue
            try:
                await check()
                lines.append(f"[+]{name} ok\n")
            except (NodeError, _Unwell) as error:
                failed.append(name)
                lines.append(f"[-]{name} failed: {error}\n")
        if failed:
            return web.Response(status=503, text="".join(lines) + f"{page} check failed\n")
        shown = "".join(lines) if "verbose" in request.query else ""
        return web.Response(text=shown + "ok\n")

    async def _check_running(self) -> None:
        if self._node.failure is not None or self._node.stopped.is_set():
            raise _Unwell("etcdserver: server stopped")

    async def _check_linearizable(self) -> None:
        await self._check_running()
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                await self._node.read_barrier()
        except TimeoutError:
            raise RequestTimedOut from None

    async def _check_corruption(self) -> None:
        for member_id, kind in self._node.state.alarms:
            if kind is AlarmKind.CORRUPT and member_id == self._node.member_id:
                raise _Unwell("alarm activated: CORRUPT")

    async def _check_voter(self) -> None:
        if self._node.is_learner:
            raise _Unwell("this member is a learner")

    async def _version(self, _: web.Request) -> web.Response:
        text = json.dumps({"etcdserver": ETCD_VERSION, "etcdcluster": _CLUSTER_VERSION})
        return web.Response(text=text, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        response = web.Response(body=generate_latest(self._registry))
        response.headers["Content-Type"] = CONTENT_TYPE_LATEST
        return response


class PagesServer:
    """The pages on addresses of their own (etcd's --listen-metrics-urls)."""

    def __init__(self, pages: Pages) -> None:
        app = web.Application()
        app.add_routes(pages.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._is_set_up = False

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """The port listened on. Raises OSError."""
        if not self._is_set_up:
            await self._runner.setup()
            self._is_set_up = True
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        return int(self._runner.addresses[-1][1])

    async def stop(self) -> None:
        await self._runner.cleanup()
