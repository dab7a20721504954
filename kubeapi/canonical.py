"""Brings the texts of a decoded object into the form in which Kubernetes keeps them.

Quantities ("0.5" is "500m"), times (UTC) and base64 (no line breaks) are plain `str` to msgspec.
Of each class only the fields that lead to such a text are visited; an object that is canonical
already comes back as it is.
"""

import binascii
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from kubeapi import quantity, times
from kubeapi.schema import FieldInfo, Kind, fields_of

T = TypeVar("T")
Visit = Callable[[Any], Any]


class Base64Error(ValueError):
    """Text that is not base64; the message is Go's."""


def canonical_base64(text: str) -> str:
    """RFC 4648 section 4 with padding; line breaks are taken out, as Go's decoder ignores them."""
    try:
        binascii.a2b_base64(text, strict_mode=True)
        return text
    except ValueError:
        plain = text.replace("\r", "").replace("\n", "")
    try:
        decoded = binascii.a2b_base64(plain, strict_mode=True)
    except ValueError:
        raise Base64Error(f"illegal base64 data at input byte {_bad_byte(plain)}") from None
    return binascii.b2a_base64(decoded, newline=False).decode()


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _bad_byte(text: str) -> int:
    """Where Go's decoder stops: at a character, after the padding, or at an unfinished quantum."""
    at = next((i for i, character in enumerate(text) if character not in _ALPHABET), len(text))
    if at == len(text):
        return at - at % 4
    if text[at] != "=" or at % 4 < 2:
        return at
    if at % 4 == 2:
        if at + 1 == len(text):
            return len(text)
        if text[at + 1] != "=":
            return at
        return at + 2
    return at + 1


_KNOWN_MAX = 4096
_KNOWN_MAX_CHARACTERS = 64


class _Known(dict[str, str | None]):
    """Canonical forms of the texts seen last; the same few occur in object after object."""

    def __init__(self, make: Callable[[str], str | None]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> str | None:
        made = self._make(text)
        if len(text) <= _KNOWN_MAX_CHARACTERS:
            if len(self) >= _KNOWN_MAX:
                self.clear()
            self[text] = made
        return made


def _or_same(make: Callable[[str], str | None]) -> Visit:
    """An equal text is no change, even where it is not the same object."""
    known = _Known(make)

    def visit(text: str) -> str | None:
        made = known[text]
        return text if made == text else made

    return visit


def _raw(raw: msgspec.Raw) -> msgspec.Raw | None:
    return None if bytes(raw) == b"null" else raw


_LEAVES: dict[str, Visit] = {
    "quantity": _or_same(quantity.canonical),
    "Time": _or_same(times.canonical_time),
    "MicroTime": _or_same(times.canonical_micro_time),
    "bytes": canonical_base64,
    "raw": _raw,
}


def canonical(obj: T) -> T:
    """`obj` with canonical texts; ValueError with Go's message for a text that is none."""
    return _object_visitor(type(obj))(obj)  # type: ignore[no-any-return]


_object_visitors: dict[Kind, Visit] = {}


def _object_visitor(kind: Kind) -> Visit:
    visit = _object_visitors.get(kind)
    if visit is None:
        fields = [field for field in fields_of(kind).values() if _leads(field)]
        visit = _object_visitors[kind] = _visit_object(
            [field.attribute for field in fields], [_visitor(field) for field in fields]
        )
    return visit


def _visitor(field: FieldInfo) -> Visit:
    visit = _object_visitor(field.kind) if field.kind else _LEAVES[field.format]
    for container in reversed(field.containers):
        visit = _visit_list(visit) if container == "list" else _visit_dict(visit)
    return visit


def _visit_object(attributes: list[str], visits: list[Visit]) -> Visit:
    """Most values are None or canonical already, so it is that which must be quick."""
    if not attributes:
        return lambda obj: obj
    # One attribute more, because of a single one attrgetter does not make a tuple.
    values_of = attrgetter(*attributes, "__class__")

    def visit_object(obj: Any) -> Any:
        changes: dict[str, Any] = {}
        for index, value in enumerate(values_of(obj)[:-1]):
            if value is not None:
                made = visits[index](value)
                if made is not value:
                    changes[attributes[index]] = made
        return msgspec.structs.replace(obj, **changes) if changes else obj

    return visit_object


def _visit_list(visit: Visit) -> Visit:
    def visit_list(values: list[Any]) -> list[Any]:
        for value in values:
            if visit(value) is not value:
                return [visit(each) for each in values]
        return values

    return visit_list


def _visit_dict(visit: Visit) -> Visit:
    def visit_dict(values: dict[str, Any]) -> dict[str, Any]:
        for value in values.values():
            if visit(value) is not value:
                return {key: visit(each) for key, each in values.items()}
        return values

    return visit_dict


_leading: dict[Kind, bool] = {}


def _leads(field: FieldInfo) -> bool:
    """Whether a text to make canonical is in this field, however deep."""
    kind = field.kind
    if kind is None:
        return field.format in _LEAVES
    if kind not in _leading:
        # A class that contains itself (JSONSchemaProps) is asked once.
        _leading[kind] = False
        _leading[kind] = any(_leads(inner) for inner in fields_of(kind).values())
    return _leading[kind]
