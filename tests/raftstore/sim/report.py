"""What is said of the seeds that ran: a line for each, a sum, and how to see one again."""

from collections import Counter
from collections.abc import Sequence

from sim.world import Report

_TRACE_LINES = 60
_COMPLAINTS = 5
_CRASHES = (
    "kill",
    "lose_power",
    "lose_power_at_a_step",
    "lose_all_power",
    "lose_all_power_at_a_step",
    "failing_disk",
)


def line(report: Report) -> str:
    operations = ", ".join(f"{n} {what}" for what, n in sorted(report.operations.items()))
    return (
        f"seed {report.seed}: {'WRONG' if report.complaints else 'ok'}, {report.size} members, "
        f"{report.virtual_s:.0f} s, {report.revisions} revisions, {operations}, "
        f"{report.elections} elections, {report.changes} membership changes, "
        f"{report.faults.total()} faults, converged in {report.converged_s:.1f} s, "
        f"{report.digest[:12]}"
    )


def total(reports: Sequence[Report], wall_s: float) -> str:
    operations: Counter[str] = sum((r.operations for r in reports), Counter())
    faults: Counter[str] = sum((r.faults for r in reports), Counter())
    crashes = sum(faults[name] for name in faults if name in _CRASHES)
    return (
        f"simulated {len(reports)} seeds in {wall_s:.0f} s: "
        f"{sum(r.virtual_s for r in reports):.0f} virtual seconds, {operations.total()} operations "
        f"({operations['unknown']} of unknown outcome), {sum(r.revisions for r in reports)} "
        f"revisions, {sum(r.carried for r in reports)} messages, {crashes} crashes, "
        f"{sum(r.elections for r in reports)} elections, "
        f"{sum(r.changes for r in reports)} membership changes, {faults.total()} faults in all"
    )


def complain(report: Report) -> str:
    """What was wrong, what came before it, and the command that shows it again."""
    more = len(report.complaints) - _COMPLAINTS
    shown = report.complaints[:_COMPLAINTS] + ([f"and {more} more"] if more > 0 else [])
    return "\n".join(
        [
            f"seed {report.seed} went wrong; the last {_TRACE_LINES} lines of its trace:",
            *report.lines[-_TRACE_LINES:],
            *shown,
            f"again, with the whole trace: python tests/raftstore/sim_run.py {report.seed} "
            "--trace /tmp/trace.txt",
        ]
    )
