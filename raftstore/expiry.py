"""The end of leases: the leader's clock on one side, the log on the other.

One timer, set for the next lease that is due: a store whose leases are all renewed wakes up no
oftener than they end.
"""

import asyncio
from collections.abc import Callable

from base.clock import Clock
from raftstore.lessor import Lessor
from raftstore.metrics import Metrics
from raftstore.mvcc import Command, LeaseGrant, LeaseRevoke, Result, StateMachine
from raftstore.mvcc.errors import LeaseNotFound

# The loop's clock may run a little ahead of the one that counts.
_TIMER_MIN_S = 0.001


class LeaseExpiry:
    """`propose` puts the end of a lease into the log."""

    def __init__(
        self,
        state: StateMachine,
        clock: Clock,
        metrics: Metrics,
        propose: Callable[[Command], "asyncio.Future[Result]"],
    ) -> None:
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._propose = propose
        self._lessor = Lessor()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def promote(self) -> None:
        """This member leads now: every lease has its whole TTL again."""
        self._lessor.promote(self._state.leases.all_ttl_s(), self._clock.monotonic_s())
        self._arm()

    def applied(self, command: Command) -> None:
        """The log granted or revoked a lease."""
        if isinstance(command, LeaseGrant):
            ttl_s = self._state.leases.ttl_s(command.lease_id)
            self._lessor.granted(command.lease_id, ttl_s, self._clock.monotonic_s())
            self._arm()
        elif isinstance(command, LeaseRevoke):
            self._lessor.revoked(command.lease_id)

    def renew(self, lease_id: int) -> int:
        """The TTL in seconds, counted from now. Raises LeaseNotFound."""
        ttl_s = self._lessor.renew(lease_id, self._clock.monotonic_s())
        if ttl_s is None:
            raise LeaseNotFound
        return ttl_s

    def remaining_s(self, lease_id: int) -> float:
        """Raises LeaseNotFound."""
        self._state.leases.check(lease_id)
        return self._lessor.remaining_s(lease_id, self._clock.monotonic_s())

    def close(self) -> None:
        self._closed = True
        self._disarm()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._disarm()
        deadline_s = self._lessor.next_deadline_s()
        if deadline_s is not None and not self._closed:
            wait_s = max(_TIMER_MIN_S, deadline_s - self._clock.monotonic_s())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._expire)

    def _expire(self) -> None:
        for lease_id in self._lessor.due(self._clock.monotonic_s()):
            self._metrics.leases_expired += 1
            # Where its owner revoked it meanwhile, nothing is left to do.
            self._propose(LeaseRevoke(lease_id)).add_done_callback(_ignore_outcome)
        self._arm()


def _ignore_outcome(future: "asyncio.Future[Result]") -> None:
    if not future.cancelled():
        future.exception()
