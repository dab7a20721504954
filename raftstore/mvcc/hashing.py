"""One number for all that can be read: equal where two members hold the same.

It covers the keys as of the compacted revision and every change since, as a snapshot does: what is
still in memory before them, or how the member came by its state, makes no difference
(etcd-io/etcd#18667: a hash that depended on how far a compaction had come).
"""

from collections.abc import Generator
from zlib import crc32

import msgspec

from raftstore.mvcc.keyspace import FIRST_REVISION
from raftstore.mvcc.snapshot import SLICE_KEYS_MAX, by_size
from raftstore.mvcc.statemachine import StateMachine
from raftstore.mvcc.values import KeyValue

_encode = msgspec.msgpack.Encoder().encode
# No MessagePack begins with it: where the keys end.
_END_OF_KEYS = b"\xc1"
# A revision of one small change costs little; so many of them are one step.
_STEP_CHANGES = 500


class HashResult(msgspec.Struct, frozen=True, array_like=True):
    """`hash` is 32 bits wide. Two results compare where both revisions are equal."""

    hash: int
    compact_revision: int
    revision: int


def hash_steps(state: StateMachine, revision: int) -> Generator[None, None, HashResult]:
    """The hash as of `revision`, a slice per step; writes and compactions may go on between two
    steps, but no history may be freed. Raises Compacted, FutureRevision at the first step."""
    keyspace = state.keyspace
    keyspace.check_revision(revision)
    compact_revision = keyspace.compact_revision
    base = max(compact_revision, FIRST_REVISION)
    found = 0
    cursor: bytes | None = b""
    while cursor is not None:
        kvs, cursor = keyspace.slice_at(cursor, None, base, SLICE_KEYS_MAX)
        for part in by_size(kvs):
            found = _add(found, part)
            yield
        if not kvs:
            yield
    found = crc32(_END_OF_KEYS, found)
    changes = 0
    for number in range(max(base, FIRST_REVISION + 1), revision + 1):
        for part in by_size(keyspace.changes_of(number)):
            found = _add(found, part)
            changes += _STEP_CHANGES if len(part) > 1 else 1 + len(part[0].value) // 128
            if changes >= _STEP_CHANGES:
                changes = 0
                yield
    return HashResult(found, compact_revision, revision)


def _add(found: int, kvs: list[KeyValue]) -> int:
    return crc32(b"".join(map(_encode, kvs)), found)
