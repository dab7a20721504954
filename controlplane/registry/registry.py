"""The caches over the store, and the two writes that everything comes down to: put and delete.

Each write compares the revision that the writer saw, so of two writers one is told so.
"""

import logging
from collections.abc import Sequence
from typing import Any

from controlplane.registry import keys
from controlplane.registry.cache import ResourceCache
from controlplane.registry.event_leases import EventLeases
from controlplane.registry.stored import Stored
from controlplane.store import Compacted, Compare, Event, Op, Store, StoreError
from controlplane.store.protocol import TooLarge, Watcher, prefix_end
from kubeapi import errors
from kubeapi.resources import RESOURCES, ResourceInfo

log = logging.getLogger("registry")


class Overtaken(Exception):
    """Somebody else wrote the object (or another key compared) first; nothing was written."""


class Registry:
    """All kinds that are stored, each with its cache."""

    def __init__(self, store: Store, event_leases: EventLeases) -> None:
        self.store = store
        self._event_leases = event_leases
        self._caches = {
            (info.group, info.resource): ResourceCache(info)
            for info in RESOURCES
            if info.is_storage_version and "get" in info.verbs
        }
        self._by_prefix = {cache.prefix: cache for cache in self._caches.values()}
        self._watcher: Watcher | None = None

    @property
    def revision(self) -> int:
        return self.store.revision

    async def open(self) -> None:
        """Read what the store holds, then follow it."""
        everything = await self.store.range(keys.ROOT, prefix_end(keys.ROOT))
        for kv in everything.kvs:
            prefix, key = keys.resource_of_key(kv.key)
            cache = self._by_prefix.get(prefix)
            if cache is None:
                log.warning("the store holds %s, whose kind is not served", kv.key.decode())
            else:
                cache.load(key, kv.value, kv.mod_revision)
        for cache in self._caches.values():
            cache.loaded(everything.revision)
        self._watcher = self.store.watch(
            keys.ROOT, prefix_end(keys.ROOT), everything.revision + 1, self._apply
        )

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        for cache in self._caches.values():
            cache.close_watchers()

    def cache_of(self, info: ResourceInfo) -> ResourceCache:
        """The cache of the resource under which `info`'s objects are stored."""
        storage = info.storage
        return self._caches[(storage.group, storage.resource)]

    def cache_named(self, group: str, resource: str) -> ResourceCache:
        return self._caches[(group, resource)]

    async def read_at(
        self, cache: ResourceCache, prefix: str, after: str, revision: int
    ) -> list[Stored]:
        """Objects whose keys start with `prefix` and follow `after`, as they were at `revision`."""
        start = cache.prefix + (f"{after}\0" if after > prefix else prefix).encode()
        try:
            found = await self.store.range(
                start, prefix_end(cache.prefix + prefix.encode()), revision=revision
            )
        except Compacted as error:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            ) from error
        skip = len(cache.prefix)
        return [
            Stored(cache.layout, kv.key[skip:].decode(), kv.value, kv.mod_revision)
            for kv in found.kvs
        ]

    def _apply(self, events: Sequence[Event], revision: int) -> None:
        for event in events:
            prefix, key = keys.resource_of_key(event.kv.key)
            cache = self._by_prefix.get(prefix)
            if cache is not None:
                cache.apply(key, event)

    async def put(
        self,
        cache: ResourceCache,
        key: str,
        obj: Any,
        expected_revision: int,
        *,
        compares: Sequence[Compare] = (),
        also: Sequence[Op] = (),
    ) -> Stored:
        """Write `obj` (from now on shared: not to be changed any more) if the key is still at
        `expected_revision` (0: absent), together with the operations in `also`."""
        value = cache.layout.value_of(obj)
        store_key = cache.prefix + key.encode()
        lease = await self._event_leases.current() if cache.info.resource == "events" else 0
        cache.expect(key, value, obj)
        try:
            result = await self._txn(
                [Compare.mod_revision(store_key, expected_revision), *compares],
                [Op.put(store_key, value, lease), *also],
            )
        finally:
            cache.unexpect(key)
        return Stored(cache.layout, key, value, result, obj)

    async def delete(
        self, cache: ResourceCache, stored: Stored, *, also: Sequence[Op] = ()
    ) -> Stored:
        """Remove the object if it still is what `stored` says. Returns its last state."""
        store_key = cache.prefix + stored.key.encode()
        revision = await self._txn(
            [Compare.mod_revision(store_key, stored.revision)], [Op.delete(store_key), *also]
        )
        return stored.at_revision(revision)

    async def _txn(self, compares: Sequence[Compare], operations: Sequence[Op]) -> int:
        try:
            result = await self.store.txn(compares, operations)
        except TooLarge as error:
            raise errors.StatusError(413, "RequestEntityTooLarge", str(error)) from error
        except StoreError as error:
            raise errors.unavailable(f"the store does not answer: {error}") from error
        if not result.succeeded:
            raise Overtaken
        return result.revision
