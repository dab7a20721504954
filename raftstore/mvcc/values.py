"""The values that requests, watches and snapshots hand around (etcd's `mvccpb`).

They hold only bytes and integers, so the garbage collector need not visit them (`gc=False`): a
store of a million keys must not pause for a full collection.
"""

import msgspec


class KeyValue(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A key as one write left it. `version` counts the writes since the key was created, from 1;
    0 marks the key's end: then only `key` and `mod_revision` mean something."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One change. `prev` is what it replaced: None for a new key, or where that is compacted."""

    kv: KeyValue
    prev: KeyValue | None

    @property
    def deleted(self) -> bool:
        return self.kv.version == 0


def tombstone(key: bytes, revision: int) -> KeyValue:
    """The end of `key` at `revision`."""
    return KeyValue(key, b"", 0, revision, 0, 0)
