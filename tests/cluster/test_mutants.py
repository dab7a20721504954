"""The mutants of the tree still fit it; what finds one, and what counts as alive."""

import re
from pathlib import Path

import pytest

from cluster import mutants
from cluster.errors import CommandError
from cluster.mutants import Mutant, Outcome

PATCHES = mutants.TOP / "tests" / "mutants"
PUBLISHED = (
    *(13766, 14370, 14685, 15220, 15271, 17247),
    *(17529, 17780, 18089, 18667, 19179, 20221),
)
EVERY = mutants.load(PATCHES)

CODE = "def double(number):\n    doubled = 2 * number\n    return doubled\n"
TESTS = (
    "from code_of_ours import double\n\n"
    "def test_zero():\n    assert double(0) == 0\n\n"
    "def test_two():\n    assert double(2) == 4\n"
)
PATCH = """Breaks: twice is thrice
Killed by: {tests}

--- a/code_of_ours.py
+++ b/code_of_ours.py
@@ -1,3 +1,3 @@
 def double(number):
-    doubled = 2 * number
+    doubled = {mutated}
     return doubled
"""


def test_there_are_twenty_beside_those_of_etcd() -> None:
    names = {mutant.name for mutant in EVERY}
    published = {f"etcd-{number}" for number in PUBLISHED}
    assert published <= names
    assert len(names - published) >= 20


@pytest.mark.needs("git")
def test_every_mutant_still_applies() -> None:
    refused = {mutant.name: mutants.applies(mutants.TOP, mutant) for mutant in EVERY}
    assert {name: why for name, why in refused.items() if why} == {}


@pytest.mark.parametrize("mutant", EVERY, ids=lambda mutant: mutant.name)
def test_its_killers_exist(mutant: Mutant) -> None:
    for test in mutant.tests:
        path, *names = test.split("::")
        text = (mutants.TOP / path).read_text()
        for name in names:
            assert re.search(rf"^ *(async def|def|class) {name.split('[')[0]}\b", text, re.M), test


def test_the_page_of_published_bugs_has_them_all() -> None:
    page = (mutants.TOP / "docs" / "store-published-bugs.md").read_text()
    headings = [int(number) for number in re.findall(r"^## .*#(\d+)", page, re.M)]
    assert headings == list(PUBLISHED)
    assert [f"tests/mutants/etcd-{number}.patch" in page for number in PUBLISHED] == [True] * 12


def tree_with(
    tmp_path: Path, mutated: str, tests: str = "test_code_of_ours.py"
) -> tuple[Path, Mutant]:
    top = tmp_path / "top"
    top.mkdir()
    (top / "code_of_ours.py").write_text(CODE)
    (top / "test_code_of_ours.py").write_text(TESTS)
    (top / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--long', action='store_true')\n"
    )
    patch = tmp_path / "thrice.patch"
    patch.write_text(PATCH.format(mutated=mutated, tests=tests))
    return top, mutants.read(patch)


@pytest.mark.needs("git")
@pytest.mark.realtime
class TestRun:
    def test_killed(self, tmp_path: Path) -> None:
        top, mutant = tree_with(tmp_path, "3 * number")
        assert mutants.baseline(top, [mutant]) == ""
        outcome = mutants.run(top, mutant)
        assert (outcome.killed, outcome.what) == (True, "test_code_of_ours::test_two")
        assert (top / "code_of_ours.py").read_text() == CODE

    def test_survived(self, tmp_path: Path) -> None:
        top, mutant = tree_with(tmp_path, "3 * number", "test_code_of_ours.py::test_zero")
        assert not mutants.run(top, mutant).killed

    def test_a_mutant_that_does_not_even_load_is_not_killed(self, tmp_path: Path) -> None:
        top, mutant = tree_with(tmp_path, "2 *")
        outcome = mutants.run(top, mutant)
        assert not outcome.killed
        assert "could not be run" in outcome.what

    def test_rotten(self, tmp_path: Path) -> None:
        top, mutant = tree_with(tmp_path, "3 * number")
        (top / "code_of_ours.py").write_text(CODE.replace("2 * number", "number + number"))
        outcome = mutants.run(top, mutant)
        assert not outcome.killed
        assert outcome.what.startswith("the patch does not apply: patch failed: code_of_ours.py")

    def test_a_killer_that_fails_anyway_is_seen_first(self, tmp_path: Path) -> None:
        top, mutant = tree_with(tmp_path, "3 * number")
        (top / "code_of_ours.py").write_text(CODE.replace("2 *", "4 *"))
        assert "test_two" in mutants.baseline(top, [mutant])

    def test_one_that_never_ends_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mutants, "MUTANT_S_MAX", 2.0)
        top, mutant = tree_with(tmp_path, "iter(int, 1) and [0 for _ in iter(int, 1)]")
        assert mutants.run(top, mutant).killed


def test_a_patch_without_its_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.patch").write_text("--- a/x\n+++ b/x\n")
    with pytest.raises(CommandError, match="does not begin with the lines 'Breaks: '"):
        mutants.load(tmp_path)


def test_names_are_looked_up(tmp_path: Path) -> None:
    a, b = (Mutant(name, "", (), tmp_path) for name in "ab")
    assert mutants.choose([a, b], []) == [a, b]
    assert mutants.choose([a, b], ["b"]) == [b]
    with pytest.raises(CommandError, match="no mutant c, d; they are in tests/mutants"):
        mutants.choose([a, b], ["d", "b", "c"])


def test_the_table_shows_who_killed_whom() -> None:
    outcomes = [
        Outcome("torn-tail", True, "test_raftstore_disk::test_cut", 1.24),
        Outcome("late", False, "SURVIVED", 12.0),
    ]
    assert mutants.table(outcomes) == [
        "mutant     seconds  killed by",
        "torn-tail      1.2  test_raftstore_disk::test_cut",
        "late          12.0  NOBODY: SURVIVED",
    ]
    assert mutants.totals(outcomes) == "1 killed, 1 alive"
