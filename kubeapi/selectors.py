"""Label and field selectors: parsed once, matched often.

Source: apimachinery `labels/selector.go`, `fields/selector.go` and `meta/v1/helpers.go`, whose
grammar and messages these are.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from kubeapi import names
from kubeapi.errors import StatusError, bad_request
from kubeapi.types import meta_v1

Labels = Mapping[str, str]
_NO_LABELS: Labels = {}

_OPERATORS = {
    "=": "in",
    "==": "in",
    "in": "in",
    "!=": "notin",
    "notin": "notin",
    ">": ">",
    "<": "<",
}
_TOKEN = re.compile(r"\s*(==|!=|[=!(),><]|[^\s=!(),><]+)", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_SPECIAL = frozenset(("=", "==", "!=", "!", "(", ")", ",", ">", "<", ""))


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition. `operator` is in, notin, exists, !, > or <."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        have = _integer(value)
        if have is None:
            return False
        (bound,) = self.values
        return have > int(bound) if self.operator == ">" else have < int(bound)

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in (">", "<"):
            return f"{self.key}{self.operator}{''.join(self.values)}"
        if len(self.values) == 1:  # shorter, and the form in which a Scale must say it
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{''.join(self.values)}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """All requirements together. Without any it matches everything; `nothing` matches none."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels | None) -> bool:
        if self.nothing:
            return False
        labels = labels or _NO_LABELS
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_everything(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        """The selector as a query parameter."""
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelMatcher()
NOTHING = LabelMatcher(nothing=True)


@lru_cache(maxsize=512)
def parse_labels(text: str) -> LabelMatcher:
    """The selector of a `labelSelector` parameter; StatusError 400 with Kubernetes' words."""
    return LabelMatcher(tuple(_Parser(text).requirements()))


class _Parser:
    """The grammar of `labels.Parse`, one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = [found.group(1) for found in _TOKEN.finditer(text)]
        self._position = 0

    def _peek(self) -> str:
        """The next token, "" at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def requirements(self) -> Iterator[Requirement]:
        if not self._peek():
            return
        if self._peek() in _SPECIAL - {"!"}:
            raise bad_request(
                f"found '{self._peek()}', expected: !, identifier, or 'end of string'"
            )
        while True:
            try:
                yield self._requirement()
            except ValueError as error:
                raise bad_request(f"unable to parse requirement: {error}") from None
            found = self._take()
            if not found:
                return
            if found != ",":
                raise bad_request(f"found '{found}', expected: ',' or 'end of string'")
            if self._peek() in _SPECIAL - {"!"}:
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._identifier()
        _check_key(key)
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        token = self._take()
        if token not in _OPERATORS:
            raise ValueError(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._values() if token in ("in", "notin") else [self._value()]
        return requirement(key, _OPERATORS[token], values)

    def _identifier(self) -> str:
        token = self._take()
        if token in _SPECIAL:
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._identifier()

    def _values(self) -> list[str]:
        opening = self._take()
        if opening != "(":
            raise ValueError(f"found '{opening}' expected: '('")
        if self._peek() == ")":
            self._take()
            return [""]
        if self._peek() in _SPECIAL - {","}:
            raise ValueError(f"found '{self._peek()}', expected: ',', ')' or identifier")
        values = self._listed()
        self._take()
        return values

    def _listed(self) -> list[str]:
        """Identifiers between commas, up to the closing bracket; nothing between is ""."""
        values: list[str] = []
        while True:
            found = self._take()
            if found == ",":
                if not values or self._peek() in (",", ")"):
                    values.append("")
                if self._peek() == ",":
                    self._take()
            elif found in _SPECIAL:
                raise ValueError(f"found '{found}', expected: ',', or identifier")
            else:
                values.append(found)
                if self._peek() not in (",", ")"):
                    raise ValueError(f"found '{self._peek()}', expected: ',' or ')'")
            if self._peek() == ")":
                return values


def _integer(value: str) -> int | None:
    return int(value) if _INTEGER.fullmatch(value) else None


def _check_key(key: str) -> None:
    problems = names.qualified_name_problems(key)
    if problems:
        raise ValueError(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')


def requirement(key: str, operator: str, values: list[str]) -> Requirement:
    """A checked requirement; ValueError with the text of `labels.NewRequirement`."""
    for index, value in enumerate(sorted(set(values))):
        if operator in (">", "<") and _integer(value) is None:
            raise ValueError(
                f"values[{index}]: Invalid value: {names.quoted(value)}: "
                "for 'Gt', 'Lt' operators, the value must be an integer"
            )
        problems = names.label_value_problems(value)
        if problems:
            shown = names.quoted(value)
            raise ValueError(f"values[{index}][{key}]: Invalid value: {shown}: {problems[0]}")
    return Requirement(key, operator, frozenset(values))


_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def of_selector(selector: meta_v1.LabelSelector | None) -> LabelMatcher:
    """The matcher of a LabelSelector object: None matches nothing, an empty one everything.

    ValueError for an operator that there is not; validation refuses such objects.
    """
    if selector is None:
        return NOTHING
    requirements = [
        Requirement(key, "in", frozenset((value,)))
        for key, value in (selector.matchLabels or {}).items()
    ]
    for expression in selector.matchExpressions or ():
        operator = _OBJECT_OPERATORS.get(expression.operator or "")
        if operator is None:
            raise ValueError(f'"{expression.operator}" is not a valid label selector operator')
        values = frozenset(expression.values or ())
        requirements.append(Requirement(expression.key or "", operator, values))
    return LabelMatcher(tuple(requirements))


def of_set(labels: Labels | None) -> LabelMatcher:
    """The matcher of a plain map (a Service's selector); None and {} match everything."""
    pairs = (labels or {}).items()
    return LabelMatcher(tuple(Requirement(key, "in", frozenset((v,))) for key, v in pairs))


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """`field` is, or with `equal` false is not, `value`."""

    field: str
    value: str
    equal: bool

    def matches(self, value: str) -> bool:
        return (value == self.value) is self.equal


@lru_cache(maxsize=512)
def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    """The terms of a `fieldSelector` parameter; which fields there are is the kind's."""
    return tuple(_field_term(term, text) for term in sorted(_split_terms(text)) if term)


def _split_terms(text: str) -> list[str]:
    """Between commas that no backslash escapes."""
    return [found.group(0) for found in re.finditer(r"(?:\\.|[^,\\]|\\$)+", text, re.DOTALL)]


def _field_term(term: str, selector: str) -> FieldTerm:
    found = re.fullmatch(r"(.*?)(!=|==|=)(.*)", term, re.DOTALL)
    if found is None:
        raise bad_request(f"invalid selector: '{selector}'; can't understand '{term}'")
    field, operator, value = found.groups()
    return FieldTerm(field, _unescaped(value), operator != "!=")


def _unescaped(value: str) -> str:
    plain: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise _field_problem(f"invalid escape sequence: \\{escaped}")
            plain.append(escaped)
        elif character in ",=":
            raise _field_problem(f"unescaped character in value: {ord(character)}")
        else:
            plain.append(character)
    return "".join(plain)


def _field_problem(text: str) -> StatusError:
    return bad_request(f"invalid field selector: {text}")
