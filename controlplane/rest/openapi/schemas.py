"""Schemas of the classes of `kubeapi.types`, in the dialect of OpenAPI 3 or of OpenAPI 2.

The two differ in how they refer to other schemas, and in that version 2 has no `oneOf`. Names
are those that Kubernetes publishes, made of the Go packages its types live in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlplane.rest.openapi.docs import Docs
from kubeapi.schema import FieldInfo, Kind, MergeRule, fields_of, type_rule

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
TIME: Final = f"{_META}Time"
MICRO_TIME: Final = f"{_META}MicroTime"
FIELDS_V1: Final = f"{_META}FieldsV1"
PATCH: Final = f"{_META}Patch"
ANY_JSON: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"

# Where the types of a module live, for those that do not live in k8s.io/api.
_PACKAGES: Final = {
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
}
_PLAIN: Final[Mapping[str, Mapping[str, str]]] = {
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "double": {"type": "number", "format": "double"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "string": {"type": "string"},
}
_NAMED: Final = {
    "MicroTime": MICRO_TIME,
    "Time": TIME,
    "int-or-string": INT_OR_STRING,
    "quantity": QUANTITY,
    "raw": FIELDS_V1,
}
_DATE: Final = {"type": "string", "format": "date-time"}
# Schemas that no class stands for.
_WELL_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    ANY_JSON: {
        "description": "JSON represents any valid JSON value. These types are supported: bool, "
        "int64, float64, string, []interface{}, map[string]interface{} and nil."
    },
    FIELDS_V1: {
        "description": "FieldsV1 stores a set of fields in a data structure like a Trie, in JSON "
        "format.",
        "type": "object",
    },
    INT_OR_STRING: {
        "description": "IntOrString is a type that can hold an int32 or a string.",
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    MICRO_TIME: {
        "description": "MicroTime is version of Time with microsecond level precision.",
        **_DATE,
    },
    PATCH: {
        "description": "Patch is provided to give a concrete name and type to the Kubernetes "
        "PATCH request body.",
        "type": "object",
    },
    QUANTITY: {
        "description": 'Quantity is a fixed-point representation of a number, such as "1.5", '
        '"500m" or "2Gi".',
        "oneOf": [{"type": "string"}, {"type": "number"}],
    },
    RAW_EXTENSION: {
        "description": "RawExtension is used to hold extensions in external versions.",
        "type": "object",
    },
    TIME: {"description": "Time is a moment in RFC 3339 form.", **_DATE},
}


@dataclass(frozen=True)
class Dialect:
    """How one version of OpenAPI says things."""

    prefix: str
    has_one_of: bool

    def reference(self, name: str) -> dict[str, Any]:
        return {"$ref": f"{self.prefix}{name}"}

    def described_reference(self, name: str) -> dict[str, Any]:
        """A reference that may have siblings: in version 3 those of a $ref do not count."""
        reference = self.reference(name)
        return {"allOf": [reference]} if self.has_one_of else reference

    def well_known(self, name: str) -> dict[str, Any]:
        schema = dict(_WELL_KNOWN[name])
        if not self.has_one_of and schema.pop("oneOf", None):
            schema["type"] = "string"
        return schema


V3: Final = Dialect("#/components/schemas/", True)
V2: Final = Dialect("#/definitions/", False)


def schema_name(kind: Kind) -> str:
    """`kubeapi.types.core_v1.Pod` is io.k8s.api.core.v1.Pod."""
    module = module_of(kind)
    if module == "version":
        return f"io.k8s.apimachinery.pkg.version.{kind.__name__}"
    group, _, version = module.rpartition("_")
    package = _PACKAGES.get(group, f"io.k8s.api.{group}")
    return f"{package}.{version}.{kind.__name__}"


def module_of(kind: Kind) -> str:
    return kind.__module__.rpartition(".")[2]


def reachable(kinds: Iterable[Kind]) -> dict[str, Kind | None]:
    """Every schema that the schemas of `kinds` refer to, by name; None for the well-known ones."""
    found: dict[str, Kind | None] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        name = schema_name(kind)
        if name in found:
            continue
        found[name] = kind
        for info in fields_of(kind).values():
            if info.kind is not None:
                waiting.append(info.kind)
            elif (named := _named(info, kind)) is not None:
                found.setdefault(named, None)
    return dict(sorted(found.items()))


def schema(
    name: str, kind: Kind | None, dialect: Dialect, docs: Docs, gvks: Iterable[tuple[str, str, str]]
) -> dict[str, Any]:
    """One schema; `gvks` are the (group, version, kind) that objects of it may say they are."""
    if kind is None:
        return dialect.well_known(name)
    doc = docs.of(module_of(kind), kind.__name__)
    fields = fields_of(kind)
    found: dict[str, Any] = {"description": doc.text} if doc.text else {}
    found["type"] = "object"
    required = sorted(info.name for info in fields.values() if info.required)
    if required:
        found["required"] = required
    properties = {
        info.name: _property(info, kind, dialect, doc.fields.get(info.name, ""))
        for info in sorted(fields.values(), key=lambda info: info.name)
    }
    if properties:
        found["properties"] = properties
    named = [{"group": group, "kind": name, "version": version} for group, version, name in gvks]
    if named:
        found["x-kubernetes-group-version-kind"] = named
    map_type = type_rule(kind).map_type
    if map_type:
        found["x-kubernetes-map-type"] = map_type
    return found


def _property(info: FieldInfo, kind: Kind, dialect: Dialect, doc: str) -> dict[str, Any]:
    described = {"description": doc} if doc else {}
    return described | _nested(info, kind, dialect, info.containers) | _extensions(info.rule)


def _nested(
    info: FieldInfo, kind: Kind, dialect: Dialect, containers: tuple[str, ...]
) -> dict[str, Any]:
    if not containers:
        return _leaf(info, kind, dialect)
    inner = _nested(info, kind, dialect, containers[1:])
    if containers[0] == "list":
        return {"type": "array", "items": inner}
    return {"type": "object", "additionalProperties": inner}


def _leaf(info: FieldInfo, kind: Kind, dialect: Dialect) -> dict[str, Any]:
    if info.kind is not None:
        return dialect.described_reference(schema_name(info.kind))
    named = _named(info, kind)
    if named is not None:
        return dialect.described_reference(named)
    return dict(_PLAIN[info.format])


def _named(info: FieldInfo, kind: Kind) -> str | None:
    """The well-known schema of a field that holds one."""
    if info.format == "json":
        return ANY_JSON if module_of(kind) == "apiextensions_v1" else RAW_EXTENSION
    return _NAMED.get(info.format)


def _extensions(rule: MergeRule) -> dict[str, Any]:
    found = {
        "x-kubernetes-list-map-keys": list(rule.map_keys),
        "x-kubernetes-list-type": rule.list_type,
        "x-kubernetes-map-type": rule.map_type,
        "x-kubernetes-patch-merge-key": rule.merge_key,
        "x-kubernetes-patch-strategy": ",".join(rule.strategies),
    }
    return {key: value for key, value in found.items() if value}
