"""Why a store cannot be opened or written: each is one line for the operator."""

from pathlib import Path


class DiskError(Exception):
    """The store must not answer."""


class NotOurs(DiskError):
    def __init__(self, directory: Path, why: str) -> None:
        super().__init__(
            f"{directory}: {why}; nothing was changed: give a new or empty directory, or the one "
            "of an earlier start"
        )


class NotMade(DiskError):
    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory}: there is no store here; nothing was changed")


class NotWritable(DiskError):
    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: cannot be used as a store: {error.strerror or error}")


class StoreLocked(DiskError):
    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory}: the store is open in another process; stop that one first")


class CorruptRecord(DiskError):
    """Damage that no crash explains."""

    def __init__(self, path: Path, offset: int, why: str) -> None:
        super().__init__(
            f"{path}: offset {offset}: {why}; the store stays closed and nothing was changed: "
            "put this file back from a copy, or start from a backup"
        )
        self.path = path
        self.offset = offset
        self.why = why


class BadSnapshot(DiskError):
    """Every record of it is whole, but they do not make a state: a fault of the program."""

    def __init__(self, directory: Path, why: str) -> None:
        super().__init__(
            f"{directory}: the snapshot is not a whole state ({why}); the store stays closed and "
            "nothing was changed: start from a backup"
        )


class BadBackup(DiskError):
    """A file that is not a whole backup."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; nothing was changed")


class DiskFailed(DiskError):
    """A write or sync failed: what of it is durable is not known, so nothing more is answered."""

    def __init__(self, path: Path, what: str, error: OSError) -> None:
        super().__init__(f"{path}: {what} failed: {error.strerror or error}")
