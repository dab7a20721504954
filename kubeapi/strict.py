"""Strict decoding: fields that the kind does not have, and fields that are given twice.

A second walk over the body, only when `fieldValidation` asks for it. Source: KEP-2885 and
sigs.k8s.io/json, which tells each problem once, in the order of the document.
"""

import json
from typing import Any

from kubeapi.schema import FieldInfo, Kind, fields_of


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys as they were given."""


def _pairs(data: bytes) -> Any:
    """The body with keys as given; numbers stay text, of which only the place matters."""
    return json.loads(data, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)


def problems(data: bytes, kind: Kind) -> list[str]:
    """`unknown field "spec.foo"` and `duplicate field "metadata.name"`.

    `data` must have been decoded before, so it is JSON of the right types.
    """
    walk = _Walk()
    walk.struct(_pairs(data), kind, "")
    return walk.found


def duplicates(data: bytes) -> list[str]:
    """Keys that are set twice in JSON of no known kind (a patch)."""
    walk = _Walk()
    walk.untyped(_pairs(data), "")
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found: list[str] = []

    def struct(self, value: Any, kind: Kind, path: str) -> None:
        if not isinstance(value, _Pairs):
            return
        fields = fields_of(kind)
        seen: set[str] = set()
        for name, inner in value:
            where = f"{path}.{name}" if path else name
            field = fields.get(name)
            if field is None:
                self._note(f'unknown field "{where}"')
                continue
            if name in seen:
                self._note(f'duplicate field "{where}"')
            seen.add(name)
            self._contained(inner, field, 0, where)

    def _contained(self, value: Any, field: FieldInfo, depth: int, path: str) -> None:
        if depth == len(field.containers):
            # Embedded JSON of any shape is not looked into.
            if field.kind is not None:
                self.struct(value, field.kind, path)
        elif isinstance(value, _Pairs):
            self._map(value, field, depth, path)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._contained(inner, field, depth + 1, f"{path}[{index}]")

    def _map(self, value: _Pairs, field: FieldInfo, depth: int, path: str) -> None:
        seen: set[str] = set()
        for key, inner in value:
            if key in seen:
                self._note(f'duplicate field "{path}.{key}"')
            seen.add(key)
            self._contained(inner, field, depth + 1, f"{path}.{key}")

    def untyped(self, value: Any, path: str) -> None:
        if isinstance(value, _Pairs):
            seen: set[str] = set()
            for key, inner in value:
                where = f"{path}.{key}" if path else key
                if key in seen:
                    self._note(f'duplicate field "{where}"')
                seen.add(key)
                self.untyped(inner, where)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.untyped(inner, f"{path}[{index}]")

    def _note(self, problem: str) -> None:
        if problem not in self.found:
            self.found.append(problem)
