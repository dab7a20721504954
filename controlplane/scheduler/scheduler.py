"""Takes pods from the queue, places them, and writes bindings, conditions and events.

A placement is assumed in the snapshot at once, so the next pod is decided while the binding is
still being written. Source: Kubernetes, `pkg/scheduler/schedule_one.go`, `eventhandlers.go`.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Coroutine
from functools import partial
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from base.clock import Clock, rfc3339
from controlplane.controllers import pods
from controlplane.controllers.pods import meta_of
from controlplane.controllers.recorder import NORMAL, WARNING
from controlplane.controllers.supervise import cancel, keep_running, wait_synced
from controlplane.scheduler import framework, preemption
from controlplane.scheduler.cluster import Cluster
from controlplane.scheduler.event_recorder import SeriesRecorder
from controlplane.scheduler.framework import FitError, Placement
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.queue import QueuedPod
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1

log = logging.getLogger(__name__)

NAME = "default-scheduler"
# Other tasks get their turn after so long, and so many writes are on their way at most.
TURN_S = 0.003
WRITES_MAX = 64
WRITE_TIMEOUT_S = 30.0

ATTEMPTS = Counter("scheduler_schedule_attempts", "Attempts to place a pod", ["result", "profile"])
ATTEMPT_S = Histogram(
    "scheduler_scheduling_algorithm_duration_seconds",
    "Time to decide for one pod",
    buckets=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
)
PENDING = Gauge("scheduler_pending_pods", "Pods without a node, by queue", ["queue"])

METRICS = (ATTEMPTS, ATTEMPT_S, PENDING)


class Scheduler:
    """The scheduler named `default-scheduler`. `client` acts as system:kube-scheduler."""

    def __init__(self, client: Client, clock: Clock, rng: random.Random) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._memory = framework.Memory()
        self._cluster = Cluster(client, clock, rng)
        self._queue = self._cluster.queue
        self._recorder = SeriesRecorder(client, clock, NAME, f"{NAME}-{socket.gethostname()}")
        self._tasks: list[asyncio.Task[None]] = []
        self._writes: set[asyncio.Task[None]] = set()
        for place in self._queue.counts():
            PENDING.labels(place).set_function(partial(self._count, place))

    def _count(self, place: str) -> float:
        return self._queue.counts()[place]

    async def start(self) -> None:
        """Start the watches; pods are placed as soon as the caches are filled."""
        self._cluster.informers.start()
        for name, run in (("scheduler", self._run), ("event recorder", self._recorder.run)):
            supervised = keep_running(name, run, self._clock, self._rng)
            self._tasks.append(asyncio.create_task(supervised, name=name))

    async def stop(self) -> None:
        """Nothing of ours runs any more when this returns; start a new Scheduler to go on."""
        await cancel(self._tasks)
        await cancel(list(self._writes))
        self._writes.clear()
        self._queue.close()
        await self._cluster.informers.stop()

    async def _run(self) -> None:
        await wait_synced(self._cluster.informers)
        turn_ends_s = self._clock.monotonic_s() + TURN_S
        while True:
            queued = await self._queue.pop()
            try:
                self._place(queued)
            except Exception:
                # One odd pod must neither be lost nor hold up the others.
                log.exception("no decision for pod %s", queued.info.key)
                self._queue.put_back(queued)
            if len(self._writes) >= WRITES_MAX:
                await asyncio.wait(self._writes, return_when=asyncio.FIRST_COMPLETED)
            if self._clock.monotonic_s() >= turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = self._clock.monotonic_s() + TURN_S

    # Deciding: no await, so that nothing changes while it lasts.

    def _place(self, queued: QueuedPod) -> None:
        started_s = self._clock.monotonic_s()
        snapshot, pod = self._cluster.snapshot, queued.info
        with self._cluster.reserved_for_others(pod):
            result = framework.schedule(pod, snapshot, self._rng, self._memory)
        ATTEMPT_S.observe(self._clock.monotonic_s() - started_s)
        if isinstance(result, Placement):
            ATTEMPTS.labels("scheduled", NAME).inc()
            snapshot.set_pod(pod, result.node_name)
            self._cluster.nominated.pop(pod.uid, None)
            self._write(self._bind(queued, result.node_name))
            return
        ATTEMPTS.labels("unschedulable", NAME).inc()
        self._reject(queued, result)

    def _reject(self, queued: QueuedPod, error: FitError) -> None:
        pod, snapshot = queued.info, self._cluster.snapshot
        _, nominated = self._cluster.nominated.get(pod.uid, (pod, ""))
        ineligible = preemption.not_eligible(pod, snapshot, nominated)
        chosen, unhelped = None, dict[str, str]()
        if not ineligible:
            budgets = self._cluster.budget_violations
            chosen, unhelped = preemption.find(pod, snapshot, error, budgets)
        text = error.message
        if chosen is None:
            text = preemption.message(error, len(snapshot.nodes), ineligible, unhelped)
        self._queue.park(queued, error.plugins)
        self._write(self._report_rejected(pod, "Unschedulable", text, chosen))

    # Writing: each in a task of its own.

    def _write(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._log_failure(work))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _log_failure(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await work
        except StatusError as error:
            log.warning("a write of the scheduler was refused: %s", error)
        except Exception:
            log.exception("a write of the scheduler failed")

    async def _bind(self, queued: QueuedPod, node_name: str) -> None:
        pod = queued.info
        meta = meta_of(pod.pod)
        binding = core_v1.Binding(
            metadata=meta_v1.ObjectMeta(name=meta.name, namespace=meta.namespace, uid=meta.uid),
            target=core_v1.ObjectReference(kind="Node", name=node_name),
        )
        try:
            await self._client.create(binding, subresource="binding", name=meta.name or "")
        except BaseException as error:
            self._binding_failed(queued, error)
            raise
        text = f"Successfully assigned {pod.key} to {node_name}"
        self._recorder.event(pod.pod, NORMAL, "Scheduled", "Binding", text)

    def _binding_failed(self, queued: QueuedPod, error: BaseException) -> None:
        """The room that was assumed is free again, unless the pod is on its node after all."""
        pod = queued.info
        live = self._cluster.pod(pod.key)
        if live is not None and meta_of(live).uid == pod.uid and pods.spec_of(live).nodeName:
            return
        self._cluster.forget_assumed(pod.uid)
        self._queue.put_back(queued)
        if not isinstance(error, StatusError) or error.code != 404:
            text = f"binding rejected: {error}"
            self._recorder.event(pod.pod, WARNING, "FailedScheduling", "Scheduling", text)

    async def _report_rejected(
        self, pod: PodInfo, reason: str, text: str, chosen: preemption.Preemption | None
    ) -> None:
        if chosen is not None:
            await self._preempt(pod, chosen)
        self._recorder.event(pod.pod, WARNING, "FailedScheduling", "Scheduling", text)
        status: dict[str, Any] = {}
        condition = self._condition(pod.pod, reason, text)
        if condition is not None:
            status["conditions"] = [condition]
        if chosen is not None:
            status["nominatedNodeName"] = chosen.node_name
        if status:
            await self._patch_status(pod.pod, status)

    def _condition(self, pod: core_v1.Pod, reason: str, text: str) -> dict[str, Any] | None:
        """PodScheduled=False; None where the pod says so already."""
        old = pods.condition(pod, "PodScheduled")
        if old is not None and (old.status, old.reason, old.message) == ("False", reason, text):
            return None
        same = old is not None and old.status == "False" and old.lastTransitionTime
        return {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": text,
            "observedGeneration": meta_of(pod).generation,
            "lastTransitionTime": old.lastTransitionTime
            if same and old is not None
            else rfc3339(self._clock.now_s()),
        }

    async def _patch_status(self, pod: core_v1.Pod, status: dict[str, Any]) -> None:
        meta = meta_of(pod)
        try:
            await self._client.patch(
                core_v1.Pod,
                meta.name or "",
                {"metadata": {"uid": meta.uid}, "status": status},
                namespace=meta.namespace or "",
                subresource="status",
            )
        except StatusError as error:
            if error.code not in (404, 409, 422):
                raise

    async def _preempt(self, pod: PodInfo, chosen: preemption.Preemption) -> None:
        """Delete the victims; the pod is tried again when they are gone."""
        self._cluster.nominated[pod.uid] = (pod, chosen.node_name)
        for victim in chosen.victims:
            meta = meta_of(victim.pod)
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "PreemptionByScheduler",
                "message": f"{NAME}: preempting to accommodate a higher priority pod",
                "observedGeneration": meta.generation,
                "lastTransitionTime": rfc3339(self._clock.now_s()),
            }
            await self._patch_status(victim.pod, {"conditions": [condition]})
            try:
                await self._client.delete(
                    core_v1.Pod, meta.name or "", meta.namespace or "", uid=victim.uid
                )
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
            text = f"Preempted by pod {pod.uid} on node {chosen.node_name}"
            self._recorder.event(victim.pod, NORMAL, "Preempted", "Preempting", text)
