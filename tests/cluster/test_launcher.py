"""./pinnace, the launcher of a checkout, in a checkout that holds nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / "pinnace"
# Stands for every program that a virtual environment gets: it tells its arguments.
ECHO = '#!/bin/sh\necho "$PINNACE_COMMAND ran" "$@"\n'
# A python3 that can do what the launcher asks of it, without the half minute of pip.
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
    *"-m pip"*)
        echo "Collecting everything"
        [ ! -e "$FAKE_STATE/pip-fails" ] || { echo "ERROR: no index in reach"; exit 1; }
        echo pip >>"$FAKE_STATE/calls"
        for last; do :; done
        top=${last%"[test]"}
        mkdir -p "$top/pinnace_wire"; touch "$top/pinnace_wire/__init__.py"
        cp "$FAKE_STATE/echo" "$top/.venv/bin/pinnace" ;;
    *version_info*) [ ! -e "$FAKE_STATE/too-old" ] ;;
    -V) echo "Python 3.9.2" ;;
esac
"""


class Checkout:
    def __init__(self, tmp_path: Path) -> None:
        self.top = tmp_path / "check out"
        self.state = tmp_path / "state"
        (self.top / "proto").mkdir(parents=True)
        (self.state / "bin").mkdir(parents=True)
        shutil.copy(LAUNCHER, self.top / "pinnace")
        for name in ("pyproject.toml", "setup.py", "proto/a.proto"):
            (self.top / name).write_text(name)
        self._program(self.state / "echo", ECHO)
        self._program(self.state / "bin" / "python3", FAKE_PYTHON)

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *words: str, launcher: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [launcher or self.top / "pinnace", *words],
            env={"PATH": f"{self.state}/bin:/usr/bin:/bin", "FAKE_STATE": str(self.state)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def installs(self) -> int:
        calls = self.state / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_sets_up_once_and_passes_everything_on(checkout: Checkout) -> None:
    first = checkout.run("status", "--flag", "two words")
    assert first.stdout == f"{checkout.top}/pinnace ran status --flag two words\n"
    assert "making a virtual environment" in first.stderr
    second = checkout.run("status")
    assert (second.stderr, second.returncode) == ("", 0)
    assert checkout.installs() == 1


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "proto/a.proto", "proto/b.proto"])
def test_sets_up_again_when_what_it_was_made_from_changes(checkout: Checkout, name: str) -> None:
    checkout.run("status")
    (checkout.top / name).write_text("changed")
    checkout.run("status")
    assert checkout.installs() == 2


def test_test_needs_more_and_then_serves_all(checkout: Checkout) -> None:
    checkout.run("status")
    checkout.run("test")
    checkout.run("status")
    checkout.run("test")
    assert checkout.installs() == 2


def test_through_links(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to(os.path.relpath(checkout.top, tmp_path / "links"))
    (tmp_path / "links" / "two").symlink_to("one/pinnace")
    done = checkout.run("status", launcher=tmp_path / "links" / "two")
    assert done.returncode == 0
    assert (checkout.top / ".venv").is_dir()


def test_python_too_old(checkout: Checkout) -> None:
    (checkout.state / "too-old").touch()
    for version in ("python3.11", "python3.12", "python3.13"):
        (checkout.state / "bin" / version).symlink_to("python3")
    done = checkout.run("status")
    assert done.returncode == 1
    assert done.stderr == (
        "pinnace: needs Python 3.11 or newer and found Python 3.9.2; "
        "install one, as python3 or python3.11\n"
    )


def test_pip_fails(checkout: Checkout) -> None:
    (checkout.state / "pip-fails").touch()
    done = checkout.run("status")
    assert done.returncode == 1
    assert "ERROR: no index in reach" in done.stderr
    assert "pip could not install into .venv; is a package index in reach?" in done.stderr
    (checkout.state / "pip-fails").unlink()
    assert checkout.run("status").returncode == 0


@pytest.mark.needs("root")
def test_without_root_it_says_so_before_it_sets_up(checkout: Checkout) -> None:
    checkout.top.parent.chmod(0o755)
    for parent in checkout.top.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [checkout.top / "pinnace", "demo"],
        user=65534,
        group=65534,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == (f"pinnace: demo needs root, try: sudo {checkout.top}/pinnace demo\n")
    assert not (checkout.top / ".venv").exists()
