"""The watch cache: what the store holds of one resource, its recent history, its watchers.

A write is answered once `apply` has brought it here, so whoever was told of a write finds it.
History is a ring: a watch from before its start gets 410 and lists anew, as Kubernetes' watch
cache answers.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from controlplane.registry.keys import resource_prefix
from controlplane.registry.stored import Layout, Stored
from controlplane.registry.watchers import Change, Match, Watcher
from controlplane.store import Event, KeyValue
from kubeapi import errors
from kubeapi.resources import ResourceInfo

HISTORY_EVENTS: Final = 4096


class ResourceCache:
    """All objects of one storage resource, as of the last revision applied."""

    def __init__(self, info: ResourceInfo) -> None:
        self.info = info
        self.layout = Layout(info)
        self.prefix = resource_prefix(info)
        self.revision = 0
        """The revision of this resource's last change."""
        self._objects: dict[str, Stored] = {}
        self._sorted_keys: list[str] = []
        self._history: deque[Change] = deque(maxlen=HISTORY_EVENTS)
        self._history_start = 0
        self._watchers: set[Watcher] = set()
        self._expected: dict[str, tuple[bytes, Any]] = {}
        self._listeners: list[Callable[[Change], None]] = []

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> Stored | None:
        return self._objects.get(key)

    def values(self, namespace: str = "", after: str = "") -> Iterator[Stored]:
        """Objects in key order, of one namespace where one is given, with keys above `after`."""
        keys = self._sorted_keys
        start, end = 0, len(keys)
        if namespace:
            start = bisect_left(keys, f"{namespace}/")
            end = bisect_left(keys, f"{namespace}0", start)  # "0" follows "/" in ASCII
        if after:
            start = max(start, bisect_right(keys, after))
        objects = self._objects
        return (objects[key] for key in keys[start:end])

    def load(self, key: str, value: bytes, revision: int) -> None:
        """An object that was there when the store was opened; such come in key order."""
        self._sorted_keys.append(key)
        self._objects[key] = Stored(self.layout, key, value, revision)
        self.revision = max(self.revision, revision)

    def loaded(self, revision: int) -> None:
        """Everything up to `revision` is in: history begins there."""
        self._sorted_keys.sort()
        self._history_start = revision

    def replace(self, found: Sequence[tuple[str, KeyValue]], revision: int) -> None:
        """Changes were missed: `found` is all there is at `revision`. Watchers are closed, since
        nobody can tell them what happened in between; they begin anew."""
        self.close_watchers()
        there = dict(found)
        for key in [key for key in self._sorted_keys if key not in there]:
            gone = KeyValue(self.prefix + key.encode(), b"", 0, revision, 0)
            self.apply(key, Event(gone, True, None))
        for key, kv in found:
            known = self._objects.get(key)
            if known is None or known.revision != kv.mod_revision:
                self.apply(key, Event(kv, False, None))
        self._history.clear()
        self._history_start = revision
        self.revision = max(self.revision, revision)

    def expect(self, key: str, value: bytes, obj: Any) -> None:
        """A write of `obj`, encoded as `value`, is on its way: it need not be decoded again."""
        self._expected[key] = (value, obj)

    def unexpect(self, key: str) -> None:
        self._expected.pop(key, None)

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` with each change, on the loop, before the write is answered."""
        self._listeners.append(listener)

    def apply(self, key: str, event: Event) -> None:
        """A change of the store reached this process."""
        previous = self._objects.get(key)
        revision = event.kv.mod_revision
        if event.deleted:
            if previous is None:
                return
            del self._objects[key]
            del self._sorted_keys[bisect_left(self._sorted_keys, key)]
            stored = previous.at_revision(revision)
        else:
            value, obj = self._expected.pop(key, (b"", None))
            known = obj if value == event.kv.value else None
            stored = Stored(self.layout, key, event.kv.value, revision, known)
            self._objects[key] = stored
            if previous is None:
                insort(self._sorted_keys, key)
        self.revision = revision
        self._publish(Change(stored, previous, event.deleted))

    def _publish(self, change: Change) -> None:
        if len(self._history) == HISTORY_EVENTS:
            self._history_start = self._history[0].stored.revision
        self._history.append(change)
        for listener in self._listeners:
            listener(change)
        for watcher in tuple(self._watchers):
            watcher.offer(change)

    def watch(self, namespace: str, match: Match | None, since: int | None) -> Watcher:
        """Changes after revision `since`; None: first what is there now, as ADDED."""
        watcher = Watcher(namespace, match, self._watchers.discard)
        if since is None:
            for stored in self.values(namespace):
                watcher.begin_with(stored)
        else:
            if since < self._history_start:
                raise errors.expired(f"too old resource version: {since} ({self._history_start})")
            for change in self._history:
                if change.stored.revision > since:
                    watcher.offer(change)
        self._watchers.add(watcher)
        return watcher

    def close_watchers(self) -> None:
        for watcher in tuple(self._watchers):
            watcher.close()
