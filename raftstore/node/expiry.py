"""The end of leases: the leader's clock on one side, the log on the other.

One timer, set for the next lease that is due: a store whose leases are all renewed wakes up no
oftener than they end. Only the leader counts; what it finds to be over it may say only as the
leader of that term.
"""

import asyncio
from collections.abc import Callable

from raftstore.errors import NotTheLeader
from raftstore.mvcc import Command, LeaseGrant, LeaseRevoke
from raftstore.mvcc.errors import LeaseNotFound
from raftstore.node.lessor import Lessor
from raftstore.node.member import Member

# The loop's clock may run a little ahead of the one that counts.
_TIMER_MIN_S = 0.001
# A leader that is handing over takes nothing; if that fails, the lease is still to end.
_RETRY_S = 0.5


class LeaseExpiry:
    """`revoke` puts the end of a lease into the log. Raises NotTheLeader."""

    def __init__(self, member: Member, revoke: Callable[[Command], None]) -> None:
        self._member = member
        self._clock = member.clock
        self._revoke = revoke
        self._lessor = Lessor()
        self._leading = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def promote(self) -> None:
        """This member leads now: every lease has its whole TTL again."""
        self._leading = True
        self._lessor.promote(self._member.state.leases.all_ttl_s(), self._clock.monotonic_s())
        self._arm()

    def demote(self) -> None:
        """Another one counts."""
        self._leading = False
        self._lessor.demote()
        self._disarm()

    def applied(self, command: Command) -> None:
        """The log granted or revoked a lease."""
        if not self._leading:
            return
        if isinstance(command, LeaseGrant):
            ttl_s = self._member.state.leases.ttl_s(command.lease_id)
            self._lessor.granted(command.lease_id, ttl_s, self._clock.monotonic_s())
            self._arm()
        elif isinstance(command, LeaseRevoke):
            self._lessor.revoked(command.lease_id)

    def refused(self, command: LeaseRevoke) -> None:
        """An alarm forbids it now: where the lease is over, its end is asked for again."""
        if self._leading:
            when_s = self._clock.monotonic_s() + _RETRY_S
            self._lessor.end_later(command.lease_id, when_s)
            self._arm()

    def renew(self, lease_id: int) -> int:
        """The TTL in seconds, counted from now. Raises LeaseNotFound."""
        ttl_s = self._lessor.renew(lease_id, self._clock.monotonic_s())
        if ttl_s is None:
            raise LeaseNotFound
        return ttl_s

    def remaining_s(self, lease_id: int) -> float:
        """Raises LeaseNotFound."""
        self._member.state.leases.check(lease_id)
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
        now_s = self._clock.monotonic_s()
        for lease_id in self._lessor.due(now_s):
            try:
                # Where its owner revoked it meanwhile, nothing is left to do.
                self._revoke(LeaseRevoke(lease_id))
                self._member.metrics.leases_expired += 1
            except NotTheLeader:
                self._lessor.end_later(lease_id, now_s + _RETRY_S)
        self._arm()
