"""The judge of histories finds each kind of wrong: otherwise its verdicts would say nothing."""

from typing import Any

import pytest
from store_history import Truth, distribution, failovers_s, judge

LOG = [(2, "a", "v1"), (3, "b", "v2"), (4, "a", "v3"), (5, "b", None)]


def operation(kind: str, key: str, *when_s: float, **more: Any) -> dict[str, Any]:
    blank = {"value": "", "revision": 0, "changed": False, "kvs": []}
    return {"kind": kind, "key": key, "started_s": when_s[0], "ended_s": when_s[1], **blank, **more}


def put(key: str, value: str, *when_s: float, revision: int) -> dict[str, Any]:
    return operation("put", key, *when_s, value=value, revision=revision, changed=bool(revision))


PUTS = [
    put("a", "v1", 1, 2, revision=2),
    put("b", "v2", 1, 3, revision=3),
    put("a", "v3", 4, 5, revision=4),
    operation("delete", "b", 6, 7, revision=5, changed=True),
]
READ_A = [["a", "v3", 2, 4, 2]]


def wrong(
    *more: dict[str, Any],
    log: Any = LOG,
    puts: Any = PUTS,
    other: Any = None,
    watch: Any = None,
) -> str:
    logs = {"m1": log, "m2": log if other is None else other}
    verdict = judge([*puts, *more], logs, {"m1": log if watch is None else watch})
    return "; ".join(verdict.wrong)


def test_a_good_history_is_good() -> None:
    good = [
        operation("get", "a", 5.5, 6, revision=4, kvs=READ_A),
        operation("range", "", 8, 9, revision=5, kvs=READ_A),
        operation("get", "b", 8, 9, revision=5),
        operation("delete", "b", 8, 9, revision=5),
        operation("swap", "a", 8, 9, revision=5, value="v9", kvs=READ_A),
        operation("get", "a", 1, 9),
        put("a", "never", 1, 9, revision=0),
    ]
    assert wrong(*good) == ""
    verdict = judge([*PUTS, *good], {"m1": LOG}, {})
    assert (verdict.operations, verdict.acknowledged, verdict.unknown) == (11, 4, 2)


def test_an_unanswered_write_may_have_happened_once() -> None:
    log = [*LOG, (6, "a", "v4")]
    assert wrong(put("a", "v4", 8, 9, revision=0), log=log) == ""
    assert "v4 is in the log at 6, 7" in wrong(
        put("a", "v4", 8, 9, revision=0), log=[*log, (7, "a", "v4")]
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (put("a", "lost", 8, 9, revision=6), "acknowledged and not there"),
        (put("a", "v3", 8, 9, revision=2), "acknowledged and not there"),
        (operation("delete", "a", 8, 9, revision=5, changed=True), "acknowledged and not there"),
        (operation("delete", "a", 8, 9, revision=5), "deleted nothing"),
        (operation("get", "a", 8, 9, revision=5), "a read saw what was not"),
        (operation("get", "a", 8, 9, revision=5, kvs=[["a", "v3", 2, 4, 1]]), "a read saw"),
        (operation("range", "", 8, 9, revision=4, kvs=READ_A), "a read saw what was not"),
        # Stale: what it read was so, but no longer when it asked.
        (operation("get", "a", 8, 9, revision=4, kvs=READ_A), "had ended before"),
        (operation("get", "a", 5.5, 6, revision=3, kvs=[["a", "v1", 2, 2, 1]]), "had ended before"),
    ],
)
def test_each_wrong_is_found(bad: dict[str, Any], why: str) -> None:
    assert why in wrong(bad)


def test_writes_out_of_time_are_found() -> None:
    log = [(2, "a", "late"), *((revision + 1, key, value) for revision, key, value in LOG)]
    puts = [{**each, "revision": each["revision"] + 1} for each in PUTS]
    assert "had ended before" in wrong(put("a", "late", 8, 9, revision=2), log=log, puts=puts)
    # Not even without an answer.
    assert "had ended before" in wrong(put("a", "late", 8, 9, revision=0), log=log, puts=puts)


def test_what_nobody_wrote_and_logs_that_differ_are_found() -> None:
    assert "nobody wrote v4" in wrong(log=[*LOG, (6, "a", "v4")])
    assert "hold different logs" in wrong(other=LOG[:3])


@pytest.mark.parametrize(
    "watch",
    [LOG[1:], LOG[:-1], [*LOG[:2], *LOG[1:]], [LOG[1], LOG[0], *LOG[2:]], [*LOG, (6, "a", "v4")]],
)
def test_a_watch_that_misses_repeats_or_mixes_up_is_found(watch: Any) -> None:
    assert "the watch at m1 was told something else" in wrong(watch=watch)


def test_the_state_at_a_revision() -> None:
    truth = Truth(LOG)
    assert truth.state("", 1) == []
    assert truth.state("", 3) == [("a", "v1", 2, 2, 1), ("b", "v2", 3, 3, 1)]
    assert truth.state("", 9) == [("a", "v3", 2, 4, 2)]


def test_failovers_are_counted_from_the_kill_to_a_write_begun_after_it() -> None:
    assert failovers_s(PUTS, [0.5, 3.5, 8]) == [1.5, 1.5]
    assert distribution([0.3, 0.1, 0.2], 0.1) == (
        "failover over 3 losses of the leader, election timeout 100 ms: "
        "p50 200 ms (2.00 election timeouts), p99 300 ms (3.00 election timeouts)"
    )
