"""What only one control plane does at a time: controllers, scheduler, compaction.

Whoever leads runs them, and every write of theirs carries the leadership's fence, so that a leader
that does not know yet that it has been replaced can write nothing. Each leadership begins them
anew: they read the present state and go on from there. Serving the API needs no leadership.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final, Protocol

from prometheus_client import Gauge

from controlplane.registry.api import Api
from controlplane.store import Leadership, Store
from controlplane.store.fencing import FencedWrites

log = logging.getLogger("leading")

NAME: Final = "controlplane"


class Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Leading:
    """`parts_of` makes what runs while this control plane, called `identity`, leads; it is given
    an API whose writes are fenced."""

    def __init__(
        self, store: Store, api: Api, identity: str, parts_of: Callable[[Api], Sequence[Part]]
    ) -> None:
        self._store = store
        self._api = api
        self._identity = identity
        self._parts_of = parts_of
        self.metric = Gauge(
            "leader_election_master_status",
            "1 while this process leads, 0 while another does or nobody",
            ["name"],
            registry=None,
        )
        self.metric.labels(NAME).set(0)

    async def run(self) -> None:
        """Lead whenever that is possible, until cancelled."""
        while True:
            leadership = await self._store.lead(NAME, self._identity)
            log.info("%s leads: controllers and scheduler start", self._identity)
            self.metric.labels(NAME).set(1)
            try:
                await self._work(leadership)
            finally:
                self.metric.labels(NAME).set(0)
                await leadership.resign()
            log.warning("%s leads no longer: controllers and scheduler are stopped", self._identity)

    async def _work(self, leadership: Leadership) -> None:
        async with AsyncExitStack() as stops:
            for part in self._parts_of(fenced(self._api, self._store, leadership)):
                stops.push_async_callback(part.stop)
                await part.start()
            await leadership.lost()


def fenced(api: Api, store: Store, leadership: Leadership) -> Api:
    """The same API, whose every write is refused once somebody else leads."""
    registry = api.registry.writing_through(FencedWrites(store, leadership))
    return Api(replace(api.backing, registry=registry))
