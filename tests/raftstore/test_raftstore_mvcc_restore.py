"""Watches over a state that is replaced: a follower that lags installs the leader's snapshot.

Whatever happens, a watch hears each revision from the one it asked for on, once and in order, or
is told that it cannot (etcd-io/etcd#15220, #15271, #20221).
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_store import NaiveStore, Refused

from raftstore.mvcc import (
    Command,
    Compact,
    DeleteRange,
    Event,
    KeyValue,
    Put,
    StateMachine,
    Txn,
    Watcher,
    WatchHub,
)
from raftstore.mvcc.errors import Compacted
from raftstore.mvcc.snapshot import Loader, stream

KEYS = st.sampled_from([b"a", b"a/1", b"a/2", b"b"])
ENDS = st.sampled_from([b"", b"", b"\0", b"b"])


def copy_of(state: StateMachine) -> StateMachine:
    loader = Loader()
    for data in stream(state):
        loader.feed(data)
    return loader.finish()


class Watch:
    """What one watch of the follower heard."""

    def __init__(self, key: bytes, end: bytes, first: int) -> None:
        self.key = key
        self.end = end
        self.first = first
        self.heard: list[tuple[int, list[tuple[KeyValue, bool]]]] = []
        self.compacted: int | None = None
        self.watcher: Watcher

    def hear(self, events: list[Event], revision: int) -> None:
        assert self.compacted is None, "it was told that it is over"
        assert revision >= self.first
        assert all(event.kv.mod_revision == revision for event in events)
        self.heard.append((revision, [(event.kv, event.deleted) for event in events]))

    def end_of(self, compact_revision: int) -> None:
        assert self.compacted is None
        self.compacted = compact_revision


class Follower:
    """Applies what the leader does, unless it lags; its hub lives on through installations."""

    def __init__(self) -> None:
        self.leader = StateMachine()
        self.naive = NaiveStore()
        self.state = StateMachine()
        self.hub = WatchHub(self.state.keyspace, _raise)
        self.watches: list[Watch] = []
        self.lags = False

    def feed(self, command: Command) -> None:
        try:
            self.naive.apply(command)
            self.leader.apply(command)
        except Refused:
            return
        if self.lags:
            return
        _, events = self.state.apply(command)
        if events:
            self.hub.publish(self.state.keyspace.revision, events)

    def watch(self, key: bytes, end: bytes, start: int) -> None:
        watch = Watch(key, end, start or self.state.keyspace.revision + 1)
        try:
            watch.watcher = self.hub.watch(key, end, start, watch.hear, watch.end_of)
        except Compacted:
            return
        self.watches.append(watch)

    def install(self) -> None:
        self.state = copy_of(self.leader)
        self.hub.restore(self.state.keyspace)
        self.lags = False

    def prune(self) -> None:
        if not self.hub.is_catching_up:
            self.state.keyspace.prune(3)
        self.leader.keyspace.prune(3)

    def check(self) -> None:
        while not self.hub.catch_up(2):
            pass
        now = self.state.keyspace.revision
        for watch in self.watches:
            everything = self.naive.heard(watch.key, watch.end, watch.first, now)
            if watch.compacted is None:
                assert watch.heard == everything
                assert watch.watcher.active
                assert watch.watcher.synced
            else:
                assert watch.heard == everything[: len(watch.heard)]
                assert watch.watcher.next_revision < watch.compacted <= self.naive.compacted
                assert not watch.watcher.active
        assert self.hub.watcher_count == sum(w.compacted is None for w in self.watches)


def _raise(error: Exception) -> None:
    raise error


steps = st.one_of(
    st.builds(Put, KEYS, st.binary(max_size=2)),
    st.builds(Put, KEYS, st.binary(max_size=2)),
    st.builds(DeleteRange, KEYS, ENDS),
    st.builds(Txn, st.just([]), st.tuples(st.builds(Put, KEYS)).map(list)),
    st.tuples(st.just("watch"), KEYS, ENDS, st.sampled_from([0, 0, 2, 3, 5, 8, 13, 21, 34])),
    st.tuples(st.just("compact"), st.integers(0, 3)),
    st.tuples(st.just("catch up"), st.integers(1, 3)),
    st.sampled_from([("lag",), ("lag",), ("install",), ("install",), ("prune",), ("check",)]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=60))
def test_watches_go_on_over_an_installed_snapshot(script: list[Command | tuple]) -> None:
    follower = Follower()
    for step in script:
        if not isinstance(step, tuple):
            follower.feed(step)
        elif step[0] == "watch":
            follower.watch(*step[1:])
        elif step[0] == "compact":
            follower.feed(Compact(follower.naive.revision - step[1]))
        elif step[0] == "catch up":
            follower.hub.catch_up(step[1])
        elif step[0] == "lag":
            follower.lags = True
        elif step[0] == "install":
            follower.install()
        elif step[0] == "prune":
            follower.prune()
        else:
            follower.check()
    follower.install()
    follower.check()


def lagging(*commands: Command) -> Follower:
    """Revisions 2 and 3 are applied, the rest only by the leader."""
    follower = Follower()
    follower.feed(Put(b"a", b"1"))
    follower.feed(Put(b"a", b"2"))
    follower.watch(b"a", b"", 0)
    follower.lags = True
    for command in commands:
        follower.feed(command)
    return follower


def test_a_watch_goes_on_with_the_first_revision_it_has_not_heard_of() -> None:
    follower = lagging(Put(b"a", b"3"), Put(b"b", b"1"), DeleteRange(b"a"))
    follower.install()
    assert follower.watches[0].heard == []
    assert not follower.watches[0].watcher.synced
    follower.check()
    assert [revision for revision, _ in follower.watches[0].heard] == [4, 6]
    follower.feed(Put(b"a", b"4"))
    assert [revision for revision, _ in follower.watches[0].heard] == [4, 6, 7]


def test_a_watch_of_the_future_hears_of_nothing_before_it() -> None:
    follower = lagging(Put(b"a", b"3"), Put(b"a", b"4"), Put(b"a", b"5"))
    follower.watch(b"a", b"", 8)
    follower.install()
    assert follower.hub.catch_up(100)
    follower.feed(Put(b"a", b"revision 7"))
    assert follower.watches[1].heard == []
    follower.feed(Put(b"a", b"revision 8"))
    assert [revision for revision, _ in follower.watches[1].heard] == [8]


def test_a_watch_of_the_future_that_has_come_meanwhile() -> None:
    follower = lagging(Put(b"a", b"3"), Put(b"a", b"4"), Put(b"a", b"5"))
    follower.watch(b"a", b"", 5)
    follower.install()
    follower.check()
    assert [revision for revision, _ in follower.watches[1].heard] == [5, 6]


def test_who_misses_what_is_compacted_is_told_so() -> None:
    follower = lagging(Put(b"a", b"3"), Put(b"a", b"4"), Put(b"a", b"5"), Compact(5))
    follower.watch(b"a", b"", 5)
    follower.watch(b"b", b"", 4)
    follower.install()
    follower.check()
    assert [watch.compacted for watch in follower.watches] == [5, None, 5]
    assert [revision for revision, _ in follower.watches[1].heard] == [5, 6]


def test_who_has_heard_all_up_to_the_compacted_revision_misses_nothing() -> None:
    follower = lagging(DeleteRange(b"a"), Put(b"b", b"1"), Compact(4))
    follower.install()
    follower.check()
    (watch,) = follower.watches
    assert [(revision, events[0][1]) for revision, events in watch.heard] == [(4, True)]


def test_who_is_told_may_watch_anew_at_once() -> None:
    follower = lagging(Put(b"a", b"3"), Put(b"a", b"4"), Compact(5))
    heard: list[int] = []

    def again(compact_revision: int) -> None:
        follower.hub.watch(b"a", b"", compact_revision, lambda events, revision: heard.append(5))
        other.cancel()

    follower.hub.watch(b"a", b"", 0, print, again)
    other = follower.hub.watch(b"a", b"", 0, print, lambda compact_revision: other.cancel())
    follower.install()
    assert follower.hub.catch_up(100)
    assert heard == [5]
    assert follower.hub.watcher_count == 1


def test_a_watch_that_nobody_can_tell_is_not_lost_in_silence() -> None:
    raised: list[Exception] = []
    state, newer = StateMachine(), StateMachine()
    hub = WatchHub(state.keyspace, raised.append)
    hub.watch(b"a", b"", 0, print)
    for command in (Put(b"a"), Put(b"a"), Compact(3)):
        newer.apply(command)
    hub.restore(newer.keyspace)
    assert [type(error) for error in raised] == [Compacted]
    assert hub.watcher_count == 0


def test_a_cancelled_watch_does_not_come_back() -> None:
    follower = lagging(Put(b"a", b"3"))
    watch = follower.watches.pop()
    watch.watcher.cancel()
    follower.install()
    watch.watcher.cancel()
    follower.check()
    assert watch.heard == []


def test_a_state_is_not_replaced_by_an_older_one() -> None:
    follower = lagging()
    with pytest.raises(AssertionError, match="never replaced by an older one"):
        follower.hub.restore(StateMachine().keyspace)


def test_streams_of_the_old_state_end_as_they_began() -> None:
    follower = lagging(Put(b"a", b"3"))
    slices = stream(follower.state)
    first = next(slices)
    follower.install()
    loader = Loader()
    for data in (first, *slices):
        loader.feed(data)
    assert loader.finish().keyspace.revision == 3
