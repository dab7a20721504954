"""Amounts as Kubernetes writes them: `100m`, `1.5`, `64Mi`, `1e3`.

Exact: no amount passes through a float. Source: k8s.io/apimachinery `api/resource`, "Quantity".
"""

import re
from fractions import Fraction
from functools import lru_cache

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d{1,3})")


@lru_cache(maxsize=4096)
def parse(text: str) -> Fraction:
    """The exact amount. Raises ValueError where `text` is no quantity."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix = match.groups()
    if suffix in _BINARY:
        return Fraction(number) * 1024 ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return Fraction(number) * Fraction(1000) ** _DECIMAL[suffix]
    return Fraction(number) * Fraction(10) ** int(suffix[1:])


def value(text: str) -> int:
    """Whole units, rounded away from zero: bytes, pods."""
    return _away_from_zero(parse(text))


def milli_value(text: str) -> int:
    """Thousandths, rounded away from zero: millicores."""
    return _away_from_zero(parse(text) * 1000)


def _away_from_zero(amount: Fraction) -> int:
    whole = -(-abs(amount).numerator // abs(amount).denominator)
    return whole if amount >= 0 else -whole
