"""Time and MicroTime: any RFC 3339 time in, UTC out, with whole seconds or six digits.

Messages are those of Go's `time.Parse`, which Kubernetes passes on. Source: apimachinery
`meta/v1/time.go`, `micro_time.go`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from kubeapi.names import quoted

_SECONDS_LAYOUT = "2006-01-02T15:04:05Z07:00"
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
# Go's zero time stands for "not set", and is written as null.
_ZERO = datetime(1, 1, 1, tzinfo=UTC)

# (what Go calls the part, its pattern): a layout is read from left to right.
_DATE_TIME = (
    ("2006", r"[0-9]{4}"), ("-", "-"), ("01", r"[0-9]{2}"), ("-", "-"), ("02", r"[0-9]{2}"),
    ("T", "T"), ("15", r"[0-9]{1,2}"), (":", ":"), ("04", r"[0-9]{2}"), (":", ":"),
    ("05", r"[0-9]{2}"),
)  # fmt: skip
_ZONE = ("Z07:00", r"Z|[+-][0-9]{2}:[0-9]{2}")
_SECONDS_PARTS = (*_DATE_TIME, ("", r"(?:[.,][0-9]+)?"), _ZONE)
_MICRO_PARTS = (*_DATE_TIME, (".000000", r"[.,][0-9]{6}"), _ZONE)
_RANGES = (("month", 1, 12), ("day", 1, 31), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59))


class TimeError(ValueError):
    """Text that is no time; the message is Go's."""


class _PartError(TimeError):
    """A part of the layout that is not there; Go's message then names the layout too."""


def canonical_time(text: str) -> str | None:
    """The form in which a Time is kept; None for Go's zero time."""
    moment = _parse(text, _SECONDS_LAYOUT, _SECONDS_PARTS)
    return None if moment == _ZERO else moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def canonical_micro_time(text: str) -> str | None:
    """The form in which a MicroTime is kept; None for Go's zero time."""
    moment = _parse(text, _MICRO_LAYOUT, _MICRO_PARTS)
    return None if moment == _ZERO else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _parse(text: str, layout: str, parts: tuple[tuple[str, str], ...]) -> datetime:
    try:
        return _moment(list(_read(text, parts)))
    except _PartError as error:
        raise TimeError(f"parsing time {quoted(text)} as {quoted(layout)}: {error}") from None
    except TimeError as error:
        raise TimeError(f"parsing time {quoted(text)}: {error}") from None


def _read(text: str, parts: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """The part of `text` for each part of the layout; `re` keeps the patterns compiled."""
    position = 0
    for name, pattern in parts:
        found = re.compile(pattern, re.ASCII).match(text, position)
        if found is None:
            raise _PartError(f"cannot parse {quoted(text[position:])} as {quoted(name)}")
        yield found.group()
        position = found.end()
    if position < len(text):
        raise TimeError(f"extra text: {quoted(text[position:])}")


def _moment(read: list[str]) -> datetime:
    year, month, day, hour, minute, second = (int(read[i]) for i in (0, 2, 4, 6, 8, 10))
    for (name, low, high), value in zip(_RANGES, (month, day, hour, minute, second), strict=True):
        if not low <= value <= high:
            raise TimeError(f"{name} out of range")
    fraction, zone = read[11], _zone(read[12])
    try:
        moment = datetime(year, month, day, hour, minute, second, int(f"{fraction[1:7]:0<6}"), zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        # A month without this day; or a year before 1 or after 9999, which no record has.
        raise TimeError("day out of range") from None


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours >= 24 or minutes >= 60:
        raise TimeError(f"time zone offset {'hour' if hours >= 24 else 'minute'} out of range")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
