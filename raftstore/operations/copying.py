"""Keys moved from one store to another, ours or etcd, as they were at one revision.

Values and leases come along; revisions and versions are the target's own. The copy is read back
and compared before it counts as done.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pinnace_wire import etcd_rpc_pb2 as pb
from raftstore.operations.client import Client

# Each may be as large as a request.
PAGE_KEYS: Final = 100
# Below etcd's --max-txn-ops (128) and --max-request-bytes (1.5 MiB).
BATCH_KEYS: Final = 100
BATCH_SIZE_BYTES: Final = 1024 * 1024


class CopyRefused(Exception):
    """The copy would harm, or has not become one: says which key, and what to do."""


class _Bounds(NamedTuple):
    """Keys from `start` on and before `end`; b"\\0" as the end is none."""

    start: bytes
    end: bytes

    @classmethod
    def of(cls, prefix: bytes) -> "_Bounds":
        kept = prefix.rstrip(b"\xff")
        end = kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"
        return cls(prefix or b"\0", end)


@dataclass
class Copied:
    """What was done: keys written, those that were there already, the source's revision, the
    leases made, and the keys left out because their lease had ended."""

    revision: int
    written: int = 0
    found: int = 0
    leases: int = 0
    expired: int = 0


async def copy(
    source: Client,
    target: Client,
    prefix: bytes,
    *,
    resume: bool,
    tell: Callable[[str], None],
) -> Copied:
    """Raises ClientError, CopyRefused."""
    bounds = _Bounds.of(prefix)
    head = await source.ask(
        source.kv.Range(pb.RangeRequest(key=bounds.start, range_end=bounds.end, count_only=True))
    )
    if not resume:
        await _refuse_filled(target, bounds)
    copied = Copied(head.header.revision)
    tell(f"{head.count} keys at revision {copied.revision} of {source.url}")
    leases = _Leases(source, target)
    async for page in _pages(source, bounds, copied.revision):
        wanted = [kv for kv in page if not kv.lease or await leases.ensure(kv.lease)]
        copied.expired += len(page) - len(wanted)
        missing = await _missing(target, wanted) if resume else wanted
        copied.found += len(wanted) - len(missing)
        for batch in batches(missing):
            await target.ask(target.kv.Txn(pb.TxnRequest(success=[_put(kv) for kv in batch])))
            copied.written += len(batch)
    copied.leases = leases.made
    await _compare(source, target, bounds, copied.revision)
    return copied


def batches(kvs: Sequence[Any]) -> list[list[Any]]:
    """In order, each small enough for one transaction."""
    found: list[list[Any]] = []
    size_bytes = 0
    for kv in kvs:
        kv_bytes = len(kv.key) + len(kv.value)
        full = found and (len(found[-1]) >= BATCH_KEYS or size_bytes + kv_bytes > BATCH_SIZE_BYTES)
        if not found or full:
            found.append([])
            size_bytes = 0
        found[-1].append(kv)
        size_bytes += kv_bytes
    return found


class _Leases:
    """Leases of the source, made on the target under the same id with the TTL they were granted."""

    def __init__(self, source: Client, target: Client) -> None:
        self._source = source
        self._target = target
        self._alive: dict[int, bool] = {}
        self.made = 0

    async def ensure(self, lease_id: int) -> bool:
        """False: it has ended at the source, and with it the keys that hang on it."""
        if lease_id not in self._alive:
            self._alive[lease_id] = await self._make(lease_id)
        return self._alive[lease_id]

    async def _make(self, lease_id: int) -> bool:
        source, target = self._source, self._target
        request = pb.LeaseTimeToLiveRequest(ID=lease_id)
        left = await source.ask(source.lease.LeaseTimeToLive(request))
        if left.TTL <= 0:
            return False
        there = await target.ask(target.lease.LeaseTimeToLive(request))
        if there.TTL <= 0:
            grant = pb.LeaseGrantRequest(ID=lease_id, TTL=left.grantedTTL)
            await target.ask(target.lease.LeaseGrant(grant))
            self.made += 1
        return True


async def _refuse_filled(target: Client, bounds: _Bounds) -> None:
    answer = await target.ask(
        target.kv.Range(
            pb.RangeRequest(key=bounds.start, range_end=bounds.end, limit=1, keys_only=True)
        )
    )
    if answer.kvs:
        raise CopyRefused(
            f"{target.url} is not empty: it holds {_name(answer.kvs[0].key)} and {answer.count} "
            "keys in all; nothing was written. Copy into an empty store, or go on with a copy "
            "that was cut short by --resume"
        )


async def _pages(client: Client, bounds: _Bounds, revision: int) -> AsyncIterator[Sequence[Any]]:
    """All keys in order, as they were at `revision` (0: now)."""
    key = bounds.start
    while True:
        request = pb.RangeRequest(key=key, range_end=bounds.end, revision=revision, limit=PAGE_KEYS)
        answer = await client.ask(client.kv.Range(request))
        yield answer.kvs
        if not answer.more:
            return
        key = answer.kvs[-1].key + b"\0"


async def _missing(target: Client, kvs: Sequence[Any]) -> list[Any]:
    """Those that the target lacks. Raises CopyRefused where it has another value."""
    if not kvs:
        return []
    request = pb.RangeRequest(key=kvs[0].key, range_end=kvs[-1].key + b"\0")
    answer = await target.ask(target.kv.Range(request))
    there = {kv.key: kv for kv in answer.kvs}
    for kv in kvs:
        if kv.key in there and there[kv.key].value != kv.value:
            raise CopyRefused(
                f"{target.url} holds {_name(kv.key)} with another value: the source has changed "
                "since the first copy, or the target was written to. Copy into an empty store"
            )
    return [kv for kv in kvs if kv.key not in there]


async def _compare(source: Client, target: Client, bounds: _Bounds, revision: int) -> None:
    """Read both sides again. A key whose lease ended meanwhile is no difference."""
    theirs = _each(_pages(target, bounds, 0))
    other = await anext(theirs, None)
    async for kv in _each(_pages(source, bounds, revision)):
        if other is not None and other.key < kv.key:
            break
        if other is None or other.key != kv.key:
            if kv.lease:
                continue
            raise _differs(target, kv.key, "is missing")
        if other.value != kv.value:
            raise _differs(target, kv.key, "is not what was copied")
        other = await anext(theirs, None)
    if other is not None:
        raise _differs(target, other.key, "is not in the source")


async def _each(pages: AsyncIterator[Sequence[Any]]) -> AsyncIterator[Any]:
    async for page in pages:
        for kv in page:
            yield kv


def _differs(target: Client, key: bytes, how: str) -> CopyRefused:
    return CopyRefused(
        f"{target.url}: {_name(key)} {how}: somebody writes to the target; stop them and copy "
        "into an empty store"
    )


def _put(kv: Any) -> Any:
    request = pb.PutRequest(key=kv.key, value=kv.value, lease=kv.lease)
    return pb.RequestOp(request_put=request)


def _name(key: bytes) -> str:
    return repr(key.decode(errors="backslashreplace"))
