"""How long ago, in words. Source: k8s.io/apimachinery util/duration (HumanDuration)."""

from typing import Final

from base.clock import parse_rfc3339

MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S
YEAR_S: Final = 365 * DAY_S

UNKNOWN: Final = "<unknown>"

# Below this many seconds a duration shows as (unit, letter) and, where one follows, (part, letter).
_STEPS: Final = (
    (2 * MINUTE_S, (1, "s"), None),
    (10 * MINUTE_S, (MINUTE_S, "m"), (1, "s")),
    (3 * HOUR_S, (MINUTE_S, "m"), None),
    (8 * HOUR_S, (HOUR_S, "h"), (MINUTE_S, "m")),
    (2 * DAY_S, (HOUR_S, "h"), None),
    (8 * DAY_S, (DAY_S, "d"), (HOUR_S, "h")),
    (2 * YEAR_S, (DAY_S, "d"), None),
    (8 * YEAR_S, (YEAR_S, "y"), (DAY_S, "d")),
)


def human_duration(duration_s: float) -> str:
    """ "5s", "3m20s", "47h", "2y30d". Two seconds below zero are forgiven as clock drift."""
    seconds = int(duration_s)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    for below_s, (unit_s, letter), part in _STEPS:
        if seconds < below_s:
            text = f"{seconds // unit_s}{letter}"
            rest = seconds % unit_s // part[0] if part else 0
            return f"{text}{rest}{part[1]}" if part and rest else text
    return f"{seconds // YEAR_S}y"


def since(time: str | None, now_s: float) -> str:
    """How long ago an RFC 3339 time was."""
    return human_duration(now_s - parse_rfc3339(time)) if time else UNKNOWN
