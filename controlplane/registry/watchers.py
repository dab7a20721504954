"""One watch: a bounded queue of the changes that its selectors let through."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from controlplane.registry.stored import Stored

Match = Callable[[Stored], bool]

QUEUE_EVENTS_MAX: Final = 10_000
"""A watcher that lags further behind is closed; its client lists and watches anew."""


class WatchEnded(Exception):
    """The watcher is closed, and everything it had was read."""


class Change:
    """A change of one object. Encoded once for all watchers that see it the same way."""

    __slots__ = ("_encoded", "deleted", "previous", "stored")

    def __init__(self, stored: Stored, previous: Stored | None, deleted: bool) -> None:
        self.stored = stored
        """The new state; for a deletion the last state, at the deletion's revision."""
        self.previous = previous
        self.deleted = deleted
        self._encoded: dict[str, bytes] = {}

    def seen_through(self, match: Match | None) -> "tuple[str, Stored] | None":
        """What a watch with the selector sees: an object that stops matching is DELETED, with
        its previous state; one that starts to match is ADDED; None: nothing."""
        if self.deleted:
            old = self.previous
            seen = old is not None and (match is None or match(old))
            return ("DELETED", self.stored) if seen else None
        if match is None:
            return ("MODIFIED" if self.previous is not None else "ADDED", self.stored)
        matched = self.previous is not None and match(self.previous)
        if match(self.stored):
            return ("MODIFIED" if matched else "ADDED", self.stored)
        if matched and self.previous is not None:
            return ("DELETED", self.previous.at_revision(self.stored.revision))
        return None

    def line(self, event_type: str, stored: Stored) -> bytes:
        """The event as a line of a JSON watch stream."""
        if stored is not self.stored:
            return encode_event(event_type, stored.json())
        line = self._encoded.get(event_type)
        if line is None:
            line = self._encoded[event_type] = encode_event(event_type, stored.json())
        return line


def encode_event(event_type: str, object_json: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (event_type.encode(), object_json)


Seen = tuple[str, Stored, Change]


class Watcher:
    """The queue between the cache and one watching client."""

    def __init__(
        self, namespace: str, match: Match | None, forget: Callable[["Watcher"], None]
    ) -> None:
        self._prefix = f"{namespace}/" if namespace else ""
        self._match = match
        self._forget = forget
        self._queue: deque[Seen] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._queue_max = QUEUE_EVENTS_MAX
        self._closed = False
        self.overflowed = False

    def offer(self, change: Change) -> None:
        if self._closed or not change.stored.key.startswith(self._prefix):
            return
        seen = change.seen_through(self._match)
        if seen is None:
            return
        if len(self._queue) >= self._queue_max:
            self.overflowed = True
            self.close()
            return
        self._queue.append((*seen, change))
        self._wake()

    def begin_with(self, stored: Stored) -> None:
        """An object that is there when the watch begins: not counted as lag."""
        self._queue_max += 1
        self.offer(Change(stored, None, False))

    async def next_batch(self, timeout_s: float | None = None) -> list[Seen]:
        """The events that wait, at least one; empty when `timeout_s` passed. Raises
        WatchEnded once the watcher is closed and drained."""
        if not self._queue:
            if self._closed:
                raise WatchEnded
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._waiter, timeout_s)
            except TimeoutError:
                return []
            finally:
                self._waiter = None
            if not self._queue:
                raise WatchEnded
        return self.waiting()

    def waiting(self) -> list[Seen]:
        """The events that wait already, maybe none."""
        batch = list(self._queue)
        self._queue.clear()
        self._queue_max = QUEUE_EVENTS_MAX
        return batch

    def close(self) -> None:
        self._closed = True
        self._forget(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
