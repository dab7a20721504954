"""Making a Ready durable: on the loop where the disk is quick, in one writer thread where not."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from base.clock import Clock
from raftstore.core import Entry, HardState, Ready
from raftstore.disk.wal import Wal
from raftstore.metrics import Metrics

# Below this a sync costs the loop less than the way to a thread and back.
INLINE_SYNC_MAX_S = 0.0005
_WINDOW = 9


class SyncPacer:
    """Decides from the median of the last syncs, so that one slow sync changes nothing."""

    def __init__(self) -> None:
        self._last_s: deque[float] = deque(maxlen=_WINDOW)

    def observe(self, duration_s: float) -> None:
        self._last_s.append(duration_s)

    @property
    def median_s(self) -> float:
        in_order = sorted(self._last_s)
        return in_order[len(in_order) // 2] if in_order else 0.0

    @property
    def is_quick(self) -> bool:
        return self.median_s < INLINE_SYNC_MAX_S


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
        if self._pacer.is_quick or not self._use_threads:
            self._write_and_sync(hard_state, ready.entries)
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="raftstore-log")
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
        wal, metrics = self._wal, self._metrics
        before_bytes = wal.written_bytes
        wal.append(hard_state, entries)
        metrics.wal_write_bytes += wal.written_bytes - before_bytes
        start_s = self._clock.monotonic_s()
        wal.sync()
        duration_s = self._clock.monotonic_s() - start_s
        self._pacer.observe(duration_s)
        metrics.wal_fsync_s.observe(duration_s)
