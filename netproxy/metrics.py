"""kube-proxy's metrics by kube-proxy's names, and whether the proxy is healthy.

Written out by hand: the handful here is not worth the megabytes of a client library.
Source: k8s.io/kubernetes pkg/proxy/metrics and pkg/proxy/healthcheck.
"""

from bisect import bisect_left
from collections.abc import Sequence

from base.clock import rfc3339

# Not healthy when a change has waited this long: the rules are wrong and stay so.
STALLED_S = 60.0


class Histogram:
    """A Prometheus histogram with cumulative buckets."""

    def __init__(self, name: str, help_text: str, bounds_s: Sequence[float]) -> None:
        self._name = name
        self._help = help_text
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sum_s += duration_s

    def text(self) -> str:
        total = 0
        lines = [f"# HELP {self._name} {self._help}", f"# TYPE {self._name} histogram"]
        for bound, count in zip([*self._bounds_s, "+Inf"], self._counts, strict=True):
            total += count
            lines.append(f'{self._name}_bucket{{le="{bound}"}} {total}')
        lines += [f"{self._name}_sum {self._sum_s}", f"{self._name}_count {total}"]
        return "\n".join(lines) + "\n"


_SYNC_BOUNDS_S = [0.001 * 2**power for power in range(15)]


class Metrics:
    """What happened, told by the syncer; what it means, asked by the HTTP page."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._sync = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "How long writing the rules took",
            _SYNC_BOUNDS_S,
        )
        self._programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "From the first change that waited until its rules were written",
            _SYNC_BOUNDS_S,
        )
        self._failures = 0
        self._last_sync_s = 0.0
        self._queued_s: float | None = None
        self._writing_s: float | None = None
        self._last_seen_s = 0.0

    def change_queued(self, monotonic_s: float) -> None:
        if self._queued_s is None:
            self._queued_s = monotonic_s

    def sync_started(self) -> None:
        """What waits is being written from here on; what comes now waits for the next time."""
        waiting = [when for when in (self._writing_s, self._queued_s) if when is not None]
        self._writing_s = min(waiting, default=None)
        self._queued_s = None

    def synced(self, started_s: float, ended_s: float, now_s: float) -> None:
        self._sync.observe(ended_s - started_s)
        if self._writing_s is not None:
            self._programming.observe(ended_s - self._writing_s)
            self._writing_s = None
        self._last_sync_s = now_s
        self._last_seen_s = now_s

    def checked(self, now_s: float) -> None:
        self._last_seen_s = now_s

    def sync_failed(self) -> None:
        self._failures += 1

    def is_healthy(self, monotonic_s: float) -> bool:
        waiting = (when for when in (self._writing_s, self._queued_s) if when is not None)
        return all(monotonic_s - when < STALLED_S for when in waiting)

    def health(self, now_s: float) -> dict[str, str]:
        """The body of /healthz as kube-proxy writes it."""
        return {"lastUpdated": rfc3339(self._last_seen_s), "currentTime": rfc3339(now_s)}

    def text(self) -> str:
        failures = "kubeproxy_sync_proxy_rules_iptables_restore_failures_total"
        last = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
        return "".join(
            [
                self._sync.text(),
                self._programming.text(),
                f"# TYPE {failures} counter\n{failures} {self._failures}\n",
                f"# TYPE {last} gauge\n{last} {self._last_sync_s}\n",
            ]
        )
