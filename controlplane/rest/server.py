"""The HTTPS server: authenticate, route, answer; an error becomes a Status."""

import asyncio
import logging
import ssl
from typing import Any, Final

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from controlplane.auth.forbidden import forbidden_error
from controlplane.auth.user import User
from controlplane.registry.api import Api
from controlplane.rest import router
from controlplane.rest.about import About
from controlplane.rest.answers import refusal
from controlplane.rest.authentication import Authenticator
from controlplane.rest.impersonation import impersonated
from controlplane.rest.podstreams import NodeTunnels
from controlplane.rest.queries import Query
from controlplane.rest.resources import (
    BODY_LIMIT_BYTES,
    ResourceHandler,
    method_not_allowed,
    page_not_found,
)
from kubeapi import errors

log = logging.getLogger("rest")

SHUTDOWN_S: Final = 2.0
HEADER_LIMIT_BYTES: Final = 128 * 1024
"""Of a request line and of one header: selectors name objects by the hundred."""
_NO_QUERY: Final = Query({})


class RestServer:
    """Serves one `Api` on one address."""

    def __init__(self, api: Api, tunnels: NodeTunnels, about: About) -> None:
        self._api = api
        self._about = about
        self._resources = ResourceHandler(api, tunnels)
        self._authenticator = Authenticator()
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen. OSError where the address is taken."""
        server = web.Server(
            self._handle,
            request_factory=_make_request,
            access_log=None,
            handler_cancellation=True,
            max_line_size=HEADER_LIMIT_BYTES,
            max_field_size=HEADER_LIMIT_BYTES,
        )
        logging.getLogger("aiohttp.server").addFilter(_not_of_the_client)
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=1024).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._serve(request)
        except errors.StatusError as error:
            return refusal(error)
        except (asyncio.CancelledError, ConnectionError, web.HTTPException):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return refusal(errors.internal("an unexpected error; the server's log has it"))

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        user = self._authenticator.user_of(request)
        user = impersonated(user, request.headers, self._api.backing.authorizer)
        target = router.target_of(request.path)
        if target is None or (target.info is None and not target.resource):
            return await self._serve_path(request, user)
        if target.info is None:
            self._authorize_unknown(user, request, target)
            raise page_not_found()
        query = Query(request.rel_url.query) if request.query_string else _NO_QUERY
        # One object by its name is only watched by the old path.
        watch = router.is_watch_path(request.path) or (query.flag("watch") and not target.name)
        return await self._resources.handle(request, user, target, query, watch)

    def _authorize_unknown(self, user: User, request: web.BaseRequest, target: Any) -> None:
        """Who may not ask for a resource does not learn that it does not exist."""
        verb = router.verb_of(request.method, target, False)
        decision = self._api.backing.authorizer.authorize(
            user, verb, target.group, target.resource, target.subresource, target.name,
            target.namespace,
        )  # fmt: skip
        if not decision.allowed:
            raise forbidden_error(
                user, verb, target.group, target.resource, target.subresource, target.name,
                target.namespace,
            )  # fmt: skip

    async def _serve_path(self, request: web.BaseRequest, user: User) -> web.StreamResponse:
        """Paths that are no resources: version, health, discovery, OpenAPI, metrics."""
        path = request.path
        verb = request.method.lower() if request.method != "HEAD" else "get"
        if not self._api.backing.authorizer.authorize_nonresource(user, verb, path).allowed:
            message = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
            raise errors.StatusError(403, "Forbidden", message)
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        answer = await self._about.answer(request)
        if answer is None:
            raise page_not_found()
        return answer


def _not_of_the_client(record: logging.LogRecord) -> bool:
    """What is no HTTP is answered with 400; it would fill the log with tracebacks."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: Any,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT_BYTES
    )
