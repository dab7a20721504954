"""The leader's clock on leases: when each ends, unless it is renewed.

Pure: time is passed in. What it says is over, the leader puts into the log; the end itself happens
where the log says so. A new leader gives every lease its whole TTL again, as etcd does: it cannot
know how much of it the last leader had counted.
"""

import heapq
from collections.abc import Mapping

# etcd ends at most this many leases in one go, so that a mass expiry leaves room for writes.
EXPIRE_MAX = 500


class Lessor:
    def __init__(self) -> None:
        self._ttl_s: dict[int, int] = {}
        self._deadline_s: dict[int, float] = {}
        # May hold deadlines that a renewal has moved: these are looked at again when due.
        self._heap: list[tuple[float, int]] = []
        # Named as over, and not revoked by the log yet.
        self._ending: set[int] = set()

    def promote(self, ttls_s: Mapping[int, int], now_s: float) -> None:
        """This member leads now: every lease starts anew."""
        self.demote()
        for lease_id, ttl_s in ttls_s.items():
            self.granted(lease_id, ttl_s, now_s)

    def demote(self) -> None:
        self._ttl_s.clear()
        self._deadline_s.clear()
        self._heap.clear()
        self._ending.clear()

    def granted(self, lease_id: int, ttl_s: int, now_s: float) -> None:
        self._ttl_s[lease_id] = ttl_s
        self._deadline_s[lease_id] = now_s + ttl_s
        heapq.heappush(self._heap, (now_s + ttl_s, lease_id))

    def revoked(self, lease_id: int) -> None:
        self._ttl_s.pop(lease_id, None)
        self._deadline_s.pop(lease_id, None)
        self._ending.discard(lease_id)

    def end_later(self, lease_id: int, when_s: float) -> None:
        """`due` named it and it could not be ended: name it again at `when_s`."""
        self._ending.discard(lease_id)
        heapq.heappush(self._heap, (when_s, lease_id))

    def renew(self, lease_id: int, now_s: float) -> int | None:
        """The TTL in seconds, from now; None where the lease is gone or its time is over."""
        if self.remaining_s(lease_id, now_s) <= 0:
            return None
        # The heap finds the old deadline first and then looks here.
        self._deadline_s[lease_id] = now_s + self._ttl_s[lease_id]
        return self._ttl_s[lease_id]

    def remaining_s(self, lease_id: int, now_s: float) -> float:
        """How long the lease lives on; not above 0 where it does not."""
        return self._deadline_s.get(lease_id, now_s) - now_s

    def next_deadline_s(self) -> float | None:
        """When to ask `due` next; it may then find that the lease was renewed."""
        return self._heap[0][0] if self._heap else None

    def due(self, now_s: float) -> list[int]:
        """Leases whose time is over, at most `EXPIRE_MAX`; each is named once."""
        over: list[int] = []
        while self._heap and self._heap[0][0] <= now_s and len(over) < EXPIRE_MAX:
            _, lease_id = heapq.heappop(self._heap)
            deadline_s = self._deadline_s.get(lease_id)
            if deadline_s is None or lease_id in self._ending:
                continue
            if deadline_s <= now_s:
                self._ending.add(lease_id)
                over.append(lease_id)
            else:
                heapq.heappush(self._heap, (deadline_s, lease_id))
        return over
