"""Whole documents, encoded piece by piece so that no tree of megabytes is ever in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from controlplane.rest.openapi.docs import Docs
from controlplane.rest.openapi.paths import (
    GVK,
    Operation,
    Parameter,
    Path,
    paths_of,
    subresource_gvk,
)
from controlplane.rest.openapi.schemas import (
    PATCH,
    V2,
    V3,
    Dialect,
    reachable,
    schema,
)
from kubeapi.resources import ResourceInfo, kind_class
from kubeapi.schema import Kind
from kubeapi.types import meta_v1

JSON: Final = "application/json"
ANSWERS: Final = (JSON, "application/yaml")
WATCHES: Final = f"{JSON};stream=watch"
BODIES: Final = (JSON, "application/yaml")
PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
TITLE: Final = "Kubernetes"
_SECURITY: Final = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }
}
# What requests and answers of every kind may hold, beside the kind itself.
_COMMON: Final = (
    meta_v1.APIResourceList,
    meta_v1.DeleteOptions,
    meta_v1.Status,
    meta_v1.WatchEvent,
)
# Options and events that say the group and version of what they are about.
_OF_EVERY_GROUP: Final = (meta_v1.DeleteOptions, meta_v1.WatchEvent)

Pairs = Iterator[tuple[str, Any]]


def info_object(version: str) -> dict[str, str]:
    return {"title": TITLE, "version": version}


def v3(infos: Sequence[ResourceInfo], version: str) -> bytes:
    """The document of one group and version."""
    docs = Docs()
    paths = chain.from_iterable(paths_of(info) for info in infos)
    pieces = [
        b'{"openapi":"3.0.0","info":',
        _encode(info_object(version)),
        b',"paths":',
        _object((path.path, _v3_path(path)) for path in paths),
        b',"components":{"schemas":',
        _object(definitions(infos, V3, docs)),
        b',"securitySchemes":',
        _encode(_SECURITY),
        b'},"security":[{"BearerToken":[]}]}',
    ]
    return b"".join(pieces)


def v2(infos: Sequence[ResourceInfo], version: str) -> bytes:
    """The document of everything."""
    docs = Docs()
    pieces = [
        b'{"swagger":"2.0","info":',
        _encode(info_object(version)),
        b',"paths":',
        _object(v2_paths(infos)),
        b',"definitions":',
        _object(definitions(infos, V2, docs)),
        b',"securityDefinitions":',
        _encode(_SECURITY),
        b',"security":[{"BearerToken":[]}]}',
    ]
    return b"".join(pieces)


def v2_paths(infos: Iterable[ResourceInfo]) -> Pairs:
    for info in infos:
        for path in paths_of(info):
            yield path.path, _v2_path(path)


def definitions(infos: Sequence[ResourceInfo], dialect: Dialect, docs: Docs) -> Pairs:
    """Every schema that the resources need, by name."""
    group_versions = sorted({(info.group, info.version) for info in infos})
    for name, kind in (reachable(_kinds(infos)) | {PATCH: None}).items():
        yield name, schema(name, kind, dialect, docs, _gvks(kind, group_versions))


def _kinds(infos: Iterable[ResourceInfo]) -> Iterator[Kind]:
    yield from _COMMON
    for info in infos:
        yield info.type
        if "list" in info.verbs:
            yield info.list_type
        for subresource in info.subresources:
            gvk = subresource_gvk(info, subresource)
            if not gvk[2].endswith("Options"):
                yield kind_class(*gvk)


def _gvks(kind: Kind | None, group_versions: Sequence[tuple[str, str]]) -> list[GVK]:
    if kind in _OF_EVERY_GROUP:
        assert kind is not None
        return [(group, version, kind.__name__) for group, version in group_versions]
    gvk = getattr(kind, "GVK", None)
    if gvk is None:
        return []
    return [("", "v1", gvk[2])] if gvk[0] == "meta.k8s.io" else [gvk]


def _object(pairs: Iterable[tuple[str, Any]]) -> bytes:
    """A JSON object of which only one value is a tree at a time."""
    return b"{" + b",".join(_encode(key) + b":" + _encode(value) for key, value in pairs) + b"}"


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _v3_path(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        operation.method: _v3_operation(operation, path.tag) for operation in path.operations
    }
    return found | {"parameters": [_v3_parameter(each) for each in path.parameters]}


def _v3_operation(operation: Operation, tag: str) -> dict[str, Any]:
    found = _operation_head(operation, tag)
    if operation.body:
        types = PATCHES if operation.method == "patch" else BODIES
        found["requestBody"] = {
            "content": {type_: {"schema": V3.reference(operation.body)} for type_ in types},
            "required": operation.method != "delete",
        }
    ok: dict[str, Any] = {"description": "OK"}
    if operation.answer:
        types = (*ANSWERS, WATCHES) if operation.streams else ANSWERS
        content = {"schema": V3.reference(operation.answer)}
        ok["content"] = dict.fromkeys(types, content)
    found["responses"] = _responses(operation, ok)
    if operation.parameters:
        found["parameters"] = [_v3_parameter(each) for each in operation.parameters]
    return found


def _v3_parameter(parameter: Parameter) -> dict[str, Any]:
    return _parameter_head(parameter) | {"schema": {"type": parameter.type, "uniqueItems": True}}


def _v2_path(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        operation.method: _v2_operation(operation, path.tag) for operation in path.operations
    }
    return found | {"parameters": [_v2_parameter(each) for each in path.parameters]}


def _v2_operation(operation: Operation, tag: str) -> dict[str, Any]:
    found = _operation_head(operation, tag)
    found["schemes"] = ["https"]
    found["produces"] = [*ANSWERS, WATCHES] if operation.streams else list(ANSWERS)
    parameters = [_v2_parameter(each) for each in operation.parameters]
    if operation.body:
        found["consumes"] = list(PATCHES if operation.method == "patch" else BODIES)
        body: dict[str, Any] = {"in": "body", "name": "body"}
        if operation.method != "delete":
            body["required"] = True
        parameters.insert(0, body | {"schema": V2.reference(operation.body)})
    if parameters:
        found["parameters"] = parameters
    ok: dict[str, Any] = {"description": "OK"}
    if operation.answer:
        ok["schema"] = V2.reference(operation.answer)
    found["responses"] = _responses(operation, ok)
    return found


def _v2_parameter(parameter: Parameter) -> dict[str, Any]:
    return _parameter_head(parameter) | {"type": parameter.type, "uniqueItems": True}


def _operation_head(operation: Operation, tag: str) -> dict[str, Any]:
    group, version, kind = operation.gvk
    return {
        "description": operation.text,
        "operationId": operation.id,
        "tags": [tag],
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }


def _responses(operation: Operation, ok: Mapping[str, Any]) -> dict[str, Any]:
    codes = {"200": ok}
    if operation.method in ("post", "put", "patch") and operation.body:
        codes["201"] = {**ok, "description": "Created"}
    return codes | {"401": {"description": "Unauthorized"}}


def _parameter_head(parameter: Parameter) -> dict[str, Any]:
    head: dict[str, Any] = {
        "description": parameter.text,
        "in": parameter.where,
        "name": parameter.name,
    }
    return head | {"required": True} if parameter.where == "path" else head
