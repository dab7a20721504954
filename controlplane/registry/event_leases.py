"""Events are kept for a time (`--event-ttl`), by leases of the store.

One lease serves all events of a minute, as kube-apiserver's lease manager does it: an event lives
up to a minute longer than asked, and the store has few leases.
"""

from typing import Final

from base.clock import Clock
from controlplane.store import Store

REUSE_S: Final = 60


class EventLeases:
    """Hands out the lease that an event written now is put under."""

    def __init__(self, store: Store, clock: Clock, ttl_s: int) -> None:
        self._store = store
        self._clock = clock
        self._ttl_s = ttl_s
        self._lease = 0
        self._reuse_until_s = 0.0

    async def current(self) -> int:
        now_s = self._clock.monotonic_s()
        if now_s >= self._reuse_until_s:
            self._lease = await self._store.lease_grant(self._ttl_s + REUSE_S)
            self._reuse_until_s = now_s + REUSE_S
        return self._lease
