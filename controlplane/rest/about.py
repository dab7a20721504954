"""Paths that are no resources: version, health, discovery, OpenAPI and metrics."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from base.version import VERSION
from controlplane.rest import discovery
from controlplane.rest.answers import encode, respond
from controlplane.rest.openapi import OpenApi
from kubeapi import errors

log = logging.getLogger("health")

HEALTH_PATHS: Final = ("/healthz", "/livez", "/readyz")
OPENAPI_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

Check = Callable[[], Awaitable[str]]
"""Returns "" when all is well, else what is not."""


class About:
    """Answers for what the server is, has and does; no object is read here."""

    def __init__(
        self,
        address: str,
        checks: Mapping[str, Check],
        metrics: CollectorRegistry,
        started: str,
    ) -> None:
        self._address = address
        self._checks = checks
        self._metrics = metrics
        self._discovery = discovery.Discovery()
        self._openapi = OpenApi()
        self._version = encode(discovery.version_info(VERSION, started))
        self._exact: dict[str, Callable[[web.BaseRequest], Awaitable[web.Response]]] = {
            "/": self._root,
            "/version": self._serve_version,
            "/metrics": self._serve_metrics,
        }

    async def answer(self, request: web.BaseRequest) -> web.Response | None:
        """The response, or None for a path that is not known."""
        path = request.path.rstrip("/") or "/"
        exact = self._exact.get(path)
        if exact is not None:
            return await exact(request)
        first = "/" + path.split("/")[1]
        if first in HEALTH_PATHS:
            return await self._health(request, first, path[len(first) + 1 :])
        if first in ("/api", "/apis"):
            return await self._discover(request, path)
        if first == "/openapi":
            return await self._serve_openapi(request, path)
        return None

    async def _root(self, request: web.BaseRequest) -> web.Response:
        return await respond(request, encode(self._discovery.root_paths()))

    async def _serve_version(self, request: web.BaseRequest) -> web.Response:
        return await respond(request, self._version)

    async def _serve_metrics(self, request: web.BaseRequest) -> web.Response:
        response = web.Response(body=generate_latest(self._metrics))
        response.headers["Content-Type"] = CONTENT_TYPE_LATEST
        return response

    async def _health(self, request: web.BaseRequest, endpoint: str, only: str) -> web.Response:
        """Kubernetes' health pages: "ok", or each check by name where one fails or all are
        asked for."""
        query = request.rel_url.query
        excluded = set(query.getall("exclude", []))
        checks = {name: check for name, check in self._checks.items() if name not in excluded}
        if only:
            if only not in checks:
                raise errors.StatusError(404, "NotFound", "404 page not found")
            checks = {only: checks[only]}
        failed = {name: problem for name, check in checks.items() if (problem := await check())}
        for check_name, problem in failed.items():
            log.warning("%s check %s failed: %s", endpoint, check_name, problem)
        name = endpoint.removeprefix("/")
        if not failed and "verbose" not in query:
            return web.Response(text="ok")
        lines = [
            f"[-]{check} failed: reason withheld" if check in failed else f"[+]{check} ok"
            for check in checks
        ]
        lines.append(f"{name} check {'failed' if failed else 'passed'}")
        return web.Response(text="\n".join(lines) + "\n", status=500 if failed else 200)

    async def _discover(self, request: web.BaseRequest, path: str) -> web.Response | None:
        accept = request.headers.get("Accept", "")
        if path == "/api" or path == "/apis":
            aggregated = discovery.accepts_aggregated(accept)
            if aggregated is None:
                raise errors.StatusError(
                    406, "NotAcceptable",
                    "only the following media types are accepted: application/json",
                )  # fmt: skip
            if aggregated:
                document = self._discovery.aggregated(core=path == "/api")
                return self._document(request, document)
            if path == "/api":
                versions = self._discovery.api_versions(self._address)
                return await respond(request, encode(versions))
        found = self._discovery.document(path)
        return None if found is None else self._document(request, found)

    def _document(self, request: web.BaseRequest, document: discovery.Document) -> web.Response:
        headers = {"Content-Type": document.content_type}
        if document.etag:
            headers |= {"ETag": document.etag, "Vary": "Accept"}
            if request.headers.get("If-None-Match") == document.etag:
                return web.Response(status=304, headers=headers)
        return web.Response(body=document.body, headers=headers)

    async def _serve_openapi(self, request: web.BaseRequest, path: str) -> web.Response | None:
        # Made on first request, off the loop: the documents are megabytes.
        accept = request.headers.get("Accept", "")
        found: Any = await asyncio.to_thread(self._openapi.document, path, accept)
        return None if found is None else self._document(request, found)
