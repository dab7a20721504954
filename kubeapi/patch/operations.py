"""JSON patch, RFC 6902, with the liberties that Kubernetes' library takes.

A negative index counts from the end of a list, what is before the first slash of a path is not
looked at, and a key that a map does not have reads as null: `replace` and `copy` take it. Source:
RFC 6902, RFC 6901; gopkg.in/evanphx/json-patch.v4; apiserver `patch.go`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from kubeapi.errors import StatusError

OPERATIONS_MAX = 10_000
# `copy` can double a document with each operation; this is the limit of a request's body.
COPIED_BYTES_MAX = 3 * 1024 * 1024

_Change = Callable[[Any, str], Any]
_ABSENT = object()


def json_patch(current: Any, patch: list[Any]) -> Any:
    """The outcome of all operations, or a StatusError 422 if one of them can not be done."""
    copied_bytes = 0
    document = current
    for operation in patch:
        if not isinstance(operation, dict):
            raise _rejected()
        if operation.get("op") == "copy":
            copied_bytes += len(msgspec.json.encode(_get(document, _path(operation, "from"))))
            if copied_bytes > COPIED_BYTES_MAX:
                raise _rejected()
        document = _OPERATIONS.get(operation.get("op", ""), _unknown)(document, operation)
    return document


def _rejected() -> StatusError:
    """Kubernetes tells nothing more than this of an operation that failed."""
    message = "the server rejected our request due to an error in our request"
    return StatusError(422, "Invalid", message)


def _unknown(document: Any, operation: dict[str, Any]) -> Any:
    raise _rejected()


def _path(operation: dict[str, Any], name: str = "path") -> list[str]:
    """The unescaped parts of a JSON pointer (RFC 6901 section 4)."""
    text = operation.get(name)
    if not isinstance(text, str):
        raise _rejected()
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _value(operation: dict[str, Any]) -> Any:
    value = operation.get("value", _ABSENT)
    if value is _ABSENT:
        raise _rejected()
    return value


def _index(items: list[Any], part: str, length: int) -> int:
    """The place that a part of a path names in a list that may have `length` items."""
    digits = part.removeprefix("-")
    if not digits.isdecimal() or not digits.isascii():
        raise _rejected()
    index = int(part)
    if index < 0:
        index += length
    if not 0 <= index < length:
        raise _rejected()
    return index


def _get(document: Any, path: list[str]) -> Any:
    """The value at `path`, None for a last part that a map does not have."""
    for depth, part in enumerate(path, 1):
        if isinstance(document, list):
            document = document[_index(document, part, len(document))]
        elif isinstance(document, dict) and (part in document or depth == len(path)):
            document = document.get(part)
        else:
            raise _rejected()
    return document


def _change(document: Any, path: list[str], change: _Change) -> Any:
    """A copy of `document` in which `change` made another of the container at the path's end."""
    if len(path) == 1:
        return change(document, path[0])
    if isinstance(document, dict) and path[0] in document:
        return document | {path[0]: _change(document[path[0]], path[1:], change)}
    if isinstance(document, list):
        index = _index(document, path[0], len(document))
        inner = _change(document[index], path[1:], change)
        return [*document[:index], inner, *document[index + 1 :]]
    raise _rejected()


def _add_value(document: Any, path: list[str], value: Any) -> Any:
    def add(container: Any, part: str) -> Any:
        if isinstance(container, dict):
            return container | {part: value}
        if not isinstance(container, list):
            raise _rejected()
        longer = len(container) + 1
        index = len(container) if part == "-" else _index(container, part, longer)
        return [*container[:index], value, *container[index:]]

    return _change(document, path, add) if path else value


def _add(document: Any, operation: dict[str, Any]) -> Any:
    return _add_value(document, _path(operation), _value(operation))


def _remove_at(document: Any, path: list[str]) -> Any:
    def remove(container: Any, part: str) -> Any:
        if isinstance(container, dict) and part in container:
            return {key: value for key, value in container.items() if key != part}
        if not isinstance(container, list):
            raise _rejected()
        index = _index(container, part, len(container))
        return [*container[:index], *container[index + 1 :]]

    if not path:
        raise _rejected()
    return _change(document, path, remove)


def _remove(document: Any, operation: dict[str, Any]) -> Any:
    return _remove_at(document, _path(operation))


def _replace(document: Any, operation: dict[str, Any]) -> Any:
    path, value = _path(operation), _value(operation)

    def replace(container: Any, part: str) -> Any:
        if isinstance(container, dict):
            return container | {part: value}
        if not isinstance(container, list):
            raise _rejected()
        index = _index(container, part, len(container))
        return [*container[:index], value, *container[index + 1 :]]

    return _change(document, path, replace) if path else value


def _move(document: Any, operation: dict[str, Any]) -> Any:
    source, target = _path(operation, "from"), _path(operation)
    value = _get(document, source)
    return _add_value(_remove_at(document, source), target, value)


def _copy(document: Any, operation: dict[str, Any]) -> Any:
    return _add_value(document, _path(operation), _get(document, _path(operation, "from")))


def _test(document: Any, operation: dict[str, Any]) -> Any:
    if not _same(_get(document, _path(operation)), operation.get("value")):
        raise _rejected()
    return document


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON: `true` is not 1 (RFC 6902 section 4.6)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
