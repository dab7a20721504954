"""The watch cache: what watchers see, in which order, and when they are told to begin anew."""

import asyncio

import pytest

from controlplane.registry.cache import HISTORY_EVENTS, ResourceCache
from controlplane.registry.stored import Stored, join_list
from controlplane.registry.watchers import QUEUE_EVENTS_MAX, WatchEnded, Watcher
from controlplane.store import Event, KeyValue
from kubeapi import codec
from kubeapi.errors import StatusError
from kubeapi.resources import resource_of
from kubeapi.types import core_v1, meta_v1


class World:
    """A cache, and the writes that reach it."""

    def __init__(self) -> None:
        self.cache = ResourceCache(resource_of(core_v1.ConfigMap))
        self.cache.loaded(0)
        self.revision = 0

    def put(self, key: str, **labels: str) -> None:
        self.revision += 1
        namespace, _, name = key.partition("/")
        meta = meta_v1.ObjectMeta(name=name, namespace=namespace, labels=labels or None)
        value = self.cache.layout.value_of(core_v1.ConfigMap(metadata=meta))
        kv = KeyValue(self.cache.prefix + key.encode(), value, self.revision, self.revision, 1)
        self.cache.apply(key, Event(kv, False, None))

    def delete(self, key: str) -> None:
        self.revision += 1
        kv = KeyValue(self.cache.prefix + key.encode(), b"", 0, self.revision, 0)
        self.cache.apply(key, Event(kv, True, None))


def labelled(stored: Stored) -> bool:
    return (stored.obj.metadata.labels or {}).get("app") == "a"


def drain(watcher: Watcher) -> list[tuple[str, str, int]]:
    return [(event, stored.key, stored.revision) for event, stored, _ in watcher.waiting()]


def test_a_watch_from_a_revision_sees_each_later_change_once() -> None:
    world = World()
    world.put("n/a")
    world.put("n/b")
    watcher = world.cache.watch("", None, 1)
    world.put("n/a")
    world.delete("n/b")
    assert drain(watcher) == [
        ("ADDED", "n/b", 2),
        ("MODIFIED", "n/a", 3),
        ("DELETED", "n/b", 4),
    ]


def test_a_watch_from_now_begins_with_what_is_there() -> None:
    world = World()
    world.put("n/b")
    world.put("n/a")
    assert drain(world.cache.watch("", None, None)) == [("ADDED", "n/a", 2), ("ADDED", "n/b", 1)]


def test_one_namespace_is_not_another_that_begins_alike() -> None:
    world = World()
    watcher = world.cache.watch("n", None, None)
    for key in ("n/a", "n2/a", "m/a", "n-x/a"):
        world.put(key)
    assert drain(watcher) == [("ADDED", "n/a", 1)]
    assert [stored.key for stored in world.cache.values("n")] == ["n/a"]


def test_an_object_that_stops_matching_is_deleted_for_the_watch_and_added_when_it_starts() -> None:
    world = World()
    watcher = world.cache.watch("", labelled, None)
    world.put("n/a")
    world.put("n/a", app="a")
    world.put("n/a", app="a", more="x")
    world.put("n/a", app="b")
    world.delete("n/a")
    assert drain(watcher) == [("ADDED", "n/a", 2), ("MODIFIED", "n/a", 3), ("DELETED", "n/a", 4)]


def test_the_deleted_event_has_the_state_before_and_the_revision_of_the_end() -> None:
    world = World()
    world.put("n/a", app="a")
    watcher = world.cache.watch("", labelled, 1)
    world.put("n/a", app="b")
    ((event, stored, change),) = watcher.waiting()
    line = change.line(event, stored)
    assert b'"app":"a"' in line
    assert b'"resourceVersion":"2"' in line


def test_history_that_is_no_longer_kept_is_410() -> None:
    world = World()
    for _ in range(HISTORY_EVENTS + 2):
        world.put("n/a")
    world.cache.watch("", None, 2)
    with pytest.raises(StatusError) as caught:
        world.cache.watch("", None, 1)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


async def test_a_watcher_that_lags_too_far_is_closed() -> None:
    world = World()
    watcher = world.cache.watch("", None, 0)
    for _ in range(QUEUE_EVENTS_MAX + 1):
        world.put("n/a")
    assert watcher.overflowed
    assert len(await watcher.next_batch()) == QUEUE_EVENTS_MAX
    with pytest.raises(WatchEnded):
        await watcher.next_batch()


async def test_a_waiting_watcher_wakes_and_times_out() -> None:
    world = World()
    watcher = world.cache.watch("", None, 0)
    assert await watcher.next_batch(timeout_s=60) == []
    waiting = asyncio.create_task(watcher.next_batch())
    await asyncio.sleep(0)
    world.put("n/a")
    assert [event for event, _, _ in await waiting] == ["ADDED"]


def test_lists_are_joined_from_the_stored_bytes_and_are_right_json() -> None:
    world = World()
    world.put("n/a", app="a")
    world.put("n/b")
    body = join_list("ConfigMapList", "v1", b'{"resourceVersion":"2"}', world.cache.values())
    listed = codec.decode(body, core_v1.ConfigMapList)
    assert [item.metadata.name for item in listed.items or ()] == ["a", "b"]  # type: ignore[union-attr]
    assert [item.metadata.resourceVersion for item in listed.items or ()] == ["1", "2"]  # type: ignore[union-attr]
    assert listed.items is not None
    assert listed.items[0].kind is None


def test_an_expected_object_is_not_decoded_again_and_another_value_is() -> None:
    world = World()
    meta = meta_v1.ObjectMeta(name="a", namespace="n")
    ours = core_v1.ConfigMap(metadata=meta)
    value = world.cache.layout.value_of(ours)
    world.cache.expect("n/a", value, ours)
    world.put("n/a")
    stored = world.cache.get("n/a")
    assert stored is not None
    assert stored.obj is ours
    world.cache.expect("n/a", b"something else", ours)
    world.put("n/a", app="x")
    stored = world.cache.get("n/a")
    assert stored is not None
    assert stored.obj.metadata.labels == {"app": "x"}
