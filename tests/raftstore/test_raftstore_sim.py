"""Clusters under faults, from one seed each, judged by the oracle: `docs/store-simulator.md`.

`--long` runs for an hour, or for as many seconds as PINNACE_SIM_SECONDS says; PINNACE_SIM_SEED
replays one seed.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sim_run
from sim.report import complain, line, total
from sim.world import Report, simulate

SHORT_S = 60.0
LONG_S = 3600.0
# Where the seeds of a long run begin: none of those that every run sees.
LONG_FIRST = 100_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A member that its disk fails says so each time; here that is the point."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run_seeds(seeds: Iterator[int], budget_s: float) -> list[Report]:
    """As many as fit, at least one. What a seed does does not depend on how many do."""
    began_s = time.monotonic()
    reports: list[Report] = []
    for seed in seeds:
        reports.append(simulate(seed))
        if reports[-1].complaints:
            pytest.fail(complain(reports[-1]), pytrace=False)
        if time.monotonic() - began_s > budget_s:
            break
    print(total(reports, time.monotonic() - began_s))
    return reports


def test_clusters_under_faults(capsys: pytest.CaptureFixture[str]) -> None:
    only = os.environ.get("PINNACE_SIM_SEED")
    seeds = iter([int(only)]) if only else count(1)
    with capsys.disabled():
        print()
        reports = run_seeds(seeds, SHORT_S)
        if only:
            print(line(reports[0]))


@pytest.mark.long
def test_clusters_under_faults_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    budget_s = float(os.environ.get("PINNACE_SIM_SECONDS", LONG_S))
    with capsys.disabled():
        print()
        run_seeds(count(LONG_FIRST), budget_s)


@pytest.mark.parametrize("seed", [3, 6])
def test_a_seed_is_always_the_same_run(seed: int) -> None:
    """Or it would replay nothing: in another process too, where strings hash otherwise."""
    command = [sys.executable, str(Path(sim_run.__file__)), str(seed)]
    said = [
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert said[0] == said[1] == line(simulate(seed)) + "\n"
