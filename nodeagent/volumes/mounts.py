"""Mounting and unmounting: the only module that makes these system calls.

Calls libc directly: starting /bin/mount would cost some milliseconds per volume.
"""

import ctypes
import errno
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

MS_BIND = 4096
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


class MountError(OSError):
    """A mount or unmount that the kernel refused."""


def mount_tmpfs(target: Path, size_bytes: int | None = None) -> None:
    """A tmpfs at `target`, unless one is there already."""
    if is_mount_point(target):
        return
    target.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes}" if size_bytes else ""
    _mount("tmpfs", str(target), "tmpfs", 0, options)


def bind(source: str, target: Path) -> None:
    _mount(source, str(target), "", MS_BIND, "")


def unmount(target: Path) -> None:
    """Unmount everything at `target`, busy or not; fine where nothing is mounted."""
    while _libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) == 0:
        pass
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOENT):
        raise MountError(number, f"unmount {target}: {os.strerror(number)}")


def mounts_below(folder: Path) -> list[Path]:
    """Mount points under `folder`, the deepest first. Raises OSError where that cannot be known.

    The kernel names them without symlinks, so `folder` is resolved: what is overlooked here would
    be deleted through.
    """
    prefix = f"{folder.resolve()}/"
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [_unescaped(line.split()[1]) for line in lines]
    return [Path(p) for p in sorted(points, key=len, reverse=True) if p.startswith(prefix)]


def is_mount_point(path: Path) -> bool:
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except OSError:
        return False


def _unescaped(text: str) -> str:
    """/proc/mounts writes blanks as octal."""
    return text.encode().decode("unicode_escape") if "\\" in text else text


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    status = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    if status != 0:
        number = ctypes.get_errno()
        raise MountError(number, f"mount {kind or 'bind'} at {target}: {os.strerror(number)}")
