"""hostPath and its types. Source: Kubernetes' "hostPath volume types"."""

import stat
from collections.abc import Callable
from pathlib import Path

from kubeapi.types import core_v1
from nodeagent.volumes.payload import VolumeError

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}
_MAKERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "DirectoryOrCreate": (lambda path: path.mkdir(mode=0o755, parents=True), "Directory"),
    "FileOrCreate": (lambda path: path.touch(mode=0o644), "File"),
}


def host_path(source: core_v1.HostPathVolumeSource) -> Path:
    """The path, checked (and made) as its type asks."""
    path, kind = Path(source.path or ""), source.type or ""
    if kind in _MAKERS:
        make, kind = _MAKERS[kind]
        if not path.exists():
            try:
                make(path)
            except OSError as error:
                raise VolumeError(f"cannot create {path}: {error.strerror}") from None
    if kind in _CHECKS:
        fits, what = _CHECKS[kind]
        if not path.exists() or not fits(path.stat().st_mode):
            raise VolumeError(f"hostPath type check failed: {path} is not {what}")
    elif kind:
        raise VolumeError(f"hostPath type {kind!r} is not known")
    return path
