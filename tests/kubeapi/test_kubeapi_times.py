"""Time and MicroTime, with Go's messages."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi.times import TimeError, canonical_micro_time, canonical_time

SECONDS = "2006-01-02T15:04:05Z07:00"
MICROS = "2006-01-02T15:04:05.000000Z07:00"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00.999Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00.5+02:00", "2019-12-31T22:00:00Z"),
        ("2020-02-29T23:59:59-23:59", "2020-03-01T23:58:59Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_time(text: str, wanted: str | None) -> None:
    assert canonical_time(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123456Z"),
        ("2020-01-01T00:00:00.000000-01:00", "2020-01-01T01:00:00.000000Z"),
        ("0001-01-01T00:00:00.000000Z", None),
    ],
)
def test_micro_time(text: str, wanted: str | None) -> None:
    assert canonical_micro_time(text) == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f'parsing time "" as "{SECONDS}": cannot parse "" as "2006"'),
        ("x", f'parsing time "x" as "{SECONDS}": cannot parse "x" as "2006"'),
        ("2020-01-01", f'parsing time "2020-01-01" as "{SECONDS}": cannot parse "" as "T"'),
        (
            "2020-01-01T00:00:00",
            f'parsing time "2020-01-01T00:00:00" as "{SECONDS}": cannot parse "" as "Z07:00"',
        ),
        ("2020-13-01T00:00:00Z", 'parsing time "2020-13-01T00:00:00Z": month out of range'),
        ("2020-02-30T00:00:00Z", 'parsing time "2020-02-30T00:00:00Z": day out of range'),
        ("2020-01-01T24:00:00Z", 'parsing time "2020-01-01T24:00:00Z": hour out of range'),
        (
            "2020-01-01T00:00:00+24:00",
            'parsing time "2020-01-01T00:00:00+24:00": time zone offset hour out of range',
        ),
        ("2020-01-01T00:00:00Zx", 'parsing time "2020-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_no_time(text: str, problem: str) -> None:
    with pytest.raises(TimeError) as caught:
        canonical_time(text)
    assert str(caught.value) == problem


def test_a_micro_time_has_six_digits() -> None:
    for digits in ("", ".1", ".12345", ".1234567"):
        with pytest.raises(TimeError, match=MICROS.replace(".", r"\.")):
            canonical_micro_time(f"2020-01-01T00:00:00{digits}Z")


@settings(deadline=None)
@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_any_offset_becomes_utc(naive: datetime, offset_minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    found = canonical_time(moment.isoformat(timespec="milliseconds"))
    assert found is not None
    assert len(found) == 20
    assert datetime.fromisoformat(found) == moment.astimezone(UTC).replace(microsecond=0)
    micro = canonical_micro_time(moment.isoformat(timespec="microseconds"))
    assert micro is not None
    assert datetime.fromisoformat(micro) == moment
