"""Watches beside each other: what comes, goes or is replaced next to one leaves it complete. And
histories: compaction frees what nobody can read, and a copy is as good as the first."""

import pytest

from raftstore.core import Membership, MembershipChange
from raftstore.mvcc import (
    Command,
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    MemberRecord,
    Put,
    Range,
    RangeResult,
    StateMachine,
    Txn,
    TxnResult,
    WatchHub,
    encode_members,
)
from raftstore.mvcc.commands import Operation
from raftstore.mvcc.errors import Compacted, FutureRevision, KeyNotFound, LeaseNotFound
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


# -- what a key's history is, compacted or loaded


def loaded(state: StateMachine) -> StateMachine:
    loader = Loader()
    for data in stream(state):
        loader.feed(data)
    return loader.finish()


def with_history() -> StateMachine:
    """Revisions 2 to 21: a key often written, one that ended and came back, one that ended."""
    state = StateMachine()
    for number in range(12):
        state.apply(Put(b"often", b"%d" % number))
    for command in (Put(b"back"), DeleteRange(b"back"), Put(b"gone"), DeleteRange(b"gone")):
        state.apply(command)
    for _ in range(4):
        state.apply(Put(b"back", b"again"))
    return state


def history(state: StateMachine, first: int) -> list[object]:
    keyspace = state.keyspace
    return [
        (
            state.range(Range(b"\0", b"\0", revision=revision)).kvs,
            list(keyspace.events_of(revision)),
        )
        for revision in range(first, keyspace.revision + 1)
    ]


@pytest.mark.parametrize("compact_revision", [3, 12, 13, 14, 15, 17, 18, 21])
@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_what_is_freed_is_what_nobody_can_read(compact_revision: int, limit: int) -> None:
    state = with_history()
    state.apply(Compact(compact_revision))
    before = history(state, compact_revision)
    while not state.keyspace.prune(limit):
        pass
    assert history(state, compact_revision) == before
    assert state.keyspace.unpruned == 0
    # However it was freed, and however it got here, it takes the same room.
    copy = loaded(state)
    copy.keyspace.prune(1000)
    assert history(copy, compact_revision) == before
    assert copy.keyspace.size_bytes == state.keyspace.size_bytes


def test_a_loaded_state_goes_on_and_is_compacted_as_the_one_it_came_from() -> None:
    state = with_history()
    state.apply(Compact(9))
    copy = loaded(state)
    for each in (state, copy):
        for command in (Put(b"gone"), Put(b"often"), DeleteRange(b"back"), Compact(22)):
            each.apply(command)
        while not each.keyspace.prune(2):
            pass
    assert history(copy, 22) == history(state, 22)


def test_a_key_that_ended_is_forgotten_and_comes_back_once() -> None:
    state = with_history()
    state.apply(Compact(21))
    assert state.keyspace.prune(1000)
    for value in (b"1", b"2"):
        state.apply(Put(b"gone", value))
    found = state.range(Range(b"\0", b"\0", revision=22)).kvs
    assert [(kv.key, kv.version) for kv in found] == [(b"back", 4), (b"gone", 1), (b"often", 12)]


@pytest.mark.parametrize("revision", [6, 7, 8])
def test_what_an_event_replaced_is_told_where_it_can_be_read(revision: int) -> None:
    state = with_history()
    whole = list(state.keyspace.events_of(revision))
    state.apply(Compact(6))
    (event,) = state.keyspace.events_of(revision)
    assert event.kv == whole[0].kv
    assert event.prev == (whole[0].prev if revision > 6 else None)


@pytest.mark.parametrize("command", [Put(b"x", ignore_value=True), Put(b"x", ignore_lease=True)])
def test_what_is_to_be_kept_of_a_key_that_is_not_there_is_refused(command: Put) -> None:
    state = with_history()
    for refused in (command, Txn([], [command]), Txn([], [Txn([], [command])])):
        with pytest.raises(KeyNotFound):
            state.apply(refused)
    assert state.keyspace.revision == 21


@pytest.mark.parametrize(
    "command", [Txn([], [DeleteRange(b"none")]), Txn([], []), DeleteRange(b"none")]
)
def test_what_changes_nothing_takes_no_revision(command: Command) -> None:
    state = with_history()
    result, events = state.apply(command)
    assert (result.revision, list(events), state.keyspace.revision) == (21, [], 21)
    state.apply(Put(b"next"))
    assert [kv.key for kv in state.keyspace.changes_of(22)] == [b"next"]


def test_a_transaction_that_reads_is_refused_where_a_read_is() -> None:
    state = with_history()
    state.apply(Compact(9))
    for revision, error in ((22, FutureRevision), (8, Compacted)):
        read = Range(b"often", revision=revision)
        for txn in (Txn([], [read]), Txn([], [Txn([], [read])])):
            with pytest.raises(error):
                state.read_txn(txn)
            with pytest.raises(error):
                state.apply(txn)


def test_what_a_put_is_to_keep_it_keeps_and_its_lease_with_it() -> None:
    state = StateMachine()
    for lease_id in (5, 6):
        state.apply(LeaseGrant(lease_id, 60))
    state.apply(Put(b"k", b"1", lease=5))
    state.apply(Put(b"k", b"2", ignore_lease=True))
    assert (state.keyspace.live[b"k"].value, state.leases.keys(5)) == (b"2", [b"k"])
    state.apply(Put(b"k", lease=6, ignore_value=True))
    assert state.keyspace.live[b"k"].value == b"2"
    assert (state.leases.keys(5), state.leases.keys(6)) == ([], [b"k"])
    state.apply(Put(b"k", b"3"))
    assert (state.keyspace.live[b"k"].lease, state.leases.keys(6)) == (0, [])
    state.apply(Put(b"k", b"4", lease=6))
    state.apply(DeleteRange(b"k"))
    assert state.leases.keys(6) == []


@pytest.mark.parametrize("refused", [Put(b"n", lease=9), Put(b"n", ignore_value=True)])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_branch_that_is_refused_leaves_nothing_of_the_others(refused: Put, depth: int) -> None:
    state = with_history()
    before = history(state, 2)
    inner: list[Operation] = [Put(b"other"), refused]
    for _ in range(depth):
        inner = [Put(b"more"), Txn([], inner)]
    with pytest.raises((LeaseNotFound, KeyNotFound)):
        state.apply(Txn([], inner))
    assert history(state, 2) == before
    # What is on the branch that is not taken is not asked.
    never = Compare(b"gone", CompareTarget.VERSION, CompareOperator.GREATER, 0)
    result, events = state.apply(Txn([never], inner, [Put(b"else")]))
    assert isinstance(result, TxnResult)
    assert (result.succeeded, [event.kv.key for event in events]) == (False, [b"else"])


def test_each_answer_of_a_transaction_is_of_the_revision_it_saw() -> None:
    state = with_history()
    operations: list[Operation] = [
        Range(b"k"),
        DeleteRange(b"none"),
        Put(b"k", b"v"),
        Range(b"k"),
        DeleteRange(b"k"),
        Txn([], [Range(b"k")]),
    ]
    result, _ = state.apply(Txn([], operations))
    assert isinstance(result, TxnResult)
    assert [one.revision for one in result.results] == [21, 21, 22, 22, 22, 22]
    seen = [[kv.value for kv in r.kvs] for r in result.results if isinstance(r, RangeResult)]
    assert seen == [[], [b"v"]]


def test_who_was_removed_stays_removed_in_every_copy() -> None:
    state = StateMachine()
    records = [MemberRecord(n, f"m{n}", (f"http://m{n}:1",), (), is_learner=False) for n in (1, 2)]
    state.apply_membership(MembershipChange(Membership((1, 2)), encode_members(records)))
    state.apply_membership(MembershipChange(Membership((1,))))
    assert (state.removed, loaded(state).removed) == ({2}, {2})
