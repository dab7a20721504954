"""What a controller has written and its informer has not shown yet.

The cache lags behind writes: a ReplicaSet controller that counted pods right after creating some
would create them twice. It therefore notes, per key, how many creations it waits for and which
deletions (by the pod's uid), and looks at that key again only once the informer has shown them
all. A watch that loses an event cannot block a key for ever: expectations end after five minutes.
Source: client-go, `controller_utils.go` (UIDTrackingControllerExpectations).
"""

from dataclasses import dataclass, field

from base.clock import Clock

EXPECTATION_TIMEOUT_S = 300.0


@dataclass
class _Expected:
    since_s: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Outstanding creations and deletions by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[str, _Expected] = {}

    def satisfied(self, key: str) -> bool:
        """Whether the cache has caught up with what was written for `key`."""
        expected = self._expected.get(key)
        if expected is None or (expected.creations <= 0 and not expected.deletions):
            return True
        return self._clock.monotonic_s() - expected.since_s > EXPECTATION_TIMEOUT_S

    def expect_creations(self, key: str, count: int) -> None:
        self._expected[key] = _Expected(self._clock.monotonic_s(), creations=count)

    def expect_deletions(self, key: str, uids: set[str]) -> None:
        self._expected[key] = _Expected(self._clock.monotonic_s(), deletions=set(uids))

    def creation_observed(self, key: str, count: int = 1) -> None:
        """A creation was shown, or failed and will not be."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations -= count

    def deletion_observed(self, key: str, uid: str) -> None:
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def forget(self, key: str) -> None:
        self._expected.pop(key, None)
