"""The caches over the store, and the two writes that everything comes down to: put and delete.

Each write compares the revision that the writer saw, so of two writers one is told so.
"""

import logging
from collections.abc import Sequence
from copy import copy
from typing import Any, Final, Protocol

from controlplane.registry.cache import ResourceCache
from controlplane.registry.event_leases import EventLeases
from controlplane.registry.follower import Follower
from controlplane.registry.stored import Stored
from controlplane.store import Compacted, Compare, Op, Store, StoreError, TxnResult
from controlplane.store.protocol import TooLarge, prefix_end
from kubeapi import errors
from kubeapi.resources import RESOURCES, ResourceInfo

log = logging.getLogger("registry")

CATCH_UP_S: Final = 5.0
"""How far behind the store the caches may be before a write is answered without them."""
WAIT_FOR_S: Final = 3.0
"""How long a reader waits for a revision (apiserver `storage/cacher/watch_cache.go`)."""


class Overtaken(Exception):
    """Somebody else wrote the object (or another key compared) first; nothing was written."""


class Writes(Protocol):
    """Where transactions go: a Store, or one leadership's writes to it."""

    async def txn(
        self, compares: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult: ...


class Registry:
    """All kinds that are stored, each with its cache."""

    def __init__(self, store: Store, event_leases: EventLeases) -> None:
        self.store = store
        self._writes: Writes = store
        self._event_leases = event_leases
        self._caches = {
            (info.group, info.resource): ResourceCache(info)
            for info in RESOURCES
            if info.is_storage_version and "get" in info.verbs
        }
        by_prefix = {cache.prefix: cache for cache in self._caches.values()}
        self._follower = Follower(store, by_prefix)

    @property
    def revision(self) -> int:
        """The caches hold everything up to this revision of the store."""
        return self._follower.revision

    async def open(self) -> None:
        """Read what the store holds, then follow it."""
        await self._follower.open()

    def close(self) -> None:
        self._follower.close()
        for cache in self._caches.values():
            cache.close_watchers()

    def writing_through(self, writes: Writes) -> "Registry":
        """The same caches, for somebody whose writes take another way to the store."""
        other = copy(self)
        other._writes = writes
        return other

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
        end = prefix_end(cache.prefix + prefix.encode())
        try:
            found = await self.store.range(start, end, revision=revision)
        except Compacted as error:
            raise errors.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            ) from error
        except StoreError as error:
            raise _refusal(error) from error
        skip = len(cache.prefix)
        return [
            Stored(cache.layout, kv.key[skip:].decode(), kv.value, kv.mod_revision)
            for kv in found.kvs
        ]

    async def refresh(self) -> None:
        """Bring the caches to where nothing is missing of what anybody was told is written."""
        try:
            revision = await self.store.latest_revision()
        except StoreError as error:
            raise _refusal(error) from error
        if self.revision < revision:
            await self.wait_for(revision)

    async def wait_for(self, revision: int) -> None:
        """Wait until the caches hold everything up to `revision`; 504 where that takes long."""
        if not await self._follower.reached(revision, WAIT_FOR_S):
            raise self.too_new(revision)

    def too_new(self, revision: int) -> errors.StatusError:
        return errors.StatusError(
            504, "Timeout",
            f"Timeout: Too large resource version: {revision}, current: {self.revision}",
            causes=[errors.Cause("ResourceVersionTooLarge", "Too large resource version", "")],
            retry_after_s=1,
        )  # fmt: skip

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
        lease = await self._event_lease() if cache.info.resource == "events" else 0
        cache.expect(key, value, obj)
        try:
            revision = await self._txn(
                [Compare.mod_revision(store_key, expected_revision), *compares],
                [Op.put(store_key, value, lease), *also],
            )
        finally:
            cache.unexpect(key)
        return Stored(cache.layout, key, value, revision, obj)

    async def delete(
        self, cache: ResourceCache, stored: Stored, *, also: Sequence[Op] = ()
    ) -> Stored:
        """Remove the object if it still is what `stored` says. Returns its last state."""
        store_key = cache.prefix + stored.key.encode()
        revision = await self._txn(
            [Compare.mod_revision(store_key, stored.revision)],
            [Op.delete(store_key), *also],
        )
        return stored.at_revision(revision)

    async def _event_lease(self) -> int:
        try:
            return await self._event_leases.current()
        except StoreError as error:
            raise _refusal(error) from error

    async def _txn(self, compares: Sequence[Compare], operations: Sequence[Op]) -> int:
        """The revision of the transaction. The caches show it by then; where it was refused they
        show why, or a second try would begin with the same mistake."""
        try:
            result = await self._writes.txn(compares, operations)
        except StoreError as error:
            raise _refusal(error) from error
        if not await self._follower.reached(result.revision, CATCH_UP_S):
            # The write is done or refused either way.
            log.warning("the caches are more than %.0f s behind the store", CATCH_UP_S)
        if not result.succeeded:
            raise Overtaken
        return result.revision


def _refusal(error: StoreError) -> errors.StatusError:
    """What the store refuses, as the API says it."""
    if isinstance(error, TooLarge):
        return errors.StatusError(413, "RequestEntityTooLarge", str(error))
    return errors.unavailable(f"the store does not answer: {error}")
