"""What is measured of calls to etcd, by kube-apiserver's names (`etcd3/metrics`)."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class EtcdMetrics(Collector):
    """Of one store; `operation` is what was asked: txn, range, compact, lease_grant, ..."""

    def __init__(self) -> None:
        labels = ("operation",)
        self.requests = Counter("etcd_requests", "Calls to etcd", labels, registry=None)
        self.errors = Counter("etcd_request_errors", "Calls that failed", labels, registry=None)
        self.duration_s = Histogram(
            "etcd_request_duration_seconds", "Time that a call took", labels,
            buckets=_BUCKETS, registry=None,
        )  # fmt: skip
        self.watch_streams = Counter(
            "pinnace_etcd_watch_streams", "How often the watch stream was opened", registry=None
        )

    def collect(self) -> Iterable[Metric]:
        for metric in (self.requests, self.errors, self.duration_s, self.watch_streams):
            yield from metric.collect()
