"""What the classes of `kubeapi.types` say of their fields, read on first use and kept.

Types and formats are in the annotations, what is required and how lists merge in
`kubeapi.types.rules`. Patches, validation, strict decoding and OpenAPI read them here.
"""

import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from kubeapi import scalars

Kind = type[Any]


@dataclass(frozen=True)
class MergeRule:
    """How two versions of a list or map become one.

    `list_type` (atomic, set, map), `map_keys` and `map_type` (atomic, granular) are what
    server-side apply goes by; `strategies` (merge, replace, retainKeys) and `merge_key` what a
    strategic merge patch does.
    """

    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    strategies: tuple[str, ...] = ()
    merge_key: str = ""


NO_RULE = MergeRule()


@dataclass(frozen=True)
class FieldInfo:
    """One field: `name` in JSON, `attribute` in Python.

    `format` is string, bool, double, int32, int64, bytes, quantity, int-or-string, Time,
    MicroTime, json or raw; or "object", and then `kind` is its class. `containers` are the lists
    and dicts around it, outermost first.
    """

    name: str
    attribute: str
    format: str
    kind: Kind | None
    containers: tuple[str, ...]
    required: bool
    rule: MergeRule


_FORMATS: dict[Any, str] = {
    str: "string",
    bool: "bool",
    float: "double",
    Any: "json",
    msgspec.Raw: "raw",
    scalars.Int32: "int32",
    scalars.Int64: "int64",
    scalars.Quantity: "quantity",
    scalars.Time: "Time",
    scalars.MicroTime: "MicroTime",
    scalars.Bytes: "bytes",
}


_fields: dict[Kind, dict[str, FieldInfo]] = {}


def fields_of(kind: Kind) -> dict[str, FieldInfo]:
    """The fields of a class by their JSON names."""
    found = _fields.get(kind)
    if found is None:
        found = _fields[kind] = _read_fields(kind)
    return found


def _read_fields(kind: Kind) -> dict[str, FieldInfo]:
    hints = typing.get_type_hints(kind, include_extras=True)
    required = _rules().REQUIRED.get(_key(kind), "").split()
    merge = _rules().MERGE.get(_key(kind), {})
    found: dict[str, FieldInfo] = {}
    for attribute, name in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        containers, leaf = _unwrap(hints[attribute])
        is_class = isinstance(leaf, type) and issubclass(leaf, scalars.Message)
        found[name] = FieldInfo(
            name,
            attribute,
            "object" if is_class else _FORMATS.get(leaf, "int-or-string"),
            leaf if is_class else None,
            containers,
            name in required,
            _rule(merge.get(name)),
        )
    return found


def type_rule(kind: Kind) -> MergeRule:
    """The rule of a class itself: `map_type` is "atomic" where it changes only as a whole."""
    return _rule(_rules().MERGE.get(_key(kind), {}).get(""))


def merge_rule(kind: Kind, name: str) -> MergeRule:
    """The rule of the field `name`; an empty one for fields that there are not."""
    field = fields_of(kind).get(name)
    return field.rule if field else NO_RULE


def _rule(row: tuple[str, tuple[str, ...], str, str, str] | None) -> MergeRule:
    if row is None:
        return NO_RULE
    list_type, map_keys, map_type, strategies, merge_key = row
    split = tuple(strategies.split(",")) if strategies else ()
    return MergeRule(list_type, map_keys, map_type, split, merge_key)


def _key(kind: Kind) -> str:
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


@cache
def _rules() -> types.ModuleType:
    """The table is large and most programs never ask for it."""
    from kubeapi.types import rules

    return rules


def _unwrap(hint: Any) -> tuple[tuple[str, ...], Any]:
    """`dict[str, list[X]] | None` is (("dict", "list"), X); int-or-string stays a union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [m for m in typing.get_args(hint) if m is not types.NoneType]
        return _unwrap(members[0]) if len(members) == 1 else ((), tuple(members))
    if typing.get_origin(hint) is list:
        inner, leaf = _unwrap(typing.get_args(hint)[0])
        return ("list", *inner), leaf
    if typing.get_origin(hint) is dict:
        inner, leaf = _unwrap(typing.get_args(hint)[1])
        return ("dict", *inner), leaf
    return (), hint
