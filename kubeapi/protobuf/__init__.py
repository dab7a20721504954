"""Protobuf request bodies, which client-go's typed clients send, as JSON.

kubectl 1.32 and later create ConfigMaps, Deployments, Namespaces and more through typed clients
that write protobuf and do not fall back to JSON. Bodies are turned into JSON and then go the way
of all others; answers are JSON, which the same clients accept.

The envelope is `k8s\\0` and a `runtime.Unknown` {typeMeta {apiVersion, kind}, raw}. Go writes
every field that is no pointer, so an empty string, false or 0 there means absent; `_ZERO_COUNTS`
names the fields for which Go has a pointer and a zero is the user's. Imported on first use.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from base.clock import rfc3339, rfc3339_micro
from kubeapi.errors import bad_request
from kubeapi.protobuf.numbers import EMBEDDED, NUMBERS
from kubeapi.protobuf.wire import Field, Malformed, double, fields, signed, string
from kubeapi.resources import Kind, kind_class, split_api_version
from kubeapi.schema import FieldInfo, fields_of
from kubeapi.types import meta_v1

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\0"
DEPTH_MAX: Final = 64

_POINTERS: Final = (
    "activeDeadlineSeconds allocateLoadBalancerNodePorts allowPrivilegeEscalation "
    "allowVolumeExpansion attachRequired automountServiceAccountToken backoffLimit "
    "backoffLimitPerIndex blockOwnerDeletion completions controller count defaultMode "
    "deletionGracePeriodSeconds enableServiceLinks expirationSeconds failedJobsHistoryLimit "
    "fsGroup gracePeriodSeconds hostUsers immutable leaseDurationSeconds leaseTransitions "
    "manualSelector maxFailedIndexes minReplicas mode optional orphanDependents parallelism "
    "partition podInfoOnMount priority privileged progressDeadlineSeconds "
    "readOnlyRootFilesystem ready replicas revisionHistoryLimit runAsGroup runAsNonRoot "
    "runAsUser seconds serving setHostnameAsFQDN shareProcessNamespace "
    "stabilizationWindowSeconds startingDeadlineSeconds successfulJobsHistoryLimit suspend "
    "terminating terminationGracePeriodSeconds timeZone tolerationSeconds "
    "ttlSecondsAfterFinished unhealthyPodEvictionPolicy value"
)
_ZERO_COUNTS: Final = frozenset(_POINTERS.split())

Decode = Callable[[Field, int], Any]


def to_json(body: bytes) -> bytes:
    """The object in a protobuf body, as JSON. StatusError 400 where it is none."""
    try:
        return msgspec.json.encode(_envelope(body))
    except Malformed as error:
        raise bad_request(f"the protobuf body cannot be decoded: {error}") from None


def _envelope(body: bytes) -> dict[str, Any]:
    if not body.startswith(MAGIC):
        raise Malformed("it does not begin with the prefix of Kubernetes' protobuf")
    parts = {field.number: field for field in fields(body[len(MAGIC) :])}
    if 1 not in parts:
        raise Malformed("it does not say its kind")
    meta = {field.number: string(field) for field in fields(parts[1].data)}
    api_version, kind = meta.get(1, ""), meta.get(2, "")
    raw = parts[2].data if 2 in parts else b""
    obj: dict[str, Any] = {"kind": kind, "apiVersion": api_version}
    return obj | _message(raw, _class_of(api_version, kind), 0)


def _class_of(api_version: str, kind: str) -> Kind:
    if kind == "DeleteOptions":  # every group has it
        return meta_v1.DeleteOptions
    try:
        return kind_class(*split_api_version(api_version), kind)
    except (KeyError, ValueError):
        raise bad_request(f'no kind "{kind}" is registered for version "{api_version}"') from None


class _Row:
    """How one field number of a class becomes a JSON field."""

    __slots__ = ("container", "decode", "name")

    def __init__(self, name: str, container: str, decode: Decode) -> None:
        self.name = name
        self.container = container
        self.decode = decode


_Rows = dict[int, _Row]


def _message(data: bytes, kind: Kind, depth: int) -> dict[str, Any]:
    return _struct(data, *_tables[kind], depth)


def _struct(
    data: bytes, rows: _Rows, embedded_number: int, embedded: _Rows, depth: int
) -> dict[str, Any]:
    if depth > DEPTH_MAX:
        raise Malformed("it is nested too deeply")
    found: dict[str, Any] = {}
    for field in fields(data):
        if field.number == embedded_number:
            found |= _struct(field.data, embedded, 0, {}, depth + 1)
        elif (row := rows.get(field.number)) is not None:
            _take(found, row, field, depth)
    return found


def _take(found: dict[str, Any], row: _Row, field: Field, depth: int) -> None:
    value = row.decode(field, depth + 1)
    if row.container == "list":
        found.setdefault(row.name, []).append(value)
    elif row.container == "dict":
        key, inner = value
        found.setdefault(row.name, {})[key] = inner
    elif value not in (None, "") and (value or row.name in _ZERO_COUNTS or value == {}):
        found[row.name] = value


class _Tables(dict[Kind, tuple[_Rows, int, _Rows]]):
    """Per class: its rows, the number of what Go embeds in it, and the rows of that."""

    def __missing__(self, kind: Kind) -> tuple[_Rows, int, _Rows]:
        key = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
        number, embedded = EMBEDDED.get(key, (0, ""))
        rows = _rows_of(kind, NUMBERS.get(key, ""))
        made = self[kind] = (rows, number, _rows_of(kind, embedded))
        return made


_tables = _Tables()


def _rows_of(kind: Kind, text: str) -> _Rows:
    infos = fields_of(kind)
    rows = {}
    for pair in text.split():
        name, _, number = pair.partition(":")
        if name in infos:
            rows[int(number)] = _row(infos[name])
    return rows


def _row(info: FieldInfo) -> _Row:
    leaf = _leaf(info)
    match info.containers:
        case ():
            return _Row(info.name, "", leaf)
        case ("list",):
            return _Row(info.name, "list", leaf)
        case ("dict",):
            return _Row(info.name, "dict", lambda field, depth: _entry(field, leaf, depth))
        case ("dict", "list"):
            return _Row(info.name, "dict", lambda f, depth: _entry(f, _string_list, depth))
    raise Malformed(f"{info.name} has a shape that protobuf does not have")


def _entry(field: Field, leaf: Decode, depth: int) -> tuple[str, Any]:
    """A map's entry: {key = 1, value = 2}; a value that is not written is the type's zero."""
    parts = {part.number: part for part in fields(field.data)}
    key = string(parts[1]) if 1 in parts else ""
    return key, leaf(parts.get(2, Field(2, 2, 0, b"")), depth)


def _string_list(field: Field, depth: int) -> list[str]:
    return [string(part) for part in fields(field.data)]


def _leaf(info: FieldInfo) -> Decode:
    if info.kind is not None:
        kind = info.kind
        return lambda field, depth: _message(field.data, kind, depth)
    return _SCALARS[info.format]


def _parts(field: Field) -> dict[int, Field]:
    return {part.number: part for part in fields(field.data)}


def _seconds(field: Field) -> tuple[int, int] | None:
    """A Time message: {seconds = 1, nanos = 2}; an empty one is no time."""
    parts = _parts(field)
    if not parts:
        return None
    nanos = signed(parts[2]) if 2 in parts else 0
    return (signed(parts[1]) if 1 in parts else 0), nanos


def _time(field: Field, depth: int) -> str | None:
    when = _seconds(field)
    return None if when is None else _written(rfc3339, when[0])


def _micro_time(field: Field, depth: int) -> str | None:
    when = _seconds(field)
    return None if when is None else _written(rfc3339_micro, when[0] + when[1] / 1e9)


def _written(write: Callable[[float], str], when_s: float) -> str:
    try:
        return write(when_s)
    except (OSError, OverflowError, ValueError):
        raise Malformed(f"{when_s} s is no time") from None


def _quantity(field: Field, depth: int) -> str:
    parts = _parts(field)
    return string(parts[1]) if 1 in parts else "0"


def _int_or_string(field: Field, depth: int) -> int | str:
    """{type = 1 (0 an int, 1 a string), intVal = 2, strVal = 3}"""
    parts = _parts(field)
    if 1 in parts and signed(parts[1]) == 1:
        return string(parts[3]) if 3 in parts else ""
    return signed(parts[2]) if 2 in parts else 0


def _json(field: Field, depth: int) -> Any:
    """RawExtension and its like: {raw = 1}, which holds JSON."""
    raw = _parts(field).get(1)
    if raw is None or not raw.data:
        return None
    try:
        return msgspec.json.decode(raw.data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"raw JSON inside it: {error}") from None


_SCALARS: Final[dict[str, Decode]] = {
    "string": lambda field, depth: string(field),
    "bool": lambda field, depth: bool(field.varint),
    "int32": lambda field, depth: signed(field),
    "int64": lambda field, depth: signed(field),
    "double": lambda field, depth: double(field),
    "bytes": lambda field, depth: base64.b64encode(field.data).decode(),
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "Time": _time,
    "MicroTime": _micro_time,
    "json": _json,
    "raw": _json,
}
