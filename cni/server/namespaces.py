"""Entering a pod's network namespace, and the settings of the one a thread is in.

A namespace belongs to a thread (setns(2)): everything here is for worker threads.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cni.server.errors import NetworkFailure

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def in_namespace(path: str) -> Iterator[None]:
    """Run the block in the network namespace at `path`. It belongs to this thread alone, which
    must do nothing else meanwhile. Raises NetworkFailure when there is no namespace."""
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetworkFailure(f"no network namespace at {path}: {error.strerror}") from None
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(target, path)
        try:
            yield
        finally:
            _setns(here, "the host's namespace")
    finally:
        os.close(here)
        os.close(target)


def _setns(fd: int, what: str) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise NetworkFailure(f"cannot enter the network namespace {what}: {reason}")


def set_sysctl(name: str, value: str) -> None:
    """Write a setting of the namespace that this thread is in, e.g. net/ipv4/ip_forward."""
    path = Path("/proc/sys") / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise NetworkFailure(f"cannot set {path} to {value}: {error.strerror}") from None
