"""What `pinnace test` makes of the groups' outcomes."""

import re
from collections import Counter

import pytest

from cluster import testing
from cluster.errors import CommandError
from cluster.testing import Result

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<properties><property name="figure" value="p50 1 ms"/><property name="x" value="y"/></properties>
<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><skipped message="needs root"/></testcase>
<testcase name="d"><skipped message="needs root"/></testcase>
<testcase name="e"><error message="setup"/></testcase>
</testsuite></testsuites>"""
GOOD = Result("base", 3, 0, 0, 1.5)
SKIPPED = Result("cni", 2, 0, 2, 70.0, Counter({"needs root": 2}))
BAD = Result("tidy", 0, 1, 0, 0.1)


def test_parse_report() -> None:
    assert testing.parse_report(REPORT) == (1, 2, Counter({"needs root": 2}))
    assert testing.parse_report("") == (0, 0, Counter())
    assert testing.figures(REPORT) == ["p50 1 ms"]
    assert testing.figures("") == []


@pytest.mark.parametrize(
    ("results", "strict", "good"),
    [
        ([GOOD], False, True),
        ([GOOD, SKIPPED], False, True),
        ([GOOD, SKIPPED], True, False),
        ([GOOD, BAD], False, False),
        ([GOOD], True, True),
    ],
)
def test_what_is_good_enough(results: list[Result], strict: bool, good: bool) -> None:
    assert testing.is_good(results, strict=strict) is good


def test_table_and_totals() -> None:
    lines = testing.table([GOOD, SKIPPED])
    assert lines[1].split() == ["base", "3", "0", "0", "1.5", "10"]
    assert lines[2].endswith("over budget")
    assert testing.skip_reasons([GOOD, SKIPPED])[2] == "  cni: 2 x needs root"
    assert testing.totals([GOOD, SKIPPED, BAD]) == "5 passed, 1 failed, 2 skipped"


def test_groups_are_the_directories_of_tests() -> None:
    every = testing.groups()
    assert every[:4] == list(testing.CHECKS)
    assert {"base", "cluster"} <= set(every)
    assert testing.choose(every, ["cluster", "base"]) == ["base", "cluster"]
    with pytest.raises(CommandError, match="no group nonsense; there are format"):
        testing.choose(every, ["nonsense"])


def test_budgets_leave_the_whole_under_25_minutes() -> None:
    assert sum(testing.BUDGET_S.values()) < 25 * 60


def test_the_page_has_the_budgets() -> None:
    page = (testing.TOP / "docs" / "testing.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d+) \|", page, re.M)
    assert {name: int(budget) for name, budget in rows} == testing.BUDGET_S
