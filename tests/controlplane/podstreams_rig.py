"""A small REST door around the stream handlers: what kubectl asks before it streams."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from controlplane.rest.podstreams import serve_exec, serve_log
from kubeapi import codec
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1
from nodeagent.streams import ContainerLookup
from tests.controlplane.streams_rig import Rig, rig

_POD_VERBS = ["get", "list"]
_DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod",
             "verbs": ["get", "list"], "shortNames": ["po"]},
            {"name": "pods/exec", "singularName": "", "namespaced": True,
             "kind": "PodExecOptions", "verbs": ["create", "get"]},
        ],
    },
}  # fmt: skip


def container_status(name: str, **state: Any) -> core_v1.ContainerStatus:
    states = state or {"running": core_v1.ContainerStateRunning()}
    return core_v1.ContainerStatus(
        name=name, containerID=f"containerd://{name}", state=core_v1.ContainerState(**states)
    )


def pod(*containers: str, node: str = "n1", **status: Any) -> core_v1.Pod:
    names = containers or ("main",)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="u1"),
        spec=core_v1.PodSpec(
            nodeName=node or None, containers=[core_v1.Container(name=name) for name in names]
        ),
        status=core_v1.PodStatus(
            phase="Running",
            **({"containerStatuses": [container_status(name) for name in names]} | status),
        ),
    )


class Door:
    """Serves one pod; `pod` may be changed by a test."""

    def __init__(self, made: Rig) -> None:
        self.rig = made
        self.pod = pod()
        self.url = ""
        self.bytes_per_log: list[int] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except StatusError as error:
            return web.json_response(error.status(), status=error.code, headers=error.headers)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        served: dict[str, Callable[..., Any]] = {"log": serve_log, "exec": serve_exec}
        if path in _DISCOVERY:
            return web.json_response(_DISCOVERY[path])
        if path == "/api/v1/namespaces/default/pods/web":
            return web.Response(body=codec.encode(self.pod), content_type="application/json")
        last = path.rpartition("/")[2]
        if path.startswith("/api/v1/namespaces/default/pods/web/") and last in served:
            return await served[last](request, self.pod, self.rig.tunnels)
        message = "the server could not find the requested resource"
        raise StatusError(404, "NotFound", message)


@contextlib.asynccontextmanager
async def rest_door(folder: Path, lookup: ContainerLookup | None = None) -> AsyncIterator[Door]:
    async with rig(folder, lookup) as made:
        door = Door(made)
        runner = web.ServerRunner(web.Server(door.handle), shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        door.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        try:
            yield door
        finally:
            await runner.cleanup()


def message_of(body: bytes) -> str:
    return str(json.loads(body)["message"])
