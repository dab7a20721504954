"""Reads the published JSON schema into plain descriptions of modules, classes and fields."""

import json
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from keyword import iskeyword
from typing import Any

KUBERNETES = "1.36.0"

# Fields of Kubernetes' internal catalogue that are scalars in JSON, by the name of their schema.
SCALARS = {
    "api.resource.Quantity": "quantity",
    "util.intstr.IntOrString": "int-or-string",
    "meta.v1.Time": "Time",
    "meta.v1.MicroTime": "MicroTime",
    "meta.v1.FieldsV1": "raw",
    "meta.v1.Patch": "json",
    "runtime.RawExtension": "json",
    "apiextensions.v1.JSON": "json",
    "apiextensions.v1.JSONSchemaPropsOrArray": "json",
    "apiextensions.v1.JSONSchemaPropsOrBool": "json",
    "apiextensions.v1.JSONSchemaPropsOrStringArray": "json",
}
PRIMITIVES = {
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("number", "double"): "double",
    ("string", "byte"): "bytes",
    ("string", None): "string",
    ("boolean", None): "bool",
}
FIRST = ("kind", "apiVersion", "metadata")


@dataclass(frozen=True)
class FieldType:
    """A scalar name of `PRIMITIVES` or `SCALARS`, or a class ("core.v1.Pod"), in `wrapped`."""

    name: str
    wrapped: tuple[str, ...] = ()

    @property
    def is_class(self) -> bool:
        return "." in self.name


@dataclass(frozen=True)
class Field:
    name: str
    type: FieldType
    required: bool
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    strategy: str = ""
    merge_key: str = ""

    @property
    def attribute(self) -> str:
        """The JSON name, made a Python name: `from` is `from_`, `$ref` is `ref_`."""
        plain = self.name.lstrip("$").replace("-", "_")
        return plain + "_" if iskeyword(plain) or self.name.startswith("$") else plain


@dataclass(frozen=True)
class Class:
    name: str
    fields: tuple[Field, ...]
    gvk: tuple[str, str, str] | None
    map_type: str = ""


@dataclass
class Module:
    """Classes of one group and version; `name` is the Python module's."""

    name: str
    classes: list[Class] = field(default_factory=list)


def module_name(qualified: str) -> str:
    """ "core.v1.Pod" lives in `core_v1`."""
    return qualified.rpartition(".")[0].replace(".", "_")


def short_name(definition: str) -> str:
    """ "io.k8s.api.core.v1.Pod" is "core.v1.Pod", by the last three parts."""
    plain = definition.replace("apimachinery.pkg.", "").replace("kube-aggregator.pkg.", "")
    parts = plain.split(".")
    keep = 3 if re.fullmatch(r"v\d+((alpha|beta)\d+)?|resource|intstr", parts[-2]) else 2
    return ".".join(parts[-keep:])


def load() -> list[Module]:
    """Every class of the schema and of `ADDITIONS`, sorted by module and name."""
    found = version("kubernetes-validate")
    if found != KUBERNETES:
        raise SystemExit(f"kubernetes-validate is {found}; the types are made from {KUBERNETES}")
    schema = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}-local"
    definitions = json.loads((schema / "_definitions.json").read_text())["$defs"]
    return modules_of({short_name(name): body for name, body in definitions.items()} | ADDITIONS)


def modules_of(definitions: dict[str, Any]) -> list[Module]:
    modules: dict[str, Module] = {}
    for qualified, body in sorted(definitions.items()):
        if qualified not in SCALARS:
            name = module_name(qualified)
            modules.setdefault(name, Module(name)).classes.append(_class(qualified, body))
    return list(modules.values())


def _class(qualified: str, body: dict[str, Any]) -> Class:
    required = set(body.get("required", ()))
    fields = [
        _field(name, schema, name in required)
        for name, schema in body.get("properties", {}).items()
    ]
    fields.sort(key=lambda f: (FIRST.index(f.name) if f.name in FIRST else len(FIRST), f.name))
    name = qualified.rpartition(".")[2]
    return Class(name, tuple(fields), _gvk(name, body), body.get("x-kubernetes-map-type", ""))


def _gvk(name: str, body: dict[str, Any]) -> tuple[str, str, str] | None:
    """The group, version and kind of a class that is one kind (DeleteOptions is one in each)."""
    found = body.get("x-kubernetes-group-version-kind", ())
    if len(found) != 1 or found[0]["kind"] != name:
        return None
    return (found[0]["group"], found[0]["version"], found[0]["kind"])


def _field(name: str, schema: dict[str, Any], required: bool) -> Field:
    return Field(
        name,
        _type(schema),
        required,
        list_type=schema.get("x-kubernetes-list-type", ""),
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
        map_type=schema.get("x-kubernetes-map-type", ""),
        strategy=schema.get("x-kubernetes-patch-strategy", ""),
        merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
    )


def _type(schema: dict[str, Any]) -> FieldType:
    if "$ref" in schema:
        name = short_name(schema["$ref"].removeprefix("#/$defs/"))
        return FieldType(SCALARS.get(name, name))
    plain = schema["type"]
    kind = plain if isinstance(plain, str) else next(t for t in plain if t != "null")
    if kind == "array":
        return _wrap("list", _type(schema["items"]))
    if kind == "object":
        return _wrap("dict", _type(schema["additionalProperties"]))
    return FieldType(PRIMITIVES[kind, schema.get("format")])


def _wrap(container: str, inner: FieldType) -> FieldType:
    return FieldType(inner.name, (container, *inner.wrapped))


def _addition(
    properties: dict[str, Any], required: tuple[str, ...], kind: str, group: str = "meta.k8s.io"
) -> dict[str, Any]:
    gvk = {"group": group, "version": "v1", "kind": kind}
    return {
        "properties": properties,
        "required": list(required),
        "x-kubernetes-group-version-kind": [gvk] if kind else [],
    }


_STRING: dict[str, Any] = {"type": "string"}
_INT32: dict[str, Any] = {"type": "integer", "format": "int32"}
_META = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
_LIST_META = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"}
_RAW = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.runtime.RawExtension"}
_KIND = {"apiVersion": _STRING, "kind": _STRING}


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/io.k8s.apimachinery.pkg.apis.{name}"}}


# What the published schema leaves out: answers that clients ask for by Accept header, and the list
# of anything. Source: apimachinery `apis/meta/v1`, Table, PartialObjectMetadata and List.
ADDITIONS: dict[str, Any] = {
    "core.v1.List": _addition(
        _KIND | {"metadata": _LIST_META, "items": {"type": "array", "items": _RAW}},
        ("items",),
        "List",
        group="",
    ),
    "meta.v1.PartialObjectMetadata": _addition(
        _KIND | {"metadata": _META}, (), "PartialObjectMetadata"
    ),
    "meta.v1.PartialObjectMetadataList": _addition(
        _KIND | {"metadata": _LIST_META, "items": _list_of("meta.v1.PartialObjectMetadata")},
        ("items",),
        "PartialObjectMetadataList",
    ),
    "meta.v1.Table": _addition(
        _KIND
        | {
            "metadata": _LIST_META,
            "columnDefinitions": _list_of("meta.v1.TableColumnDefinition"),
            "rows": _list_of("meta.v1.TableRow"),
        },
        ("columnDefinitions", "rows"),
        "Table",
    ),
    "meta.v1.TableColumnDefinition": _addition(
        {"name": _STRING, "type": _STRING, "format": _STRING, "description": _STRING}
        | {"priority": _INT32},
        ("name", "type", "format", "description", "priority"),
        "",
    ),
    "meta.v1.TableRow": _addition(
        {
            "cells": {"type": "array", "items": _RAW},
            "conditions": _list_of("meta.v1.TableRowCondition"),
            "object": _RAW,
        },
        ("cells",),
        "",
    ),
    "meta.v1.TableRowCondition": _addition(
        {"type": _STRING, "status": _STRING, "reason": _STRING, "message": _STRING},
        ("type", "status"),
        "",
    ),
}
