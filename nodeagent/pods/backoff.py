"""When a container that keeps failing may run again: 10 s, 20 s, ... 5 min after it ended.

A container that ran for ten minutes starts over. The rule of the kubelet's crash-loop back-off
(client-go `flowcontrol.Backoff`): the first restart is at once.
"""

from dataclasses import dataclass, field

FIRST_S = 10.0
MAX_S = 300.0
FORGET_AFTER_S = 600.0


@dataclass
class _Entry:
    delay_s: float
    updated_at_s: float


@dataclass
class FailureBackoff:
    """Delays per key: crash loops (`since_s` is when the container ended) and image pulls."""

    first_s: float = FIRST_S
    max_s: float = MAX_S
    forget_after_s: float = FORGET_AFTER_S
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def remaining_s(self, key: str, since_s: float, now_s: float) -> float:
        """How long `key` still has to wait; 0 when it may go."""
        entry = self._fresh(key, since_s)
        return max(0.0, since_s + entry.delay_s - now_s) if entry else 0.0

    def wait_s(self, key: str, now_s: float) -> float:
        """The same, where the wait counts from the last failure itself."""
        entry = self._fresh(key, now_s)
        return max(0.0, entry.updated_at_s + entry.delay_s - now_s) if entry else 0.0

    def delay_s(self, key: str) -> float:
        entry = self._entries.get(key)
        return entry.delay_s if entry else 0.0

    def failed(self, key: str, since_s: float, now_s: float) -> None:
        """Another attempt begins, or has failed: the next wait is twice as long."""
        entry = self._fresh(key, since_s)
        delay_s = min(self.max_s, entry.delay_s * 2) if entry else self.first_s
        self._entries[key] = _Entry(delay_s, now_s)

    def forget(self, prefix: str) -> None:
        """Drop every key that begins with `prefix`."""
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]

    def _fresh(self, key: str, since_s: float) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or since_s - entry.updated_at_s > self.forget_after_s:
            return None
        return entry


def go_duration(duration_s: float) -> str:
    """Whole seconds as Go prints a duration: 10s, 2m40s, 5m0s."""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
