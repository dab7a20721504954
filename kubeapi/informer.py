"""A local, indexed copy of one kind, kept current by list and watch, with change handlers.

Neighbours: any `kubeapi.client.Client`. Objects are the shared immutable structs that the client
hands out; an informer copies none. It never writes, and it never decides: handlers enqueue keys.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Collection, Hashable, Iterable
from typing import Any, Generic, TypeVar, cast

from base.backoff import Backoff
from kubeapi.client import Client, WatchEvent
from kubeapi.errors import StatusError

T = TypeVar("T")
Handler = Callable[[T | None, T | None], None]
IndexFunction = Callable[[T], Iterable[Hashable]]

log = logging.getLogger(__name__)

LIST_TIMEOUT_S = 60.0
# A client that hands out events without ever suspending must not hold the loop for longer.
EVENTS_PER_TURN = 64


def object_key(obj: Any) -> str:
    """`namespace/name`, or `name` for what is cluster-scoped."""
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else cast(str, meta.name)


def split_key(key: str) -> tuple[str, str]:
    """The (namespace, name) of `object_key`."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


class _Index(Generic[T]):
    """Objects by the values that a function gives for each."""

    def __init__(self, function: IndexFunction[T]) -> None:
        self._function = function
        self._values: dict[str, tuple[Hashable, ...]] = {}
        self._objects: dict[Hashable, dict[str, T]] = {}

    def put(self, key: str, obj: T) -> None:
        values = tuple(self._function(obj))
        if self._values.get(key, ()) != values:
            self.drop(key)
            self._values[key] = values
        for value in values:
            self._objects.setdefault(value, {})[key] = obj

    def drop(self, key: str) -> None:
        for value in self._values.pop(key, ()):
            bucket = self._objects[value]
            bucket.pop(key, None)
            if not bucket:
                del self._objects[value]

    def of(self, value: Hashable) -> dict[str, T]:
        return self._objects.get(value, {})


class Informer(Generic[T]):
    """One kind (of one namespace, by one selector) as the API server last told.

    A handler gets `(old, new)`: `old` is None for what is new here, `new` None for what is gone.
    It runs on the loop, in the order of the watch, after store and indices have the change.
    """

    def __init__(
        self,
        client: Client,
        kind: type[T],
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._backoff = Backoff(0.1, 30.0, rng=rng or random.Random())  # noqa: S311 (jitter)
        self._objects: dict[str, T] = {}
        self._indices: dict[str, _Index[T]] = {}
        self._handlers: list[Handler[T]] = []
        self._resource_version = ""

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def list(self) -> list[T]:
        return [*self._objects.values()]

    def keys(self) -> Iterable[str]:
        return self._objects.keys()

    def by_index(self, name: str, value: Hashable) -> Collection[T]:
        """The objects for which index `name` gave `value`: a view, to be read before any await."""
        return self._indices[name].of(value).values()

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Index by `function`; a name that exists keeps its function (indices are shared)."""
        if name in self._indices:
            return
        index = self._indices[name] = _Index(function)
        for key, obj in self._objects.items():
            index.put(key, obj)

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler` for every change from now on, and for what is here already."""
        self._handlers.append(handler)
        for obj in self.list():
            self._call(handler, None, obj)

    async def run(self) -> None:
        """List, watch, resume; list again where the history is gone. Ends only by cancellation."""
        while True:
            try:
                if not self._resource_version:
                    await self._relist()
                if await self._follow():
                    continue
            except StatusError as error:
                if error.code == 410:
                    self._resource_version = ""
                log.log(
                    logging.INFO if error.code == 410 else logging.WARNING,
                    "watch of %s ended: %s",
                    self.kind.__name__,
                    error,
                )
            except (OSError, TimeoutError) as error:
                log.warning("watch of %s failed: %r", self.kind.__name__, error)
            except Exception:
                log.exception("watch of %s failed", self.kind.__name__)
            await asyncio.sleep(self._backoff.next_delay_s())

    async def _relist(self) -> None:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            listed = await self._client.list(self.kind, self._namespace, **self._selectors)
        gone = dict.fromkeys(self._objects)
        for count, obj in enumerate(listed.items, 1):
            key = object_key(obj)
            gone.pop(key, None)
            self._put(key, obj)
            if count % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        for key in gone:
            self._drop(key)
        self._resource_version = listed.resource_version
        self.synced.set()

    async def _follow(self) -> bool:
        """Apply events until the watch ends; whether there was any, so that it may go on at once.

        A watch that ends without a word is waited for like a failed one.
        """
        count = 0
        watch = self._client.watch(
            self.kind, self._namespace, resource_version=self._resource_version, **self._selectors
        )
        try:
            async for event in watch:
                self._apply(event)
                count += 1
                if count % EVENTS_PER_TURN == 0:
                    await asyncio.sleep(0)
        finally:
            # A generator that is only dropped would be closed by the loop, some time later.
            if isinstance(watch, AsyncGenerator):
                await watch.aclose()
        return count > 0

    def _apply(self, event: WatchEvent[T]) -> None:
        meta = cast(Any, event.object).metadata
        if event.type == "DELETED":
            self._drop(object_key(event.object), event.object)
        elif event.type != "BOOKMARK":
            self._put(object_key(event.object), event.object)
        self._resource_version = meta.resourceVersion
        self._backoff.reset()

    def _put(self, key: str, new: T) -> None:
        old = self._objects.get(key)
        if old is not None and _same_version(old, new):
            return
        self._objects[key] = new
        for index in self._indices.values():
            index.put(key, new)
        if old is not None and _uid(old) != _uid(new):
            # Deleted and created again while nobody watched: two changes, not one.
            self._notify(old, None)
            old = None
        self._notify(old, new)

    def _drop(self, key: str, last: T | None = None) -> None:
        old = self._objects.pop(key, None)
        for index in self._indices.values():
            index.drop(key)
        if old is not None:
            self._notify(last if last is not None else old, None)

    def _notify(self, old: T | None, new: T | None) -> None:
        for handler in self._handlers:
            self._call(handler, old, new)

    def _call(self, handler: Handler[T], old: T | None, new: T | None) -> None:
        try:
            handler(old, new)
        except Exception:
            log.exception("a handler of %s failed", self.kind.__name__)


def _same_version(old: Any, new: Any) -> bool:
    return bool(old.metadata.resourceVersion == new.metadata.resourceVersion)


def _uid(obj: Any) -> str:
    return obj.metadata.uid or ""


class SharedInformers:
    """One informer per kind over all namespaces, however many controllers read it."""

    def __init__(self, client: Client, rng: random.Random | None = None) -> None:
        self._client = client
        self._rng = rng
        self._informers: dict[type[Any], Informer[Any]] = {}
        self._tasks: dict[type[Any], asyncio.Task[None]] = {}
        self._started = False

    def of(self, kind: type[T]) -> Informer[T]:
        """The informer of `kind`; asked for after `start`, it starts at once."""
        informer = self._informers.get(kind)
        if informer is None:
            informer = self._informers[kind] = Informer(self._client, kind, rng=self._rng)
            if self._started:
                self.start()
        return informer

    def start(self) -> None:
        self._started = True
        for kind, informer in self._informers.items():
            if kind not in self._tasks:
                self._tasks[kind] = asyncio.create_task(
                    informer.run(), name=f"informer {kind.__name__}"
                )

    def unsynced(self) -> list[str]:
        """Kinds that have not been listed yet."""
        return [k.__name__ for k, i in self._informers.items() if not i.synced.is_set()]

    async def wait_synced(self) -> None:
        """Until every kind asked for so far has been listed once."""
        for informer in list(self._informers.values()):
            await informer.synced.wait()

    async def stop(self) -> None:
        self._started = False
        tasks = [*self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
