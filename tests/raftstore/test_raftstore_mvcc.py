"""The state machine against a naive one, by chance, and etcd's rules one by one, by table."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_store import NaiveStore, Refused

from raftstore.mvcc import (
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    Empty,
    Event,
    LeaseGrant,
    LeaseRevoke,
    MvccError,
    Put,
    PutResult,
    Range,
    RangeResult,
    SortOrder,
    SortTarget,
    StateMachine,
    Txn,
    TxnResult,
    WatchHub,
    decode_proposal,
    encode_proposal,
)
from raftstore.mvcc import errors as mvcc_errors
from raftstore.mvcc.check import TXN_OPS_MAX, check_put, check_range, check_txn
from raftstore.mvcc.snapshot import Head, Loader, SnapshotMismatch, stream
from raftstore.mvcc.sortedkeys import BLOCK_KEYS_MAX, SortedKeys
from raftstore.mvcc.statemachine import is_read_only

KEYS = st.sampled_from([b"a", b"a/1", b"a/2", b"a/2/x", b"b", b"c", b"\xff\xff"])
ENDS = st.sampled_from([b"", b"", b"\0", b"a0", b"b", b"d", b"a"])
VALUES = st.binary(max_size=3)
LEASES = st.sampled_from([0, 0, 0, 1, 2, 3])

puts = st.builds(
    Put, KEYS, VALUES, LEASES, st.booleans(), ignore_value=st.booleans(), ignore_lease=st.booleans()
)
plain_puts = st.builds(Put, KEYS, VALUES, st.just(0), st.booleans())
deletes = st.builds(DeleteRange, KEYS, ENDS, st.booleans())
ranges = st.builds(
    Range,
    KEYS,
    ENDS,
    st.integers(0, 3),
    st.sampled_from([0, 0, 0, 2, 3, 5, 8, 13, 40]),
    st.sampled_from(SortOrder),
    st.sampled_from(SortTarget),
    st.booleans(),
    st.booleans(),
    *([st.sampled_from([0, 0, 0, 2, 5, 9])] * 4),
)
present_ranges = st.builds(Range, KEYS, ENDS, st.integers(0, 3))


@st.composite
def compares(draw: st.DrawFn) -> Compare:
    target = draw(st.sampled_from(CompareTarget))
    value = draw(VALUES if target is CompareTarget.VALUE else st.integers(0, 12))
    return Compare(draw(KEYS), target, draw(st.sampled_from(CompareOperator)), value, draw(ENDS))


operations = st.one_of(puts, plain_puts, deletes, ranges, present_ranges)
inner_txns = st.builds(
    Txn,
    st.lists(compares(), max_size=1),
    st.lists(operations, max_size=2),
    st.lists(operations, max_size=2),
)
txns = st.builds(
    Txn,
    st.lists(compares(), max_size=2),
    st.lists(st.one_of(operations, inner_txns), max_size=3),
    st.lists(operations, max_size=3),
)
commands = st.one_of(
    plain_puts,
    plain_puts,
    puts,
    deletes,
    txns,
    st.builds(Compact, st.integers(1, 9)),
    st.builds(LeaseGrant, st.integers(1, 3), st.integers(1, 60)),
    st.builds(LeaseRevoke, st.integers(1, 3)),
)


def plain(command: object, result: object) -> object:
    """A result in the naive store's terms."""
    if isinstance(result, Empty):
        return None
    if isinstance(result, PutResult):
        return result.prev_kv
    if isinstance(result, DeleteRangeResult):
        return result.deleted, result.prev_kvs
    if isinstance(result, RangeResult):
        return result.kvs, result.count, result.more
    assert isinstance(result, TxnResult)
    return result.succeeded, [plain(None, part) for part in result.results]


class Pair:
    """Both stores, fed the same; watches of the real one, with what they heard."""

    def __init__(self) -> None:
        self.real = StateMachine()
        self.naive = NaiveStore()
        self.hub = WatchHub(self.real.keyspace, _raise)
        self.watches: list[tuple[bytes, bytes, int, list[tuple]]] = []

    def feed(self, command: object) -> None:
        try:
            expected, events = self.naive.apply(command)
        except Refused as refused:
            revision = self.real.keyspace.revision
            with pytest.raises(getattr(mvcc_errors, str(refused))):
                self.real.apply(decode_proposal(encode_proposal(1, command)).command)
            assert self.real.keyspace.revision == revision
            return
        result, seen = self.real.apply(decode_proposal(encode_proposal(1, command)).command)
        assert plain(command, result) == expected
        assert list(seen) == events
        assert result.revision == self.naive.revision == self.real.keyspace.revision
        if seen:
            self.hub.publish(self.real.keyspace.revision, seen)

    def watch(self, key: bytes, end: bytes, start: int) -> None:
        heard: list[tuple] = []
        first = start or self.naive.revision + 1

        def sink(events: list[Event], revision: int) -> None:
            assert all(e.kv.mod_revision == revision for e in events)
            heard.append((revision, [(e.kv, e.deleted) for e in events]))

        if 0 < start < self.naive.compacted:
            with pytest.raises(mvcc_errors.Compacted):
                self.hub.watch(key, end, start, sink)
            return
        self.hub.watch(key, end, start, sink)
        self.watches.append((key, end, first, heard))

    def reload(self) -> None:
        """As after a restart from a snapshot: the watches are gone with the old state."""
        self.check_watches()
        loader = Loader()
        for data in stream(self.real):
            loader.feed(data)
        self.real = loader.finish()
        self.hub = WatchHub(self.real.keyspace, _raise)
        self.watches = []

    def check(self) -> None:
        self.check_watches()
        self.check_ranges()
        assert self.real.keyspace.prune(1000)
        self.check_ranges()

    def check_ranges(self) -> None:
        for revision in range(max(1, self.naive.compacted), self.naive.revision + 1):
            request = Range(b"\0", b"\0", revision=revision)
            assert plain(None, self.real.range(request)) == self.naive.range(request)
        everything = self.real.keyspace
        assert sorted(everything.live) == everything.live_keys.slice(b"", None)
        assert {i for i in (1, 2, 3) if i in self.real.leases} == self.naive.leases
        for lease in self.naive.leases:
            attached = [k for k, kv in sorted(self.naive.states[-1].items()) if kv.lease == lease]
            assert self.real.leases.keys(lease) == attached

    def check_watches(self) -> None:
        while not self.hub.catch_up(2):
            pass
        for key, end, first, heard in self.watches:
            assert heard == self.naive.heard(key, end, first, self.naive.revision)


def _raise(error: Exception) -> None:
    raise error


steps = st.one_of(
    commands,
    commands,
    commands,
    commands,
    ranges,
    st.tuples(st.just("watch"), KEYS, ENDS, st.integers(0, 12)),
    st.tuples(st.just("catch up"), st.integers(1, 3)),
    st.tuples(st.just("compact"), st.integers(0, 4)),
    st.tuples(st.just("prune"), st.sampled_from([1, 3, 100])),
    st.tuples(st.just("watch compacted"), KEYS, ENDS),
    st.just(("reload",)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=8, max_size=50))
def test_behaves_as_the_naive_store(script: list[object]) -> None:
    pair = Pair()
    for step in script:
        if isinstance(step, Range):
            try:
                expected = pair.naive.range(step)
            except Refused as refused:
                with pytest.raises(getattr(mvcc_errors, str(refused))):
                    pair.real.range(step)
            else:
                assert plain(step, pair.real.range(step)) == expected
        elif isinstance(step, tuple):
            run_step(pair, step)
        else:
            if isinstance(step, Txn):
                try:
                    check_txn(step)
                except MvccError:
                    continue
            pair.feed(step)
    pair.check()


def run_step(pair: Pair, step: tuple) -> None:
    if step[0] == "watch":
        _, key, end, start = step
        pair.watch(key, end, min(start, pair.naive.revision + 3))
    elif step[0] == "catch up":
        pair.hub.catch_up(step[1])
    elif step[0] == "watch compacted":
        pair.watch(step[1], step[2], pair.naive.compacted)
    elif step[0] == "compact":
        pair.feed(Compact(pair.naive.revision - step[1]))
    elif step[0] == "reload":
        pair.reload()
    elif not pair.hub.is_catching_up:
        pair.real.keyspace.prune(step[1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=300), st.data())
def test_sorted_keys_against_a_sorted_list(
    changes: list[tuple[bool, int]], data: st.DataObject
) -> None:
    keys, model = SortedKeys(), set()
    for add, number in changes:
        key = b"%03d" % number
        if add and key not in model:
            keys.add(key)
            model.add(key)
        elif not add and key in model:
            keys.remove(key)
            model.remove(key)
    in_order = sorted(model)
    start = b"%03d" % data.draw(st.integers(0, 400))
    end = data.draw(st.none() | st.integers(0, 400).map(lambda n: b"%03d" % n))
    expected = [k for k in in_order if k >= start and (end is None or k < end)]
    assert keys.slice(start, end) == expected
    assert keys.slice(start, end, 3) == expected[:3]
    assert keys.count(start, end) == len(expected)
    grown = SortedKeys()
    step = data.draw(st.integers(1, 700))
    for i in range(0, len(in_order), step):
        grown.extend(in_order[i : i + step])
    assert grown.slice(b"", None) == in_order
    assert grown.slice(start, end, 3) == expected[:3]
    assert len(grown) == len(in_order)


def test_sorted_keys_over_many_blocks() -> None:
    keys = SortedKeys()
    numbers = [n * 7919 % 10_007 for n in range(10_007)]
    for number in numbers:
        keys.add(b"%05d" % number)
    assert len(keys._blocks) > 10_007 // BLOCK_KEYS_MAX
    assert keys.slice(b"", None) == [b"%05d" % n for n in range(10_007)]
    assert keys.slice(b"02000", b"07000", 4000) == [b"%05d" % n for n in range(2000, 6000)]
    assert keys.count(b"02000", b"07000") == 5000
    for number in numbers:
        keys.remove(b"%05d" % number)
    assert keys.slice(b"", None) == []
    assert len(keys) == 0
    keys.add(b"again")
    assert keys.slice(b"", None) == [b"again"]


def filled() -> StateMachine:
    """Revisions 2 to 6: a, b, a again, b's end, c."""
    state = StateMachine()
    for command in (
        Put(b"a", b"1"),
        Put(b"b", b"1"),
        Put(b"a", b"2"),
        DeleteRange(b"b"),
        Put(b"c", b"1"),
    ):
        state.apply(command)
    return state


def test_revisions_and_versions() -> None:
    state = filled()
    assert state.keyspace.revision == 6
    (a, c) = state.range(Range(b"\0", b"\0")).kvs
    assert (a.create_revision, a.mod_revision, a.version) == (2, 4, 2)
    assert (c.create_revision, c.mod_revision, c.version) == (6, 6, 1)
    state.apply(Put(b"b", b"new"))
    (b,) = state.range(Range(b"b")).kvs
    assert (b.create_revision, b.version) == (7, 1)


def test_a_delete_of_nothing_makes_no_revision() -> None:
    state = filled()
    result, events = state.apply(DeleteRange(b"x", b"y"))
    assert (result.revision, list(events)) == (6, [])


def test_compaction_errors_are_etcds() -> None:
    state = filled()
    with pytest.raises(MvccError, match="etcdserver: mvcc: required revision is a future revision"):
        state.apply(Compact(7))
    state.apply(Compact(4))
    with pytest.raises(MvccError, match="etcdserver: mvcc: required revision has been compacted"):
        state.apply(Compact(4))
    with pytest.raises(mvcc_errors.Compacted) as refused:
        state.range(Range(b"a", revision=3))
    assert refused.value.compact_revision == 4
    assert state.range(Range(b"a", revision=4)).kvs[0].value == b"2"
    with pytest.raises(MvccError, match="future revision"):
        state.range(Range(b"a", revision=7))


def test_a_watch_from_the_compacted_revision_hears_a_deletion_there() -> None:
    """etcd-io/etcd#19179: the tombstone at the compacted revision was missed."""
    state = filled()
    state.apply(Compact(5))
    assert state.keyspace.prune(100)
    heard = []
    hub = WatchHub(state.keyspace, _raise)
    hub.watch(b"\0", b"\0", 5, lambda events, revision: heard.append((revision, list(events))))
    assert hub.catch_up(10)
    assert [(r, e[0].deleted, e[0].kv.key) for r, e in heard] == [(5, True, b"b"), (6, False, b"c")]
    with pytest.raises(mvcc_errors.Compacted):
        hub.watch(b"\0", b"\0", 4, print)


def test_pruning_frees_memory_in_slices() -> None:
    state = StateMachine()
    for number in range(100):
        state.apply(Put(b"key", b"%08d" % number))
    state.apply(Put(b"gone", b"12345678"))
    state.apply(DeleteRange(b"gone"))
    assert state.keyspace.size_bytes == 3 + 100 * 8 + 4 + 8
    state.apply(Compact(103))
    assert state.keyspace.unpruned == 101
    # The versions of the first key alone take some steps, and so does each key after it.
    for _ in range(3):
        assert not state.keyspace.prune(40)
        assert state.keyspace.size_bytes > 3 + 8
    assert state.keyspace.unpruned > 0
    assert state.keyspace.prune(200)
    assert state.keyspace.unpruned == 0
    assert state.keyspace.size_bytes == 3 + 8


def test_leases() -> None:
    state = StateMachine()
    with pytest.raises(MvccError, match="etcdserver: requested lease not found"):
        state.apply(Put(b"k", b"", 7))
    state.apply(LeaseGrant(7, 1))
    assert state.leases.ttl_s(7) == 2
    with pytest.raises(MvccError, match="etcdserver: lease already exists"):
        state.apply(LeaseGrant(7, 60))
    with pytest.raises(MvccError, match="etcdserver: too large lease TTL"):
        state.apply(LeaseGrant(8, 9_000_000_001))
    state.apply(Put(b"z", b"", 7))
    state.apply(Put(b"y", b"", 7))
    state.apply(Put(b"x", b"", 7))
    state.apply(Put(b"x", b""))
    assert state.leases.keys(7) == [b"y", b"z"]
    before = state.keyspace.revision
    result, events = state.apply(LeaseRevoke(7))
    assert [e.kv.key for e in events] == [b"y", b"z"]
    assert result.revision == before + 1
    with pytest.raises(MvccError, match="etcdserver: requested lease not found"):
        state.apply(LeaseRevoke(7))


def test_a_refused_transaction_changes_nothing() -> None:
    state = filled()
    for bad in (Put(b"q", b"", 99), Range(b"a", revision=99), Put(b"none", ignore_value=True)):
        with pytest.raises(MvccError):
            state.apply(Txn([], [Put(b"a", b"changed"), DeleteRange(b"c"), bad]))
    assert state.keyspace.revision == 6
    assert state.range(Range(b"a")).kvs[0].value == b"2"


def test_a_range_inside_a_transaction_sees_what_was_written_before_it() -> None:
    state = filled()
    result, _ = state.apply(Txn([], [Range(b"a"), Put(b"a", b"3"), Range(b"a")]))
    first, _, second = result.results
    assert (first.kvs[0].value, second.kvs[0].value) == (b"2", b"3")
    assert (first.revision, second.revision, result.revision) == (6, 7, 7)
    result, _ = state.apply(Txn([], [Put(b"a", b"4"), Range(b"a", revision=7)]))
    assert result.results[1].kvs[0].value == b"3"


E, G, L, N = (
    CompareOperator.EQUAL,
    CompareOperator.GREATER,
    CompareOperator.LESS,
    CompareOperator.NOT_EQUAL,
)


@pytest.mark.parametrize(
    ("key", "target", "operator", "value", "holds"),
    [
        (b"a", CompareTarget.VERSION, E, 2, True),
        (b"a", CompareTarget.VERSION, G, 2, False),
        (b"a", CompareTarget.CREATE, L, 3, True),
        (b"a", CompareTarget.MOD, N, 4, False),
        (b"a", CompareTarget.MOD, E, 4, True),
        (b"a", CompareTarget.VALUE, E, b"2", True),
        (b"a", CompareTarget.VALUE, G, b"1", True),
        (b"a", CompareTarget.LEASE, E, 0, True),
        (b"none", CompareTarget.VERSION, E, 0, True),
        (b"none", CompareTarget.MOD, E, 0, True),
        (b"none", CompareTarget.VALUE, N, b"x", False),
        (b"b", CompareTarget.CREATE, E, 0, True),
    ],
)
def test_compares(
    key: bytes, target: CompareTarget, operator: CompareOperator, value: int | bytes, holds: bool
) -> None:
    result, _ = filled().apply(Txn([Compare(key, target, operator, value)], [], []))
    assert result.succeeded is holds


@pytest.mark.parametrize(
    ("success", "refused"),
    [
        ([Put(b"k"), Put(b"k")], True),
        ([Put(b"k"), DeleteRange(b"k")], True),
        ([Put(b"k"), DeleteRange(b"a", b"z")], True),
        ([Put(b"k"), DeleteRange(b"a", b"\0")], True),
        ([Put(b"k"), DeleteRange(b"a", b"k")], False),
        ([DeleteRange(b"k"), DeleteRange(b"k")], False),
        ([Txn([], [Put(b"k")], [Put(b"k")])], False),
        ([Put(b"k"), Txn([], [Put(b"k")])], True),
        ([Txn([], [Put(b"k")]), Txn([], [Put(b"k")])], True),
        ([DeleteRange(b"k"), Txn([], [Put(b"k")])], True),
        ([Put(b"k"), Txn([], [DeleteRange(b"k")])], True),
    ],
)
def test_no_key_is_written_twice_in_a_transaction(success: list, refused: bool) -> None:
    if refused:
        with pytest.raises(MvccError, match="etcdserver: duplicate key given in txn request"):
            check_txn(Txn([], success))
    else:
        check_txn(Txn([], success))


@pytest.mark.parametrize(
    ("txn", "text"),
    [
        (Txn([], [Put(b"")]), "etcdserver: key is not provided"),
        (Txn([Compare(b"", CompareTarget.MOD, E, 0)], [Put(b"a")]), "key is not provided"),
        (Txn([], [Put(b"%d" % n) for n in range(TXN_OPS_MAX + 1)]), "too many operations in txn"),
        (Txn([], [Txn([], [Range(b"")])]), "key is not provided"),
        (Txn([], [Put(b"a", b"v", ignore_value=True)]), "etcdserver: value is provided"),
        (Txn([], [Put(b"a", b"", 5, ignore_lease=True)]), "etcdserver: lease is provided"),
    ],
)
def test_malformed_transactions(txn: Txn, text: str) -> None:
    with pytest.raises(MvccError, match=text):
        check_txn(txn)


def test_a_compare_with_a_value_of_another_type_never_reaches_the_log() -> None:
    for bad in (
        Compare(b"k", CompareTarget.VALUE, E, 1),
        Compare(b"k", CompareTarget.MOD, G, b"1"),
    ):
        for success in ([Put(b"k")], [Put(b"k"), Put(b"l")], [Txn([bad], [])]):
            with pytest.raises(TypeError):
                check_txn(Txn([bad], success))


def test_many_ranges_are_told_apart() -> None:
    state = StateMachine()
    hub = WatchHub(state.keyspace, _raise)
    heard: dict[tuple[bytes, bytes], int] = {}
    ranges = [(b"%d" % a, b"%d" % b) for a in range(1, 9) for b in range(1, 9)]
    for watched in [*ranges, (b"0", b"\0"), (b"5", b""), (b"2", b"2\0")]:

        def sink(events: list[Event], revision: int, watched=watched) -> None:
            heard[watched] = heard.get(watched, 0) + 1

        hub.watch(*watched, 0, sink)
    for key in (b"0", b"2", b"25", b"5", b"9", b"8"):
        heard.clear()
        _, events = state.apply(Put(key))
        hub.publish(state.keyspace.revision, events)
        expected = {r for r in ranges if r[0] <= key < r[1]} | {(b"0", b"\0")}
        expected |= {(b"5", b"")} if key == b"5" else set()
        expected |= {(b"2", b"2\0")} if key == b"2" else set()
        assert heard == dict.fromkeys(expected, 1)


def test_a_key_put_and_deleted_in_one_revision() -> None:
    state = filled()
    heard: list[Event] = []
    txn = Txn([], [Txn([], [Put(b"n", b"1")]), Txn([], [DeleteRange(b"n")])])
    check_txn(txn)
    _, events = state.apply(txn)
    hub = WatchHub(state.keyspace, _raise)
    hub.watch(b"n", b"", 7, lambda events, revision: heard.extend(events))
    hub.catch_up(10)
    assert list(events) == heard
    assert [event.deleted for event in heard] == [False, True]
    assert heard[1].prev == heard[0].kv
    assert state.range(Range(b"n", revision=7)).kvs == []
    assert _load(stream(state)).keyspace.live == state.keyspace.live


def test_malformed_requests() -> None:
    with pytest.raises(MvccError, match="key is not provided"):
        check_range(Range(b""))
    with pytest.raises(MvccError, match="key is not provided"):
        check_put(Put(b""))


def test_read_only_transactions_are_known() -> None:
    assert is_read_only(Txn([], [Range(b"a")], [Txn([], [Range(b"b")])]))
    assert not is_read_only(Txn([], [Range(b"a")], [Put(b"b")]))
    assert not is_read_only(Txn([], [Txn([], [DeleteRange(b"b")])]))


def test_a_watcher_that_raises_does_not_silence_the_others() -> None:
    state, raised, heard = StateMachine(), [], []
    hub = WatchHub(state.keyspace, raised.append)

    def broken(events: list[Event], revision: int) -> None:
        raise ValueError("broken sink")

    hub.watch(b"k", b"", 0, broken)
    hub.watch(b"k", b"l", 0, lambda events, revision: heard.append(revision))
    _, events = state.apply(Put(b"k"))
    hub.publish(2, events)
    assert heard == [2]
    assert [str(error) for error in raised] == ["broken sink"]


def test_a_cancelled_watcher_hears_nothing_more_even_within_a_revision() -> None:
    state = StateMachine()
    hub = WatchHub(state.keyspace, _raise)
    heard: list[str] = []
    watchers = {}

    def sink_of(name: str, other: str):
        def sink(events: list[Event], revision: int) -> None:
            heard.append(name)
            watchers[other].cancel()

        return sink

    watchers["one"] = hub.watch(b"k", b"l", 0, sink_of("one", "two"))
    watchers["two"] = hub.watch(b"k", b"", 0, sink_of("two", "one"))
    for _ in range(2):
        _, events = state.apply(Put(b"k"))
        hub.publish(state.keyspace.revision, events)
    assert len(set(heard)) == 1
    assert len(heard) == 2
    assert hub.watcher_count == 1


def test_a_watcher_cancelled_while_it_catches_up_holds_nothing_back() -> None:
    state = filled()
    hub = WatchHub(state.keyspace, _raise)
    watcher = hub.watch(b"a", b"", 2, lambda events, revision: watcher.cancel())
    assert hub.is_catching_up
    assert hub.catch_up(100)
    assert (hub.watcher_count, hub.is_catching_up) == (0, False)
    watcher.cancel()
    assert hub.watcher_count == 0


def test_a_snapshot_is_of_one_revision_though_writes_go_on() -> None:
    state = filled()
    state.apply(LeaseGrant(5, 60))
    state.apply(Compact(4))
    state.keyspace.prune(100)
    slices = stream(state)
    taken = [next(slices)]
    for number, data in enumerate(slices):
        taken.append(data)
        state.apply(Put(b"a", b"later%d" % number))
        state.apply(Put(b"new%d" % number, b""))
        state.apply(DeleteRange(b"c"))
    loader = Loader()
    for data in taken:
        loader.feed(data)
    loaded = loader.finish()
    assert loaded.keyspace.revision == 6
    assert [kv.key for kv in loaded.range(Range(b"\0", b"\0")).kvs] == [b"a", b"c"]
    assert loaded.range(Range(b"b", revision=4)).kvs[0].value == b"1"
    assert loaded.leases.ttl_s(5) == 60


def test_a_loaded_snapshot_can_be_watched_from_the_compacted_revision() -> None:
    state = filled()
    state.apply(Compact(5))
    loaded = _load(stream(state))
    heard = []
    hub = WatchHub(loaded.keyspace, _raise)
    hub.watch(b"\0", b"\0", 5, lambda events, revision: heard.append((revision, events[0].kv.key)))
    assert hub.catch_up(10)
    assert heard == [(5, b"b"), (6, b"c")]


def test_a_snapshot_with_a_slice_missing_is_refused() -> None:
    slices = [data for data in stream(filled()) if data]
    for missing in (0, len(slices) - 1):
        with pytest.raises(SnapshotMismatch):
            _load(data for place, data in enumerate(slices) if place != missing)


def _load(slices) -> StateMachine:
    loader = Loader()
    for data in slices:
        loader.feed(data)
    return loader.finish()


def test_a_snapshot_says_nothing_of_term_or_vote() -> None:
    assert Head.__struct_fields__ == (
        "revision",
        "compact_revision",
        "leases",
        "members",
        "alarms",
        "removed",
    )
