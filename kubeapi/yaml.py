"""YAML bodies, read as Kubernetes reads them: turned into JSON first.

The rules are those of sigs.k8s.io/yaml: YAML 1.1 booleans (`yes`, `on`, `y`), Go's integers
(`0644` is octal, `1:30` is text), no dates, keys made text, the first document only. Built from
events and without recursion, so that deep or self-repeating documents can not exhaust anything.
"""

import base64
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from kubeapi import codec
from kubeapi.errors import StatusError
from kubeapi.schema import Kind

DEPTH_MAX = 10_000
# Values that aliases may make of a document, as a bound for `a: &a [*b, *b], ...`.
VALUES_MAX = 400_000

# More digits are no number that JSON could hold.
_NUMBER_MAX_CHARACTERS = 300

_WORDS: dict[str, Any] = {
    word: value
    for value, words in (
        (True, "y Y yes Yes YES true True TRUE on On ON"),
        (False, "n N no No NO false False FALSE off Off OFF"),
        (None, "~ null Null NULL"),
    )
    for word in words.split()
} | {"": None}
_INTEGER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)", re.ASCII
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_TAG = "tag:yaml.org,2002:"


class YamlError(StatusError):
    """Text that is no YAML, or can not be JSON: a bad request."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


def to_json(data: bytes, kind: Kind) -> tuple[bytes, list[str]]:
    """A body as JSON, and what strict decoding says of keys that are set twice.

    StatusError 400 with Kubernetes' message where the body can not be read.
    """
    try:
        value, problems = read(data)
        return msgspec.json.encode(value), problems
    except YamlError as error:
        raise codec.unrecognized(data, kind, error.message) from None
    except RecursionError:
        raise codec.unrecognized(data, kind, "yaml: exceeded max depth") from None


def load(data: bytes) -> Any:
    """The value of the first document; of a key that is set twice the last value."""
    return read(data)[0]


def read(data: bytes) -> tuple[Any, list[str]]:
    """The value of the first document, and the keys that were set twice; YamlError."""
    builder = _Builder()
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"yaml: {line}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"yaml: {error}") from None
    return builder.value, builder.problems


class _Open:
    """A list or map that has begun."""

    def __init__(self, value: Any, anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.count = 1
        self.key: str | None = None
        self.merges: list[dict[str, Any]] = []
        self.merging = False


class _Builder:
    """The value that a stream of events makes."""

    def __init__(self) -> None:
        self.value: Any = None
        self.problems: list[str] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                value = _scalar(event)
                self._remember(event.anchor, value, 1)
                self._add(value, 1, event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.SequenceStartEvent():
                self._begin(_Open([], event.anchor), event)
            case yaml.MappingStartEvent():
                self._begin(_Open({}, event.anchor), event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end(event)

    def _begin(self, opened: _Open, event: Any) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None and not top.merging:
            raise YamlError(f"yaml: line {event.start_mark.line + 1}: invalid map key")
        self._open.append(opened)
        if len(self._open) > DEPTH_MAX:
            raise YamlError("yaml: exceeded max depth")

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        for merged in done.merges:
            done.value = merged | done.value
        self._remember(done.anchor, done.value, done.count)
        self._add(done.value, done.count, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise YamlError(f"yaml: unknown anchor '{event.anchor}' referenced")
        value, count = self._anchors[event.anchor]
        self._add(value, count, event)

    def _remember(self, anchor: str | None, value: Any, count: int) -> None:
        if anchor:
            self._anchors[anchor] = (value, count)

    def _add(self, value: Any, count: int, event: Any) -> None:
        if not self._open:
            self.value = value
            return
        top = self._open[-1]
        top.count += count
        if top.count > VALUES_MAX:
            raise YamlError("yaml: document contains excessive aliasing")
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.merging:
            top.merging = False
            top.merges += _merged(value)
        elif top.key is None:
            self._set_key(top, value, event)
        else:
            top.value[top.key] = value
            top.key = None

    def _set_key(self, top: _Open, value: Any, event: Any) -> None:
        is_plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
        if is_plain and event.value == "<<":
            top.merging = True
            return
        top.key = _key(value)
        if top.key in top.value:
            line = event.start_mark.line + 1
            self.problems.append(f'line {line}: key "{top.key}" already set in map')


def _merged(value: Any) -> Iterator[dict[str, Any]]:
    """The maps of a `<<` key: one, or a list of them in which the first wins."""
    maps = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in maps):
        raise YamlError("yaml: map merge requires map or sequence of maps as the value")
    return iter(maps)


def _key(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case None:
            return "null"
    raise YamlError("yaml: invalid map key")


def _scalar(event: Any) -> Any:
    """The value of a scalar: plain ones are resolved, quoted ones are text."""
    text: str = event.value
    tag = event.tag or ""
    if tag == f"{_TAG}binary":
        return _binary(text)
    if tag == f"{_TAG}str" or tag == "!" or not (event.implicit[0] or tag.startswith(_TAG)):
        return text
    return _resolved(text)


def _binary(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except ValueError:
        raise YamlError("yaml: !!binary value contains invalid base64 data") from None


def _resolved(text: str) -> Any:
    """What plain text stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> Any:
    if len(text) > _NUMBER_MAX_CHARACTERS:
        return text
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        return _integer(plain)
    if _NOT_JSON.fullmatch(plain):
        raise YamlError(f"yaml: json: unsupported value: {text}")
    if not _FLOAT.fullmatch(plain):
        return text
    number = float(plain)
    if math.isinf(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _integer(text: str) -> int | float:
    digits = text.lstrip("+-")
    base = 0
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdecimal():
        base = 8
    number = int(text, base)
    return number if -(2**63) <= number < 2**64 else float(number)


class _Dumper(yaml.CSafeDumper):
    """Quotes all text that Kubernetes would read as something else, like `y` and `1e3`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    try:
        is_plain = _resolved(text) is text and text not in ("<<", "=")
    except YamlError:
        is_plain = False
    style = "|" if "\n" in text else None if is_plain else '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(value: Any) -> bytes:
    """A value as Kubernetes answers it in YAML: keys sorted, block style."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)
    return text.encode()
