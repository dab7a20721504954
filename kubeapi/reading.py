"""Reads JSON into a class the way Go does, slowly: for what the quick decoder refuses.

It either finds what Kubernetes would complain about, in its words, or answers the values in the
shape that the quick decoder takes: a number where a quantity may be one becomes text, null in a
list or map becomes the type's zero value. Source: Go `encoding/json/decode.go`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from kubeapi import gotypes, quantity, times
from kubeapi.canonical import Base64Error, canonical_base64
from kubeapi.schema import FieldInfo, Kind, fields_of


class ReadError(ValueError):
    """A value that Go's decoder refuses; the message is its."""


class _Literal(float):
    """A number with a fraction or an exponent, and its text."""

    text: str


def _literal(text: str) -> _Literal:
    number = _Literal(text)
    number.text = text
    return number


_untyped = msgspec.json.Decoder(float_hook=_literal)

_ZEROS: dict[str, Any] = {
    "string": "", "bool": False, "double": 0.0, "int32": 0, "int64": 0, "bytes": "",
    "quantity": "0", "int-or-string": 0, "Time": None, "MicroTime": None, "json": None,
    "raw": None,
}  # fmt: skip
_INTEGER_BITS = {"int32": 31, "int64": 63, "int-or-string": 31}


def read(data: bytes, kind: Kind) -> dict[str, Any]:
    """The values of an object of `kind`; ReadError with Go's message.

    `data` must be JSON.
    """
    reading = _Reading()
    value = _untyped.decode(data)
    if not isinstance(value, dict):
        name = gotypes.class_name(kind)
        raise ReadError(f"json: cannot unmarshal {described(value)} into Go value of type {name}")
    found = reading.struct(value, kind, ())
    if reading.first_problem:
        raise ReadError(reading.first_problem)
    return found


def described(value: Any) -> str:
    """The sort of a value, as Go's UnmarshalTypeError has it."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"


def _number_text(value: float) -> str:
    return value.text if isinstance(value, _Literal) else str(value)


class _Reading:
    """One pass. A wrong type is noted and reading goes on; a wrong text ends it, as in Go."""

    def __init__(self) -> None:
        self.first_problem = ""

    def struct(self, value: dict[str, Any], kind: Kind, path: tuple[str, ...]) -> dict[str, Any]:
        fields = fields_of(kind)
        found: dict[str, Any] = {}
        for name, inner in value.items():
            field = fields.get(name)
            if field is not None and inner is not None:
                found[name] = self._contained(inner, _Place(kind, field, (*path, name)))
        return found

    def _contained(self, value: Any, place: "_Place") -> Any:
        if value is None:
            return place.zero()
        if place.depth == len(place.field.containers):
            return self._scalar(value, place)
        container = place.field.containers[place.depth]
        inner = place.inner()
        if container == "list" and isinstance(value, list):
            return [self._contained(item, inner) for item in value]
        if container == "dict" and isinstance(value, dict):
            return {key: self._contained(item, inner) for key, item in value.items()}
        return self._mistyped(value, place)

    def _scalar(self, value: Any, place: "_Place") -> Any:
        kind = place.field.kind
        if kind is None:
            return _READERS.get(place.field.format, _Reading._any)(self, value, place)
        if isinstance(value, dict):
            return self.struct(value, kind, place.path)
        return self._mistyped(value, place)

    def _mistyped(self, value: Any, place: "_Place", shown: str = "") -> Any:
        """Note the problem; Go reports the first."""
        if not self.first_problem:
            self.first_problem = place.problem(shown or described(value))
        return place.zero()

    def _any(self, value: Any, place: "_Place") -> Any:
        return value

    def _string(self, value: Any, place: "_Place") -> Any:
        return value if isinstance(value, str) else self._mistyped(value, place)

    def _bool(self, value: Any, place: "_Place") -> Any:
        return value if isinstance(value, bool) else self._mistyped(value, place)

    def _double(self, value: Any, place: "_Place") -> Any:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if is_number else self._mistyped(value, place)

    def _integer(self, value: Any, place: "_Place") -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return self._mistyped(value, place)
        limit = 1 << _INTEGER_BITS[place.field.format]
        if isinstance(value, float) or not -limit <= value < limit:
            return self._mistyped(value, place, f"number {_number_text(value)}")
        return value

    def _int_or_string(self, value: Any, place: "_Place") -> Any:
        if isinstance(value, str):
            return value
        # Its decoder is its own, so a wrong type ends the reading.
        found = self._integer(value, place)
        if self.first_problem:
            raise ReadError(self.first_problem)
        return found

    def _quantity(self, value: Any, place: "_Place") -> str:
        if isinstance(value, (list, dict, bool)):
            raise ReadError(quantity.WRONG_FORMAT)
        text = value if isinstance(value, str) else _number_text(value)
        return _converted(quantity.canonical, text) or "0"

    def _time(self, value: Any, place: "_Place") -> str | None:
        make = times.canonical_time
        if place.field.format == "MicroTime":
            make = times.canonical_micro_time
        if not isinstance(value, str):
            raise ReadError(place.problem(described(value)))
        return _converted(make, value)

    def _bytes(self, value: Any, place: "_Place") -> Any:
        if not isinstance(value, str):
            return self._mistyped(value, place)
        try:
            return canonical_base64(value)
        except Base64Error as error:
            self.first_problem = self.first_problem or str(error)
            return ""


_READERS: dict[str, Callable[[_Reading, Any, "_Place"], Any]] = {
    "string": _Reading._string,
    "bool": _Reading._bool,
    "double": _Reading._double,
    "int32": _Reading._integer,
    "int64": _Reading._integer,
    "int-or-string": _Reading._int_or_string,
    "quantity": _Reading._quantity,
    "Time": _Reading._time,
    "MicroTime": _Reading._time,
    "bytes": _Reading._bytes,
}


def _converted(make: Callable[[str], str | None], text: str) -> str | None:
    try:
        return make(text)
    except ValueError as error:
        raise ReadError(str(error)) from None


class _Place:
    """Where a value is: a field of a class, its path from the root, and how deep in containers."""

    def __init__(
        self, owner: Kind, field: FieldInfo, path: tuple[str, ...], depth: int = 0
    ) -> None:
        self.owner = owner
        self.field = field
        self.path = path
        self.depth = depth

    def inner(self) -> "_Place":
        return _Place(self.owner, self.field, self.path, self.depth + 1)

    def zero(self) -> Any:
        """What null means here: nothing at all for the field, a zero value inside a container."""
        if self.depth == 0:
            return None
        if self.depth < len(self.field.containers):
            return [] if self.field.containers[self.depth] == "list" else {}
        return {} if self.field.kind else _ZEROS[self.field.format]

    def problem(self, shown: str) -> str:
        """Go names the structure that holds the field, and the path without indexes."""
        type_ = gotypes.field_type(self.owner, self.field, self.depth)
        where = f"{self.owner.__name__}.{'.'.join(self.path)}"
        return f"json: cannot unmarshal {shown} into Go struct field {where} of type {type_}"
