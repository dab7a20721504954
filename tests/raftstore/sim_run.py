"""Run the simulator by hand: `python tests/raftstore/sim_run.py SEED ...`, or a range `100-199`.

Prints a line for each seed and its figures; for one that went wrong what was wrong, and the trace.
`--twice` runs each seed twice and compares; `--trace FILE` keeps the whole trace of the last seed.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[1])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="+", help="a number, or two with a dash between them")
    parser.add_argument("--twice", action="store_true", help="compare two runs of each seed")
    parser.add_argument("--trace", type=Path, help="where to write the whole trace")
    arguments = parser.parse_args()

    from sim import trace
    from sim.report import complain, line
    from sim.world import simulate

    if arguments.trace:
        trace.SHOWN_LINES = 10_000_000
    logging.disable(logging.CRITICAL)
    wrong = 0
    for seed in _seeds(arguments.seeds):
        report = simulate(seed)
        print(line(report), flush=True)
        if arguments.twice and simulate(seed).digest != report.digest:
            report.complaints.append("the second run was another one")
        if arguments.trace:
            arguments.trace.write_text("\n".join(report.lines) + "\n")
        if report.complaints:
            wrong += 1
            print(complain(report), flush=True)
    return 1 if wrong else 0


def _seeds(texts: list[str]) -> Iterator[int]:
    for text in texts:
        first, _, last = text.partition("-")
        yield from range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
