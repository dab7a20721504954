"""Events of events.k8s.io/v1, as client-go's `tools/events` writes them: series, not counts.

The first event is written; the second of the same kind starts a series, which is written once
then and from time to time as it goes on. Source: client-go, `tools/events/event_broadcaster.go`.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from base.clock import Clock, rfc3339_micro
from controlplane.controllers.recorder import (
    CACHE_MAX,
    DROPPED,
    QUEUE_MAX,
    WRITE_TIMEOUT_S,
    EventNames,
    reference,
)
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.types import events_v1, meta_v1

log = logging.getLogger(__name__)

SERIES_ENDS_AFTER_S = 360.0
SERIES_REFRESH_S = 1800.0
WRITERS = 4


@dataclass
class _Series:
    name: str
    namespace: str
    last_s: float
    written_s: float
    count: int = 1


@dataclass(frozen=True)
class _Recorded:
    regarding: Any
    event_type: str
    reason: str
    action: str
    note: str
    now_s: float

    @property
    def key(self) -> tuple[Any, ...]:
        about = self.regarding
        return (about.kind, about.namespace, about.name, about.uid, self.event_type, self.reason,
                self.action, self.note)  # fmt: skip


class SeriesRecorder:
    """Writes the events of one controller, a few at a time, and never waits for them."""

    def __init__(self, client: Client, clock: Clock, controller: str, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._controller = controller
        self._instance = instance
        self._names = EventNames()
        self._series: OrderedDict[tuple[Any, ...], _Series] = OrderedDict()
        self._queue: asyncio.Queue[_Recorded] = asyncio.Queue(QUEUE_MAX)

    def event(self, obj: Any, event_type: str, reason: str, action: str, note: str) -> None:
        now_s = self._clock.now_s()
        recorded = _Recorded(reference(obj), event_type, reason, action, note, now_s)
        try:
            self._queue.put_nowait(recorded)
        except asyncio.QueueFull:
            DROPPED.labels("queue full").inc()

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            recorded = await self._queue.get()
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._write(recorded)
            except Exception as error:
                DROPPED.labels("refused").inc()
                log.info("event %s not written: %s", recorded.reason, error)

    async def _write(self, recorded: _Recorded) -> None:
        series = self._series.get(recorded.key)
        if series is None or recorded.now_s - series.last_s > SERIES_ENDS_AFTER_S:
            await self._create(recorded)
            return
        self._series.move_to_end(recorded.key)
        series.count += 1
        series.last_s = recorded.now_s
        if series.count > 2 and recorded.now_s - series.written_s < SERIES_REFRESH_S:
            return
        series.written_s = recorded.now_s
        observed = {"count": series.count, "lastObservedTime": rfc3339_micro(recorded.now_s)}
        try:
            await self._client.patch(
                events_v1.Event,
                series.name,
                {"series": observed},
                namespace=series.namespace,
                patch_type=PatchType.MERGE,
            )
        except StatusError as error:
            if error.code != 404:
                raise
            await self._create(recorded)

    async def _create(self, recorded: _Recorded) -> None:
        about = recorded.regarding
        namespace = about.namespace or "default"
        name = self._names.make(about, recorded.now_s)
        self._series[recorded.key] = _Series(name, namespace, recorded.now_s, recorded.now_s)
        if len(self._series) > CACHE_MAX:
            self._series.popitem(last=False)
        await self._client.create(
            events_v1.Event(
                metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
                eventTime=rfc3339_micro(recorded.now_s),
                reportingController=self._controller,
                reportingInstance=self._instance,
                action=recorded.action,
                reason=recorded.reason,
                regarding=about,
                note=recorded.note[:1024],
                type=recorded.event_type,
            )
        )
