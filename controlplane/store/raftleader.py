"""Leadership in the embedded store: who leads in raft leads, for that term.

The leader of a term writes the leadership key through the log. Its revision is the fence: the
leader of a later term writes the key anew, so what an earlier one still sends, however late, is
refused whole.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from base.clock import Clock
from controlplane.store.election import leader_key
from controlplane.store.protocol import Compare, Event, Leadership, Op, Store, StoreError

log = logging.getLogger("store")

LOOK_S: Final = 0.1
"""How often the term is looked at; a heartbeat of raft's default."""


class TermLeadership(Leadership):
    """Leads while `leader_term()` is `term` and nobody wrote the key after `revision`."""

    def __init__(
        self, store: Store, leader_term: Callable[[], int], key: bytes, revision: int
    ) -> None:
        self._leader_term = leader_term
        self._key = key
        self._revision = revision
        self._term = leader_term()
        self._over = asyncio.Event()
        self._watcher = store.watch(key, b"", revision + 1, self._heard, self._unheard)

    @property
    def fence(self) -> Compare:
        return Compare.mod_revision(self._key, self._revision)

    async def lost(self) -> None:
        while not self._over.is_set() and self._leader_term() == self._term:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._over.wait()
            except TimeoutError:
                continue
        self._end()

    async def resign(self) -> None:
        """Only here: the raft leader stays what it is, and may be elected again."""
        self._end()

    def _end(self) -> None:
        self._over.set()
        self._watcher.cancel()

    def _heard(self, events: Sequence[Event], revision: int) -> None:
        if events:
            self._over.set()

    def _unheard(self, error: StoreError) -> None:
        self._over.set()


async def lead(
    store: Store, leader_term: Callable[[], int], clock: Clock, name: str, identity: str
) -> TermLeadership:
    """Wait until this member leads (`leader_term()` is its term then, else 0) and has said so in
    the store."""
    key = leader_key(name)
    while True:
        term = leader_term()
        if not term:
            await clock.sleep(LOOK_S)
            continue
        try:
            written = await store.txn([], [Op.put(key, identity.encode())])
        except StoreError as error:
            log.warning("leadership of term %d could not be written down: %s", term, error)
            await clock.sleep(LOOK_S)
            continue
        # Written by way of another member's log it would be worth nothing, and harm nobody for
        # long: the leader there sees its key overwritten and writes it again.
        if leader_term() == term:
            return TermLeadership(store, leader_term, key, written.revision)
