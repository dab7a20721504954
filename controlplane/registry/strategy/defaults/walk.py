"""Applies every rule to every structure of an object, the outer ones first.

Most of a pod's 400 possible structures have no rule. A plan per class, made when the class is
first met, says which fields lead to structures that have one; nothing else is looked at.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from controlplane.registry.strategy.defaults import (
    autoscaling,
    pods,
    services,
    storage,
    tables,
    workloads,
)
from controlplane.registry.strategy.defaults import config as config_rules
from controlplane.registry.strategy.defaults.fill import put

Rule = Callable[[Any], None]
Kind = type[msgspec.Struct]

RULES: Final[dict[Kind, Rule]] = {
    **autoscaling.RULES,
    **config_rules.RULES,
    **pods.RULES,
    **services.RULES,
    **storage.RULES,
    **workloads.RULES,
}

_FIELD_TYPE = re.compile(r"(list\[|dict\[str, )?([\w.]+)\]?(?: \| None)?")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with an object of one class, in this order."""

    if_absent: tuple[tuple[str, Any], ...]
    if_zero: tuple[tuple[str, Any], ...]
    structures: tuple[tuple[str, Kind], ...]
    rule: Rule | None
    inner: tuple[tuple[str, str], ...]  # (field, "" | "list" | "dict")


def apply_defaults(obj: Any) -> None:
    """Fill what is absent in `obj`, in place."""
    kind: Kind = obj.__class__
    plan = _plan(kind)
    for field, value in plan.if_absent:
        if getattr(obj, field) is None:
            put(obj, field, value)
    for field, value in plan.if_zero:
        if not getattr(obj, field):
            put(obj, field, value)
    for field, kind in plan.structures:
        if getattr(obj, field) is None:
            put(obj, field, kind())
    if plan.rule is not None:
        plan.rule(obj)
    for field, shape in plan.inner:
        inner = getattr(obj, field)
        if inner is not None:
            for each in _values(inner, shape):
                apply_defaults(each)


def _values(inner: Any, shape: str) -> Iterable[Any]:
    if shape == "list":
        return inner  # type: ignore[no-any-return]
    return inner.values() if shape == "dict" else (inner,)


@cache
def _plan(kind: Kind) -> _Plan:
    inner = tuple(
        (field, shape)
        for field, shape, inner_kind in _structures(kind)
        if any(_has_rules(reached) for reached in _reachable(inner_kind))
    )
    return _Plan(
        tuple(tables.IF_ABSENT.get(kind, {}).items()),
        tuple(tables.IF_ZERO.get(kind, {}).items()),
        tuple(tables.STRUCTURES.get(kind, {}).items()),
        RULES.get(kind),
        inner,
    )


def _has_rules(kind: Kind) -> bool:
    every = (tables.IF_ABSENT, tables.IF_ZERO, tables.STRUCTURES, RULES)
    return any(kind in table for table in every)


def _reachable(kind: Kind) -> set[Kind]:
    found: set[Kind] = set()
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(inner for _, _, inner in _structures(each))
    return found


@cache
def _structures(kind: Kind) -> tuple[tuple[str, str, Kind], ...]:
    """(field, shape, class) of the fields that hold structures.

    Annotations of the generated classes are text of a few forms; reading them is a hundred times
    quicker than resolving them.
    """
    return tuple(_read_annotations(kind))


def _read_annotations(kind: Kind) -> Iterator[tuple[str, str, Kind]]:
    names = vars(sys.modules[kind.__module__])
    for field, annotation in kind.__annotations__.items():
        match = _FIELD_TYPE.fullmatch(annotation)
        if match is None:
            continue
        shape, path = match.groups()
        module, dot, name = path.rpartition(".")
        scope = vars(names[module]) if dot and module in names else names
        found = scope.get(name)
        if isinstance(found, type) and issubclass(found, msgspec.Struct):
            yield field, (shape or "").partition("[")[0], found
