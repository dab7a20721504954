"""The Store protocol, as every store behind it must keep it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from controlplane.store import Compacted, Compare, Event, KeyValue, Op, StoreError
from controlplane.store.fencing import Deposed, FencedWrites
from controlplane.store.protocol import CompareTarget, TooLarge, prefix_end
from tests.controlplane.storebackends import BACKENDS, Backend, Heard, put, until

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


async def test_a_key_through_its_life(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        assert (await store.range(b"k")).kvs == []
        assert store.revision == 1
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
        assert store.revision == 4


async def test_create_only_once(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        absent = Compare.mod_revision(b"k", 0)
        first = await store.txn([absent], [Op.put(b"k", b"1")], [Op.get(b"k")])
        second = await store.txn([absent], [Op.put(b"k", b"2")], [Op.get(b"k")])
        assert (first.succeeded, first.results) == (True, [None])
        assert (second.succeeded, second.revision) == (False, 2)
        assert second.results[0] is not None
        assert second.results[0].kvs[0].value == b"1"


COMPARES = [
    (CompareTarget.VERSION, "=", 2, True),
    (CompareTarget.VERSION, "!=", 2, False),
    (CompareTarget.CREATE, "<", 3, True),
    (CompareTarget.CREATE, ">", 2, False),
    (CompareTarget.MOD, "=", 3, True),
    (CompareTarget.VALUE, "=", b"2", True),
    (CompareTarget.VALUE, "<", b"2", False),
    (CompareTarget.LEASE, "=", 0, True),
]


async def test_compares(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        await put(store, b"k", b"1")
        await put(store, b"k", b"2")
        for target, operator, value, holds in COMPARES:
            compare = Compare(b"k", target, operator, value)
            result = await store.txn([compare], [Op.get(b"k")], [Op.get(b"other")])
            assert result.succeeded is holds, compare
            assert result.results[0] is not None
            assert result.results[0].count == holds, compare


async def test_ranges(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
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


async def test_a_transaction_is_one_revision(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
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
        await until(lambda: bool(heard.calls))
        assert heard.summary == [
            (4, [(b"/a/1", b"", True), (b"/a/2", b"", True), (b"/b", b"x", False)])
        ]


async def test_a_read_only_transaction_makes_no_revision(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        await put(store, b"k", b"1")
        result = await store.txn([Compare.mod_revision(b"k", 2)], [Op.get(b"k")], [])
        assert (result.succeeded, result.revision, store.revision) == (True, 2, 2)


async def test_a_watch_tells_puts_and_deletions_until_it_is_cancelled(
    tmp_path: Path, backend: Backend
) -> None:
    async with backend.open(tmp_path) as store:
        heard, other = Heard(), Heard()
        watcher = store.watch(b"/a/", prefix_end(b"/a/"), 0, heard)
        store.watch(b"/a/", prefix_end(b"/a/"), 0, other)
        first = await put(store, b"/a/x", b"1")
        await put(store, b"/b/x", b"1")
        await store.txn([], [Op.delete(b"/a/x")])
        await until(lambda: len(heard.calls) == 2)
        assert heard.summary[0] == (first, [(b"/a/x", b"1", False)])
        event = heard.calls[1][1][0]
        assert (event.deleted, event.kv.mod_revision, event.kv.value) == (True, first + 2, b"")
        assert event.prev == KeyValue(b"/a/x", b"1", first, first, 1, 0)
        watcher.cancel()
        await put(store, b"/a/y", b"1")
        await until(lambda: len(other.calls) == 3)
        assert len(heard.calls) == 2


async def test_watch_from_the_past_and_from_the_future(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        for number in range(5):
            await put(store, b"k", b"%d" % number)
        past, future = Heard(), Heard()
        store.watch(b"k", b"", 4, past)
        store.watch(b"k", b"", 9, future)
        assert past.calls == []
        for number in range(5, 9):
            await put(store, b"k", b"%d" % number)
        await until(lambda: len(past.calls) == 7 and len(future.calls) == 2)
        assert past.revisions == list(range(4, 11))
        assert future.revisions == [9, 10]
        assert past.calls[0][1][0].prev == KeyValue(b"k", b"1", 2, 3, 2, 0)


async def test_a_broken_sink_does_not_stop_the_others(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        seen: list[dict[str, object]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: seen.append(context))

        def broken(events: Sequence[Event], revision: int) -> None:
            raise ValueError("broken")

        heard = Heard()
        store.watch(b"k", b"", 2, broken)
        store.watch(b"k", b"", 2, heard)
        await put(store, b"k", b"")
        await until(lambda: len(heard.calls) == 1 and bool(seen))
        assert str(seen[0]["exception"]) == "broken"


async def test_compaction(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        for number in range(5):
            await put(store, b"k", b"%d" % number)
        await store.compact(4)
        with pytest.raises(Compacted):
            await store.range(b"k", revision=3)
        late = Heard()
        try:
            store.watch(b"k", b"", 3, late, late.lost.append)
        except Compacted as error:
            late.lost.append(error)
        await until(lambda: bool(late.lost))
        assert isinstance(late.lost[0], Compacted)
        assert (late.lost[0].compact_revision, late.calls) == (4, [])
        assert (await store.range(b"k", revision=4)).kvs[0].value == b"2"
        with pytest.raises(Compacted):
            await store.compact(4)
        with pytest.raises(StoreError, match="etcdserver: mvcc: required revision is a future"):
            await store.compact(99)


REFUSED: list[tuple[list[Op], str]] = [
    ([Op.put(b"", b"")], "etcdserver: key is not provided"),
    ([Op.put(b"k", b""), Op.put(b"k", b"")], "etcdserver: duplicate key given in txn request"),
    ([Op.put(b"k", b"", 77)], "etcdserver: requested lease not found"),
    ([Op.put(b"%d" % n, b"") for n in range(129)], "etcdserver: too many operations in txn"),
]


async def test_refusals_are_etcds(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        for success, text in REFUSED:
            with pytest.raises(StoreError, match=text):
                await store.txn([], success)
        for size_bytes in (1_600_000, 3_000_000):
            with pytest.raises(TooLarge):
                await store.txn([], [Op.put(b"k", b"x" * size_bytes)])
        assert (await store.range(b"\0", b"\0")).revision == 1


async def test_leases(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        lease = await store.lease_grant(2)
        assert lease > 0
        await put(store, b"k", b"", lease)
        assert (await store.range(b"k")).kvs[0].lease == lease
        for _ in range(3):
            await asyncio.sleep(1)
            assert await store.lease_keepalive(lease) == 2
        heard = Heard()
        store.watch(b"k", b"", 0, heard)
        await until(lambda: bool(heard.calls))
        assert heard.summary == [(3, [(b"k", b"", True)])]
        assert await store.lease_keepalive(lease) == 0
        with pytest.raises(StoreError, match="etcdserver: requested lease not found"):
            await store.lease_revoke(lease)
        assert await store.lease_grant(10, 1234) == 1234
        with pytest.raises(StoreError, match="etcdserver: lease already exists"):
            await store.lease_grant(10, 1234)
        await put(store, b"other", b"", 1234)
        await store.lease_revoke(1234)
        assert (await store.range(b"other")).count == 0
        with pytest.raises(StoreError, match="etcdserver: too large lease TTL"):
            await store.lease_grant(10**10)


async def test_who_leads_writes_and_who_led_writes_no_more(
    tmp_path: Path, backend: Backend
) -> None:
    async with backend.open(tmp_path) as store:
        first = await store.lead("manager", "one")
        writes = FencedWrites(store, first)
        taken = await writes.txn([Compare.mod_revision(b"k", 0)], [Op.put(b"k", b"one")])
        assert taken.succeeded
        again = await writes.txn(
            [Compare.mod_revision(b"k", 0)], [Op.put(b"k", b"two")], [Op.get(b"k")]
        )
        assert not again.succeeded
        assert [found.count for found in again.results if found is not None] == [1]
        await first.resign()
        async with asyncio.timeout(5):
            await first.lost()
        second = await store.lead("manager", "two")
        with pytest.raises(Deposed):
            await writes.txn([], [Op.put(b"k", b"late")])
        assert (await store.range(b"k")).kvs[0].value == b"one"
        assert (await FencedWrites(store, second).txn([], [Op.put(b"k", b"two")])).succeeded
        await second.resign()


async def test_a_leader_whose_key_is_gone_has_lost(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        leadership = await store.lead("manager", "one")
        lost = asyncio.ensure_future(leadership.lost())
        await asyncio.sleep(0.05)
        assert not lost.done()
        await store.txn([], [Op.delete(leadership.fence.key)])
        async with asyncio.timeout(5):
            await lost
        with pytest.raises(Deposed):
            await FencedWrites(store, leadership).txn([], [Op.put(b"k", b"late")])
        await leadership.resign()


async def test_a_store_that_answers_says_so(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:
        assert await store.check() == ""
    assert await store.check() != ""
    with pytest.raises(StoreError):
        await put(store, b"k", b"")


async def test_many_writers_count_exactly(tmp_path: Path, backend: Backend) -> None:
    async with backend.open(tmp_path) as store:

        async def count_up(times: int) -> None:
            done = 0
            while done < times:
                found = await store.range(b"counter")
                value = int(found.kvs[0].value) if found.kvs else 0
                revision = found.kvs[0].mod_revision if found.kvs else 0
                compare = Compare.mod_revision(b"counter", revision)
                result = await store.txn([compare], [Op.put(b"counter", b"%d" % (value + 1))])
                done += result.succeeded

        await asyncio.gather(*(count_up(5) for _ in range(5)))
        assert (await store.range(b"counter")).kvs[0].value == b"25"
