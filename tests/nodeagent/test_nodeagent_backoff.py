"""Crash-loop and pull back-off: at once, then 10 s doubling to 5 min, forgotten after 10 min."""

from nodeagent.pods.backoff import FailureBackoff, go_duration


def test_the_first_restart_is_at_once_and_each_next_waits_twice_as_long() -> None:
    backoff = FailureBackoff()
    now_s, waits = 1000.0, []
    for _ in range(8):
        waits.append(backoff.remaining_s("k", now_s, now_s))
        now_s += waits[-1]
        backoff.failed("k", now_s, now_s)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_good_minutes_start_over() -> None:
    backoff = FailureBackoff()
    for at_s in (0.0, 10.0, 30.0):
        backoff.failed("k", at_s, at_s)
    assert backoff.remaining_s("k", 629.0, 629.0) == 40
    assert backoff.remaining_s("k", 631.0, 631.0) == 0
    backoff.failed("k", 631.0, 631.0)
    assert backoff.delay_s("k") == 10


def test_the_wait_counts_from_the_end_of_the_container() -> None:
    backoff = FailureBackoff()
    backoff.failed("k", 100.0, 100.0)
    assert backoff.remaining_s("k", 103.0, 107.0) == 6


def test_forgetting_is_by_prefix() -> None:
    backoff = FailureBackoff()
    backoff.failed("p1/a", 0.0, 0.0)
    backoff.failed("p2/a", 0.0, 0.0)
    backoff.forget("p1/")
    assert (backoff.delay_s("p1/a"), backoff.delay_s("p2/a")) == (0, 10)


def test_durations_read_as_in_go() -> None:
    assert [go_duration(s) for s in (10, 160, 300, 3725)] == ["10s", "2m40s", "5m0s", "1h2m5s"]
