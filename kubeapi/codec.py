"""JSON to objects and back.

`decode` is for what comes from outside: it refuses what Kubernetes refuses, in its words, and
brings times, quantities and base64 into the form in which they are kept. `decode_stored` is for
what this program encoded itself, and skips that.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from kubeapi import gojson, reading, strict
from kubeapi.canonical import canonical
from kubeapi.errors import StatusError, bad_request
from kubeapi.resources import kind_class, split_api_version

T = TypeVar("T")
Kind = type[Any]

_encoder = msgspec.json.Encoder()
_SUMMARY_BYTES = 30
# Versions that are taken though they are not served: clients of old evict with this one.
_ALSO_TAKEN = {("policy", "v1beta1", "Eviction"): ("policy", "v1", "Eviction")}
# The file of upstream that registers the kinds: part of a message that clients show.
_SCHEME = 'scheme "pkg/api/legacyscheme/scheme.go:30"'


class _Decoders(dict[Kind, msgspec.json.Decoder[Any]]):
    """A decoder per class, made when first asked for: making one resolves all its types."""

    def __missing__(self, kind: Kind) -> msgspec.json.Decoder[Any]:
        made = self[kind] = msgspec.json.Decoder(kind)
        return made


_decoders = _Decoders()


class _TypeMeta(msgspec.Struct):
    """What a body says it is."""

    apiVersion: str | None = None
    kind: str | None = None


_type_meta = msgspec.json.Decoder(_TypeMeta)


def decode(data: bytes, kind: type[T]) -> T:
    """The object in a body, with its apiVersion and kind; StatusError 400 when it is none."""
    try:
        obj: T = decode_plain(data, kind)
    except ValueError as error:
        raise _refusal(data, kind, str(error)) from None
    gvk = getattr(kind, "GVK", None)
    if gvk is None:
        return obj
    if obj.kind != gvk[2] or obj.apiVersion != _api_version(gvk):  # type: ignore[attr-defined]
        _check_kind(data, kind, obj)
        return _with_type(obj, gvk)
    return obj


def decode_plain(data: bytes, kind: type[T]) -> T:
    """The object in a body, whatever it says it is; ValueError with the message of Go's decoder.

    For what is no request body of its own: the outcome of a patch, options.
    """
    try:
        obj: T = canonical(_decoders[kind].decode(data))
        return obj
    except (ValueError, RecursionError):
        return _decode_slowly(data, kind)


def _decode_slowly(data: bytes, kind: type[T]) -> T:
    """What the quick decoder refused: legal and rare, or wrong and to be told in Go's words."""
    try:
        obj: T = canonical(_decoders[kind].decode(_encoder.encode(reading.read(data, kind))))
        return obj
    except msgspec.DecodeError as error:
        raise ValueError(gojson.syntax_problem(data) or str(error)) from None
    except RecursionError:
        raise ValueError(gojson.syntax_problem(data) or "exceeded max depth") from None


def decode_stored(data: bytes, kind: type[T]) -> T:
    """The object in bytes that `encode` made."""
    obj: T = _decoders[kind].decode(data)
    return obj


def encode(obj: Any) -> bytes:
    """The JSON of an object, with its apiVersion and kind."""
    return _encoder.encode(typed(obj))


def typed(obj: T) -> T:
    """`obj` with its apiVersion and kind filled, where it is a top-level kind."""
    gvk = getattr(obj, "GVK", None)
    if gvk is None or (obj.kind and obj.apiVersion):  # type: ignore[attr-defined]
        return obj
    return _with_type(obj, gvk)


def _with_type(obj: T, gvk: tuple[str, str, str]) -> T:
    known: Any = obj
    typed: T = msgspec.structs.replace(known, kind=gvk[2], apiVersion=_api_version(gvk))
    return typed


def _api_version(gvk: tuple[str, str, str]) -> str:
    group, version, _ = gvk
    return f"{group}/{version}" if group else version


def to_dict(obj: Any) -> Any:
    """The object as JSON values, for patches and other work on untyped trees."""
    return msgspec.json.decode(encode(obj))


def from_dict(value: dict[str, Any], kind: type[T]) -> T:
    """The object in JSON values; StatusError as `decode`."""
    return decode(_encoder.encode(value), kind)


def strict_problems(data: bytes, kind: Kind) -> list[str]:
    """Unknown and duplicate fields of a body that `decode` took, as warnings word them."""
    try:
        return strict.problems(data, kind)
    except RecursionError:
        raise bad_request("exceeded max depth") from None


def refuse_strictly(problems: Sequence[str], kind: Kind, yaml_problems: Sequence[str] = ()) -> None:
    """StatusError 400 that lists what is wrong, if anything is (`fieldValidation=Strict`).

    `yaml_problems` are what `yaml.to_json` found, before `problems` of the JSON that it made.
    """
    if yaml_problems:
        problems = ["yaml: unmarshal errors:\n  " + "\n  ".join(yaml_problems), *problems]
    if problems:
        _, version, name = kind.GVK
        text = f"strict decoding error: {', '.join(problems)}"
        raise bad_request(_can_not_be(name, version, name, text))


def _can_not_be(found: str, version: str, wanted: str, why: str) -> str:
    return f'{found} in version "{version}" cannot be handled as a {wanted}: {why}'


def unrecognized(data: bytes, kind: Kind, problem: str) -> StatusError:
    """The 400 for a body that does not even say what it is."""
    wanted, summary = kind.__name__, _summary(data)
    return bad_request(
        f"the object provided is unrecognized (must be of type {wanted}): {problem} ({summary})"
    )


def _refusal(data: bytes, kind: Kind, problem: str) -> StatusError:
    """The 400 for a body that no object could be made of."""
    said, unreadable = _said(data)
    wanted = kind.__name__
    gvk = getattr(kind, "GVK", None)
    if gvk is None:
        return bad_request(problem)
    if unreadable:
        return unrecognized(
            data, kind, f"couldn't get version/kind; json parse error: {unreadable}"
        )
    if (said.kind or wanted) != wanted or (said.apiVersion or _api_version(gvk)) != _api_version(
        gvk
    ):
        try:
            _check_kind(data, kind, said)
        except StatusError as error:
            return error
    return bad_request(_can_not_be(wanted, gvk[1], wanted, problem))


def _said(data: bytes) -> tuple[_TypeMeta, str]:
    """What the body says it is; or why that can not be read."""
    problem = gojson.syntax_problem(data)
    if problem is not None:
        return _TypeMeta(), problem
    try:
        return _type_meta.decode(data), ""
    except msgspec.ValidationError:
        return _TypeMeta(), _unreadable_type(msgspec.json.decode(data))
    except RecursionError:
        return _TypeMeta(), "exceeded max depth"


def _unreadable_type(value: Any) -> str:
    if not isinstance(value, dict):
        go_type = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
            'Kind string "json:\\"kind,omitempty\\"" }'
        )
        return f"json: cannot unmarshal {reading.described(value)} into Go value of type {go_type}"
    name = next(n for n in value if n in ("kind", "apiVersion") and not isinstance(value[n], str))
    shown = reading.described(value[name])
    return f"json: cannot unmarshal {shown} into Go struct field .{name} of type string"


def _summary(data: bytes) -> str:
    """apiserver `rest/create.go` summarizeData."""
    if not data:
        return "<empty>"
    head = data[:_SUMMARY_BYTES]
    shown = head.decode("utf-8", "replace") if data[:1] == b"{" else head.hex()
    return shown + " ..." if len(data) > _SUMMARY_BYTES else shown


def _check_kind(data: bytes, kind: Kind, said: Any) -> None:
    """Refuse a body of another kind or version; what is left out is what the URL says."""
    group, version, name = kind.GVK
    found_version = said.apiVersion or _api_version(kind.GVK)
    found = (*split_api_version(found_version), said.kind or name)
    if _ALSO_TAKEN.get(found, found) == (group, version, name):
        return
    try:
        other = kind_class(*found)
    except KeyError:
        why = f'no kind "{found[2]}" is registered for version "{found_version}" in {_SCHEME}'
        raise bad_request(_can_not_be(found[2], found[1], name, why)) from None
    try:
        decode_plain(data, other)
    except ValueError as error:
        raise bad_request(_can_not_be(found[2], found[1], name, str(error))) from None
    if (found[0], found[2]) == (group, name):
        raise bad_request(
            f"the API version in the data ({found_version}) does not match the expected API "
            f"version ({_api_version(kind.GVK)})"
        )
    internal = (group or "core").partition(".")[0]
    converting = f"converting ({found[1]}.{found[2]}) to ({internal}.{name}): unknown conversion"
    raise bad_request(_can_not_be(found[2], found[1], name, converting))
