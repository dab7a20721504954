"""The standard cron format of five fields, as robfig/cron reads it (its messages too)."""

import re
from typing import Final

_NAMES: Final = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
# (lowest, highest, names that stand for numbers and the first of these)
_FIELDS: Final = (
    (0, 59, "", 0),
    (0, 23, "", 0),
    (1, 31, "", 0),
    (1, 12, "month", 1),
    (0, 6, "weekday", 0),
)
_DESCRIPTORS: Final = frozenset(
    {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
)
_DURATION = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+")


def schedule_problem(text: str) -> str:
    """What is wrong with a schedule; "" when nothing is."""
    if "TZ" in text:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if text.startswith("@"):
        return _descriptor_problem(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (low, high, names, first) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            problem = _part_problem(part, low, high, names, first) if part else ""
            if problem:
                return problem
    return ""


def _descriptor_problem(text: str) -> str:
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        if _DURATION.fullmatch(duration):
            return ""
        return f'failed to parse duration {text}: time: invalid duration "{duration}"'
    return "" if text in _DESCRIPTORS else f"unrecognized descriptor: {text}"


def _part_problem(part: str, low: int, high: int, names: str, first: int) -> str:
    """One of the things between commas: `*`, `5`, `1-5`, each perhaps with `/2`."""
    span, slash, step = part.partition("/")
    if "/" in step:
        return f"too many slashes: {part}"
    start_text, dash, end_text = span.partition("-")
    if start_text in ("*", "?"):
        start, end = low, high
    else:
        if "-" in end_text:
            return f"too many hyphens: {part}"
        try:
            start = _number(start_text, names, first)
            end = _number(end_text, names, first) if dash else (high if slash else start)
        except ValueError as error:
            return str(error)
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return _step_problem(step, part) if slash else ""


def _step_problem(step: str, part: str) -> str:
    try:
        size = _number(step, "", 0)
    except ValueError as error:
        return str(error)
    return "" if size else f"step of range should be a positive number: {part}"


def _number(text: str, names: str, first: int) -> int:
    if names and text.lower() in _NAMES[names]:
        return _NAMES[names].index(text.lower()) + first
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        reason = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {reason}")
    if int(text) < 0:
        raise ValueError(f"negative number ({text}) not allowed: {text}")
    return int(text)
