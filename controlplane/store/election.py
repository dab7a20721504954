"""Leadership by an election on a lease, over any Store.

Who creates the key leads, for as long as the key is there. It is bound to a lease that the leader
renews; when the leader is gone the lease ends, the key with it, and the others try again. A leader
that cannot renew takes itself for deposed before the store does. What makes it safe is none of
these times but the fence: the revision at which the key was created, compared by every write.
Source: etcd `client/v3/concurrency/election.go`; Burrows, "The Chubby lock service" (2006), on
sequencers.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from base.backoff import Backoff
from base.clock import Clock
from controlplane.store.protocol import Compare, Event, Leadership, Op, Store, StoreError

log = logging.getLogger("election")

KEY_PREFIX: Final = b"/pinnace/leaders/"
RENEWALS_PER_TTL: Final = 3
RESIGN_S: Final = 2.0


def leader_key(name: str) -> bytes:
    return KEY_PREFIX + name.encode()


@dataclass(frozen=True)
class Grant:
    """A lease, asked for at `asked_s` of the clock's monotonic time."""

    lease_id: int
    ttl_s: int
    asked_s: float


class Elected(Leadership):
    """The key was written at `revision`, under the lease; that is renewed until it is lost."""

    def __init__(self, store: Store, clock: Clock, key: bytes, revision: int, grant: Grant) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._revision = revision
        self._grant = grant
        self._over = asyncio.Event()
        self._watcher = store.watch(key, b"", revision + 1, self._heard, self._unheard)
        self._renewal = asyncio.create_task(self._renew(), name="leader's lease")

    @property
    def fence(self) -> Compare:
        return Compare.mod_revision(self._key, self._revision)

    async def lost(self) -> None:
        await self._over.wait()

    async def resign(self) -> None:
        await self.abandon()
        try:
            async with asyncio.timeout(RESIGN_S):
                await self._store.lease_revoke(self._grant.lease_id)
        except (StoreError, TimeoutError) as error:
            log.info("the leader's lease is left to expire: %s", error or "timeout")

    async def abandon(self) -> None:
        """Lead no longer, and leave the lease to expire."""
        self._over.set()
        self._watcher.cancel()
        self._renewal.cancel()
        await asyncio.gather(self._renewal, return_exceptions=True)

    def _heard(self, events: Sequence[Event], revision: int) -> None:
        if events:
            self._over.set()

    def _unheard(self, error: StoreError) -> None:
        self._over.set()

    async def _renew(self) -> None:
        """A renewal counts from when it was sent: the store's lease ends no sooner."""
        grant, clock = self._grant, self._clock
        valid_until_s = grant.asked_s + grant.ttl_s
        while not self._over.is_set():
            await clock.sleep(grant.ttl_s / RENEWALS_PER_TTL)
            sent_s = clock.monotonic_s()
            try:
                async with asyncio.timeout(max(0.0, valid_until_s - sent_s)):
                    if not await self._store.lease_keepalive(grant.lease_id):
                        break
                valid_until_s = sent_s + grant.ttl_s
            except (StoreError, TimeoutError) as error:
                log.warning("the leader's lease was not renewed: %s", error or "timeout")
                if clock.monotonic_s() >= valid_until_s:
                    break
        self._over.set()


class Election:
    """One candidate."""

    def __init__(
        self, store: Store, name: str, identity: str, clock: Clock, rng: random.Random, ttl_s: int
    ) -> None:
        self._store = store
        self._key = leader_key(name)
        self._identity = identity
        self._clock = clock
        self._backoff = Backoff(0.2, 5.0, rng=rng)
        self._ttl_s = ttl_s

    async def win(self) -> Elected:
        """Try until it is won."""
        while True:
            try:
                won = await self._try()
                self._backoff.reset()
                if won is not None:
                    return won
            except StoreError as error:
                log.warning("no leader can be elected: %s", error)
                await self._clock.sleep(self._backoff.next_delay_s())

    async def _try(self) -> Elected | None:
        """None when the leader of now is gone, or somebody was quicker."""
        leader = await self._store.range(self._key)
        if leader.kvs:
            await self._gone(leader.revision)
            return None
        asked_s = self._clock.monotonic_s()
        grant = Grant(await self._store.lease_grant(self._ttl_s), self._ttl_s, asked_s)
        try:
            put = Op.put(self._key, self._identity.encode(), grant.lease_id)
            result = await self._store.txn([Compare.mod_revision(self._key, 0)], [put])
        except BaseException:
            # Whether the key is there is not known: it goes with its lease.
            await self._forget(grant.lease_id)
            raise
        if not result.succeeded:
            await self._forget(grant.lease_id)
            return None
        return Elected(self._store, self._clock, self._key, result.revision, grant)

    async def _forget(self, lease_id: int) -> None:
        try:
            await self._store.lease_revoke(lease_id)
        except StoreError as error:
            log.info("a lease is left to expire: %s", error)

    async def _gone(self, revision: int) -> None:
        """Wait until the key that was there at `revision` is deleted."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(events: Sequence[Event], at: int) -> None:
            if any(event.deleted for event in events) and not gone.done():
                gone.set_result(None)

        def lost(error: StoreError) -> None:
            if not gone.done():
                gone.set_exception(error)

        watcher = self._store.watch(self._key, b"", revision + 1, heard, lost)
        try:
            await gone
        finally:
            watcher.cancel()
