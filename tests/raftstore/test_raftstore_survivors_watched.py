"""A watch of a stream: every revision once, whole and in order, however it is cut into messages."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pinnace_wire import etcd_kv_pb2 as kv_wire
from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.mvcc import Event, KeyValue
from raftstore.server import watched
from raftstore.server.watched import EncodedEvents, Watch, fragments


def watch(**fields: Any) -> tuple[Watch, Any]:
    told: list[int] = []
    stream = SimpleNamespace(
        encoded=EncodedEvents(),
        waiting=[],
        told=told,
        compacted=lambda one, revision: told.append(revision),
        collected=lambda one, size_bytes: None,
        wake=lambda: told.append(-1),
    )
    request = rpc.WatchCreateRequest(key=b"k", **fields)
    return Watch(cast(Any, stream), 7, request), stream


def put_event(revision: int, value: bytes = b"v", prev: KeyValue | None = None) -> Event:
    return Event(KeyValue(b"k", value, 2, revision, revision - 1, 0), prev)


def end_event(revision: int) -> Event:
    return Event(KeyValue(b"k", b"", 0, revision, 0, 0), None)


def decoded(data: bytes) -> list[kv_wire.Event]:
    return list(rpc.WatchResponse.FromString(data).events)


@pytest.mark.parametrize("size_max_bytes", [1, 60, 100, 10_000])
def test_messages_cut_between_revisions_and_lose_none(
    size_max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "MESSAGE_SIZE_BYTES", size_max_bytes)
    one, stream = watch()
    heard: list[int] = []
    sizes: list[int] = []
    for revision in range(3, 20):
        one.hear([put_event(revision), put_event(revision, b"w" * 9)], revision)
        if revision % 5 == 0:
            taken = one.take()
            heard += [r for r, _, _ in taken]
            sizes.append(len(taken))
    assert stream.waiting[0] is one
    while one.parts:
        taken = one.take()
        assert taken
        heard += [r for r, _, _ in taken]
        sizes.append(len(taken))
    assert heard == list(range(3, 20))
    assert (max(sizes) == 1) is (size_max_bytes == 1)
    # Nothing of what was taken is still counted: the next goes out at once.
    one.hear([put_event(20)], 20)
    one.hear([put_event(21)], 21)
    assert len(one.take()) == (1 if size_max_bytes == 1 else 2)
    assert stream.waiting.count(one) > 1


def test_what_goes_out_in_fragments_comes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "FRAGMENT_SIZE_BYTES", 100)
    monkeypatch.setattr(watched, "MESSAGE_SIZE_BYTES", 100)
    one, _ = watch(fragment=True)
    events = [put_event(4, b"%d" % n * 40) for n in range(5)]
    one.hear([put_event(3)], 3)
    one.hear(events, 4)
    one.hear([put_event(5)], 5)
    taken = []
    while one.parts:
        taken.append(one.take())
    assert [[revision for revision, _, _ in parts] for parts in taken] == [[3], [4], [5]]
    pieces = taken[1][0][2]
    assert pieces is not None
    told = [decoded(piece) for piece in fragments(pieces)]
    assert all(told)
    assert len(told) > 2
    assert [e.kv.value for part in told for e in part] == [event.kv.value for event in events]
    # Who did not ask for fragments gets it whole.
    whole, _ = watch()
    whole.hear(events, 4)
    ((revision, data, none),) = whole.take()
    assert (revision, len(decoded(data)), none) == (4, 5, None)


@pytest.mark.parametrize(
    ("filters", "heard"),
    [
        ([], [3, 4, 5]),
        ([rpc.WatchCreateRequest.NOPUT], [4, 5]),
        ([rpc.WatchCreateRequest.NODELETE], [3, 5]),
        ([rpc.WatchCreateRequest.NOPUT, rpc.WatchCreateRequest.NODELETE], []),
    ],
)
def test_a_filter_keeps_back_what_it_names_and_nothing_else(
    filters: list[Any], heard: list[int]
) -> None:
    one, _ = watch(filters=filters)
    one.hear([put_event(3)], 3)
    one.hear([end_event(4)], 4)
    one.hear([put_event(5), end_event(5)], 5)
    parts = one.take()
    assert [revision for revision, _, _ in parts] == heard
    types = {event.type for _, data, _ in parts for event in decoded(data)}
    assert (kv_wire.Event.PUT in types) is (rpc.WatchCreateRequest.NOPUT not in filters)
    assert (kv_wire.Event.DELETE in types) is (rpc.WatchCreateRequest.NODELETE not in filters)


def test_what_an_event_replaced_is_told_to_who_asked_as_long_as_it_is_there() -> None:
    """The same event, told before a compaction and after it."""
    encoded = EncodedEvents()
    old = KeyValue(b"k", b"old", 2, 2, 1, 0)
    with_prev = put_event(3, b"new", old)
    without = Event(with_prev.kv, None)
    for event, value in ((with_prev, b"old"), (without, b""), (with_prev, b"old")):
        (told,) = decoded(encoded.with_prev(event))
        assert (told.kv.value, told.prev_kv.value) == (b"new", value)
        (told,) = decoded(encoded.plain(event))
        assert not told.HasField("prev_kv")


def test_the_end_of_a_watch_is_told_to_its_stream() -> None:
    one, stream = watch()
    one.compacted(9)
    assert stream.told == [9, -1]


@pytest.mark.parametrize(
    ("synced", "start", "revision", "tells"),
    [(True, 0, 5, True), (True, 5, 5, True), (True, 6, 5, False), (False, 0, 5, False)],
)
def test_progress_is_that_of_a_watch_that_knows_all_and_has_begun(
    synced: bool, start: int, revision: int, tells: bool
) -> None:
    one, _ = watch(start_revision=start)
    assert not one.is_synced(revision)
    one.watcher = cast(Any, SimpleNamespace(synced=synced))
    assert one.is_synced(revision) is tells
