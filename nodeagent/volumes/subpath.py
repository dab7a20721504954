"""subPath: one file or folder of a volume, mounted so that no symlink leads out of the volume.

A container that shares the volume may replace a folder by a symlink while we look. So the path is
resolved, opened step by step without following links, and what was opened is bind-mounted by its
file descriptor: what was checked is what is mounted (CVE-2017-1002101, CVE-2021-25741).
"""

import os
import stat
from pathlib import Path

from nodeagent.volumes.mounts import bind, is_mount_point, unmount
from nodeagent.volumes.payload import VolumeError


def bind_subpath(volume: Path, subpath: str, target: Path) -> Path:
    """Mount `subpath` of `volume` at `target`; missing folders are made in the volume."""
    if subpath.startswith("/") or ".." in Path(subpath).parts:
        raise VolumeError(f"subPath {subpath!r} must be relative and must not contain '..'")
    root = Path(os.path.realpath(volume))
    wanted = Path(os.path.realpath(root / subpath))
    if wanted != root and root not in wanted.parents:
        raise VolumeError(f"subPath {subpath!r} leads out of the volume")
    relative = wanted.relative_to(root)
    descriptor = _open_inside(root, relative, _mode_of(root))
    try:
        _make_target(target, stat.S_ISDIR(os.fstat(descriptor).st_mode))
        bind(f"/proc/self/fd/{descriptor}", target)
    finally:
        os.close(descriptor)
    return target


def _open_inside(root: Path, relative: Path, mode: int) -> int:
    """A descriptor of `root/relative`; each step refuses to follow a link."""
    here = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    for part in relative.parts:
        try:
            deeper = _open_step(here, part, mode)
        except OSError as error:
            raise VolumeError(f"cannot open subPath {relative}: {error.strerror}") from None
        finally:
            os.close(here)
        here = deeper
    return here


def _open_step(parent: int, name: str, mode: int) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW
    try:
        found = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, mode, dir_fd=parent)
        found = os.open(name, flags, dir_fd=parent)
    if stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(0, "a symbolic link has appeared in the path")
    return found


def _mode_of(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def _make_target(target: Path, is_folder: bool) -> None:
    if target.exists() or is_mount_point(target):
        unmount(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        if target.is_file():
            target.unlink()
        target.mkdir(exist_ok=True)
    else:
        if target.is_dir():
            target.rmdir()
        target.touch()
