"""Files of a volume changed all at once: a reader sees the old set or the new one, never both.

The files live in a folder with a timestamp for a name; `..data` is a symlink to it that is
replaced by rename, and each top-level name is a symlink through `..data`. Source: Kubernetes'
`volume/util.AtomicWriter`; programs that watch `..data` rely on this layout.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from nodeagent.volumes.payload import FileData, VolumeError

DATA = "..data"
DATA_TMP = "..data_tmp"


def write_payload(
    target: Path, payload: Mapping[str, FileData], stamp: str, group: int | None = None
) -> bool:
    """Make `target` hold exactly `payload`; False where it did already.

    `stamp` becomes part of the new folder's name; `group` owns the files where given (fsGroup).
    """
    for path in payload:
        _check(path)
    current = _current(target)
    if current is not None and _same(current, payload):
        return False
    fresh = target / f"..{stamp}.{secrets.token_hex(5)}"
    fresh.mkdir(mode=0o755)
    os.chmod(fresh, 0o755)  # noqa: S103 (as the umask left it, it may be less)
    for path, file in payload.items():
        _write(fresh / path, file, group)
    if group is not None:
        _own_folders(fresh, group)
    _point(target / DATA, target / DATA_TMP, fresh.name)
    _link_names(target, {PurePosixPath(path).parts[0] for path in payload})
    _drop_others(target, fresh.name)
    return True


def _drop_others(target: Path, kept: str) -> None:
    """The folder that was current, and any that a crash left half made."""
    for entry in target.iterdir():
        is_ours = entry.name.startswith("..") and entry.is_dir() and not entry.is_symlink()
        if is_ours and entry.name != kept:
            shutil.rmtree(entry, ignore_errors=True)


def _check(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise VolumeError(f"invalid path {path!r}: must be relative and stay in the volume")


def _current(target: Path) -> Path | None:
    try:
        name = (target / DATA).readlink()
    except OSError:
        return None
    folder = target / name
    return folder if folder.is_dir() else None


def _same(folder: Path, payload: Mapping[str, FileData]) -> bool:
    have = {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}
    return have == set(payload) and all(
        (folder / path).read_bytes() == file.data for path, file in payload.items()
    )


def _write(path: Path, file: FileData, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = file.mode
    if group is not None:
        # Read-only volumes give the group what a reader needs.
        mode |= 0o440
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.data)
        if file.owner is not None or group is not None:
            os.fchown(descriptor, -1 if file.owner is None else file.owner, _or_keep(group))
        os.fchmod(descriptor, mode)


def _own_folders(root: Path, group: int) -> None:
    for folder in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        os.chown(folder, -1, group)
        os.chmod(folder, 0o2755)  # noqa: S103 (setgid: new files get the pod's group)


def _or_keep(group: int | None) -> int:
    return -1 if group is None else group


def _point(link: Path, temporary: Path, to: str) -> None:
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(to)
    temporary.replace(link)


def _link_names(target: Path, names: set[str]) -> None:
    """A symlink per top-level name, and none for names that are gone."""
    for name in names:
        link = target / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in target.iterdir():
        if not entry.name.startswith("..") and entry.name not in names and entry.is_symlink():
            entry.unlink()
