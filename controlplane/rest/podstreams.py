"""Logs and exec of a pod: the REST side of what its node streams.

The caller has authenticated, authorised and fetched the pod. `StatusError`s leave before the
answer has begun; what goes wrong later ends the stream, as HTTP has no other way to say it.
Attach and port-forward will be two more of these functions over the same legs.
"""

import asyncio
import logging
from typing import Final

from aiohttp import web

from controlplane.grpc.tunnel import NodeSession, NodeTunnels
from controlplane.rest.podcontainers import check_has_log, choose_container
from controlplane.rest.podlegs import SpdyUpgrade, Upgrade, WebSocketUpgrade, upgrade_of
from controlplane.rest.podoptions import address, parse_exec, parse_logs
from kubeapi.errors import bad_request
from kubeapi.streams.channels import Channel, parse_status
from kubeapi.streams.legs import LegClosed, join
from kubeapi.types import core_v1

__all__ = ["NodeTunnels", "serve_exec", "serve_log"]

logger = logging.getLogger("controlplane.podstreams")

_UPGRADES: Final[dict[str, type[Upgrade]]] = {
    "websocket": WebSocketUpgrade,
    "spdy/3.1": SpdyUpgrade,
}
# As Kubernetes: how long a client may take to open the streams that it asked for.
_STREAMS_TIMEOUT_S: Final = 30.0
_ENDED_EARLY: Final = (LegClosed, ConnectionError)
# aiohttp does not tell a handler that its client has gone; this is how often one looks.
_LOOK_FOR_CLIENT_S: Final = 1.0


async def serve_log(
    request: web.BaseRequest, pod: core_v1.Pod, tunnels: NodeTunnels
) -> web.StreamResponse:
    """`GET .../pods/{name}/log`: the container's log as text. Raises StatusError."""
    asked = parse_logs(request.query, pod)
    asked.container = choose_container(pod, request.query.get("container", ""))
    if pod.spec is None or not pod.spec.nodeName:
        # A pod that runs nowhere yet has an empty log, and this is how Kubernetes says so.
        return web.Response(status=204)
    node = address(asked, pod)
    check_has_log(pod, asked.container, previous=asked.previous)
    async with await tunnels.open_logs(node, asked) as session:
        return await _send_log(request, session)


async def _send_log(request: web.BaseRequest, session: NodeSession) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    copy = asyncio.create_task(_copy_log(session, response))
    try:
        while not copy.done() and _is_there(request):
            await asyncio.wait((copy,), timeout=_LOOK_FOR_CLIENT_S)
    finally:
        copy.cancel()
        await asyncio.gather(copy, return_exceptions=True)
    if copy.cancelled() or copy.exception() is not None:
        # Without the last chunk, the client knows that the log was not whole.
        _cut_off(request)
    if not copy.cancelled() and not isinstance(copy.exception(), _ENDED_EARLY):
        copy.result()
    return response


async def _copy_log(session: NodeSession, response: web.StreamResponse) -> None:
    """Raises LegClosed when the node goes away before it has said that this was all."""
    while (frame := await session.receive()) is not None:
        if frame.channel is Channel.STDOUT:
            await response.write(frame.data)
        elif frame.channel is Channel.ERROR:
            status = parse_status(frame.data)
            if status.get("status") != "Success":
                logger.warning("a log ended early: %s", status.get("message"))
                raise LegClosed(str(status.get("message")))
            return
    raise LegClosed("the node went away")


def _is_there(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _cut_off(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


async def serve_exec(
    request: web.BaseRequest, pod: core_v1.Pod, tunnels: NodeTunnels
) -> web.StreamResponse:
    """`GET` or `POST .../pods/{name}/exec`, upgraded to WebSocket or SPDY. Raises StatusError."""
    asked, options = parse_exec(request.query, pod)
    node = address(asked, pod)
    kind = _UPGRADES.get(upgrade_of(request))
    if kind is None:
        raise bad_request("Upgrade request required")
    # Before anything runs: a client that cannot be spoken with must not have started a process.
    upgrade = kind(request, options)
    async with await tunnels.open_exec(node, asked) as session:
        response, client = await upgrade.accept()
        try:
            await client.open(_STREAMS_TIMEOUT_S)
            await join(client, session)
        except LegClosed as error:
            logger.info("exec in pod %s: %s", asked.pod_name, error)
        except Exception:
            # The connection speaks another protocol by now: no answer can be sent on it.
            logger.exception("exec in pod %s", asked.pod_name)
        return response
