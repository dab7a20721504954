"""The HTTPS door against clients that mean no good, or do not know what they do."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeapi.resources import RESOURCES, ResourceInfo
from tests.controlplane.test_rest_server import CONFIGMAPS, Door, configmap, served

pytestmark = pytest.mark.realtime

REVISIONS = "/apis/apps/v1/namespaces/default/controllerrevisions"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
PATCHES = (
    (b"{}", "application/merge-patch+json"),
    (b'{"spec":null,"metadata":null,"status":null}', "application/merge-patch+json"),
    (b"[]", "application/json-patch+json"),
    (b'[{"op":"replace","path":"","value":null}]', "application/json-patch+json"),
    (b'{"spec":{"$patch":"replace"}}', "application/strategic-merge-patch+json"),
)
BODIES = (
    (b"", "application/json"),
    (b"null", "application/json"),
    (b"[]", "application/json"),
    (b'{"metadata":null,"spec":null,"status":null}', "application/json"),
    (b'{"metadata":{"name":"there"},"spec":{},"status":{}}', "application/json"),
    (b"\xff\xfe", "application/json"),
    (b"k8s\0garbage", "application/vnd.kubernetes.protobuf"),
    (b"a: [", "application/yaml"),
    (b"{}", "text/plain"),
)


def base_of(info: ResourceInfo) -> str:
    root = f"/apis/{info.group}/{info.version}" if info.group else "/api/v1"
    return (
        f"{root}/namespaces/default/{info.resource}"
        if info.namespaced
        else (f"{root}/{info.resource}")
    )


def routes() -> Iterator[str]:
    for info in RESOURCES:
        yield base_of(info)
        for subresource in ("", *info.subresources, "nope"):
            yield f"{base_of(info)}/there/{subresource}".rstrip("/")


async def test_no_input_is_an_error_of_the_server(tmp_path: Path) -> None:
    """Every resource, subresource and verb with bodies that are none of theirs."""
    asked: list[tuple[str, str, bytes, str]] = []
    for path in routes():
        asked += [("GET", path + "?limit=-1&timeoutSeconds=1", b"", "")]
        asked += [(m, path, *b) for m in ("POST", "PUT") for b in BODIES]
        asked += [("PATCH", path, *p) for p in PATCHES]
    async with served(tmp_path) as door:
        await door.json("POST", CONFIGMAPS, json=configmap("there"))
        gate = asyncio.Semaphore(16)

        async def ask(method: str, path: str, body: bytes, kind: str) -> str:
            async with gate:
                headers = {"Content-Type": kind} if kind else {}
                status, _, said = await door.ask(method, path, data=body, headers=headers)
            return f"{method} {path} {body!r}: {said!r}" if status >= 500 else ""

        failed = [line for line in await asyncio.gather(*[ask(*a) for a in asked]) if line]
        assert not failed, failed[:5]


async def test_nobody_learns_nothing(tmp_path: Path) -> None:
    """Anonymous gets 403 for every route and method, whatever else is wrong with the request."""
    async with served(tmp_path) as door:
        gate = asyncio.Semaphore(16)

        async def ask(method: str, path: str) -> tuple[int, str]:
            headers = {"Accept": "text/nothing"}
            async with gate:
                query = "?dryRun=x&fieldSelector=metadata.name&limit=x"
                answer = await door.ask(
                    method, path + query, anonymous=True, headers=headers, data=b"x"
                )
            return answer[0], f"{method} {path}"

        open_to_all = {"selfsubjectreviews"}
        paths = [p for p in routes() if not open_to_all & set(p.split("/"))]
        got = await asyncio.gather(*[ask(m, p) for p in paths for m in METHODS])
        assert [line for status, line in got if status != 403] == []


async def test_the_door_withstands_its_clients(tmp_path: Path) -> None:
    async with served(tmp_path) as door:
        await check_dry_deletion(door)
        await check_warnings(door)
        await check_protobuf(door)
        await check_lists(door)
        await check_watches_of_one(door)
        await check_long_urls(door)
        await check_more_than_the_store_takes(door)


async def check_dry_deletion(door: Door) -> None:
    """kubectl delete --dry-run=server says so in the body."""
    await door.json("POST", CONFIGMAPS, json=configmap("kept"))
    for path in (f"{CONFIGMAPS}/kept", CONFIGMAPS):
        status, _ = await door.json("DELETE", path, json={"dryRun": ["All"]})
        assert status == 200
    assert (await door.json("GET", f"{CONFIGMAPS}/kept"))[0] == 200
    status, body = await door.json("DELETE", f"{CONFIGMAPS}/kept", json={"dryRun": ["Some"]})
    assert (status, body["details"]["causes"][0]["field"]) == (422, "dryRun")
    status, _ = await door.json("DELETE", f"{CONFIGMAPS}/kept", json=configmap("kept"))
    assert status == 400
    assert (await door.json("GET", f"{CONFIGMAPS}/kept"))[0] == 200


async def check_warnings(door: Door) -> None:
    """A field's name is the client's; it does not end a header, and many do not fill the answer."""
    odd = configmap("odd") | {"a\nb": 1, "c\u0001": 2}
    async with door.session.post(door.base + CONFIGMAPS, ssl=door.admin, json=odd) as response:
        assert response.status == 201
        assert "unknown field" in response.headers.getall("Warning")[0]
    many: dict[str, Any] = configmap("many") | {f"unknown{n}": 1 for n in range(5000)}
    async with door.session.post(door.base + CONFIGMAPS, ssl=door.admin, json=many) as response:
        assert response.status == 201
        assert 10 < len(response.headers.getall("Warning")) < 200


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + length(len(data)) + data


def length(value: int) -> bytes:
    head = b""
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def envelope(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


async def check_protobuf(door: Door) -> None:
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    late = field(8, b"\x08" + length(2**62))  # creationTimestamp, in 146 billion years
    body = envelope(b"v1", b"ConfigMap", field(1, field(1, b"late") + late))
    status, answer = await door.json("POST", CONFIGMAPS, data=body, headers=headers)
    assert (status, answer["reason"]) == (400, "BadRequest")
    deep = field(1, field(1, b"deep")) + field(2, field(1, b"[" * 100_000))
    body = envelope(b"apps/v1", b"ControllerRevision", deep)
    status, answer = await door.json("POST", REVISIONS, data=body, headers=headers)
    assert (status, answer["reason"]) == (400, "BadRequest")


async def check_lists(door: Door) -> None:
    _, page = await door.json("GET", f"{CONFIGMAPS}?limit=-1")
    assert len(page["items"]) > 1
    assert "continue" not in page["metadata"]
    revision = page["metadata"]["resourceVersion"]
    await door.json("POST", CONFIGMAPS, json=configmap("younger"))
    exact = f"{CONFIGMAPS}?resourceVersionMatch=Exact&resourceVersion={revision}"
    assert (await door.json("GET", exact))[1] == page
    for query in ("resourceVersion=1&resourceVersionMatch=Near", "sendInitialEvents=true"):
        assert (await door.json("GET", f"{CONFIGMAPS}?{query}"))[0] == 422, query
    for query in ("resourceVersionMatch=Exact&resourceVersion=1", "sendInitialEvents=true"):
        assert (await door.json("GET", f"{CONFIGMAPS}?watch=1&{query}"))[0] == 422, query


async def check_watches_of_one(door: Door) -> None:
    """A Namespace lies in no namespace, though its URL looks as if."""
    async with door.watch("/api/v1/watch/namespaces/default") as events, asyncio.timeout(5):
        event = await anext(events)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "default")
    # By its own path it is read, whatever the query says.
    status, body = await door.json("GET", "/api/v1/namespaces/default?watch=1")
    assert (status, body["kind"]) == (200, "Namespace")


async def test_a_watch_from_too_long_ago_is_told_so_among_its_events(tmp_path: Path) -> None:
    async with served(tmp_path):
        pass
    async with (
        served(tmp_path) as door,  # its history begins anew
        door.watch(f"{CONFIGMAPS}?watch=1&resourceVersion=1") as events,
    ):
        event = await anext(events)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def check_long_urls(door: Door) -> None:
    """kubectl and controllers select by hundreds of names."""
    chosen = ",".join(f"v{n}" for n in range(4000))
    status, body = await door.json("GET", f"{CONFIGMAPS}?labelSelector=app in ({chosen})")
    assert (status, body["items"]) == (200, [])


async def check_more_than_the_store_takes(door: Door) -> None:
    """Not 503, which clients would try again for ever."""
    revision = {"metadata": {"name": "vast"}, "revision": 1, "data": {"a": "x" * 2_500_000}}
    vast = io.BytesIO(msgspec.json.encode(revision))
    headers = {"Content-Type": "application/json"}
    status, body = await door.json("POST", REVISIONS, data=vast, headers=headers)
    assert (status, body["reason"]) == (413, "RequestEntityTooLarge")


def test_the_helpers_of_this_file_speak_protobuf() -> None:
    from kubeapi import protobuf

    body = envelope(b"v1", b"ConfigMap", field(1, field(1, b"n" * 200)))
    assert msgspec.json.decode(protobuf.to_json(body))["metadata"]["name"] == "n" * 200
