"""Watch streams of a served member: complete, in order, without repeats, however slow who reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from etcd_services import Client, Served, refusal, served

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.server import ServerOptions, watched, watchstream

pytestmark = pytest.mark.realtime


class Stream:
    """One watch stream, spoken to a message at a time."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def create(self, key: bytes = b"k", end: bytes = b"", **fields: Any) -> rpc.WatchResponse:
        """Ask for a watch; returns the answer to that."""
        await self.ask_create(key, end, **fields)
        return await self.read()

    async def ask_create(self, key: bytes = b"k", end: bytes = b"", **fields: Any) -> None:
        request = rpc.WatchCreateRequest(key=key, range_end=end, **fields)
        await self._call.write(rpc.WatchRequest(create_request=request))

    async def cancel(self, watch_id: int) -> None:
        request = rpc.WatchCancelRequest(watch_id=watch_id)
        await self._call.write(rpc.WatchRequest(cancel_request=request))

    async def ask_progress(self) -> None:
        await self._call.write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    async def read(self) -> rpc.WatchResponse:
        async with asyncio.timeout(10):
            answer: rpc.WatchResponse = await self._call.read()
        return answer

    async def events(self, count: int) -> list[tuple[int, bytes, bytes]]:
        """Watch id, key and value of the next `count` events."""
        found: list[tuple[int, bytes, bytes]] = []
        while len(found) < count:
            answer = await self.read()
            found += [(answer.watch_id, event.kv.key, event.kv.value) for event in answer.events]
        return found

    async def revisions(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            answer = await self.read()
            assert not answer.canceled, answer
            found += [event.kv.mod_revision for event in answer.events]
        return found


@asynccontextmanager
async def watching(client: Client, *metadata: tuple[str, str]) -> AsyncIterator[Stream]:
    call = client.watch.Watch(metadata=metadata)
    try:
        yield Stream(call)
    finally:
        call.cancel()


async def put(client: Client, key: bytes = b"k", value: bytes = b"v") -> int:
    """The revision of the put."""
    answer = await client.kv.Put(rpc.PutRequest(key=key, value=value))
    return int(answer.header.revision)


async def put_many(client: Client, count: int, key: bytes = b"k", value: bytes = b"v") -> None:
    for _ in range(count):
        await put(client, key, value)


async def compact(client: Client, revision: int) -> None:
    await client.kv.Compact(rpc.CompactionRequest(revision=revision, physical=True))


async def test_an_event_says_what_happened_to_the_key(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        created = await stream.create(prev_kv=True)
        assert (created.created, created.watch_id, created.header.revision) == (True, 0, 1)
        await put(it.client, value=b"1")
        await put(it.client, value=b"2")
        await it.client.kv.DeleteRange(rpc.DeleteRangeRequest(key=b"k"))
        answers = [await stream.read() for _ in range(3)]
    first, second, third = (answer.events[0] for answer in answers)
    assert (first.type, first.kv.value, first.HasField("prev_kv")) == (0, b"1", False)
    assert (second.kv.version, second.prev_kv.value) == (2, b"1")
    assert (third.type, third.kv.key, third.kv.mod_revision) == (1, b"k", 4)
    assert (third.kv.version, third.prev_kv.value) == (0, b"2")
    assert [answer.header.revision for answer in answers] == [2, 3, 4]


async def test_without_prev_kv_none_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create()
        await put_many(it.client, 2)
        for _ in range(2):
            for event in (await stream.read()).events:
                assert not event.HasField("prev_kv")


async def test_many_watches_on_one_stream_hear_each_their_own(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        assert (await stream.create(b"a")).watch_id == 0
        assert (await stream.create(b"b", watch_id=7)).watch_id == 7
        assert (await stream.create(b"a", b"c")).watch_id == 1
        for key in (b"a", b"b"):
            await put(it.client, key, b"v")
        heard = await stream.events(4)
    assert sorted(heard) == [(0, b"a", b"v"), (1, b"a", b"v"), (1, b"b", b"v"), (7, b"b", b"v")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"watch_id": 5}, "mvcc: duplicate watch ID provided on the WatchStream"),
        ({"key": b"b", "end": b"a"}, "mvcc: watcher range is empty"),
        ({"key": b"b", "end": b"b"}, "mvcc: watcher range is empty"),
        ({"start_revision": -1}, "etcdserver: mvcc: required revision has been compacted"),
    ],
)
async def test_a_watch_that_cannot_be_is_created_and_canceled_at_once(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(watch_id=5)
        answer = await stream.create(**fields)
        assert (answer.created, answer.canceled, answer.watch_id) == (True, True, -1)
        assert answer.cancel_reason == reason
        await put(it.client)
        assert await stream.events(1) == [(5, b"k", b"v")]


async def test_free_ids_pass_by_those_that_clients_chose(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(watch_id=1)
        assert [(await stream.create()).watch_id for _ in range(3)] == [0, 2, 3]


async def test_a_watch_without_a_key_begins_at_the_first_one(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(b"", b"\0")
        await put(it.client, b"any")
        assert await stream.events(1) == [(0, b"any", b"v")]


async def test_a_canceled_watch_is_silent(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create()
        await stream.create()
        await stream.cancel(0)
        answer = await stream.read()
        assert (answer.canceled, answer.watch_id, answer.cancel_reason) == (True, 0, "")
        await stream.cancel(99)
        await put(it.client)
        assert await stream.events(1) == [(1, b"k", b"v")]
        assert it.node.hub.watcher_count == 1


async def test_filters_leave_out_puts_or_deletions(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(filters=[rpc.WatchCreateRequest.NOPUT])
        await stream.create(filters=[rpc.WatchCreateRequest.NODELETE])
        await put(it.client, value=b"1")
        await it.client.kv.DeleteRange(rpc.DeleteRangeRequest(key=b"k"))
        await put(it.client, value=b"2")
        assert sorted(await stream.events(3)) == [
            (0, b"k", b""), (1, b"k", b"1"), (1, b"k", b"2"),
        ]  # fmt: skip


async def test_a_watch_of_the_past_tells_all_since_then_and_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await put_many(it.client, 50)
        await stream.create(start_revision=11)
        await put_many(it.client, 10)
        assert await stream.revisions(51) == list(range(11, 62))


async def test_a_watch_of_the_future_is_silent_until_then(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(start_revision=5)
        await stream.ask_progress()
        await put_many(it.client, 5)
        answer = await stream.read()
        assert answer.events[0].kv.mod_revision == 5


async def test_a_compacted_start_cancels_the_watch_and_says_what_is_left(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await put_many(it.client, 10)
        await compact(it.client, 8)
        assert (await stream.create(start_revision=7)).created
        answer = await stream.read()
        assert (answer.canceled, answer.compact_revision, answer.watch_id) == (True, 8, 0)
        assert (await stream.create(start_revision=8)).created
        assert await stream.revisions(4) == [8, 9, 10, 11]


async def test_a_revision_is_told_whole(tmp_path: Path) -> None:
    operations = [
        rpc.RequestOp(request_put=rpc.PutRequest(key=b"k%d" % n, value=b"v")) for n in range(100)
    ]
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(b"k", b"l")
        await it.client.kv.Txn(rpc.TxnRequest(success=operations))
        answer = await stream.read()
        assert len(answer.events) == 100
        assert {event.kv.mod_revision for event in answer.events} == {2}


async def test_a_large_revision_comes_in_fragments_where_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "FRAGMENT_SIZE_BYTES", 5000)
    operations = [
        rpc.RequestOp(request_put=rpc.PutRequest(key=b"k%02d" % n, value=b"v" * 1000))
        for n in range(20)
    ]
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(b"k", b"l", fragment=True)
        await it.client.kv.Txn(rpc.TxnRequest(success=operations))
        answers = [await stream.read()]
        while answers[-1].fragment:
            answers.append(await stream.read())
    assert len(answers) == 5
    assert [event.kv.key for answer in answers for event in answer.events] == [
        operation.request_put.key for operation in operations
    ]


async def test_progress_is_told_behind_the_events_it_speaks_of(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await put_many(it.client, 300)
        await stream.ask_create(start_revision=2)
        await stream.ask_progress()
        assert (await stream.read()).created
        seen = 1
        while (answer := await stream.read()).events:
            seen = answer.events[-1].kv.mod_revision
        assert (answer.watch_id, answer.header.revision) == (-1, 301)
        assert seen == 301


async def test_progress_of_a_stream_without_watches_is_not_told(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.ask_progress()
        assert (await stream.create()).created


async def test_a_quiet_watch_is_told_of_progress_now_and_then(tmp_path: Path) -> None:
    options = ServerOptions(progress_interval_s=0.05)
    async with served(tmp_path, options) as it, watching(it.client) as stream:
        await stream.create(b"quiet", progress_notify=True)
        await stream.create(b"unasked")
        await put(it.client, b"other")
        answer = await stream.read()
        while answer.header.revision < 2:
            answer = await stream.read()
        assert (answer.watch_id, len(answer.events), answer.canceled) == (0, 0, False)


async def test_a_slow_reader_gets_every_revision_once_and_the_store_holds_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchstream, "BUFFER_MAX_BYTES", 50_000)
    monkeypatch.setattr(watched, "MESSAGE_SIZE_BYTES", 20_000)
    left = 0
    leave = watched.Watch.leave

    def counted(watch: Any) -> None:
        nonlocal left
        left += 1
        leave(watch)

    monkeypatch.setattr(watched.Watch, "leave", counted)
    count = 1500
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create(prev_kv=True)
        await stream.create(b"a", b"z")
        # Nobody reads meanwhile: the connection fills, then the buffer.
        await put_many(it.client, count, value=b"v" * 2000)
        assert left > 0
        heard: dict[int, list[int]] = {0: [], 1: []}
        while sum(map(len, heard.values())) < 2 * count:
            answer = await stream.read()
            heard[answer.watch_id] += [event.kv.mod_revision for event in answer.events]
    expected = list(range(2, count + 2))
    assert heard == {0: expected, 1: expected}


async def test_a_reader_too_slow_for_the_compaction_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchstream, "BUFFER_MAX_BYTES", 50_000)
    count = 1500
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create()
        await put_many(it.client, count, value=b"v" * 20_000)
        await compact(it.client, count)
        heard: list[int] = []
        while not (answer := await stream.read()).canceled:
            heard += [event.kv.mod_revision for event in answer.events]
        assert answer.compact_revision == count
        # What was heard before has no gap.
        assert heard == list(range(2, len(heard) + 2))
        assert len(heard) < count


async def test_watchers_by_the_hundred_hear_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        for _ in range(100):
            await stream.create()
        await asyncio.gather(*(put(it.client) for _ in range(50)))
        heard: dict[int, list[int]] = {watch_id: [] for watch_id in range(100)}
        while sum(map(len, heard.values())) < 5000:
            answer = await stream.read()
            heard[answer.watch_id] += [event.kv.mod_revision for event in answer.events]
    assert all(revisions == list(range(2, 52)) for revisions in heard.values())


async def test_a_caller_who_goes_leaves_no_watch_behind(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        async with watching(it.client) as stream:
            for _ in range(3):
                await stream.create()
            assert it.node.hub.watcher_count == 3
        await _until(lambda: it.node.hub.watcher_count == 0)


async def test_a_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    async with served(tmp_path) as it, watching(it.client) as stream:
        await stream.create()
        await it.server.stop(0.1)
        assert await refusal(stream.read()) == ("UNAVAILABLE", "etcdserver: server stopped")


async def test_a_stream_that_requires_a_leader_ends_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServerOptions(election_timeout_s=0.05)
    async with (
        served(tmp_path, options) as it,
        watching(it.client, ("hasleader", "true")) as requiring,
        watching(it.client) as content,
    ):
        await requiring.create()
        await content.create()
        lose_leader(it, monkeypatch)
        assert await refusal(requiring.read()) == ("UNAVAILABLE", "etcdserver: no leader")
        async with watching(it.client, ("hasleader", "true")) as late:
            assert await refusal(late.read()) == ("UNAVAILABLE", "etcdserver: no leader")
        assert (await content.create()).watch_id == 1


def lose_leader(it: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(it.node), "leader", property(lambda _: 0))


async def _until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
