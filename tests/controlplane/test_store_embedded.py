"""The Store protocol as the embedded store keeps it.

`store` opens one; what stands behind it is known to the tests of the last part alone.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from base.clock import LoopClock, SystemClock
from controlplane.store import Compacted, Compare, Event, KeyValue, Op, Store, StoreError
from controlplane.store.embedded import open_embedded
from controlplane.store.protocol import CompareTarget, prefix_end


async def open_store(directory: Path) -> Store:
    return await open_embedded(directory / "store", LoopClock(), random.Random(1))


async def put(store: Store, key: bytes, value: bytes, lease: int = 0) -> int:
    return (await store.txn([], [Op.put(key, value, lease)])).revision


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, list[Event]]] = []

    def __call__(self, events: Sequence[Event], revision: int) -> None:
        self.calls.append((revision, list(events)))

    @property
    def summary(self) -> list[tuple[int, list[tuple[bytes, bytes, bool]]]]:
        return [
            (revision, [(e.kv.key, e.kv.value, e.deleted) for e in events])
            for revision, events in self.calls
        ]


async def test_a_key_through_its_life(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    assert store.revision == 1
    assert (await store.range(b"k")).kvs == []
    assert await put(store, b"k", b"1") == 2
    assert await put(store, b"k", b"2") == 3
    result = await store.range(b"k")
    assert list(result.kvs) == [KeyValue(b"k", b"2", 2, 3, 2, 0)]
    assert (result.revision, result.count, result.more) == (3, 1, False)
    deleted = await store.txn([], [Op.delete(b"k")])
    assert deleted.revision == 4
    assert deleted.results[0] is not None
    assert list(deleted.results[0].kvs) == [KeyValue(b"k", b"2", 2, 3, 2, 0)]
    assert (await store.range(b"k")).kvs == []
    assert (await store.range(b"k", revision=3)).kvs[0].value == b"2"
    await store.close()


async def test_create_only_once(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    absent = Compare.mod_revision(b"k", 0)
    first = await store.txn([absent], [Op.put(b"k", b"1")], [Op.get(b"k")])
    second = await store.txn([absent], [Op.put(b"k", b"2")], [Op.get(b"k")])
    assert (first.succeeded, first.results) == (True, [None])
    assert (second.succeeded, second.revision) == (False, 2)
    assert second.results[0] is not None
    assert second.results[0].kvs[0].value == b"1"
    await store.close()


@pytest.mark.parametrize(
    ("target", "operator", "value", "holds"),
    [
        (CompareTarget.VERSION, "=", 2, True),
        (CompareTarget.VERSION, "!=", 2, False),
        (CompareTarget.CREATE, "<", 3, True),
        (CompareTarget.CREATE, ">", 2, False),
        (CompareTarget.MOD, "=", 3, True),
        (CompareTarget.VALUE, "=", b"2", True),
        (CompareTarget.VALUE, "<", b"2", False),
        (CompareTarget.LEASE, "=", 0, True),
    ],
)
async def test_compares(
    tmp_path: Path, target: CompareTarget, operator: str, value: int | bytes, holds: bool
) -> None:
    store = await open_store(tmp_path)
    await put(store, b"k", b"1")
    await put(store, b"k", b"2")
    compare = Compare(b"k", target, operator, value)
    result = await store.txn([compare], [Op.put(b"yes", b"")], [Op.put(b"no", b"")])
    assert result.succeeded is holds
    assert [kv.key for kv in (await store.range(b"n", b"z")).kvs] == [b"yes" if holds else b"no"]
    await store.close()


async def test_ranges(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    for name in (b"/a/1", b"/a/2", b"/a/3", b"/b/1"):
        await put(store, name, b"v" + name)
    end = prefix_end(b"/a/")
    page = await store.range(b"/a/", end, limit=2)
    assert [kv.key for kv in page.kvs] == [b"/a/1", b"/a/2"]
    assert (page.count, page.more) == (3, True)
    rest = await store.range(b"/a/2\0", end, limit=2, revision=page.revision)
    assert ([kv.key for kv in rest.kvs], rest.more) == ([b"/a/3"], False)
    keys = await store.range(b"/", b"0", keys_only=True)
    assert [(kv.key, kv.value) for kv in keys.kvs][3] == (b"/b/1", b"")
    count = await store.range(b"/", b"0", count_only=True)
    assert (list(count.kvs), count.count) == ([], 4)
    everything = await store.range(b"\0", b"\0")
    assert everything.count == 4
    await store.close()


async def test_a_transaction_is_one_revision(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await put(store, b"/a/1", b"")
    await put(store, b"/a/2", b"")
    heard = Heard()
    store.watch(b"/", b"0", 0, heard)
    operations = [Op.delete(b"/a/", b"/a0"), Op.put(b"/b", b"x"), Op.get(b"/b")]
    result = await store.txn([], operations)
    assert result.revision == 4
    deleted, none, read = result.results
    assert deleted is not None
    assert read is not None
    assert (deleted.count, none, read.kvs[0].mod_revision) == (2, None, 4)
    assert heard.summary == [
        (4, [(b"/a/1", b"", True), (b"/a/2", b"", True), (b"/b", b"x", False)])
    ]
    await store.close()


async def test_a_read_only_transaction_makes_no_revision(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await put(store, b"k", b"1")
    result = await store.txn([Compare.mod_revision(b"k", 2)], [Op.get(b"k")], [])
    assert (result.succeeded, result.revision, store.revision) == (True, 2, 2)
    await store.close()


async def test_watch_tells_before_the_writer_knows(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    heard = Heard()
    watcher = store.watch(b"/a/", prefix_end(b"/a/"), 0, heard)
    await put(store, b"/a/x", b"1")
    assert heard.summary == [(2, [(b"/a/x", b"1", False)])]
    await put(store, b"/b/x", b"1")
    await store.txn([], [Op.delete(b"/a/x")])
    event = heard.calls[-1][1][0]
    assert (event.deleted, event.kv.mod_revision, event.kv.value) == (True, 4, b"")
    assert event.prev == KeyValue(b"/a/x", b"1", 2, 2, 1, 0)
    watcher.cancel()
    await put(store, b"/a/y", b"1")
    assert len(heard.calls) == 2
    await store.close()


async def test_watch_from_the_past_and_from_the_future(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    for number in range(5):
        await put(store, b"k", b"%d" % number)
    past, future = Heard(), Heard()
    store.watch(b"k", b"", 4, past)
    store.watch(b"k", b"", 9, future)
    assert past.calls == []
    for number in range(5, 9):
        await put(store, b"k", b"%d" % number)
    assert [revision for revision, _ in past.calls] == list(range(4, 11))
    assert [revision for revision, _ in future.calls] == [9, 10]
    assert past.calls[0][1][0].prev == KeyValue(b"k", b"1", 2, 3, 2, 0)
    await store.close()


async def test_a_broken_sink_does_not_stop_the_store(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    seen: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: seen.append(context))

    def broken(events: Sequence[Event], revision: int) -> None:
        raise ValueError("broken")

    heard = Heard()
    store.watch(b"k", b"", 0, broken)
    store.watch(b"k", b"", 0, heard)
    assert await put(store, b"k", b"") == 2
    assert len(heard.calls) == 1
    assert str(seen[0]["exception"]) == "broken"
    await store.close()


async def test_compaction(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    for number in range(5):
        await put(store, b"k", b"%d" % number)
    await store.compact(4)
    with pytest.raises(Compacted) as refused:
        await store.range(b"k", revision=3)
    assert refused.value.compact_revision == 4
    with pytest.raises(Compacted):
        store.watch(b"k", b"", 3, Heard())
    assert (await store.range(b"k", revision=4)).kvs[0].value == b"2"
    with pytest.raises(Compacted):
        await store.compact(4)
    with pytest.raises(StoreError, match="etcdserver: mvcc: required revision is a future"):
        await store.compact(99)
    await store.close()


@pytest.mark.parametrize(
    ("success", "text"),
    [
        ([Op.put(b"", b"")], "etcdserver: key is not provided"),
        ([Op.put(b"k", b""), Op.put(b"k", b"")], "etcdserver: duplicate key given in txn request"),
        ([Op.put(b"k", b"", 77)], "etcdserver: requested lease not found"),
        ([Op.put(b"%d" % n, b"") for n in range(129)], "etcdserver: too many operations in txn"),
        ([Op.put(b"k", b"x" * 1_600_000)], "etcdserver: request is too large"),
    ],
)
async def test_refusals_are_etcds(tmp_path: Path, success: list[Op], text: str) -> None:
    store = await open_store(tmp_path)
    with pytest.raises(StoreError, match=text):
        await store.txn([], success)
    assert store.revision == 1
    await store.close()


async def test_leases(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    lease = await store.lease_grant(10)
    assert lease > 0
    await put(store, b"k", b"", lease)
    assert (await store.range(b"k")).kvs[0].lease == lease
    await asyncio.sleep(9)
    assert await store.lease_keepalive(lease) == 10
    await asyncio.sleep(9)
    heard = Heard()
    store.watch(b"k", b"", 0, heard)
    await asyncio.sleep(2)
    assert heard.summary == [(3, [(b"k", b"", True)])]
    assert await store.lease_keepalive(lease) == 0
    with pytest.raises(StoreError, match="etcdserver: requested lease not found"):
        await store.lease_revoke(lease)
    assert await store.lease_grant(10, 1234) == 1234
    await put(store, b"other", b"", 1234)
    await store.lease_revoke(1234)
    assert (await store.range(b"other")).count == 0
    with pytest.raises(StoreError, match="etcdserver: too large lease TTL"):
        await store.lease_grant(10**10)
    await store.close()


async def test_it_leads_and_leads_a_later_term_after_a_restart(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    first = store.leader_term
    assert first > 0
    await put(store, b"k", b"1")
    await store.close()
    assert store.leader_term == 0
    with pytest.raises(StoreError, match="server stopped"):
        await store.range(b"k")
    store = await open_store(tmp_path)
    assert store.leader_term > first
    assert (await store.range(b"k")).kvs[0].value == b"1"
    assert store.revision == 2
    heard = Heard()
    store.watch(b"k", b"", 2, heard)
    await asyncio.sleep(0.01)
    assert heard.summary == [(2, [(b"k", b"1", False)])]
    await store.close()


async def test_a_place_that_is_not_ours_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "photos").mkdir()
    with pytest.raises(StoreError, match=r"holds 'photos' and no FORMAT") as refused:
        await open_store(tmp_path)
    assert "\n" not in str(refused.value)


async def test_a_store_is_open_once(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    with pytest.raises(StoreError, match="open in another process"):
        await open_store(tmp_path)
    await store.close()


async def test_a_store_that_stops_by_itself_says_why(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store", LoopClock(), random.Random(1))
    failed = asyncio.ensure_future(store.failed())
    await put(store, b"k", b"1")
    assert not failed.done()
    # The disk is gone under it.
    store.node._member.storage.wal.close()
    with pytest.raises(StoreError, match="etcdserver: server stopped: "):
        await put(store, b"k", b"2")
    assert "write failed: the log is closed" in await failed
    assert store.leader_term == 0
    await store.close()


async def test_a_store_that_is_closed_has_not_failed(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store", LoopClock(), random.Random(1))
    failed = asyncio.ensure_future(store.failed())
    await store.close()
    await asyncio.sleep(1)
    assert not failed.done()
    failed.cancel()


@pytest.mark.realtime
async def test_many_writers_on_the_real_loop(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store", SystemClock(), random.Random(1))

    async def count_up(times: int) -> int:
        done = 0
        while done < times:
            found = await store.range(b"counter")
            value = int(found.kvs[0].value) if found.kvs else 0
            revision = found.kvs[0].mod_revision if found.kvs else 0
            compare = Compare.mod_revision(b"counter", revision)
            result = await store.txn([compare], [Op.put(b"counter", b"%d" % (value + 1))])
            done += result.succeeded
        return done

    await asyncio.gather(*(count_up(20) for _ in range(10)))
    assert (await store.range(b"counter")).kvs[0].value == b"200"
    await store.close()
