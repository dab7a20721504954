"""Quantities: exact amounts, canonical texts, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi import quantity
from kubeapi.quantity import Format, Quantity, QuantityError, canonical, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.5", "500m"), ("1024Mi", "1Gi"), ("1000m", "1"), ("100000", "100k"), ("1.5", "1500m"),
        ("0.0001", "100u"), (".5", "500m"), ("5.", "5"), ("+1", "1"), ("-0.5", "-500m"),
        ("1.5Gi", "1536Mi"), ("1023Ki", "1023Ki"), ("0.5Ki", "512"), ("2048", "2048"),
        ("2048Ki", "2Mi"), ("0.1Gi", "107374182400m"), ("0Gi", "0"), ("00", "0"),
        ("1e3", "1e3"), ("12e5", "1200e3"), ("1e100", "10e99"), ("1E", "1E"), ("1Ei", "1Ei"),
        ("1e-3", "1e-3"), ("0.1n", "1n"), ("-0.1n", "-1n"), ("9Ei", "9223372036854775807"),
        (" 1 ", "1"), ("100m", "100m"), ("3.1415926535897", "3141592654n"),
    ],
)  # fmt: skip
def test_canonical(text: str, wanted: str) -> None:
    assert canonical(text) == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", quantity.WRONG_FORMAT),
        ("x", quantity.WRONG_FORMAT),
        ("1GB", quantity.WRONG_FORMAT),
        ("1..2", quantity.WRONG_FORMAT),
        ("1 2", quantity.WRONG_FORMAT),
        ("٣", quantity.WRONG_FORMAT),
        ("1KiB", quantity.WRONG_FORMAT),
        ("1ee", quantity.WRONG_SUFFIX),
        ("1mm", quantity.WRONG_SUFFIX),
        ("1Ki1", quantity.WRONG_SUFFIX),
        ("1e1000000000", quantity.WRONG_NUMBER),
        ("1" * 401, quantity.WRONG_NUMBER),
        # Tried in all ways to split it, this would take minutes.
        ("1" * 200_000 + "x", quantity.WRONG_FORMAT),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(QuantityError, match=r"quantit|numeric") as caught:
        parse(text)
    assert str(caught.value) == problem


def test_a_tiny_exponent_is_the_smallest_amount() -> None:
    assert canonical("1e-1000000000") == "1e-9"


def test_arithmetic_and_order() -> None:
    assert str(parse("1Gi") + parse("512Mi")) == "1536Mi"
    assert str(parse("1") - parse("300m")) == "700m"
    assert str(parse("0") + parse("1Gi")) == "1Gi"
    assert str(-parse("1Ki")) == "-1Ki"
    assert parse("1000m") == parse("1")
    assert hash(parse("1000m")) == hash(parse("1"))
    assert parse("999m") < parse("1") <= parse("1k")


def test_whole_units_round_away_from_zero() -> None:
    assert (parse("1.5").units, parse("-1.5").units) == (2, -2)
    assert (parse("100u").millis, parse("-100u").millis) == (1, -1)
    assert (quantity.units("1Ki"), quantity.millis("0.1"), quantity.units(None)) == (1024, 100, 0)
    assert str(quantity.of_units(2048, Format.BINARY)) == "2Ki"
    assert str(quantity.of_millis(1500)) == "1500m"


@settings(deadline=None)
@given(st.integers(min_value=-(10**21), max_value=10**21), st.sampled_from(list(Format)))
def test_printing_loses_nothing(nanos: int, format_: Format) -> None:
    amount = Quantity(nanos, format_)
    limit = (2**63 - 1) * quantity.NANO_PER_UNIT
    if format_ is not Format.BINARY or abs(nanos) <= limit:
        assert parse(str(amount)) == amount


@settings(deadline=None)
@given(
    st.from_regex(
        r"[+-]?[0-9]{1,12}(\.[0-9]{1,12})?([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9])?", fullmatch=True
    )
)
def test_the_canonical_form_is_a_fixed_point(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    assert parse(once) == parse(text)
