"""`pinnace test --mutants`: defects planted on purpose, and which test finds each.

A mutant is a patch in tests/mutants/: what it breaks, the tests that must find it, and the
difference. Each is applied to a copy of the tree, where its tests are run. A mutant that survives
them, or whose patch no longer fits the code, is a failure: the tests are weaker than they claim.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cluster import supervisor
from cluster.errors import CommandError

TOP = Path(__file__).resolve().parent.parent
AT_ONCE = 2
MUTANT_S_MAX = 120.0
BASELINE_S_MAX = 600.0
# Nothing of these is needed to run a test, and some of it is large.
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build")
_HEADER = re.compile(r"Breaks: (?P<breaks>.+)\nKilled by: (?P<tests>.+)\n")
# What pytest's exit code 1 means: tests ran, and some failed.
_TESTS_FAILED = 1


@dataclass(frozen=True)
class Mutant:
    """`tests` are as pytest takes them: tests/room/test_module.py::test_name."""

    name: str
    breaks: str
    tests: tuple[str, ...]
    patch: Path


@dataclass(frozen=True)
class Outcome:
    """`what` is the test that killed the mutant, or why it counts as alive."""

    name: str
    killed: bool
    what: str
    duration_s: float


def main(names: Sequence[str]) -> int:
    """Run the mutants called `names`, or all; 0 where every one was killed."""
    if shutil.which("git") is None:
        raise CommandError("mutants are applied with git: install it")
    chosen = choose(load(TOP / "tests" / "mutants"), names)
    print("their tests, without any mutant ...", flush=True)
    complaint = baseline(TOP, chosen)
    if complaint:
        print(f"{complaint}\nthe tests fail without a mutant too: what they kill proves nothing")
        return 1
    outcomes = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(lambda mutant: run(TOP, mutant), chosen):
            print(f"{outcome.name} ...", flush=True)
            outcomes.append(outcome)
    print("\n".join(["", *table(outcomes), "", totals(outcomes)]))
    return 0 if all(outcome.killed for outcome in outcomes) else 1


def load(directory: Path) -> list[Mutant]:
    """Every patch of `directory`, by name. Raises CommandError for one without its header."""
    return [read(path) for path in sorted(directory.glob("*.patch"))]


def read(path: Path) -> Mutant:
    header = _HEADER.match(path.read_text())
    if header is None:
        raise CommandError(f"{path}: does not begin with the lines 'Breaks: ' and 'Killed by: '")
    return Mutant(path.stem, header["breaks"], tuple(header["tests"].split()), path)


def choose(every: Sequence[Mutant], names: Sequence[str]) -> list[Mutant]:
    unknown = sorted(set(names) - {mutant.name for mutant in every})
    if unknown:
        raise CommandError(f"no mutant {', '.join(unknown)}; they are in tests/mutants", 2)
    return [mutant for mutant in every if not names or mutant.name in names]


def applies(top: Path, mutant: Mutant) -> str:
    """Why the patch does not fit the tree at `top`; "" where it does."""
    return _git_apply(top, mutant, "--check")


def baseline(top: Path, mutants: Iterable[Mutant]) -> str:
    """What pytest says where a killer of `mutants` fails without them; "" where none does."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="pinnace-mutant-") as directory:
        copy = _copy(top, Path(directory))
        code, output, _ = _pytest(copy, tests, BASELINE_S_MAX)
    return output if code else ""


def run(top: Path, mutant: Mutant) -> Outcome:
    """Apply `mutant` to a copy of the tree at `top` and see whether its tests find it."""
    started_s = supervisor.now_s()
    with tempfile.TemporaryDirectory(prefix="pinnace-mutant-") as directory:
        copy = _copy(top, Path(directory))
        refused = _git_apply(copy, mutant)
        if refused:
            killed, what = False, f"the patch does not apply: {refused}"
        else:
            killed, what = _judge(*_pytest(copy, mutant.tests, MUTANT_S_MAX))
    return Outcome(mutant.name, killed, what, supervisor.now_s() - started_s)


def _judge(code: int | None, output: str, failed: str) -> tuple[bool, str]:
    if code is None:
        return True, f"a test that did not end in {MUTANT_S_MAX:.0f} s"
    if code == _TESTS_FAILED and failed:
        return True, failed
    if code == 0:
        return False, "SURVIVED"
    return False, f"its tests could not be run: {(output.strip() or '?').splitlines()[-1]}"


def _copy(top: Path, directory: Path) -> Path:
    return Path(shutil.copytree(top, directory / "tree", symlinks=True, ignore=_LEFT_OUT))


def _git_apply(tree: Path, mutant: Mutant, *options: str) -> str:
    """What git complains of, in one line. A copy within another repository is not part of it."""
    done = subprocess.run(
        ["git", "apply", "-p1", *options, str(mutant.patch)],
        cwd=tree,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    complaint = done.stderr.strip().removeprefix("error: ").splitlines()
    return (complaint or ["?"])[0] if done.returncode else ""


def _pytest(tree: Path, tests: Sequence[str], limit_s: float) -> tuple[int | None, str, str]:
    """(exit code or None where it took too long, output, the first test that failed)."""
    report = tree.parent / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--long"]
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
    try:
        done = subprocess.run(
            [*argv, f"--junit-xml={report}", *tests],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"did not end in {limit_s:.0f} s", ""
    failed = first_failed(report.read_text()) if report.exists() else ""
    return done.returncode, done.stdout, failed


def first_failed(report: str) -> str:
    """The module and name of the first test that failed in a JUnit report."""
    # Our own pytest wrote it a moment ago: there is no untrusted XML here.
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314
        if case.find("failure") is not None or case.find("error") is not None:
            parts = case.get("classname", "").split(".")
            where = [part for part in parts if part.startswith(("test_", "Test"))] or parts[-1:]
            return "::".join([*where, case.get("name", "")])
    return ""


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line per mutant: its name, what killed it, the seconds."""
    width = max([len(outcome.name) for outcome in outcomes] + [6])
    lines = [f"{'mutant':{width}}  {'seconds':>7}  killed by"]
    for outcome in outcomes:
        what = outcome.what if outcome.killed else f"NOBODY: {outcome.what}"
        lines.append(f"{outcome.name:{width}}  {outcome.duration_s:>7.1f}  {what}")
    return lines


def totals(outcomes: Sequence[Outcome]) -> str:
    killed = sum(outcome.killed for outcome in outcomes)
    return f"{killed} killed, {len(outcomes) - killed} alive"
