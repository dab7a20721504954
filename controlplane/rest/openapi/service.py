"""Which document a path asks for, made when first asked for and kept compressed."""

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from base.version import VERSION
from controlplane.rest.discovery import JSON, Document
from controlplane.rest.openapi import docs, documents, gnostic
from controlplane.rest.openapi.schemas import V2
from kubeapi.resources import RESOURCES, ResourceInfo

V2_PATH: Final = "/openapi/v2"
V3_PATH: Final = "/openapi/v3"
PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# Under its first name clients ask for the form, but cannot parse that name in an answer.
PROTOBUF_ASKED: Final = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    PROTOBUF,
)
COMPRESSION_LEVEL: Final = 6


class OpenApi:
    """Thread-safe: two first requests at once make a document once."""

    def __init__(self, resources: Iterable[ResourceInfo] = RESOURCES) -> None:
        self._resources = tuple(resources)
        self._by_path: dict[str, list[ResourceInfo]] = {}
        for info in self._resources:
            base = f"apis/{info.api_version}" if info.group else f"api/{info.version}"
            self._by_path.setdefault(base, []).append(info)
        self._version = ".".join(VERSION.removeprefix("v").split(".")[:2])
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def document(self, path: str, accept: str = "") -> Document | None:
        """What a path under /openapi answers; None where there is nothing.

        The tag changes with the program and the docs it was built with, which is all that a
        document depends on: so it is known without making the document.
        """
        path = path.rstrip("/")
        if path == V2_PATH:
            return self._v2_protobuf() if _wants_protobuf(accept) else self._v2_json()
        if path == V3_PATH:
            return Document(self._index())
        name = path.removeprefix(f"{V3_PATH}/")
        infos = self._by_path.get(name)
        if infos is None or name == path:
            return None
        body = self._made(name, lambda: documents.v3(infos, self._version))
        return Document(body, JSON, f'"{self.hash_of(name)}"')

    def hash_of(self, name: str) -> str:
        """What identifies a document ("api/v1", "apis/apps/v1", "v2") in its present form."""
        parts = (VERSION, docs.version(), name)
        return hashlib.sha512("\n".join(parts).encode()).hexdigest().upper()

    def _index(self) -> bytes:
        paths = {
            name: {"serverRelativeURL": f"{V3_PATH}/{name}?hash={self.hash_of(name)}"}
            for name in sorted(self._by_path)
        }
        return msgspec.json.encode({"paths": paths})

    def _v2_json(self) -> Document:
        body = self._made("v2", lambda: documents.v2(self._resources, self._version))
        return Document(body, JSON, f'"{self.hash_of("v2")}"')

    def _v2_protobuf(self) -> Document:
        body = self._made("v2 protobuf", lambda: v2_protobuf(self._resources, self._version))
        return Document(body, PROTOBUF, f'"{self.hash_of("v2 protobuf")}"')

    def _made(self, name: str, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if name not in self._kept:
                body = make()
                self._kept[name] = zlib.compress(body, COMPRESSION_LEVEL)
                return body
        return zlib.decompress(self._kept[name])


def v2_protobuf(resources: Sequence[ResourceInfo], version: str) -> bytes:
    return gnostic.document(
        documents.info_object(version),
        documents.v2_paths(resources),
        documents.definitions(resources, V2, docs.Docs()),
    )


def _wants_protobuf(accept: str) -> bool:
    return any(part.split(";")[0].strip() in PROTOBUF_ASKED for part in accept.split(","))
