"""Protocol Buffers' wire format, as far as reading needs it (protobuf.dev, "Encoding")."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX: Final = 10


class Malformed(Exception):
    """The bytes are no message."""


class Field(NamedTuple):
    """One field: `varint` for wire type 0, else `data`."""

    number: int
    wire_type: int
    varint: int
    data: bytes


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in order. Raises Malformed."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("a field has the number 0")
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield Field(number, wire_type, value, b"")
            continue
        if wire_type == _BYTES:
            size, at = _varint(data, at)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire_type} is not used")
        if at + size > len(data):
            raise Malformed("it ends within a field")
        yield Field(number, wire_type, 0, data[at : at + size])
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_VARINT_BYTES_MAX):
        if at >= len(data):
            raise Malformed("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at
    raise Malformed("a number has more than ten bytes")


def signed(field: Field) -> int:
    """An int32 or int64: negative numbers are written as ten bytes of two's complement."""
    value = field.varint & (2**64 - 1)
    return value - 2**64 if value >= 2**63 else value


def string(field: Field) -> str:
    try:
        return field.data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"field {field.number} is not UTF-8") from None


def double(field: Field) -> float:
    if len(field.data) != 8:
        raise Malformed(f"field {field.number} is no double")
    (value,) = struct.unpack("<d", field.data)
    return float(value)
