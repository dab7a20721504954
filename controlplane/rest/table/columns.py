"""The columns of each kind, read from `columns.json` when first asked for."""

from functools import cache
from importlib import resources
from typing import Any

import msgspec

from kubeapi.resources import ResourceInfo

# name, type, format, priority (0 is always shown, 1 with `-o wide`) and what it means; a text
# that begins with @ is one of the shared texts.
_Row = tuple[str, str, str, int, str]
_NAME_AND_TIME: tuple[_Row, ...] = (
    ("Name", "string", "name", 0, "@name"),
    ("Created At", "date", "", 0, "@age"),
)


def columns(info: ResourceInfo) -> list[dict[str, Any]]:
    """The columnDefinitions of a resource; name and creation time where it has none of its own."""
    texts, by_resource = _read()
    rows = by_resource.get(f"{info.group}/{info.resource}", _NAME_AND_TIME)
    return [
        {
            "name": name,
            "type": type_,
            "format": format_,
            "description": texts.get(text, text),
            "priority": priority,
        }
        for name, type_, format_, priority, text in rows
    ]


@cache
def encoded(info: ResourceInfo) -> bytes:
    """`columns` as JSON, which every list and the first event of every watch begins with."""
    return msgspec.json.encode(columns(info))


@cache
def _read() -> tuple[dict[str, str], dict[str, tuple[_Row, ...]]]:
    data = resources.files(__package__).joinpath("columns.json").read_bytes()
    content = msgspec.json.decode(data)
    texts = content.pop("@texts")
    return texts, msgspec.convert(content, dict[str, tuple[_Row, ...]])
