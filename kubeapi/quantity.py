"""Resource quantities: "500m", "1.5Gi", "2e3", parsed exactly and printed canonically.

Amounts are whole numbers of a billionth (nano), the smallest step that Kubernetes keeps; what is
finer is rounded away from zero. Source: apimachinery `api/resource` (quantity.go, suffix.go).
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, total_ordering

NANO_PER_UNIT = 10**9

WRONG_FORMAT = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
WRONG_SUFFIX = "unable to parse quantity's suffix"
WRONG_NUMBER = "unable to parse numeric part of quantity"

# Kubernetes takes larger exponents and more digits, which nobody means and every sum would pay for.
_EXPONENT_MAX = 400
_CHARACTERS_MAX = 400
_BINARY_MAX_NANO = (2**63 - 1) * NANO_PER_UNIT


class Format(Enum):
    """How a quantity was written, and so how it is printed."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


_DECIMAL_SUFFIXES = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_PARTS = re.compile(r"([+-]?)([0-9]*+)(?:\.([0-9]*+))?([eEinumkKMGTP]*+[-+]?[0-9]*+)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)


class QuantityError(ValueError):
    """Text that is no quantity; the message is Kubernetes'."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact amount. Equality and order are of the amount, not of the way it is written."""

    nanos: int
    format: Format = Format.DECIMAL

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __add__(self, other: "Quantity") -> "Quantity":
        """The sum, in the format of the first that is not zero."""
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nanos, self.format)

    @property
    def units(self) -> int:
        """Whole units, rounded away from zero: bytes of memory, cores, pods."""
        return _away_from_zero(self.nanos, NANO_PER_UNIT)

    @property
    def millis(self) -> int:
        """Thousandths, rounded away from zero: millicores."""
        return _away_from_zero(self.nanos, 10**6)

    def __str__(self) -> str:
        """The canonical form: no precision lost, no fraction, the largest suffix possible."""
        if not self.nanos:
            return "0"
        if self.format is Format.BINARY and self._prints_binary():
            return _binary_text(self.nanos // NANO_PER_UNIT)
        return _decimal_text(self.nanos, self.format)

    def _prints_binary(self) -> bool:
        return self.nanos % NANO_PER_UNIT == 0 and abs(self.nanos) >= 1024 * NANO_PER_UNIT


def _away_from_zero(nanos: int, per_whole: int) -> int:
    return -(-nanos // per_whole) if nanos >= 0 else nanos // per_whole


def _binary_text(units: int) -> str:
    power = 0
    while units % 1024 == 0 and power < len(_BINARY_SUFFIXES) - 1:
        units //= 1024
        power += 1
    return f"{units}{_BINARY_SUFFIXES[power]}"


def _decimal_text(nanos: int, format_: Format) -> str:
    """The digits with an exponent that is a multiple of three."""
    exponent = -9
    top = max(_DECIMAL_NAMES) if format_ is not Format.EXPONENT else _EXPONENT_MAX
    while nanos % 1000 == 0 and exponent < top:
        nanos //= 1000
        exponent += 3
    if format_ is Format.EXPONENT:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_NAMES[exponent]}"


@lru_cache(maxsize=4096)
def parse(text: str) -> Quantity:
    """The amount in `text`; QuantityError where it is none."""
    text = text.strip()
    found = _PARTS.fullmatch(text)
    if not text or found is None:
        raise QuantityError(WRONG_FORMAT)
    sign, whole, fraction, suffix = found.group(1), found.group(2), found.group(3) or "", found[4]
    if len(text) > _CHARACTERS_MAX:
        raise QuantityError(WRONG_NUMBER)
    digits = int(whole + fraction or "0")
    scale, factor, format_ = _suffix(suffix)
    nanos = _scaled(digits * factor, scale - len(fraction) + 9)
    if format_ is Format.BINARY:
        nanos = min(nanos, _BINARY_MAX_NANO)
        if 0 < nanos < NANO_PER_UNIT:
            format_ = Format.DECIMAL
    return Quantity(-nanos if sign == "-" else nanos, format_)


def _suffix(suffix: str) -> tuple[int, int, Format]:
    """(decimal exponent, binary factor, format) of a suffix."""
    if suffix in _DECIMAL_SUFFIXES:
        return _DECIMAL_SUFFIXES[suffix], 1, Format.DECIMAL
    if suffix in _BINARY_SUFFIXES:
        return 0, 1024 ** _BINARY_SUFFIXES.index(suffix), Format.BINARY
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise QuantityError(WRONG_SUFFIX)
    power = int(exponent.group(1))
    if power > _EXPONENT_MAX:
        raise QuantityError(WRONG_NUMBER)
    return max(power, -_EXPONENT_MAX), 1, Format.EXPONENT


def _scaled(digits: int, exponent: int) -> int:
    """digits * 10**exponent, rounded up: who asks for a little gets a little."""
    if exponent >= 0:
        return int(digits * 10**exponent)
    return int(-(-digits // 10**-exponent))


def canonical(text: str) -> str:
    """The form in which Kubernetes keeps and answers a quantity; QuantityError if it is none."""
    return str(parse(text))


def units(text: str | None) -> int:
    """Whole units of a quantity that was decoded from the API; absent is zero."""
    return parse(text).units if text else 0


def millis(text: str | None) -> int:
    """Thousandths of a quantity that was decoded from the API; absent is zero."""
    return parse(text).millis if text else 0


def of_units(amount: int, format_: Format = Format.DECIMAL) -> Quantity:
    return Quantity(amount * NANO_PER_UNIT, format_)


def of_millis(amount: int) -> Quantity:
    return Quantity(amount * 10**6)
