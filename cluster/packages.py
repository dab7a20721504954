"""Programs that the machine must have, and the Debian packages that bring what it lacks.

Programs are looked for, not packages: Docker's containerd.io is as good as Debian's containerd,
with which it conflicts. Nothing is ever removed or upgraded for us: what apt would do is
simulated first, and a plan that removes anything is refused.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import CommandError

# What a node needs: program -> the Debian and Ubuntu package that has it.
NODE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables-restore": "iptables",
    "busybox": "busybox-static",
    "mount": "mount",
}
# What the tests need beside it, so that none is skipped.
TESTS = {
    "kubectl": "kubernetes-client",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "ip": "iproute2",
    "unshare": "util-linux",
    "script": "bsdutils",
    "pkill": "procps",
    "git": "git",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT_S = 600.0
# Wait for another apt rather than fail at its lock.
APT = ("-o", "DPkg::Lock::Timeout=120", "--no-install-recommends", "-y")


@dataclass(frozen=True)
class Plan:
    """What apt would do: the packages it would install and those it would remove."""

    installs: tuple[str, ...]
    removes: tuple[str, ...]


def missing(programs: Mapping[str, str], have: Callable[[str], bool]) -> dict[str, str]:
    """The programs of `programs` that the machine has not, with their packages."""
    return {name: package for name, package in programs.items() if not have(name)}


def have_program(name: str) -> bool:
    path = os.pathsep.join([os.environ.get("PATH", ""), PATH])
    return shutil.which(name, path=path) is not None


def parse_simulation(output: str) -> Plan:
    """The plan in what `apt-get -s` prints: lines "Inst NAME ..." and "Remv NAME ..."."""
    words = [line.split() for line in output.splitlines()]
    return Plan(
        tuple(w[1] for w in words if len(w) > 1 and w[0] == "Inst"),
        tuple(w[1] for w in words if len(w) > 1 and w[0] == "Remv"),
    )


def refuse_removal(plan: Plan, wanted: Iterable[str]) -> None:
    """Raise where the plan takes something away from the machine."""
    if plan.removes:
        raise CommandError(
            f"installing {', '.join(wanted)} would remove {', '.join(plan.removes)}; "
            f"nothing was changed: install what is missing yourself, or free the way"
        )


def ensure_programs(programs: Mapping[str, str], record: Path, say: Callable[[str], None]) -> None:
    """Have every program; install the packages of those that are missing, and only those.

    `record`: a file that lists, a name a line, the packages that this brought to the machine.
    """
    lacking = missing(programs, have_program)
    if not lacking:
        return
    if not have_program("apt-get"):
        names = ", ".join(lacking)
        raise CommandError(f"needs {names} on the PATH, and can install only by apt-get: add them")
    wanted = sorted(set(lacking.values()))
    if os.geteuid() != 0:
        raise CommandError(f"needs root to install: sudo apt-get install {' '.join(wanted)}")
    plan = _simulate(wanted, say)
    refuse_removal(plan, wanted)
    say(f"installing the Debian packages {', '.join(plan.installs)}")
    _apt(["install", "--no-remove", *APT, *wanted])
    remember(record, plan.installs)
    still = missing(programs, have_program)
    if still:
        raise CommandError(f"{', '.join(still)} not found even with {', '.join(wanted)} installed")


def remember(record: Path, names: Iterable[str]) -> None:
    """Add package names to the record, each once."""
    known = recorded(record)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("".join(f"{name}\n" for name in dict.fromkeys([*known, *names])))


def recorded(record: Path) -> list[str]:
    try:
        return record.read_text().split()
    except FileNotFoundError:
        return []


def _simulate(wanted: Sequence[str], say: Callable[[str], None]) -> Plan:
    command = ["install", "-s", *APT, *wanted]
    try:
        return parse_simulation(_apt(command))
    except CommandError:
        # No package lists yet, or ones too old to know these packages.
        say("refreshing the lists of Debian packages")
        _apt(["update"])
        return parse_simulation(_apt(command))


def _apt(arguments: Sequence[str]) -> str:
    environment = os.environ | {
        "DEBIAN_FRONTEND": "noninteractive",
        # Ubuntu's needrestart would restart other people's services, or ask.
        "NEEDRESTART_SUSPEND": "1",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"apt-get {arguments[0]} took more than {APT_S:.0f} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        why = lines[0] if lines else f"exit code {done.returncode}"
        raise CommandError(f"apt-get {arguments[0]} failed: {why}")
    return done.stdout
