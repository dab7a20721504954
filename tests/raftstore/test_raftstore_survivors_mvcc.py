"""Watches beside each other: what comes, goes or is replaced next to one leaves it complete."""

import pytest

from raftstore.mvcc import Compact, DeleteRange, Put, StateMachine, WatchHub
from raftstore.mvcc.snapshot import Loader, stream


def _raise(error: Exception) -> None:
    raise error


class Store:
    """A state, its hub, and what each watch has heard: (revision, keys)."""

    def __init__(self) -> None:
        self.state = StateMachine()
        self.hub = WatchHub(self.state.keyspace, _raise)

    def put(self, *keys: bytes) -> None:
        for key in keys:
            _, events = self.state.apply(Put(key))
            self.hub.publish(self.state.keyspace.revision, events)

    def watch(self, key: bytes, end: bytes, start: int = 0) -> "Heard":
        return Heard(self.hub, key, end, start)


class Heard(list[tuple[int, list[bytes]]]):
    def __init__(self, hub: WatchHub, key: bytes, end: bytes, start: int) -> None:
        super().__init__()
        self.watcher = hub.watch(
            key,
            end,
            start,
            lambda events, revision: self.append((revision, [e.kv.key for e in events])),
            lambda revision: self.append((revision, [])),
        )

    @property
    def revisions(self) -> list[int]:
        return [revision for revision, _ in self]


RANGES = [(b"k", b""), (b"k", b"l"), (b"a", b"\0")]


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("start", [0, 2])
def test_a_watch_goes_on_when_another_of_the_same_keys_is_cancelled(
    range_: tuple[bytes, bytes], start: int
) -> None:
    store = Store()
    store.put(b"k")
    one, two, three = (store.watch(*range_, start) for _ in range(3))
    two.watcher.cancel()
    store.hub.catch_up(100)
    store.put(b"k")
    one.watcher.cancel()
    store.put(b"k")
    past = [2] if start else []
    assert one.revisions == [*past, 3]
    assert two.revisions == []
    assert three.revisions == [*past, 3, 4]
    assert store.hub.watcher_count == 1


@pytest.mark.parametrize("range_", RANGES)
def test_a_watch_that_begins_between_two_writes_hears_the_second(
    range_: tuple[bytes, bytes],
) -> None:
    store = Store()
    others = [store.watch(b"b", b"z"), store.watch(b"c", b"d")]
    store.put(b"k")
    heard = store.watch(*range_)
    store.put(b"k", b"c")
    others[0].watcher.cancel()
    store.put(b"k")
    assert heard.revisions == ([3, 4, 5] if range_[1] == b"\0" else [3, 5])
    assert others[1].revisions == [4]


@pytest.mark.parametrize("range_", RANGES)
def test_what_is_caught_up_with_is_what_lies_in_the_range(range_: tuple[bytes, bytes]) -> None:
    store = Store()
    keys = [b"0", b"a", b"j", b"k", b"kk", b"l", b"z"]
    live = store.watch(*range_)
    store.put(*keys)
    _, events = store.state.apply(DeleteRange(b"0", b"\0"))
    store.hub.publish(store.state.keyspace.revision, events)
    past = store.watch(*range_, 1)
    while not store.hub.catch_up(2):
        pass
    assert list(past) == list(live)
    assert len(live) > 1


def replaced(store: Store, *, ahead: int) -> None:
    """The state of a leader that is `ahead` writes further takes the place of this one."""
    loader = Loader()
    for data in stream(store.state):
        loader.feed(data)
    store.state = loader.finish()
    for _ in range(ahead):
        store.state.apply(Put(b"k"))
    store.hub.restore(store.state.keyspace)


@pytest.mark.parametrize("range_", RANGES)
def test_no_write_overtakes_what_an_installed_state_brought(range_: tuple[bytes, bytes]) -> None:
    """A write that is applied before the watch has caught up comes in its turn, once."""
    store = Store()
    store.put(b"k")
    synced, behind = store.watch(*range_), store.watch(*range_, 2)
    future = store.watch(*range_, 5)
    store.put(b"k")
    replaced(store, ahead=2)
    assert store.hub.is_catching_up
    store.put(b"k")
    for _ in range(3):
        store.hub.catch_up(1)
        store.put(b"k")
    while not store.hub.catch_up(2):
        pass
    store.put(b"k")
    last = store.state.keyspace.revision
    assert synced.revisions == list(range(3, last + 1))
    assert behind.revisions == list(range(2, last + 1))
    assert future.revisions == list(range(5, last + 1))


def test_who_was_told_that_it_is_over_hears_no_more() -> None:
    store = Store()
    store.put(b"k", b"k", b"k")
    behind = store.watch(b"k", b"", 2)
    store.state.apply(Compact(4))
    replaced(store, ahead=1)
    store.put(b"k")
    assert store.hub.catch_up(100)
    store.put(b"k")
    assert list(behind) == [(4, [])]
    behind.watcher.cancel()
    assert store.hub.watcher_count == 0
