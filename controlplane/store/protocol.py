"""Values and verbs of the store (etcd v3 API, `KV`, `Watch` and `Lease`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from prometheus_client.registry import Collector


class StoreError(Exception):
    """The store could not answer: no quorum, no space, stopped. Nothing is known of the write."""


class TooLarge(StoreError):
    """The write is larger than the store takes in one; nothing was written."""


class Compacted(StoreError):
    """The revision asked for is older than the history that is kept, which begins at
    `compact_revision` (0: the store did not say)."""

    def __init__(self, compact_revision: int) -> None:
        oldest = f", oldest is {compact_revision}" if compact_revision else ""
        super().__init__(f"required revision has been compacted{oldest}")
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


Sink = Callable[[Sequence[Event], int], None]
Lost = Callable[[StoreError], None]


class Leadership(Protocol):
    """Won by `Store.lead`, and over once `lost` returns."""

    @property
    def fence(self) -> Compare:
        """Holds as long as nobody else has won: what every write of a leader compares."""
        ...

    async def lost(self) -> None:
        """Returns when this process leads no longer, as far as it can know."""
        ...

    async def resign(self) -> None:
        """Let somebody else win, at once where the store can be reached."""
        ...


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
        sink: Sink,
        lost: Lost | None = None,
    ) -> Watcher:
        """Call `sink(events, revision)` for the range's changes from `start_revision` (0: from
        now) on, in order, each revision's events in one call and none twice; with no events,
        nothing else happened up to `revision`. `sink` runs on the loop and must not block; in
        the embedded store it has run before the write that caused it is acknowledged. Raises
        Compacted; where the store is remote, that, and whatever else ends the watch from its
        side, is told to `lost`, once."""
        ...

    async def latest_revision(self) -> int:
        """A revision that everything acknowledged before this call is at or below."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted before `revision`."""
        ...

    async def lease_grant(self, ttl_s: int, lease_id: int = 0) -> int: ...

    async def lease_keepalive(self, lease_id: int) -> int:
        """Renew; returns the TTL in seconds, 0 when the lease is gone."""
        ...

    async def lease_revoke(self, lease_id: int) -> None: ...

    async def lead(self, name: str, identity: str) -> Leadership:
        """Wait until this process, called `identity`, leads whatever `name` stands for; nobody
        else does by then, or their fence holds no longer."""
        ...

    @property
    def revision(self) -> int:
        """The highest revision that this process knows of."""
        ...

    @property
    def metrics(self) -> Collector:
        """To be registered with Prometheus."""
        ...

    async def check(self) -> str:
        """What keeps the store from answering, in one line; empty where nothing does. Takes two
        seconds at most."""
        ...

    async def failed(self) -> str:
        """Returns when the store has stopped by itself and will not come back, with the reason
        in one line. A store that is closed, or that cannot be reached for now, has not failed."""
        ...

    async def close(self) -> None: ...


def prefix_end(prefix: bytes) -> bytes:
    """The range end that, with `prefix` as key, covers every key that starts with it."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\0"
