"""Whole control planes spoken to over HTTPS, and objects for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from base import tls
from controlplane.flags import Flags

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
REPLICASETS = "/apis/apps/v1/namespaces/default/replicasets"


class Admin:
    """Requests as the administrator."""

    def __init__(self, given: Flags) -> None:
        self._base = f"https://127.0.0.1:{given.secure_port}"
        self._pki = given.pki_dir

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        pki = self._pki
        context = tls.client_context(pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
        async with aiohttp.ClientSession() as session:
            headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
            async with session.request(
                method, self._base + path, ssl=context, json=body, headers=headers
            ) as response:
                return response.status, await response.text()

    async def names(self, path: str) -> list[str]:
        status, text = await self.ask("GET", path)
        assert status == 200, text
        return [item["metadata"]["name"] for item in json.loads(text)["items"]]


def configmap(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def replicaset(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }  # fmt: skip


async def eventually(holds: Callable[[], Awaitable[Any]], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await holds():  # noqa: ASYNC110 - over HTTP there is nothing to wait for
            await asyncio.sleep(0.05)
