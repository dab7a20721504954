"""Numbers that may be a share of another: `maxSurge: 1` or `maxSurge: 25%`.

Source: apimachinery `util/intstr`, and deployment util `ResolveFenceposts`.
"""

import re

_PERCENT = re.compile(r"-?[0-9]+%", re.ASCII)


def percent(value: int | str) -> int | None:
    """The figure of a percentage, None where `value` is a plain number.

    ValueError for text that is neither.
    """
    if isinstance(value, int):
        return None
    if not _PERCENT.fullmatch(value):
        raise ValueError(
            f'invalid value for IntOrString: invalid type: string is not a percentage: "{value}"'
        )
    return int(value[:-1])


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """`value` itself, or its share of `total`."""
    share = percent(value)
    if share is None:
        return int(value)
    product = share * total
    return -(-product // 100) if round_up else product // 100


def resolve_fenceposts(
    max_surge: int | str | None, max_unavailable: int | str | None, desired: int
) -> tuple[int, int]:
    """How many pods a rolling update may have too many, and too few.

    The surge is rounded up and the unavailable down; where both come out as zero, one pod may be
    unavailable, or the update could not begin.
    """
    surge = scaled(max_surge or 0, desired, round_up=True)
    unavailable = scaled(max_unavailable or 0, desired, round_up=False)
    return surge, unavailable if surge or unavailable else 1
