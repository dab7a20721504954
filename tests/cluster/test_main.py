"""The command table: names, exit codes, one line per error, and only what was asked is loaded."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from base.version import VERSION
from cluster import main
from cluster.errors import CommandError

TOP = Path(__file__).parents[2]


def test_every_entry_exists() -> None:
    for name, command in main.COMMANDS.items():
        module, _, function = command.entry.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), name


def test_an_unknown_command_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["join"]) == 2
    assert capsys.readouterr().err == "pinnace: no command 'join'; see pinnace help\n"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{VERSION}\n"
    assert main.main([]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in main.COMMANDS)


def test_without_root_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main.main(["demo"]) == 1
    assert capsys.readouterr().err == "pinnace demo: needs root, try: sudo pinnace demo\n"


def test_an_error_is_one_line_and_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_arguments: list[str]) -> int:
        raise CommandError("no disk: buy one", 7)

    monkeypatch.setattr(main, "version", fail)
    assert main.main(["version"]) == 7
    assert capsys.readouterr().err == "pinnace version: no disk: buy one\n"


def test_nothing_heavy_is_loaded_for_the_table() -> None:
    code = "import cluster.main, sys; print(len(sys.modules), *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {"aiohttp", "grpc", "asyncio", "cryptography", "yaml", "kubeapi", "pyroute2", "msgspec"}
    assert not heavy & loaded


@pytest.mark.parametrize("command", ["demo", "up", "down", "status", "kubeconfig", "reset", "test"])
def test_every_command_tells_its_flags(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as caught:
        main.main([command, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: pinnace {command}")
    assert command == "test" or "--data-dir" in told


def test_where_nothing_was_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data-dir", str(tmp_path / "data")]
    assert main.main(["kubeconfig", *where]) == 1
    assert "no cluster was started in" in capsys.readouterr().err
