"""What is wrong with a text that is no JSON, in the words of Go's encoding/json.

Only read when a decoder has refused the text. Source: Go `encoding/json/scanner.go`.
"""

import re

DEPTH_MAX = 10_000

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES = frozenset('bfnrt\\/"u')
_HEX = frozenset("0123456789abcdefABCDEF")
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_END = "unexpected end of JSON input"


class SyntaxProblem(ValueError):
    """Text that is not JSON; the message is Go's."""


def syntax_problem(data: bytes) -> str | None:
    """Go's message, or None where `data` is JSON."""
    try:
        _Scanner(data.decode("utf-8", "replace")).scan()
    except SyntaxProblem as problem:
        return str(problem)
    return None


def _character(found: str) -> str:
    """A character as Go quotes it in these messages."""
    escapes = {"'": r"'\''", '"': "'\"'", "\n": r"'\n'", "\r": r"'\r'", "\t": r"'\t'"}
    if found in escapes:
        return escapes[found]
    if found.isprintable():
        return f"'{found}'"
    return f"'\\x{ord(found):02x}'" if ord(found) < 0x80 else f"'\\u{ord(found):04x}'"


class _Scanner:
    """A descent without recursion: containers that are open are on a list."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[str] = []

    def scan(self) -> None:
        self._values()
        while self._open:
            if self._after_value():
                self._values()
        self._skip()
        if self._at < len(self._text):
            self._refuse("after top-level value")

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _peek(self) -> str:
        if self._at >= len(self._text):
            raise SyntaxProblem(_END)
        return self._text[self._at]

    def _refuse(self, where: str) -> None:
        raise SyntaxProblem(f"invalid character {_character(self._peek())} {where}")

    def _values(self) -> None:
        """A scalar, or containers up to the first scalar or empty container in them."""
        while self._value():
            pass

    def _value(self) -> bool:
        """Whether a container began that has values."""
        self._skip()
        first = self._peek()
        if first in "{[":
            return self._begin(first)
        if first == '"':
            self._string()
        elif first in _LITERALS:
            self._literal(_LITERALS[first])
        elif first == "-" or first.isdecimal():
            self._number()
        else:
            self._refuse("looking for beginning of value")
        return False

    def _begin(self, bracket: str) -> bool:
        self._open.append(bracket)
        if len(self._open) > DEPTH_MAX:
            raise SyntaxProblem("exceeded max depth")
        self._at += 1
        self._skip()
        if self._peek() == ("}" if bracket == "{" else "]"):
            self._at += 1
            self._open.pop()
            return False
        if bracket == "{":
            self._key()
        return True

    def _key(self) -> None:
        self._skip()
        if self._peek() != '"':
            self._refuse("looking for beginning of object key string")
        self._string()
        self._skip()
        if self._peek() != ":":
            self._refuse("after object key")
        self._at += 1

    def _after_value(self) -> bool:
        """A comma, after which a value must come, or the end of the container."""
        in_object = self._open[-1] == "{"
        self._skip()
        found = self._peek()
        if found == ("}" if in_object else "]"):
            self._at += 1
            self._open.pop()
            return False
        if found != ",":
            self._refuse(f"after {'object key:value pair' if in_object else 'array element'}")
        self._at += 1
        if in_object:
            self._key()
        return True

    def _string(self) -> None:
        self._at += 1
        while True:
            found = _PLAIN.match(self._text, self._at)
            self._at = found.end() if found else self._at
            character = self._peek()
            if character == '"':
                self._at += 1
                return
            if character != "\\":
                self._refuse("in string literal")
            self._escape()

    def _escape(self) -> None:
        self._at += 1
        if self._peek() not in _ESCAPES:
            self._refuse("in string escape code")
        digits = 4 if self._peek() == "u" else 0
        self._at += 1
        for _ in range(digits):
            if self._peek() not in _HEX:
                self._refuse("in \\u hexadecimal character escape")
            self._at += 1

    def _literal(self, word: str) -> None:
        for index, expected in enumerate(word):
            if self._peek() != expected:
                self._refuse(f"in literal {word} (expecting '{word[index]}')")
            self._at += 1

    def _number(self) -> None:
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            self._at += 1
            self._refuse("in numeric literal")
            return
        self._at = found.end()
        rest = self._text[self._at : self._at + 1]
        if rest and rest in ".eE":
            self._at += 1
            if rest == ".":
                self._refuse("after decimal point in numeric literal")
            if self._peek() in "+-":
                self._at += 1
            self._refuse("in exponent of numeric literal")
