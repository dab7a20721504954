"""What the store counts, under etcd's metric names, as plain numbers until somebody asks.

A scrape turns them into Prometheus' families: counting costs an addition, not a lock.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

# etcd: 1 ms to 8 s by doubling; below 1 ms we want to see more.
_DURATION_BOUNDS_S = (0.0001, 0.00025, 0.0005, *(0.001 * 2**i for i in range(14)))


class Histogram:
    def __init__(self, bounds: tuple[float, ...] = _DURATION_BOUNDS_S) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.count = 0
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.count += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus has them."""
        total, found = 0, []
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound is None else repr(bound), float(total)))
        return found


class Metrics(Collector):
    """Register it with a Prometheus registry; the node adds up, `gauges` are read at a scrape."""

    def __init__(self) -> None:
        self.wal_fsync_s = Histogram()
        self.snapshot_save_s = Histogram()
        self.wal_write_bytes = 0
        self.proposals_failed = 0
        self.leader_changes = 0
        self.leases_expired = 0
        self.gauges: dict[str, Callable[[], float]] = {}

    def collect(self) -> Iterator[Metric]:
        for name, text, value in self._counters():
            yield CounterMetricFamily(name, text, value=value)
        for name, read in self.gauges.items():
            yield GaugeMetricFamily(name, _GAUGE_TEXTS[name], value=read())
        for name, text, histogram in self._histograms():
            family = HistogramMetricFamily(name, text)
            family.add_metric([], histogram.buckets(), histogram.sum)
            yield family

    def _counters(self) -> list[tuple[str, str, int]]:
        return [
            (
                "etcd_disk_wal_write_bytes",
                "Bytes written to the log.",
                self.wal_write_bytes,
            ),
            (
                "etcd_server_proposals_failed",
                "Proposals whose outcome is not known or that were refused a place in the log.",
                self.proposals_failed,
            ),
            (
                "etcd_server_leader_changes_seen",
                "Leader changes seen.",
                self.leader_changes,
            ),
            (
                "etcd_debugging_server_lease_expired",
                "Leases that expired.",
                self.leases_expired,
            ),
        ]

    def _histograms(self) -> list[tuple[str, str, Histogram]]:
        return [
            (
                "etcd_disk_wal_fsync_duration_seconds",
                "How long syncs of the log took.",
                self.wal_fsync_s,
            ),
            (
                "etcd_snap_db_save_total_duration_seconds",
                "How long snapshots took to be written.",
                self.snapshot_save_s,
            ),
        ]


_GAUGE_TEXTS = {
    "etcd_server_has_leader": "Whether a leader is known.",
    "etcd_server_is_leader": "Whether this member leads.",
    "etcd_server_is_learner": "Whether this member is a learner.",
    "etcd_server_quota_backend_bytes": "What keys and history may take; 0: no limit.",
    "etcd_server_proposals_pending": "Proposals that wait for their answer.",
    "etcd_server_proposals_committed_total": "The last committed entry.",
    "etcd_server_proposals_applied_total": "The last applied entry.",
    "etcd_mvcc_db_total_size_in_bytes": "Keys and values held, history included.",
    "etcd_debugging_mvcc_keys_total": "Keys that live.",
    "etcd_debugging_mvcc_watcher_total": "Watches that are open.",
    "etcd_debugging_mvcc_current_revision": "The revision of the store.",
    "etcd_debugging_mvcc_compact_revision": "The revision up to which it is compacted.",
}
