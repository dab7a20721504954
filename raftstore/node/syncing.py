"""Making a Ready durable: on the loop, or beside it in one writer thread.

One writer alone is answered soonest when the loop itself waits for a quick disk: the way to a
thread and back costs as much as the sync. Where several write, the loop has their requests to
read and their answers to write meanwhile, and what arrives during one sync shares the next.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from base.clock import Clock
from raftstore.core import Entry, HardState, Ready
from raftstore.disk.wal import Wal
from raftstore.node.metrics import Metrics

# Below this a sync costs the loop less than the way to a thread and back.
INLINE_SYNC_MAX_S = 0.0005
_WINDOW = 9
# While the loop waits for the disk it cannot see who else would write: so it looks now and then.
_LOOK_EVERY = 32


class SyncPacer:
    """Decides from the median of the last syncs, so that one slow sync changes nothing, and from
    how many entries waited for this one."""

    def __init__(self) -> None:
        self._last_s: deque[float] = deque(maxlen=_WINDOW)
        self._inline = 0

    def observe(self, duration_s: float) -> None:
        self._last_s.append(duration_s)

    @property
    def median_s(self) -> float:
        in_order = sorted(self._last_s)
        return in_order[len(in_order) // 2] if in_order else 0.0

    @property
    def is_quick(self) -> bool:
        return self.median_s < INLINE_SYNC_MAX_S

    def may_wait(self, entries: int, *, says: bool = False) -> bool:
        """Whether the loop waits for the sync of so many entries. `says`: it has something to
        say to others meanwhile, which leaves only when the loop runs."""
        self._inline += 1
        if entries > 1 or says or self._inline % _LOOK_EVERY == 0 or not self.is_quick:
            self._inline = 0
            return False
        return True


class LogWriter:
    """One Ready at a time. A hard state that only moved `commit` waits for the next batch: after
    a crash it is learnt anew."""

    def __init__(self, wal: Wal, clock: Clock, metrics: Metrics, *, use_threads: bool) -> None:
        self._wal = wal
        self._clock = clock
        self._metrics = metrics
        self._use_threads = use_threads
        self._pacer = SyncPacer()
        self._thread: ThreadPoolExecutor | None = None
        self._waiting_hard_state: HardState | None = None

    @property
    def sync_median_s(self) -> float:
        return self._pacer.median_s

    def save(self, ready: Ready) -> "Future[None] | None":
        """None: it is durable. Else the future tells when. Raises DiskFailed, or the future
        does."""
        if ready.hard_state is not None:
            self._waiting_hard_state = ready.hard_state
        if not ready.must_sync:
            return None
        hard_state, self._waiting_hard_state = self._waiting_hard_state, None
        if not self._use_threads or self._pacer.may_wait(
            len(ready.entries), says=bool(ready.messages)
        ):
            self._write(hard_state, ready.entries)
            self._sync()
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="raftstore-log")
        if self._pacer.is_quick:
            # Into the cache of the system: the thread needs the interpreter once, not thrice.
            self._write(hard_state, ready.entries)
            return self._thread.submit(self._sync)
        return self._thread.submit(self._write_and_sync, hard_state, ready.entries)

    def take_hard_state(self, changed: HardState | None) -> HardState:
        """The present one, for whoever writes it elsewhere."""
        hard_state = changed or self._waiting_hard_state or self._wal.hard_state
        self._waiting_hard_state = None
        return hard_state

    def close(self) -> None:
        """Write what waits; after a failure there is nothing more to write."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._waiting_hard_state is not None:
            self._write_and_sync(self._waiting_hard_state, ())
            self._waiting_hard_state = None

    def abandon(self) -> None:
        """The disk has failed: leave it alone."""
        self._waiting_hard_state = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _write_and_sync(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        self._write(hard_state, entries)
        self._sync()

    def _write(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        before_bytes = self._wal.written_bytes
        self._wal.append(hard_state, entries)
        self._metrics.wal_write_bytes += self._wal.written_bytes - before_bytes

    def _sync(self) -> None:
        start_s = self._clock.monotonic_s()
        self._wal.sync()
        duration_s = self._clock.monotonic_s() - start_s
        self._pacer.observe(duration_s)
        self._metrics.wal_fsync_s.observe(duration_s)
