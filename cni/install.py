"""Put the plugin executable and the network configuration where containerd looks for them."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from cni import plugin

# containerd before 2.0 starts a plugin named `loopback` for every sandbox; ours serves both.
PLUGIN_NAMES = ("pinnace", "loopback")
CONFLIST_NAME = "10-pinnace.conflist"


def install(bin_dir: Path, conf_dir: Path, socket_path: Path, state_dir: Path) -> None:
    """Write the executables (0755) and the conflist (0644); each appears whole or not at all.

    The configuration comes last: containerd calls the network ready as soon as it is there.
    """
    source = executable_text(interpreter(), socket_path, state_dir)
    for name in PLUGIN_NAMES:
        _write(bin_dir / name, source, 0o755)
    _write(conf_dir / CONFLIST_NAME, json.dumps(conflist(), indent=2) + "\n", 0o644)


def conflist() -> dict[str, Any]:
    """`cniVersion` is what containerd 1.6 knows; later ones take the best of `cniVersions`."""
    return {
        "cniVersion": "1.0.0",
        "cniVersions": ["1.0.0", "1.1.0"],
        "name": "pinnace",
        "plugins": [{"type": "pinnace"}],
    }


def executable_text(python: Path, socket_path: Path, state_dir: Path) -> str:
    """The source of `cni.plugin` with its interpreter and its two paths filled in."""
    text = Path(plugin.__file__).read_text()
    for name, value in (
        ("SOCKET_PATH", socket_path.absolute()),
        ("TOMBSTONE_DIR", tombstone_dir(state_dir).absolute()),
    ):
        default = f"{name} = {json.dumps(getattr(plugin, name))}\n"
        if text.count(default) != 1:
            raise RuntimeError(f"cni/plugin.py does not set {name} in one line")
        text = text.replace(default, f"{name} = {json.dumps(str(value))}\n")
    return f"#!{python} -IS\n{text}"


def tombstone_dir(state_dir: Path) -> Path:
    return state_dir / "tombstones"


def interpreter() -> Path:
    """The interpreter that started us, past any virtual environment: it outlives the checkout."""
    base = Path(getattr(sys, "_base_executable", sys.executable) or sys.executable)
    candidates = [base.resolve(), Path("/usr/bin/python3")]
    for candidate in candidates:
        # A shebang line holds 127 characters and no space in the path (execve(2)).
        if candidate.is_file() and len(str(candidate)) < 120 and " " not in str(candidate):
            return candidate
    raise RuntimeError(f"no Python interpreter to run the CNI plugin with among {candidates}")


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.chmod(temporary, mode)
    temporary.replace(path)
