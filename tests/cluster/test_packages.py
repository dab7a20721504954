"""Only what is missing is installed, and nothing is ever removed for it."""

from pathlib import Path

import pytest

from cluster import packages
from cluster.errors import CommandError

SIMULATION = """\
Reading package lists...
The following packages will be REMOVED:
  busybox-static
Remv busybox-static [1:1.35.0-4+deb12u1+b1]
Inst busybox (1:1.35.0-4+deb12u1+b1 Debian:12.15/oldstable [amd64])
Inst kubernetes-client (1.20.5+really1.20.2-1.1+deb12u1 Debian:12.15/oldstable [amd64])
Conf busybox (1:1.35.0-4+deb12u1+b1 Debian:12.15/oldstable [amd64])
"""


def test_a_program_of_any_package_counts() -> None:
    docker = {"containerd", "ctr", "runc", "mount", "iptables-restore"}
    assert packages.missing(packages.NODE, docker.__contains__) == {"busybox": "busybox-static"}


def test_a_plan_that_removes_is_refused() -> None:
    plan = packages.parse_simulation(SIMULATION)
    assert plan == packages.Plan(("busybox", "kubernetes-client"), ("busybox-static",))
    with pytest.raises(CommandError, match="would remove busybox-static; nothing was changed"):
        packages.refuse_removal(plan, ["busybox"])


def test_a_plan_that_only_adds_is_taken() -> None:
    plan = packages.parse_simulation(SIMULATION.replace("Remv ", "Conf "))
    packages.refuse_removal(plan, ["busybox"])


def test_without_apt_it_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "have_program", lambda name: name == "mount")
    with pytest.raises(CommandError, match="needs containerd, ctr, runc, iptables-restore, busy"):
        packages.ensure_programs(packages.NODE, tmp_path / "packages", print)


def test_nothing_missing_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages, "have_program", lambda name: True)
    packages.ensure_programs(packages.NODE, tmp_path / "packages", pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_remembers_each_package_once(tmp_path: Path) -> None:
    record = tmp_path / "data" / "packages"
    assert packages.recorded(record) == []
    packages.remember(record, ["containerd", "runc"])
    packages.remember(record, ["runc", "iptables"])
    assert packages.recorded(record) == ["containerd", "runc", "iptables"]
