"""`pinnace test`: every check and test that this machine can run, group by group, and a table.

The groups are the directories of tests/, each in a pytest process of its own, the quick ones
first. Under PINNACE_REQUIRE=all, which CI sets, a skipped test is a failure.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster import mutants, packages, supervisor
from cluster.errors import CommandError

TOP = Path(__file__).resolve().parent.parent
GROUP_S_MAX = 600.0
LONG_GROUP_S_MAX = 7200.0
# The budget of each group in seconds on 2 cores (docs/testing.md), in the order they are run.
# The sum stays under the 25 minutes that the whole may take.
BUDGET_S = {
    "format": 5,
    "lint": 5,
    "types": 120,
    "imports": 20,
    "tidy": 10,
    "base": 10,
    "kubeapi": 20,
    "raftstore": 400,
    "controlplane": 160,
    "netproxy": 40,
    "cni": 60,
    "nodeagent": 120,
    "cluster": 90,
    "kubectl": 120,
}
CHECKS: dict[str, Sequence[str]] = {
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "lint": ("ruff", "check", "--quiet", "."),
    "types": ("mypy",),
    "imports": ("lint-imports",),
}


@dataclass(frozen=True)
class Result:
    """What became of one group; `output` is what it printed, for when it failed."""

    name: str
    passed: int
    failed: int
    skipped: int
    duration_s: float
    reasons: Counter[str] = field(default_factory=Counter)
    output: str = ""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "pinnace test", description="Run every check and test that this machine can run."
    )
    parser.add_argument("groups", nargs="*", help="only these groups (default: all)")
    parser.add_argument("--long", action="store_true", help="also the tests marked long")
    parser.add_argument(
        "--mutants",
        nargs="*",
        metavar="NAME",
        help="instead: plant the defects of tests/mutants, and show which test finds each",
    )
    arguments = parser.parse_args(argv)
    if not (TOP / "tests").is_dir():
        raise CommandError("the tests are in a checkout: run ./pinnace test there")
    if arguments.mutants is not None:
        return mutants.main(arguments.mutants)
    chosen = choose(groups(), arguments.groups)
    _install()
    options = ["--long"] if arguments.long else []
    results = [_run(name, options) for name in chosen]
    strict = os.environ.get("PINNACE_REQUIRE") == "all"
    print("\n".join(["", *table(results), *skip_reasons(results), totals(results)]))
    return 0 if is_good(results, strict=strict) else 1


def groups() -> list[str]:
    """The checks and the directories of tests/, in the order of BUDGET_S; a new one before the
    slow ones at its end."""
    found = {path.name for path in (TOP / "tests").iterdir() if any(path.glob("**/test_*.py"))}
    order = list(BUDGET_S)
    slow = order.index("netproxy")
    known = [name for name in order if name in CHECKS or name in found]
    new = sorted(found - set(order))
    return (
        [n for n in known if order.index(n) < slow]
        + new
        + [n for n in known if order.index(n) >= slow]
    )


def choose(every: Sequence[str], asked: Sequence[str]) -> list[str]:
    unknown = [name for name in asked if name not in every]
    if unknown:
        raise CommandError(f"no group {', '.join(unknown)}; there are {', '.join(every)}", 2)
    return [name for name in every if not asked or name in asked]


def _install() -> None:
    """What the tests need of Debian. Without it they are skipped, each with its reason."""
    try:
        record = Path(sys.prefix) / "pinnace.packages"
        packages.ensure_programs(packages.NODE | packages.TESTS, record, print)
    except CommandError as error:
        print(f"some tests will be skipped: {error}")


def _run(name: str, options: Sequence[str]) -> Result:
    print(f"{name} ...", flush=True)
    started_s = supervisor.now_s()
    if name in CHECKS:
        program, *rest = CHECKS[name]
        code, output = _process([str(Path(sys.executable).with_name(program)), *rest])
        result = Result(name, int(code == 0), int(code != 0), 0, _since_s(started_s), output=output)
    else:
        result = _pytest(name, options, started_s)
    if result.failed:
        print(result.output)
    return result


def _pytest(name: str, options: Sequence[str], started_s: float) -> Result:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        timeout_s = LONG_GROUP_S_MAX if "--long" in options else GROUP_S_MAX
        words = [*argv, f"--junit-xml={report}", *options, f"tests/{name}"]
        code, output = _process(words, timeout_s)
        text = report.read_text() if report.exists() else ""
    for figure in figures(text):
        print(f"  {figure}")
    passed, failed, reasons = parse_report(text)
    # 5: every test of the group was deselected. Anything else than 0 and 1 is pytest's own fault.
    if code not in (0, 5) and not failed:
        failed = 1
    skipped = reasons.total()
    return Result(name, passed, failed, skipped, _since_s(started_s), reasons, output)


def parse_report(text: str) -> tuple[int, int, Counter[str]]:
    """(passed, failed, reason -> skips) of a JUnit report."""
    if not text:
        return 0, 0, Counter()
    # Our own pytest wrote it a moment ago: there is no untrusted XML here.
    cases = list(ElementTree.fromstring(text).iter("testcase"))  # noqa: S314
    skips = [case.find("skipped") for case in cases]
    reasons = Counter(skip.get("message", "") for skip in skips if skip is not None)
    failed = sum(
        case.find("failure") is not None or case.find("error") is not None for case in cases
    )
    return len(cases) - failed - reasons.total(), failed, reasons


def figures(text: str) -> list[str]:
    """What tests measured and do not judge: their properties of that name."""
    if not text:
        return []
    found = ElementTree.fromstring(text).iter("property")  # noqa: S314 - ours, as above
    return [each.get("value", "") for each in found if each.get("name") == "figure"]


def _process(argv: Sequence[str], timeout_s: float = GROUP_S_MAX) -> tuple[int, str]:
    # How we were called is the user's matter, and no test's.
    callers = {name: value for name, value in os.environ.items() if name != "PINNACE_COMMAND"}
    environment = callers | {"GRPC_ENABLE_FORK_SUPPORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            argv,
            cwd=TOP,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode(errors="replace") if error.stdout else ""
        return -1, f"{output}\ndid not end in {timeout_s:.0f} s"
    return done.returncode, done.stdout


def _since_s(started_s: float) -> float:
    return supervisor.now_s() - started_s


def table(results: Sequence[Result]) -> list[str]:
    """A line per group, with the seconds it took and those it may take."""
    lines = [f"{'group':14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}{'budget':>8}"]
    for r in results:
        budget_s = BUDGET_S.get(r.name, 0)
        over = "  over budget" if budget_s and r.duration_s > budget_s else ""
        lines.append(
            f"{r.name:14}{r.passed:>8}{r.failed:>8}{r.skipped:>9}"
            f"{r.duration_s:>9.1f}{budget_s or '-':>8}{over}"
        )
    total_s = sum(r.duration_s for r in results)
    return [*lines, f"{'all':14}{'':>25}{total_s:>9.1f}{sum(BUDGET_S.values()):>8}"]


def skip_reasons(results: Sequence[Result]) -> list[str]:
    lines = [
        f"  {r.name}: {count} x {reason}" for r in results for reason, count in r.reasons.items()
    ]
    return ["", "skipped:", *lines, ""] if lines else [""]


def totals(results: Sequence[Result]) -> str:
    """The last line, in the form that scripts look for."""
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    return f"{passed} passed, {failed} failed, {sum(r.skipped for r in results)} skipped"


def is_good(results: Sequence[Result], *, strict: bool) -> bool:
    return not any(r.failed or (strict and r.skipped) for r in results)
