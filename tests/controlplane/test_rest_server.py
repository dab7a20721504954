"""The HTTPS door as clients meet it: a whole control plane on a free port, over real TLS."""

import asyncio
import gzip
import io
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from base import tls
from base.clock import SystemClock
from controlplane import flags
from controlplane.process import ControlPlane, StartError

pytestmark = pytest.mark.realtime

LARGE = 3 * 1024 * 1024 + 1
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def arguments(directory: Path) -> list[str]:
    return [
        "--data-dir", str(directory), "--bind-address", "127.0.0.1",
        "--advertise-address", "127.0.0.1",
        "--secure-port", str(free_port()), "--grpc-port", str(free_port()),
    ]  # fmt: skip


class Door:
    """Requests as the administrator, or as nobody."""

    def __init__(self, port: int, pki: Path) -> None:
        self.base = f"https://127.0.0.1:{port}"
        ca = pki / "ca.crt"
        self.admin = tls.client_context(ca, pki / "admin.crt", pki / "admin.key")
        self._nobody = tls.client_context(ca)
        self.session = aiohttp.ClientSession(auto_decompress=False)

    async def ask(
        self, method: str, path: str, *, anonymous: bool = False, **options: Any
    ) -> tuple[int, dict[str, str], bytes]:
        context = self._nobody if anonymous else self.admin
        async with self.session.request(
            method, self.base + path, ssl=context, **options
        ) as response:
            return response.status, dict(response.headers), await response.read()

    async def json(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        status, headers, body = await self.ask(method, path, **options)
        if "Content-Encoding" in headers:
            body = gzip.decompress(body)
        return status, msgspec.json.decode(body)

    @asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator[AsyncIterator[Any]]:
        async with self.session.get(self.base + path, ssl=self.admin) as response:
            assert response.status == 200

            async def events() -> AsyncIterator[Any]:
                async for line in response.content:
                    yield msgspec.json.decode(line)

            yield events()


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Door]:
    given = flags.parse(arguments(directory))
    plane = ControlPlane(given, SystemClock(), random.Random(1))
    await plane.start()
    door = Door(given.secure_port, given.pki_dir)
    try:
        yield door
    finally:
        await door.session.close()
        await plane.stop()


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_the_door_as_a_whole(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        await check_health_and_identity(door)
        await check_bodies(door)
        await check_forms(door)
        await check_watch(door)
        await check_deletion(door)


async def check_health_and_identity(door: Door) -> None:
    for path in ("/readyz", "/livez", "/healthz", "/version"):
        assert (await door.ask("GET", path, anonymous=True))[0] == 200, path
    status, body = await door.json("GET", CONFIGMAPS, anonymous=True)
    assert (status, body["reason"]) == (403, "Forbidden")
    assert 'User "system:anonymous" cannot list resource "configmaps"' in body["message"]
    status, body = await door.json(
        "GET", CONFIGMAPS, anonymous=True, headers={"Authorization": "Bearer nonsense"}
    )
    assert (status, body["reason"]) == (401, "Unauthorized")
    assert (await door.json("GET", "/metrics", anonymous=True))[0] == 403
    page = (await door.ask("GET", "/metrics"))[2]
    for metric in (b"pinnace_event_loop_lag_seconds", b"etcd_disk_wal_fsync", b"workqueue_adds"):
        assert metric in page
    status, body = await door.json("GET", "/apis/nope/v1/things")
    assert (status, body["reason"]) == (404, "NotFound")
    status, body = await door.json("GET", "/api/v1/namespaces/default/nodes")
    assert (status, body["reason"]) == (404, "NotFound")
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "made-by-put"}, "rules": [],
    }  # fmt: skip
    assert [(await door.json("PUT", f"{roles}/made-by-put", json=role))[0] for _ in "12"] == [
        201,
        200,
    ]
    status, body = await door.json("PUT", CONFIGMAPS)
    assert (status, body["reason"]) == (405, "MethodNotAllowed")


async def check_bodies(door: Door) -> None:
    status, made = await door.json("POST", CONFIGMAPS, json=configmap("x", a="1"))
    assert (status, made["data"]) == (201, {"a": "1"})
    yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fromyaml}\ndata: {a: b}\n"
    status, made = await door.json(
        "POST", CONFIGMAPS, data=yaml, headers={"Content-Type": "application/yaml"}
    )
    assert (status, made["metadata"]["name"]) == (201, "fromyaml")
    status, body = await door.json(
        "POST", CONFIGMAPS, data=b"x", headers={"Content-Type": "text/plain"}
    )
    assert (status, body["reason"]) == (415, "UnsupportedMediaType")
    status, body = await door.json(
        "POST",
        CONFIGMAPS,
        data=io.BytesIO(b"x" * LARGE),
        headers={"Content-Type": "application/json"},
    )
    assert (status, body["reason"]) == (413, "RequestEntityTooLarge")
    unknown = configmap("strict") | {"extra": 1}
    status, body = await door.json("POST", CONFIGMAPS + "?fieldValidation=Strict", json=unknown)
    assert (status, body["reason"]) == (400, "BadRequest")
    assert 'unknown field "extra"' in body["message"]
    status, headers, _ = await door.ask("POST", CONFIGMAPS, json=unknown)
    assert status == 201
    assert headers["Warning"] == '299 - "unknown field \\"extra\\""'
    status, body = await door.json("POST", CONFIGMAPS + "?dryRun=All", json=configmap("dry"))
    assert status == 201
    assert (await door.json("GET", CONFIGMAPS + "/dry"))[0] == 404


async def check_forms(door: Door) -> None:
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    _, body = await door.json("GET", CONFIGMAPS, headers=table)
    assert body["kind"] == "Table"
    assert [column["name"] for column in body["columnDefinitions"]][:2] == ["Name", "Data"]
    _, listed = await door.json("GET", CONFIGMAPS)
    assert listed["kind"] == "ConfigMapList"
    names = [item["metadata"]["name"] for item in listed["items"]]
    assert names == sorted(names)
    partial = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    _, body = await door.json("GET", CONFIGMAPS, headers=partial)
    assert body["items"][0].keys() == {"kind", "apiVersion", "metadata"}
    status, body = await door.json("GET", CONFIGMAPS, headers={"Accept": "image/png"})
    assert (status, body["reason"]) == (406, "NotAcceptable")
    await door.json("POST", CONFIGMAPS, json=configmap("large", a="z" * 200_000))
    status, headers, data = await door.ask(
        "GET", CONFIGMAPS + "/large", headers={"Accept-Encoding": "gzip"}
    )
    assert headers["Content-Encoding"] == "gzip"
    assert len(msgspec.json.decode(gzip.decompress(data))["data"]["a"]) == 200_000


async def check_watch(door: Door) -> None:
    path = CONFIGMAPS + "?watch=true&fieldSelector=metadata.name%3Dwatched&allowWatchBookmarks=true"
    async with door.watch(path + "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan") as w:
        first = await anext(w)
        assert first["type"] == "BOOKMARK"
        assert first["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await door.json("POST", CONFIGMAPS, json=configmap("watched"))
        await door.ask(
            "PATCH",
            CONFIGMAPS + "/watched",
            data=b'{"data":{"a":"2"}}',
            headers={"Content-Type": "application/merge-patch+json"},
        )
        await door.ask("DELETE", CONFIGMAPS + "/watched")
        seen = [await anext(w) for _ in range(3)]
        assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
        assert versions == sorted(set(versions))
    async with door.watch(CONFIGMAPS + "?watch=true&timeoutSeconds=1&resourceVersion=0") as w:
        async with asyncio.timeout(10):
            assert all([event["type"] == "ADDED" async for event in w])


async def check_deletion(door: Door) -> None:
    status, body = await door.json("DELETE", CONFIGMAPS + "/x")
    assert (status, body["kind"], body["status"]) == (200, "Status", "Success")
    assert body["details"]["name"] == "x"
    status, body = await door.json("DELETE", CONFIGMAPS)
    assert (status, body["kind"]) == (200, "ConfigMapList")


async def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(given[given.index("--secure-port") + 1])))
        holder.listen()
        plane = ControlPlane(flags.parse(given), SystemClock(), random.Random(1))
        with pytest.raises(StartError, match="cannot listen"):
            await plane.start()


async def test_a_data_folder_that_is_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    plane = ControlPlane(flags.parse(arguments(tmp_path / "file")), SystemClock(), random.Random(1))
    with pytest.raises(StartError, match="cannot set up certificates"):
        await plane.start()
