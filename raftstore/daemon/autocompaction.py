"""History is forgotten by itself: after a time, or but for a number of revisions
(etcd `server/etcdserver/api/v3compactor`). Every member keeps count, the leader acts."""

from collections import deque
from logging import getLogger
from typing import Final, Protocol

from base.clock import Clock
from raftstore.daemon.flags import AutoCompaction
from raftstore.errors import NodeError
from raftstore.mvcc import MvccError

_log = getLogger("raftstore.compaction")

REVISION_INTERVAL_S: Final = 300.0
PERIODIC_INTERVAL_MAX_S: Final = 3600.0
# Revisions are noted this often in an interval; a compaction that failed is tried again then.
SAMPLES_PER_INTERVAL: Final = 10


class Compactable(Protocol):
    """What is asked of a node."""

    @property
    def leads(self) -> bool: ...

    @property
    def revision(self) -> int: ...

    async def compact(self, revision: int) -> None:
        """Raises MvccError, NodeError."""
        ...


async def compact_for_ever(store: Compactable, clock: Clock, kept: AutoCompaction) -> None:
    """Returns at once where everything is kept."""
    if kept.period_s:
        await _keep_period(store, clock, kept.period_s)
    elif kept.revisions:
        await _keep_revisions(store, clock, kept.revisions)


async def _keep_period(store: Compactable, clock: Clock, period_s: float) -> None:
    """What was overwritten a whole period ago goes, once in an interval."""
    interval_s = min(period_s, PERIODIC_INTERVAL_MAX_S)
    pause_s = interval_s / SAMPLES_PER_INTERVAL
    # The first of them is as old as the period.
    revisions: deque[int] = deque(maxlen=round(period_s / pause_s) + 1)
    done, done_s = 0, clock.monotonic_s() - interval_s
    while True:
        revisions.append(store.revision)
        if (
            len(revisions) == revisions.maxlen
            and clock.monotonic_s() - done_s >= interval_s - pause_s / 2
            and revisions[0] != done
            and await _compact(store, revisions[0])
        ):
            done, done_s = revisions[0], clock.monotonic_s()
        await clock.sleep(pause_s)


async def _keep_revisions(store: Compactable, clock: Clock, kept: int) -> None:
    done = 0
    while True:
        await clock.sleep(REVISION_INTERVAL_S)
        revision = store.revision - kept
        if revision > 0 and revision != done and await _compact(store, revision):
            done = revision


async def _compact(store: Compactable, revision: int) -> bool:
    """Whether it is done, by whomever."""
    if not store.leads:
        return False
    try:
        await store.compact(revision)
    except MvccError:
        # Compacted to there or beyond already.
        return True
    except NodeError as error:
        _log.warning("compaction to revision %d: %s", revision, error)
        return False
    _log.info("compacted to revision %d", revision)
    return True
