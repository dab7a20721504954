"""Pods that wait for a node: ready to be tried, backing off, or parked until something changes.

Highest priority first, then the longest waiting. A pod that no node could take is parked and
tried again when an event may have helped one of the plugins that rejected it, or after five
minutes. Source: Kubernetes, `pkg/scheduler/backend/queue/scheduling_queue.go`.
"""

import asyncio
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from base.clock import Clock
from controlplane.scheduler.plugins import PLUGINS
from controlplane.scheduler.podinfo import PodInfo

BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 10.0
PARKED_MAX_S = 300.0

_EVENTS_OF = {plugin.name: plugin.events for plugin in PLUGINS}


@dataclass(eq=False)
class QueuedPod:
    """A pod in the queue, and how it fared so far."""

    info: PodInfo
    since_s: float
    attempts: int = 0
    tried_s: float = 0.0
    rejected_by: frozenset[str] = frozenset()

    @property
    def backoff_s(self) -> float:
        """How long after the last try the next one may come."""
        if not self.attempts:
            return 0.0
        return min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(self.attempts - 1, 10))


class SchedulingQueue:
    """Each pod (by uid) is in one place at most: active, backing off, or parked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._active_uids: dict[str, int] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._waiting_uids: dict[str, int] = {}
        self._parked: dict[str, float] = {}
        self._sequence = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def counts(self) -> dict[str, int]:
        """Pods by place, named as in Kubernetes' `scheduler_pending_pods`."""
        return {
            "active": len(self._active_uids),
            "backoff": len(self._waiting_uids),
            "unschedulable": len(self._parked),
        }

    def get(self, uid: str) -> QueuedPod | None:
        return self._pods.get(uid)

    def add(self, info: PodInfo) -> None:
        """A pod without a node, new or in a version that may fit where the last one did not."""
        queued = self._pods.get(info.uid)
        if queued is None:
            queued = self._pods[info.uid] = QueuedPod(info, self._clock.monotonic_s())
            self._activate(queued)
            return
        queued.info = info
        if info.uid in self._parked:
            self._release(queued)
        elif info.uid in self._active_uids:
            self._activate(queued)

    def remove(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self._leave(uid)

    def _leave(self, uid: str) -> None:
        """Out of its place; a heap that still holds it knows by the number that it is stale."""
        self._active_uids.pop(uid, None)
        self._waiting_uids.pop(uid, None)
        self._parked.pop(uid, None)

    async def pop(self) -> QueuedPod:
        """The next pod to try; it is in no place until it is parked, put back or removed."""
        while True:
            queued = self._next_active()
            if queued is not None:
                return queued
            self._wake.clear()
            await self._wake.wait()

    def _next_active(self) -> QueuedPod | None:
        while self._active:
            _, _, number, uid = heapq.heappop(self._active)
            if self._active_uids.get(uid) == number:
                del self._active_uids[uid]
                queued = self._pods[uid]
                queued.attempts += 1
                queued.tried_s = self._clock.monotonic_s()
                return queued
        return None

    def park(self, queued: QueuedPod, rejected_by: frozenset[str]) -> None:
        """No node can take it now."""
        uid = queued.info.uid
        if self._pods.get(uid) is not queued:
            return
        queued.rejected_by = rejected_by
        self._leave(uid)
        self._parked[uid] = self._clock.monotonic_s()
        self._arm()

    def put_back(self, queued: QueuedPod) -> None:
        """The try failed for a reason that is not the pod's: again after its back-off."""
        if self._pods.get(queued.info.uid) is queued:
            self._leave(queued.info.uid)
            self._release(queued)

    def move(self, event: str) -> None:
        """Something changed: release the parked pods that it may have helped."""
        helped = [
            self._pods[uid]
            for uid in self._parked
            if any(event in _EVENTS_OF.get(name, ()) for name in self._pods[uid].rejected_by)
        ]
        self._release_all(helped)

    def _release_all(self, pods: Iterable[QueuedPod]) -> None:
        for queued in pods:
            self._release(queued)

    def _release(self, queued: QueuedPod) -> None:
        """To the active pods, or where its back-off is not over, to those that wait for that."""
        due_s = queued.tried_s + queued.backoff_s
        if due_s <= self._clock.monotonic_s():
            self._activate(queued)
            return
        self._leave(queued.info.uid)
        self._sequence += 1
        self._waiting_uids[queued.info.uid] = self._sequence
        heapq.heappush(self._waiting, (due_s, self._sequence, queued.info.uid))
        self._arm()

    def _activate(self, queued: QueuedPod) -> None:
        self._leave(queued.info.uid)
        self._sequence += 1
        self._active_uids[queued.info.uid] = self._sequence
        order = (-queued.info.priority, queued.since_s, self._sequence, queued.info.uid)
        heapq.heappush(self._active, order)
        self._wake.set()

    # Time.

    def _arm(self) -> None:
        """One timer, for the earlier of the next end of a back-off and of a long parking."""
        due_s = [self._waiting[0][0]] if self._waiting else []
        if self._parked:
            due_s.append(next(iter(self._parked.values())) + PARKED_MAX_S)
        self.close()
        if due_s:
            wait_s = max(0.0, min(due_s) - self._clock.monotonic_s())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        # The loop's clock has steps of 1 ms: a little early is better than a second timer.
        now_s = self._clock.monotonic_s() + 0.001
        while self._waiting and self._waiting[0][0] <= now_s:
            _, number, uid = heapq.heappop(self._waiting)
            if self._waiting_uids.get(uid) == number:
                self._activate(self._pods[uid])
        old = [uid for uid, since_s in self._parked.items() if since_s + PARKED_MAX_S <= now_s]
        self._release_all([self._pods[uid] for uid in old])
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
