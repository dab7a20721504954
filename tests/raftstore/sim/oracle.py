"""Judges a history: strictly serializable, nothing acknowledged lost, nothing done twice, watches
whole, leases not ended early.

etcd's revisions order all writes, so there is little to search: an answer names the revision it was
given at, and the model says what it must have been there. A write whose outcome is not known, or a
lease that ran out, must explain each revision that no answer explains, and each of them only one.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from raftstore.mvcc import (
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    Txn,
)
from sim.history import Change, History, KeepAlive, Operation, Outcome, WatchLog
from sim.model import (
    FIRST_REVISION,
    Kv,
    Refused,
    Timeline,
    answer_of,
    evaluate,
    inside,
    wrote,
)

WRITES = (Put, DeleteRange, Txn, LeaseRevoke)


@dataclass(frozen=True)
class _LeaseEnd:
    """The leader ends a lease because its time is over: at most once."""

    lease: int


def judge(history: History) -> list[str]:
    """What is wrong with it, one line each; none: nothing."""
    return list(_Trial(history).complaints())


class _Trial:
    def __init__(self, history: History) -> None:
        self._history = history
        self._timeline = Timeline()
        for seen in history.seen:
            self._timeline.append(seen.changes)
        self._last = self._timeline.revision
        self._seen_s = [0.0, *(seen.first_s for seen in history.seen)]
        self._ok = [o for o in history.operations if o.outcome is Outcome.OK]
        answered = sorted((o.returned_s, o.revision) for o in self._ok)
        self._answered_s = [returned_s for returned_s, _ in answered]
        self._highest = list(accumulate((revision for _, revision in answered), max))
        # Revision: the operation that said it made it.
        self._made: dict[int, Operation] = {}
        # Lease: the revision at which it took its keys along, and whether its time ran out.
        self._ended: dict[int, tuple[int, bool]] = {}
        self._ends: dict[int, _LeaseEnd] = {}
        self._compacts = [
            o
            for o in history.operations
            if isinstance(o.request, Compact) and o.outcome in (Outcome.OK, Outcome.UNKNOWN)
        ]

    def complaints(self) -> Iterator[str]:
        yield from self._check_revisions()
        for operation in self._ok:
            yield from self._check_answer(operation)
        yield from self._explain_the_rest()
        for operation in self._history.operations:
            if operation.outcome is Outcome.REFUSED:
                yield from self._check_refusal(operation)
        yield from self._check_own_order()
        yield from self._check_compactions()
        yield from self._check_leases()
        for watch in self._history.watches:
            yield from self._check_watch(watch)

    # -- time

    def _floor(self, operation: Operation) -> int:
        """The last revision that anybody could have known of when it was invoked: from an answer,
        or because a member let it be seen."""
        seen = bisect_left(self._seen_s, operation.invoked_s) - 1 + FIRST_REVISION
        answers = bisect_left(self._answered_s, operation.invoked_s)
        return max(seen, self._highest[answers - 1] if answers else 0)

    def _ceiling(self, operation: Operation) -> int:
        return bisect_right(self._seen_s, operation.returned_s) - 1 + FIRST_REVISION

    def _seen_at(self, revision: int) -> float:
        return self._seen_s[revision - FIRST_REVISION]

    # -- revisions by themselves

    def _check_revisions(self) -> Iterator[str]:
        """Each follows from the one before by etcd's rules of versions and revisions."""
        for revision in range(FIRST_REVISION + 1, self._last + 1):
            before: dict[bytes, Kv | None] = {}
            for kv in self._timeline.changes(revision):
                prev = before.get(kv.key, self._timeline.at(kv.key, revision - 1))
                if kv != _follows(kv, prev, revision):
                    yield f"revision {revision} does not follow: {kv} after {prev}"
                before[kv.key] = kv if kv.version else None

    # -- answers

    def _check_answer(self, operation: Operation) -> Iterator[str]:
        request, revision = operation.request, operation.revision
        if isinstance(request, KeepAlive):
            return
        if not FIRST_REVISION <= revision <= self._last:
            yield f"lost, or never was: revision {revision} of {operation}"
            return
        made = wrote(operation.result) or self._took_keys(operation)
        yield from self._check_time(operation, made)
        if made:
            yield from self._claim(operation)
        if isinstance(request, (*WRITES, Range)):
            yield from self._compare(operation, revision - made)

    def _took_keys(self, operation: Operation) -> bool:
        request, revision = operation.request, operation.revision
        if not isinstance(request, LeaseRevoke) or revision == FIRST_REVISION:
            return False
        gone = self._timeline.held_by(request.lease_id, revision - 1)
        changes = self._timeline.changes(revision)
        return bool(gone) and [(kv.key, kv.version) for kv in changes] == [(k, 0) for k in gone]

    def _check_time(self, operation: Operation, made: bool) -> Iterator[str]:
        revision, floor = operation.revision, self._floor(operation)
        if operation.linearizable and revision < floor + made:
            yield f"stale: revision {floor} was seen before {operation}"
        if made and self._seen_at(revision) < operation.invoked_s:
            yield f"revision {revision} was there before it was asked for: {operation}"

    def _claim(self, operation: Operation) -> Iterator[str]:
        other = self._made.setdefault(operation.revision, operation)
        if other is not operation:
            yield f"revision {operation.revision} was given twice: {other} and {operation}"
        if isinstance(operation.request, LeaseRevoke):
            self._ended[operation.request.lease_id] = operation.revision, False

    def _compare(self, operation: Operation, state: int) -> Iterator[str]:
        try:
            answer, changes = evaluate(self._timeline, state, operation.request)
        except Refused as refused:
            yield f"should have been refused with {refused}: {operation}"
            return
        if answer != answer_of(operation.result):
            yield f"wrong answer, expected {answer} at revision {operation.revision}: {operation}"
        if state < operation.revision:
            there = self._timeline.changes(operation.revision)
            if tuple(changes) != there:
                yield f"revision {operation.revision} holds {there}, not what {operation} does"
        elif changes:
            yield f"changed nothing and should have: {operation}"

    # -- revisions that nobody was answered for

    def _explain_the_rest(self) -> Iterator[str]:
        unexplained = [
            revision
            for revision in range(FIRST_REVISION + 1, self._last + 1)
            if revision not in self._made
        ]
        candidates = {revision: self._candidates(revision) for revision in unexplained}
        chosen = _assign(candidates)
        for revision in unexplained:
            if revision not in chosen:
                yield self._unexplained(revision)
            elif isinstance(chosen[revision], _LeaseEnd):
                self._ended[chosen[revision].lease] = revision, True
            elif isinstance(chosen[revision].request, LeaseRevoke):
                self._ended[chosen[revision].request.lease_id] = revision, False

    def _candidates(self, revision: int) -> list[Any]:
        """Operations that may have made it, or the lease that may have ended in it."""
        found: list[Any] = [
            operation
            for operation in self._history.operations
            if operation.outcome is Outcome.UNKNOWN and self._may_have_made(operation, revision)
        ]
        changes = self._timeline.changes(revision)
        if all(kv.version == 0 for kv in changes):
            first = self._timeline.at(changes[0].key, revision - 1)
            lease = first.lease if first else 0
            keys = self._timeline.held_by(lease, revision - 1) if lease else []
            if keys == [kv.key for kv in changes] and lease not in self._ended:
                found.append(self._ends.setdefault(lease, _LeaseEnd(lease)))
        return found

    def _may_have_made(self, operation: Operation, revision: int) -> bool:
        if not isinstance(operation.request, WRITES):
            return False
        if self._seen_at(revision) < operation.invoked_s or revision <= self._floor(operation):
            return False
        return self._would_make(operation, revision)

    def _would_make(self, operation: Operation, revision: int) -> bool:
        try:
            _, changes = evaluate(self._timeline, revision - 1, operation.request)
        except Refused:
            return False
        return tuple(changes) == self._timeline.changes(revision)

    def _unexplained(self, revision: int) -> str:
        changes = self._timeline.changes(revision)
        values = {kv.value for kv in changes if kv.version}
        for operation in self._history.operations:
            if values & set(_values(operation.request)):
                return (
                    f"revision {revision} ({changes}) is an effect that {operation} cannot have "
                    "had, or had already"
                )
        return f"nobody asked for revision {revision}: {changes}"

    # -- refusals

    def _check_refusal(self, operation: Operation) -> Iterator[str]:
        check = _REFUSALS.get(operation.error.split(":")[0])
        if check is None or not check(self, operation):
            yield f"refused without a reason: {operation}"

    def _key_may_lack(self, operation: Operation) -> bool:
        def refused(state: int) -> bool:
            try:
                evaluate(self._timeline, state, operation.request)
            except Refused:
                return True
            return False

        last = min(self._ceiling(operation), self._last)
        return any(refused(state) for state in range(self._floor(operation), last + 1))

    def _may_be_compacted(self, operation: Operation) -> bool:
        wanted = min(_revisions(operation.request), default=0)
        at_once = 0 if isinstance(operation.request, Compact) else 1
        return any(
            compact.request.revision >= wanted + at_once
            for compact in self._compacts
            if compact.invoked_s <= operation.returned_s and compact is not operation
        )

    def _may_be_future(self, operation: Operation) -> bool:
        wanted = max(_revisions(operation.request), default=0)
        return not operation.linearizable or wanted > self._floor(operation)

    def _lease_may_lack(self, operation: Operation) -> bool:
        """Unless it must have lived all the while that the request took."""
        leases = list(_leases(operation.request))
        return any(not self._must_live(lease, operation) for lease in leases)

    def _must_live(self, lease: int, operation: Operation) -> bool:
        revoked = any(
            isinstance(other.request, LeaseRevoke)
            and other.request.lease_id == lease
            and other is not operation
            and other.outcome in (Outcome.OK, Outcome.UNKNOWN)
            and other.invoked_s <= operation.returned_s
            for other in self._history.operations
        )
        if revoked:
            return False
        return any(
            other.returned_s <= operation.invoked_s
            and operation.returned_s < other.invoked_s + self._lives_s(other)
            for other in self._renewals(lease)
        )

    def _no_space(self, operation: Operation) -> bool:
        return self._history.has_quota

    # -- order of what one member answers

    def _check_own_order(self) -> Iterator[str]:
        """A member never shows an older state than it has shown before, also not to a reader that
        asks for no more than what is there."""
        of_member: dict[str, list[Operation]] = defaultdict(list)
        for operation in self._ok:
            if operation.revision:
                of_member[operation.served_by].append(operation)
        for operations in of_member.values():
            highest = 0
            returned = sorted(operations, key=lambda o: o.returned_s)
            place = 0
            for operation in sorted(operations, key=lambda o: o.invoked_s):
                while place < len(returned) and returned[place].returned_s < operation.invoked_s:
                    highest = max(highest, returned[place].revision)
                    place += 1
                if operation.revision < highest:
                    yield f"went back from revision {highest}: {operation}"

    # -- compaction

    def _check_compactions(self) -> Iterator[str]:
        done = [o for o in self._compacts if o.outcome is Outcome.OK]
        for compact in done:
            if compact.request.revision > compact.revision:
                yield f"compacted what was not there yet: {compact}"
        for operation in self._ok:
            wanted = [r for r in _revisions(operation.request) if r > 0]
            if not wanted or not operation.linearizable:
                continue
            for compact in done:
                before = compact.returned_s < operation.invoked_s and compact is not operation
                if before and min(wanted) < compact.request.revision:
                    yield f"read what {compact} had compacted: {operation}"

    # -- leases

    def _renewals(self, lease: int) -> Iterator[Operation]:
        for operation in self._ok:
            request = operation.request
            if isinstance(request, LeaseGrant | KeepAlive) and request.lease_id == lease:
                yield operation

    def _lives_s(self, renewal: Operation) -> float:
        """At least so long from when it was asked for, whatever leader's clock counts."""
        request = renewal.request
        ttl_s = request.ttl_s if isinstance(request, LeaseGrant) else renewal.result
        return float(ttl_s) / self._history.rate_max

    def _check_leases(self) -> Iterator[str]:
        yield from self._check_attached()
        for lease, (revision, by_time) in self._ended.items():
            for renewal in self._renewals(lease) if by_time else ():
                if self._seen_at(revision) < renewal.invoked_s + self._lives_s(renewal):
                    yield (
                        f"lease {lease} ended at {self._seen_at(revision):.4f}, revision "
                        f"{revision}, too early after {renewal}"
                    )
        if self._history.leases_over_s < self._history.end_s:
            for key in self._timeline.names():
                kv = self._timeline.at(key, self._last)
                if kv is not None and kv.lease:
                    yield f"the time of lease {kv.lease} is over, and {kv} is still there"

    def _check_attached(self) -> Iterator[str]:
        granted = {
            o.request.lease_id
            for o in self._history.operations
            if isinstance(o.request, LeaseGrant) and o.outcome in (Outcome.OK, Outcome.UNKNOWN)
        }
        for revision in range(FIRST_REVISION + 1, self._last + 1):
            for kv in self._timeline.changes(revision):
                if not kv.lease:
                    continue
                if kv.lease not in granted:
                    yield f"revision {revision} hangs {kv} on a lease that nobody has granted"
                if self._ended.get(kv.lease, (revision, False))[0] < revision:
                    yield f"revision {revision} hangs {kv} on a lease that had ended"
        for operation in self._ok:
            for lease in _leases(operation.request):
                if self._revoked_before(lease, operation) and wrote(operation.result):
                    yield f"used a lease that was revoked before: {operation}"

    def _revoked_before(self, lease: int, operation: Operation) -> bool:
        return any(
            isinstance(other.request, LeaseRevoke)
            and other.request.lease_id == lease
            and other.returned_s < operation.invoked_s
            for other in self._ok
        )

    # -- watches

    def _check_watch(self, watch: WatchLog) -> Iterator[str]:
        revisions = [revision for revision, _ in watch.heard]
        for before, after in pairwise(revisions):
            if after <= before:
                yield f"{watch} heard revision {after} after {before}"
                return
        upto = max([watch.upto, *revisions])
        if upto > self._last:
            yield f"{watch} heard revision {upto}, which never was"
            return
        heard = dict(watch.heard)
        for revision in range(watch.first, upto + 1):
            expected = self._wanted(watch, revision)
            changes = heard.pop(revision, ())
            if [change.kv for change in changes] != expected:
                yield f"{watch} heard {list(changes)} of revision {revision}, not {expected}"
                return
            for change in changes:
                yield from self._check_prev(watch, revision, change, changes)
        for revision in heard:
            yield f"{watch} heard revision {revision}, from before its start"

    def _wanted(self, watch: WatchLog, revision: int) -> list[Kv]:
        if revision <= FIRST_REVISION:
            return []
        changes = self._timeline.changes(revision)
        return [kv for kv in changes if inside(kv.key, watch.key, watch.range_end)]

    def _check_prev(
        self, watch: WatchLog, revision: int, change: Change, changes: Sequence[Change]
    ) -> Iterator[str]:
        same = [c.kv for c in changes if c.kv.key == change.kv.key]
        place = same.index(change.kv)
        if place:
            expected = same[place - 1] if same[place - 1].version else None
        else:
            expected = self._timeline.at(change.kv.key, revision - 1)
        hidden = change.prev is None and any(
            compact.request.revision > revision - 1 for compact in self._compacts
        )
        if change.prev != expected and not hidden:
            yield f"{watch} heard {change} of revision {revision}, which replaced {expected}"


_REFUSALS: dict[str, Callable[[_Trial, Operation], bool]] = {
    "KeyNotFound": _Trial._key_may_lack,
    "Compacted": _Trial._may_be_compacted,
    "FutureRevision": _Trial._may_be_future,
    "LeaseNotFound": _Trial._lease_may_lack,
    "NoSpace": _Trial._no_space,
}


def _follows(kv: Kv, prev: Kv | None, revision: int) -> Kv | None:
    """What `kv` must be like after `prev`."""
    if kv.version == 0:
        return Kv(kv.key, b"", 0, revision, 0) if prev else None
    created = prev.created if prev else revision
    version = prev.version + 1 if prev else 1
    return Kv(kv.key, kv.value, created, revision, version, kv.lease)


def _operations(request: Any) -> Iterator[Any]:
    """It, and all that stands in it."""
    yield request
    if isinstance(request, Txn):
        for inner in (*request.success, *request.failure):
            yield from _operations(inner)


def _values(request: Any) -> Iterator[bytes]:
    return (o.value for o in _operations(request) if isinstance(o, Put))


def _leases(request: Any) -> Iterator[int]:
    for operation in _operations(request):
        if isinstance(operation, Put) and operation.lease:
            yield operation.lease
        elif isinstance(operation, KeepAlive | LeaseRevoke):
            yield operation.lease_id


def _revisions(request: Any) -> Iterator[int]:
    """The past revisions that it asks for."""
    for operation in _operations(request):
        if isinstance(operation, Range | Compact) and operation.revision > 0:
            yield operation.revision


def _assign(candidates: dict[int, list[Any]]) -> dict[int, Any]:
    """For each revision one of its candidates, none for two (augmenting paths)."""
    taken: dict[int, tuple[Any, int]] = {}

    def place(revision: int, tried: set[int]) -> bool:
        for candidate in candidates[revision]:
            name = id(candidate)
            if name in tried:
                continue
            tried.add(name)
            if name not in taken or place(taken[name][1], tried):
                taken[name] = candidate, revision
                return True
        return False

    for revision in candidates:
        place(revision, set())
    return {revision: candidate for candidate, revision in taken.values()}
