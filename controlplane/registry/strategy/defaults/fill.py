"""The one place where a decoded object is changed in place.

Structs are frozen because caches share them. An object that was just decoded is shared with
nobody yet, and copying a pod's whole tree for a few defaults would cost more than decoding it.
"""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def put(obj: msgspec.Struct, field: str, value: Any) -> None:
    """Set a field of an object that nobody else has yet."""
    msgspec.structs.force_setattr(obj, field, value)


def default(obj: msgspec.Struct, field: str, value: Any) -> None:
    """Set `field` where it is absent; an explicit zero or "" stays."""
    if getattr(obj, field) is None:
        put(obj, field, value)


def default_zero(obj: msgspec.Struct, field: str, value: Any) -> None:
    """Set `field` where it is absent or zero: Go's plain fields cannot tell the two apart."""
    if not getattr(obj, field):
        put(obj, field, value)


def ensure(obj: msgspec.Struct, field: str, kind: type[T]) -> T:
    """The structure in `field`, made empty where it is absent."""
    found = getattr(obj, field)
    if found is None:
        found = kind()
        put(obj, field, found)
    assert isinstance(found, kind)
    return found
