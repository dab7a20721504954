"""One number for all that can be read: equal where two members hold the same."""

from collections.abc import Generator
from zlib import crc32

import msgspec

from raftstore.mvcc.keyspace import FIRST_REVISION
from raftstore.mvcc.statemachine import StateMachine

_STEP_KEYS = 128
_encode = msgspec.msgpack.Encoder().encode


class HashResult(msgspec.Struct, frozen=True, array_like=True):
    """`hash` is 32 bits wide. Two results compare where both revisions are equal."""

    hash: int
    compact_revision: int
    revision: int


def hash_steps(state: StateMachine, revision: int) -> Generator[None, None, HashResult]:
    """The hash as of `revision`, a slice per step. No history may be freed meanwhile. Raises
    Compacted, FutureRevision."""
    keyspace = state.keyspace
    keyspace.check_revision(revision)
    base = min(max(keyspace.compact_revision, FIRST_REVISION), revision)
    compacted, found = keyspace.compact_revision, 0
    cursor: bytes | None = b""
    while cursor is not None:
        kvs, cursor = keyspace.slice_at(cursor, None, base, _STEP_KEYS)
        for kv in kvs:
            found = crc32(_encode(kv), found)
        yield
    for number in range(base + 1, revision + 1):
        for kv in keyspace.changes_of(number):
            found = crc32(_encode(kv), found)
        if number % _STEP_KEYS == 0:
            yield
    return HashResult(found, compacted, revision)
