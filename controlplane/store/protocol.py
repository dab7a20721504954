"""Values and verbs of the store (etcd v3 API, `KV`, `Watch` and `Lease`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StoreError(Exception):
    """The store could not answer: no quorum, no space, stopped. Nothing is known of the write."""


class TooLarge(StoreError):
    """The write is larger than the store takes in one; nothing was written."""


class Compacted(StoreError):
    """The revision asked for is older than the history that is kept."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"required revision has been compacted, oldest is {compact_revision}")
        self.compact_revision = compact_revision


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key at one revision. `version` counts the writes since it was created, from 1."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """A put (`kv.value` is the new value) or, with `deleted`, the end of a key: then
    `kv.mod_revision` is the deletion's revision, `kv.value` is empty, `prev` is what was there."""

    kv: KeyValue
    deleted: bool
    prev: KeyValue | None


class CompareTarget(Enum):
    VERSION = "version"
    CREATE = "create_revision"
    MOD = "mod_revision"
    VALUE = "value"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Compare:
    """`target` of `key` `operator` ("=", "!=", "<", ">") `value`. A missing key has zeros."""

    key: bytes
    target: CompareTarget
    operator: str
    value: int | bytes

    @classmethod
    def mod_revision(cls, key: bytes, revision: int) -> "Compare":
        """The key was last written at `revision`; 0: it does not exist."""
        return cls(key, CompareTarget.MOD, "=", revision)


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a transaction: `kind` is "put", "delete" or "range"."""

    kind: str
    key: bytes
    value: bytes = b""
    range_end: bytes = b""
    lease: int = 0

    @classmethod
    def put(cls, key: bytes, value: bytes, lease: int = 0) -> "Op":
        return cls("put", key, value, lease=lease)

    @classmethod
    def delete(cls, key: bytes, range_end: bytes = b"") -> "Op":
        return cls("delete", key, range_end=range_end)

    @classmethod
    def get(cls, key: bytes, range_end: bytes = b"") -> "Op":
        return cls("range", key, range_end=range_end)


@dataclass(frozen=True, slots=True)
class RangeResult:
    """Keys in order, as of `revision` (the store's revision when it answered). `count` is how
    many keys the range holds, `more` whether the limit cut it."""

    kvs: Sequence[KeyValue]
    revision: int
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class TxnResult:
    """`results`: per operation run, a RangeResult ("range"; and "delete": the keys deleted) or
    None ("put")."""

    succeeded: bool
    revision: int
    results: Sequence[RangeResult | None]


class Watcher(Protocol):
    def cancel(self) -> None: ...


class Store(Protocol):
    """A replicated map of bytes with revisions. An acknowledged write is on a quorum's disks and
    visible to every read that starts later."""

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Run `success` if every compare holds, else `failure`, as one revision. A transaction
        may touch each key at most once."""
        ...

    async def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        """Keys in [key, range_end) (or just `key`), at `revision` (0: now). Raises Compacted."""
        ...

    def watch(
        self,
        key: bytes,
        range_end: bytes,
        start_revision: int,
        sink: Callable[[Sequence[Event], int], None],
    ) -> Watcher:
        """Call `sink(events, revision)` for the range's changes from `start_revision` (0: from
        now) on, in order, each revision's events in one call and none twice. `sink` runs on the
        loop and must not block; in the embedded store it has run before the write that caused it
        is acknowledged. Raises Compacted."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted before `revision`."""
        ...

    async def lease_grant(self, ttl_s: int, lease_id: int = 0) -> int: ...

    async def lease_keepalive(self, lease_id: int) -> int:
        """Renew; returns the TTL in seconds, 0 when the lease is gone."""
        ...

    async def lease_revoke(self, lease_id: int) -> None: ...

    @property
    def revision(self) -> int:
        """The revision applied here."""
        ...

    @property
    def leader_term(self) -> int:
        """The term in which this process leads, 0 where it does not: what writes are fenced by."""
        ...

    async def close(self) -> None: ...


def prefix_end(prefix: bytes) -> bytes:
    """The range end that, with `prefix` as key, covers every key that starts with it."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"
