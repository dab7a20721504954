"""Numbers and shares of a rolling update."""

import pytest

from kubeapi.intstr import percent, resolve_fenceposts, scaled


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "wanted"),
    [
        ("25%", "25%", 1, (1, 0)),
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 10, (3, 2)),
        (0, 0, 5, (0, 1)),
        ("0%", "0%", 5, (0, 1)),
        (0, "25%", 3, (0, 1)),
        (2, 0, 3, (2, 0)),
        (None, None, 3, (0, 1)),
    ],
)
def test_fenceposts(
    surge: int | str | None, unavailable: int | str | None, desired: int, wanted: tuple[int, int]
) -> None:
    assert resolve_fenceposts(surge, unavailable, desired) == wanted


def test_scaling() -> None:
    assert scaled(7, 100, round_up=True) == 7
    assert scaled("50%", 3, round_up=True) == 2
    assert scaled("50%", 3, round_up=False) == 1
    assert percent("10%") == 10
    assert percent(10) is None
    with pytest.raises(ValueError, match="string is not a percentage"):
        scaled("ten", 3, round_up=True)
