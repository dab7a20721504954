"""Events of core/v1, as client-go's recorder writes them: correlated, counted, rate limited.

Recording never waits and never fails the caller: events go through a bounded queue to one writer.
The same event again raises its count; more than ten that differ only in their message become one
"(combined from similar events)"; an object that has used up its burst of 25 gets one more event
each five minutes. Source: client-go, `tools/record` (event.go, events_cache.go).
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter

from base.clock import Clock, rfc3339
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1

log = logging.getLogger(__name__)

NORMAL, WARNING = "Normal", "Warning"
QUEUE_MAX = 1000
CACHE_MAX = 4096
SIMILAR_MAX = 10
SIMILAR_INTERVAL_S = 600.0
SPAM_BURST = 25.0
SPAM_REFILL_PER_S = 1.0 / 300.0
WRITE_TIMEOUT_S = 10.0
COMBINED_PREFIX = "(combined from similar events): "

DROPPED = Counter("pinnace_events_dropped", "Events not written, by reason", ["reason"])


def reference(obj: Any) -> core_v1.ObjectReference:
    """The ObjectReference of an object of any kind."""
    group, version, kind = type(obj).GVK
    meta = obj.metadata
    return core_v1.ObjectReference(
        kind=kind,
        apiVersion=f"{group}/{version}" if group else version,
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )


class EventNames:
    """Names of events: `<object>.<nanoseconds in hex>`, never the same twice."""

    def __init__(self) -> None:
        self._last_ns = 0

    def make(self, about: core_v1.ObjectReference, now_s: float) -> str:
        """The uid stands in for a name that is too long to have something put behind it."""
        self._last_ns = max(self._last_ns + 1, int(now_s * 1e9))
        suffix = f".{self._last_ns:x}"
        name = about.name or ""
        return (name if len(name) + len(suffix) <= 253 else about.uid or "") + suffix


@dataclass
class _Similar:
    messages: set[str] = field(default_factory=set)
    last_s: float = 0.0


@dataclass
class _Bucket:
    tokens: float
    last_s: float


@dataclass
class _Written:
    name: str
    namespace: str
    count: int


class _Recent(OrderedDict[Any, Any]):
    """The most recently used entries, up to `CACHE_MAX`."""

    def of(self, key: Any, make: Any) -> Any:
        value = self.get(key)
        if value is None:
            value = self[key] = make()
            if len(self) > CACHE_MAX:
                self.popitem(last=False)
        self.move_to_end(key)
        return value


class Correlator:
    """Decides what becomes of an event: what to count it by, its message, and whether to write."""

    def __init__(self) -> None:
        self._similar: _Recent = _Recent()
        self._buckets: _Recent = _Recent()

    def correlate(
        self, regarding: core_v1.ObjectReference, event: tuple[str, str, str], now_s: float
    ) -> tuple[tuple[Any, ...], str, bool]:
        """`event` is (type, reason, message). Returns the key to count it by, its message, and
        whether it may be written: the object has not used up its burst."""
        event_type, reason, message = event
        about = (regarding.kind, regarding.namespace, regarding.name, regarding.uid)
        group = (*about, event_type, reason)
        similar: _Similar = self._similar.of(group, _Similar)
        if now_s - similar.last_s > SIMILAR_INTERVAL_S:
            similar.messages.clear()
        similar.last_s = now_s
        similar.messages.add(message)
        allowed = self._take_token(about, now_s)
        if len(similar.messages) < SIMILAR_MAX:
            return (*group, message), message, allowed
        similar.messages.pop()
        return group, COMBINED_PREFIX + message, allowed

    def _take_token(self, about: tuple[Any, ...], now_s: float) -> bool:
        bucket: _Bucket = self._buckets.of(about, lambda: _Bucket(SPAM_BURST, now_s))
        refilled = bucket.tokens + (now_s - bucket.last_s) * SPAM_REFILL_PER_S
        bucket.tokens, bucket.last_s = min(SPAM_BURST, refilled), now_s
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


class EventRecorder:
    """Writes the events of one component."""

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._host = host
        self._correlator = Correlator()
        self._names = EventNames()
        self._written: _Recent = _Recent()
        self._queue: asyncio.Queue[tuple[core_v1.ObjectReference, tuple[str, str, str], float]] = (
            asyncio.Queue(QUEUE_MAX)
        )

    def event(self, obj: Any, event_type: str, reason: str, message: str) -> None:
        """Record `reason` about `obj` (an object of a kind, or an ObjectReference to one)."""
        regarding = obj if isinstance(obj, core_v1.ObjectReference) else reference(obj)
        try:
            self._queue.put_nowait((regarding, (event_type, reason, message), self._clock.now_s()))
        except asyncio.QueueFull:
            DROPPED.labels("queue full").inc()

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        while True:
            regarding, event, now_s = await self._queue.get()
            key, message, allowed = self._correlator.correlate(regarding, event, now_s)
            if not allowed:
                self._count_unwritten(key)
                continue
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._write(key, regarding, (event[0], event[1], message), now_s)
            except Exception as error:
                # An event is a courtesy: one that the server refuses (its namespace ends, say)
                # must neither stop the writer nor pile up.
                DROPPED.labels("refused").inc()
                log.info("event %s of %s not written: %s", event[1], regarding.name, error)

    def _count_unwritten(self, key: tuple[Any, ...]) -> None:
        """The next write of this event tells how often it happened in all."""
        DROPPED.labels("burst").inc()
        written: _Written | None = self._written.get(key)
        if written is not None:
            written.count += 1

    async def _write(
        self,
        key: tuple[Any, ...],
        regarding: core_v1.ObjectReference,
        event: tuple[str, str, str],
        now_s: float,
    ) -> None:
        written: _Written | None = self._written.get(key)
        if written is not None:
            try:
                await self._count_up(written, event[2], now_s)
                return
            except StatusError as error:
                if error.code != 404:
                    raise
        await self._create(key, regarding, event, now_s)

    async def _count_up(self, written: _Written, message: str, now_s: float) -> None:
        written.count += 1
        patch = {"count": written.count, "lastTimestamp": rfc3339(now_s), "message": message}
        await self._client.patch(core_v1.Event, written.name, patch, namespace=written.namespace)

    async def _create(
        self,
        key: tuple[Any, ...],
        regarding: core_v1.ObjectReference,
        event: tuple[str, str, str],
        now_s: float,
    ) -> None:
        event_type, reason, message = event
        namespace = regarding.namespace or "default"
        name = self._names.make(regarding, now_s)
        when = rfc3339(now_s)
        await self._client.create(
            core_v1.Event(
                metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
                involvedObject=regarding,
                reason=reason,
                message=message,
                type=event_type,
                count=1,
                firstTimestamp=when,
                lastTimestamp=when,
                source=core_v1.EventSource(component=self._component, host=self._host or None),
                reportingComponent=self._component,
                reportingInstance=self._host,
            )
        )
        self._written[key] = _Written(name, namespace, 1)
        if len(self._written) > CACHE_MAX:
            self._written.popitem(last=False)
