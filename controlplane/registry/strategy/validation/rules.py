"""What may be wrong with a structure wherever it stands, as tables, and the walk that applies them.

Kubernetes validates with one function per structure that calls those of the inner ones. Most of
their lines are alike (required, one of these words, not below zero, a name of that form): those are
rows of a table here, and the rest is a function beside them. The walk visits only fields that lead
to structures with rules, and builds a path where something is wrong or a list is entered.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from controlplane.registry.strategy.validation.faults import Faults, join

Kind = type[msgspec.Struct]
Check = Callable[[Any, Faults, str, str], None]
"""(value, faults, path of the structure, name of the field); only for values that are there."""
Whole = Callable[[Any, Faults, str], None]
"""(structure, faults, its path)."""


@dataclass(frozen=True)
class Rules:
    """The rules of one structure.

    `required` fields may be neither absent nor empty. Structures in `present` are judged as empty
    ones where they are absent (Kubernetes embeds them). `skip` is not entered, because `whole`,
    which comes last, does, or nobody looks there.
    """

    required: tuple[str, ...] = ()
    each: dict[str, Check] = field(default_factory=dict)
    whole: Whole | None = None
    skip: tuple[str, ...] = ()
    present: tuple[str, ...] = ()


# Metadata is judged for all kinds alike, a status is not the user's.
_ELSEWHERE = frozenset({"metadata", "status"})

Table = dict[Kind, Rules]

_FIELD_TYPE = re.compile(r"(list\[|dict\[str, )?([\w.]+)\]?(?: \| None)?")


class Walker:
    """Applies a table of rules to structures and to all that they hold."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._plans: dict[Kind, _Plan] = {}

    def check(self, obj: Any, faults: Faults, path: str = "") -> None:
        plan = self._plans.get(obj.__class__) or self._new_plan(obj.__class__)
        for name in plan.required:
            if not getattr(obj, name):
                faults.required(join(path, name.rstrip("_")))
        for name, check in plan.each:
            value = getattr(obj, name)
            if value is not None:
                check(value, faults, path, name)
        for name, shape, empty in plan.inner:
            value = getattr(obj, name)
            if value is None:
                value = empty
            if value is not None:
                self._enter(value, shape, faults, join(path, name.rstrip("_")))
        if plan.whole is not None:
            plan.whole(obj, faults, path)

    def _enter(self, value: Any, shape: str, faults: Faults, path: str) -> None:
        if not shape:
            self.check(value, faults, path)
        elif shape == "list":
            for index, item in enumerate(value):
                self.check(item, faults, f"{path}[{index}]")
        else:
            for key, item in value.items():
                self.check(item, faults, f"{path}[{key}]")

    def _new_plan(self, kind: Kind) -> "_Plan":
        rules = self._table.get(kind, _NO_RULES)
        inner = tuple(
            (name, shape, inner_kind() if name in rules.present else None)
            for name, shape, inner_kind in structures(kind)
            if name not in rules.skip
            and name not in _ELSEWHERE
            and any(k in self._table for k in reachable(inner_kind))
        )
        plan = _Plan(rules.required, tuple(rules.each.items()), inner, rules.whole)
        self._plans[kind] = plan
        return plan


_NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class _Plan:
    required: tuple[str, ...]
    each: tuple[tuple[str, Check], ...]
    inner: tuple[tuple[str, str, Any], ...]  # (field, "" | "list" | "dict", what absent means)
    whole: Whole | None


@cache
def reachable(kind: Kind) -> frozenset[Kind]:
    """The class and every class that its fields can hold."""
    found: set[Kind] = set()
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(inner for _, _, inner in structures(each))
    return frozenset(found)


@cache
def structures(kind: Kind) -> tuple[tuple[str, str, Kind], ...]:
    """(field, shape, class) of the fields that hold structures, read from the annotations' text."""
    return tuple(_read_annotations(kind))


def _read_annotations(kind: Kind) -> Iterator[tuple[str, str, Kind]]:
    names = vars(sys.modules[kind.__module__])
    for name, annotation in kind.__annotations__.items():
        match = _FIELD_TYPE.fullmatch(annotation)
        if match is None:
            continue
        shape, path = match.groups()
        module, dot, class_name = path.rpartition(".")
        scope = vars(names[module]) if dot and module in names else names
        found = scope.get(class_name)
        if isinstance(found, type) and issubclass(found, msgspec.Struct):
            yield name, (shape or "").partition("[")[0], found
