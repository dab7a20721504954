"""Keeps the caches what the store is: lists once, follows every change, lists anew where changes
were missed.

An embedded store tells of a write before it acknowledges it; a remote one a moment after. Who has
to see a certain revision in the caches waits for it here.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from controlplane.registry import keys
from controlplane.registry.cache import ResourceCache
from controlplane.store import Event, KeyValue, RangeResult, Store, StoreError
from controlplane.store.protocol import Watcher, prefix_end

log = logging.getLogger("registry")

RELIST_PAUSE_S: Final = 1.0
# Every key: each revision of the store is then heard of, so the caches' revision is known even
# where nothing of theirs was written.
_EVERYTHING: Final = (b"\0", b"\0")

Found = dict[ResourceCache, list[tuple[str, KeyValue]]]


class Follower:
    """`revision`: the caches hold everything up to it."""

    def __init__(self, store: Store, caches: Mapping[bytes, ResourceCache]) -> None:
        self.revision = 0
        self._store = store
        self._caches = caches
        self._watcher: Watcher | None = None
        self._relisting: asyncio.Task[None] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def open(self) -> None:
        """Read what the store holds, then follow it."""
        everything = await self._list()
        for cache, found in self._sorted(everything).items():
            for key, kv in found:
                cache.load(key, kv.value, kv.mod_revision)
            cache.loaded(everything.revision)
        self._watch_from(everything.revision)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._relisting is not None:
            self._relisting.cancel()

    async def reached(self, revision: int, timeout_s: float) -> bool:
        """Wait until the caches hold everything up to `revision`; False where they do not."""
        if self.revision >= revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (revision, future)
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiter)
        return True

    async def _list(self) -> RangeResult:
        return await self._store.range(keys.ROOT, prefix_end(keys.ROOT))

    def _sorted(self, everything: RangeResult) -> Found:
        """What was found, by the cache that it belongs into."""
        found: Found = {cache: [] for cache in self._caches.values()}
        for kv in everything.kvs:
            prefix, key = keys.resource_of_key(kv.key)
            cache = self._caches.get(prefix)
            if cache is None:
                log.warning("the store holds %s, whose kind is not served", kv.key.decode())
            else:
                found[cache].append((key, kv))
        return found

    def _watch_from(self, revision: int) -> None:
        self.revision = revision
        self._watcher = self._store.watch(*_EVERYTHING, revision + 1, self._apply, self._lost)
        self._wake()

    def _apply(self, events: Sequence[Event], revision: int) -> None:
        for event in events:
            if event.kv.key.startswith(keys.ROOT):
                prefix, key = keys.resource_of_key(event.kv.key)
                cache = self._caches.get(prefix)
                if cache is not None:
                    cache.apply(key, event)
        self.revision = revision
        self._wake()

    def _wake(self) -> None:
        for revision, future in self._waiting:
            if revision <= self.revision and not future.done():
                future.set_result(None)

    def _lost(self, error: StoreError) -> None:
        log.warning("the store's changes were missed, everything is read anew: %s", error)
        self._relisting = asyncio.create_task(self._relist(), name="registry relist")

    async def _relist(self) -> None:
        while True:
            try:
                everything = await self._list()
                for cache, found in self._sorted(everything).items():
                    cache.replace(found, everything.revision)
                self._watch_from(everything.revision)
                return
            except StoreError as error:
                log.warning("the store cannot be read anew yet: %s", error)
            await asyncio.sleep(RELIST_PAUSE_S)
