"""The oracle of the simulator: a right history passes, and each wrong one is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sim.history import Change, History, KeepAlive, Operation, Outcome, Seen, WatchLog
from sim.model import Kv, Timeline, answer_of, evaluate
from sim.oracle import judge

from raftstore.mvcc import (
    Compact,
    Compare,
    CompareOperator,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    Empty,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    PutResult,
    Range,
    RangeResult,
    StateMachine,
    Txn,
    TxnResult,
)

Spoil = Callable[[History], None]


class Store:
    """A faultless store that takes a second for each request, and writes the history."""

    def __init__(self) -> None:
        self.history = History(rate_max=1.1)
        self.timeline = Timeline()
        self.now_s = 0.0

    def ask(
        self, request: Any, outcome: Outcome = Outcome.OK, *, happens: bool = True
    ) -> Operation:
        number = len(self.history.operations)
        self.now_s += 0.001
        operation = Operation(number, f"client {number % 3}", "m1.1", request, self.now_s)
        self.history.operations.append(operation)
        if happens and not isinstance(request, Compact | LeaseGrant | KeepAlive):
            answer, changes = evaluate(self.timeline, self.timeline.revision, request)
            if changes:
                self.change(changes)
            operation.result = _result(answer, self.timeline.revision)
        elif isinstance(request, KeepAlive):
            operation.result = 10
        else:
            operation.result = Empty(self.timeline.revision)
        self.now_s += 1
        operation.outcome = outcome
        if outcome is Outcome.OK:
            operation.returned_s = self.now_s
            operation.revision = self.timeline.revision
        return operation

    def refuse(self, request: Any, error: str) -> Operation:
        operation = self.ask(request, Outcome.REFUSED, happens=False)
        operation.error, operation.returned_s = error, self.now_s
        return operation

    def change(self, changes: list[Kv]) -> None:
        self.timeline.append(changes)
        self.history.seen.append(Seen(tuple(changes), self.now_s + 0.5, "m1.1"))

    def watch(self, key: bytes, range_end: bytes, first: int) -> WatchLog:
        log = WatchLog("client 0", "m1.1", key, range_end, first, upto=self.timeline.revision)
        for revision in range(max(first, 2), self.timeline.revision + 1):
            said = [
                Change(kv, self.timeline.at(kv.key, revision - 1))
                for kv in self.timeline.changes(revision)
                if key <= kv.key < range_end
            ]
            if said:
                log.heard.append((revision, said))
        self.history.watches.append(log)
        return log


def _result(answer: Any, revision: int) -> Any:
    kind = answer[0]
    if kind == "put":
        return PutResult(revision, _kv(answer[1]))
    if kind == "delete":
        return DeleteRangeResult(revision, answer[1], [_kv(kv) for kv in answer[2]])
    if kind == "range":
        return RangeResult(revision, [_kv(kv) for kv in answer[1]], answer[2], answer[3])
    if kind == "txn":
        return TxnResult(revision, answer[1], [_result(inner, revision) for inner in answer[2]])
    return Empty(revision)


def _kv(kv: Kv | None) -> Any:
    return None if kv is None else KeyValue(*kv)


IS_V1 = Compare(b"a", CompareTarget.VALUE, CompareOperator.EQUAL, b"v1")


def right() -> History:
    """One of everything."""
    store = Store()
    ask = store.ask
    ask(Put(b"a", b"v1"))  # 0: revision 2
    ask(LeaseGrant(7, 10))  # 1
    ask(Put(b"b", b"v2", 7))  # 2: revision 3
    ask(Range(b"a", b"z"))  # 3
    ask(Txn([IS_V1], [Put(b"a", b"v3"), Range(b"a", b"z")], [DeleteRange(b"a")]))  # 4: revision 4
    ask(Put(b"c", b"v4"), Outcome.UNKNOWN)  # 5: revision 5
    ask(Put(b"d", b"v5"), Outcome.UNKNOWN, happens=False)  # 6
    ask(DeleteRange(b"c", b"d", prev_kv=True))  # 7: revision 6
    ask(DeleteRange(b"nothing"))  # 8
    ask(KeepAlive(7))  # 9: at 9 s
    ask(Range(b"a", revision=3))  # 10
    ask(Compact(3))  # 11
    store.refuse(Range(b"a", revision=2), "Compacted")  # 12
    store.refuse(Put(b"x", b"v6", 9), "LeaseNotFound")  # 13
    store.refuse(Put(b"nothing", ignore_value=True), "KeyNotFound")  # 14
    ask(Put(b"a", b"v7"))  # 15: revision 7
    store.now_s = 30.0
    store.change([Kv(b"b", b"", 0, 8, 0)])  # the lease is over: revision 8
    store.now_s = 31.0
    ask(LeaseGrant(8, 10))  # 16
    ask(Put(b"e", b"v8", 8))  # 17: revision 9
    ask(LeaseRevoke(8))  # 18: revision 10
    ask(DeleteRange(b"a"), Outcome.UNKNOWN)  # 19: revision 11
    ask(Range(b"a", b"z"))  # 20
    store.watch(b"a", b"z", 4)
    store.watch(b"a", b"b", 0)
    return store.history


def test_a_right_history_passes() -> None:
    assert judge(right()) == []


def _lose_a_write(history: History) -> None:
    """The last revision is gone, with the read that saw it."""
    del history.operations[19:], history.seen[-1], history.watches[:]
    del history.seen[-1]


def _answer_wrongly(history: History) -> None:
    read = history.operations[3]
    read.result = msgspec.structs.replace(read.result, kvs=read.result.kvs[:1])


def _read_the_past(history: History) -> None:
    read = history.operations[20]
    read.result, read.revision = RangeResult(2, [KeyValue(b"a", b"v1", 2, 2, 1)], 1), 2


def _give_a_revision_twice(history: History) -> None:
    again = replace(history.operations[0], number=99)
    history.operations.append(again)


def _do_it_twice(history: History) -> None:
    """The write that got no answer is done again: etcd's client must never see that."""
    history.seen.append(Seen((Kv(b"c", b"v4", 12, 12, 1),), 50.0, "m1.1"))


def _do_what_was_not_done(history: History) -> None:
    history.operations[5].outcome = Outcome.NOT_DONE


def _do_what_was_refused(history: History) -> None:
    history.seen.append(Seen((Kv(b"x", b"v6", 12, 12, 1),), 50.0, "m1.1"))


def _do_what_nobody_asked(history: History) -> None:
    history.seen.append(Seen((Kv(b"q", b"?", 12, 12, 1),), 50.0, "m1.1"))


def _delete_what_nobody_deleted(history: History) -> None:
    history.operations[19].outcome = Outcome.NOT_DONE


def _delete_before_it_was_asked(history: History) -> None:
    history.operations[19].invoked_s = 60.0


def _take_the_wrong_branch(history: History) -> None:
    txn = history.operations[4]
    txn.result = TxnResult(4, False, [DeleteRangeResult(4, 1, [])])


def _see_only_half_of_a_txn(history: History) -> None:
    txn = history.operations[4]
    inner = msgspec.structs.replace(txn.result.results[1], kvs=[KeyValue(b"a", b"v1", 2, 2, 1)])
    txn.result = TxnResult(4, True, [txn.result.results[0], inner])


def _reuse_a_version(history: History) -> None:
    old = history.seen[5]
    history.seen[5] = replace(old, changes=(old.changes[0]._replace(version=2),))


def _end_the_lease_early(history: History) -> None:
    """Asked to live on at 9 s, for 10 s of a clock at most 1.1 times too fast."""
    history.seen[6] = replace(history.seen[6], first_s=17.9)


def _leave_the_leases_keys(history: History) -> None:
    """Half a lease's end: one key of two."""
    history.seen[6] = replace(history.seen[6], changes=(Kv(b"a", b"", 0, 8, 0),))


def _outlive_the_lease(history: History) -> None:
    del history.seen[6:], history.operations[16:], history.watches[:]
    history.leases_over_s, history.end_s = 50.0, 60.0


def _hang_on_an_ended_lease(history: History) -> None:
    history.operations[17].request = Put(b"e", b"v8", 7)
    seen = history.seen[7]
    history.seen[7] = replace(seen, changes=(seen.changes[0]._replace(lease=7),))


def _refuse_a_living_lease(history: History) -> None:
    refused = history.operations[13]
    refused.request = Put(b"x", b"v6", 7)


def _refuse_a_key_that_is_there(history: History) -> None:
    history.operations[14].request = Put(b"a", ignore_value=True)


def _refuse_what_is_not_compacted(history: History) -> None:
    history.operations[12].request = Range(b"a", revision=3)


def _read_what_is_compacted(history: History) -> None:
    read = history.operations[12]
    read.outcome, read.error, read.revision = Outcome.OK, "", 6
    read.request = Range(b"a", revision=2)
    read.result = RangeResult(6, [KeyValue(b"a", b"v1", 2, 2, 1)], 1)


def _refuse_a_past_as_future(history: History) -> None:
    history.operations[12].error = "FutureRevision"


def _go_back_on_one_member(history: History) -> None:
    read = history.operations[10]
    read.linearizable, read.revision = False, 4
    history.operations[9].revision = 6


def _skip_an_event(history: History) -> None:
    del history.watches[0].heard[1]


def _skip_the_last_event(history: History) -> None:
    del history.watches[1].heard[-1]


def _repeat_an_event(history: History) -> None:
    heard = history.watches[0].heard
    heard.insert(2, heard[1])


def _swap_events(history: History) -> None:
    heard = history.watches[0].heard
    heard[0], heard[1] = heard[1], heard[0]


def _halve_an_event(history: History) -> None:
    history.watches[0].heard[0] = (history.watches[0].heard[0][0], [])


def _hear_of_the_past(history: History) -> None:
    history.watches[0].heard.insert(0, (2, [Change(Kv(b"a", b"v1", 2, 2, 1), None)]))


def _hear_of_what_never_was(history: History) -> None:
    history.watches[0].heard.append((40, [Change(Kv(b"a", b"v1", 40, 40, 1), None)]))


def _tell_a_wrong_prev(history: History) -> None:
    heard = history.watches[0].heard
    place = next(i for i, (revision, _) in enumerate(heard) if revision == 7)
    heard[place] = (7, [replace(heard[place][1][0], prev=Kv(b"a", b"v1", 2, 2, 1))])


SPOILT: list[tuple[Spoil, str]] = [
    (_lose_a_write, "lost, or never was"),
    (_answer_wrongly, "wrong answer"),
    (_read_the_past, "stale"),
    (_give_a_revision_twice, "given twice"),
    (_do_it_twice, "had already"),
    (_do_what_was_not_done, "cannot have had"),
    (_do_what_was_refused, "cannot have had"),
    (_do_what_nobody_asked, "nobody asked"),
    (_delete_what_nobody_deleted, "nobody asked"),
    (_delete_before_it_was_asked, "nobody asked"),
    (_take_the_wrong_branch, "wrong answer"),
    (_see_only_half_of_a_txn, "wrong answer"),
    (_reuse_a_version, "does not follow"),
    (_end_the_lease_early, "too early"),
    (_leave_the_leases_keys, "nobody asked"),
    (_outlive_the_lease, "is still there"),
    (_hang_on_an_ended_lease, "had ended"),
    (_refuse_a_living_lease, "refused without a reason"),
    (_refuse_a_key_that_is_there, "refused without a reason"),
    (_refuse_what_is_not_compacted, "refused without a reason"),
    (_read_what_is_compacted, "had compacted"),
    (_refuse_a_past_as_future, "refused without a reason"),
    (_go_back_on_one_member, "went back"),
    (_skip_an_event, "heard"),
    (_skip_the_last_event, "heard"),
    (_repeat_an_event, "after"),
    (_swap_events, "after"),
    (_halve_an_event, "heard"),
    (_hear_of_the_past, "from before its start"),
    (_hear_of_what_never_was, "never was"),
    (_tell_a_wrong_prev, "which replaced"),
]


@pytest.mark.parametrize(("spoil", "complaint"), SPOILT, ids=[s.__name__[1:] for s, _ in SPOILT])
def test_a_wrong_history_is_refused(spoil: Spoil, complaint: str) -> None:
    history = right()
    spoil(history)
    complaints = judge(history)
    assert any(complaint in line for line in complaints), complaints


def test_the_model_says_what_the_store_says() -> None:
    """The two were written apart; here they are given the same."""
    state, timeline = StateMachine(), Timeline()
    requests = [o.request for o in right().operations if isinstance(o.request, Put | DeleteRange)]
    nested = Txn([IS_V1], [Txn([], [Put(b"n", b"1")], []), Range(b"a", b"z", limit=1)], [])
    for request in [Put(b"a", b"v1"), nested, *requests, DeleteRange(b"a", b"\0", prev_kv=True)]:
        if isinstance(request, Put) and (request.lease or request.ignore_value):
            continue
        answer, changes = evaluate(timeline, timeline.revision, request)
        if changes:
            timeline.append(changes)
        result, _ = state.apply(request)
        assert (answer_of(result), result.revision) == (answer, timeline.revision)
