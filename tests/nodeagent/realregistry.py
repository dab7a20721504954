"""A container registry for pull tests: the product's images behind a password, on loopback.

Enough of the OCI distribution specification for a pull, and not a thing more.
"""

import asyncio
import base64
import contextlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from cluster import images

USER, PASSWORD = "puller", "pa:ss"


@dataclass
class Registry:
    """Serves `repository:tag` at `address`; remembers what was asked without a login."""

    address: str
    refused: list[str] = field(default_factory=list)

    @property
    def image(self) -> str:
        return f"{self.address}/private/busybox:1"

    @property
    def docker_config(self) -> str:
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return json.dumps({"auths": {self.address: {"auth": auth}}})


@contextlib.asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    blobs, manifest = await asyncio.to_thread(_contents)
    answered: Registry | None = None

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert answered is not None
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split()
        status, kind, body = _answer(answered, blobs, manifest, path, head)
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            'WWW-Authenticate: Basic realm="test"',
            "Connection: close",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        if method == "GET":
            writer.write(body)
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    answered = Registry(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield answered
    finally:
        server.close()
        await server.wait_closed()


def _answer(
    answered: Registry, blobs: dict[str, bytes], manifest: str, path: str, head: list[str]
) -> tuple[str, str, bytes]:
    """Status, media type and body."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if f"authorization: basic {login}".lower() not in [line.lower() for line in head]:
        answered.refused.append(path)
        return "401 Unauthorized", "application/json", b'{"errors":[{"code":"UNAUTHORIZED"}]}'
    digest = path.rpartition("/")[2]
    if "/manifests/" in path:
        data = blobs[manifest if digest == "1" else digest.removeprefix("sha256:")]
        return "200 OK", json.loads(data)["mediaType"], data
    if "/blobs/" in path:
        return "200 OK", "application/octet-stream", blobs[digest.removeprefix("sha256:")]
    return "200 OK", "application/json", b"{}"


def _contents() -> tuple[dict[str, bytes], str]:
    """Blobs by digest, and the digest of busybox' manifest."""
    blobs: dict[str, bytes] = {}
    index: dict[str, object] = {}
    with tarfile.open(fileobj=io.BytesIO(images.machine_archive())) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and member.name == "index.json":
                index = json.load(file)
            elif file is not None and member.name.startswith("blobs/"):
                blobs[member.name.rpartition("/")[2]] = file.read()
    listed = index["manifests"]
    assert isinstance(listed, list)
    chosen = next(m for m in listed if images.BUSYBOX in json.dumps(m.get("annotations", {})))
    return blobs, chosen["digest"].removeprefix("sha256:")
