"""Stopping containers and pods: hooks, grace, order, then the sandbox.

Source: the kubelet's `killContainer` and `killPodWithSyncResult`. Grace is shared: what a preStop
hook or waiting for one's turn takes is gone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from base.clock import Clock
from kubeapi.types import core_v1
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.events import EventRecorder
from nodeagent.pods.actions import Kill, KillReason
from nodeagent.pods.hooks import HookError, run_hook
from nodeagent.pods.identity import pre_stop_of
from nodeagent.pods.runtime_state import ContainerRecord, PodRuntime
from nodeagent.pods.spec import (
    Container,
    find_container,
    metadata,
    sidecars,
    spec_of,
    termination_grace_s,
)

log = logging.getLogger(__name__)

# However little grace is left, a container gets this long after SIGTERM ...
MIN_GRACE_S = 2
# ... but one that is deleted without grace gets the least that a stop can be given.
MIN_DELETE_GRACE_S = 1


@dataclass(frozen=True)
class Killer:
    """Stops what runs; every step tolerates that it has been done already."""

    cri: CriClient
    events: EventRecorder
    clock: Clock

    async def kill_pod(
        self, pod: core_v1.Pod, runtime: PodRuntime, grace_s: int | None = None
    ) -> None:
        """Stop every container, sidecars last and in reverse order, then the sandboxes."""
        order = {c.name: index for index, c in enumerate(reversed(sidecars(pod)))}
        late = [c for c in runtime.running if c.name in order]
        first = [c for c in runtime.running if c.name not in order]
        until_s = None
        if grace_s is not None:
            until_s = self.clock.monotonic_s() + grace_s
        await self._kill_all(pod, first, grace_s)
        for container in sorted(late, key=lambda c: order[c.name]):
            left_s = grace_s
            if until_s is not None:
                left_s = max(MIN_DELETE_GRACE_S, int(until_s - self.clock.monotonic_s()))
            await self._kill_all(pod, [container], left_s)
        for sandbox in runtime.sandboxes:
            await self._ignore_missing(self.cri.stop_sandbox(sandbox.id))

    async def kill_container(
        self,
        pod: core_v1.Pod,
        record: ContainerRecord,
        kill: Kill | None = None,
        grace_s: int | None = None,
    ) -> None:
        """Run the preStop hook, SIGTERM, wait, SIGKILL. `grace_s` overrides what the pod says."""
        message = f"Stopping container {record.name}" if kill is None else kill.message
        self.events.pod(pod, "Normal", "Killing", message, record.name)
        left_s = grace_s if grace_s is not None else container_grace_s(pod, record, kill)
        spent_s = await self._pre_stop(pod, record, left_s)
        left_s = max(MIN_DELETE_GRACE_S if grace_s is not None else MIN_GRACE_S, left_s - spent_s)
        await self._ignore_missing(self.cri.stop_container(record.id, left_s))

    async def _kill_all(
        self, pod: core_v1.Pod, records: Iterable[ContainerRecord], grace_s: int | None
    ) -> None:
        """All at once; a failure is raised when each has had its stop."""
        stops = [self.kill_container(pod, record, grace_s=grace_s) for record in records]
        for result in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _pre_stop(self, pod: core_v1.Pod, record: ContainerRecord, grace_s: int) -> int:
        """Seconds that the hook took; a hook that takes all the grace is left behind."""
        container = find_container(pod, record.name) or Container(name=record.name)
        lifecycle = container.lifecycle
        handler = lifecycle.preStop if lifecycle else pre_stop_of(record.annotations)
        if handler is None or grace_s <= 0 or not record.running:
            return 0
        began_s = self.clock.monotonic_s()
        address = pod.status.podIP if pod.status else None
        try:
            async with asyncio.timeout(grace_s):
                await run_hook(
                    self.cri, self.clock, handler, container, record.id, address or "", grace_s
                )
        except HookError as error:
            log.info("preStop hook of %s failed: %s", record.name, error)
            self.events.pod(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", record.name)
        except TimeoutError:
            log.info("preStop hook of %s did not end within %d s", record.name, grace_s)
        return round(self.clock.monotonic_s() - began_s)

    async def _ignore_missing(self, call: Awaitable[None]) -> None:
        try:
            await call
        except RuntimeServiceError as error:
            if not error.not_found:
                raise


def container_grace_s(pod: core_v1.Pod, record: ContainerRecord, kill: Kill | None) -> int:
    """The pod's grace; a failed probe may have one of its own."""
    deleting_s = metadata(pod).deletionGracePeriodSeconds
    if deleting_s is not None:
        return deleting_s
    container = find_container(pod, record.name) or Container()
    probe = None
    if kill is not None and kill.reason is KillReason.LIVENESS:
        probe = container.livenessProbe
    elif kill is not None and kill.reason is KillReason.STARTUP:
        probe = container.startupProbe
    if probe is not None and probe.terminationGracePeriodSeconds is not None:
        return probe.terminationGracePeriodSeconds
    return termination_grace_s(spec_of(pod))


def deletion_grace_s(pod: core_v1.Pod) -> int:
    """Seconds that a pod which is deleted has in all, at least one."""
    deleting_s = metadata(pod).deletionGracePeriodSeconds
    grace_s = deleting_s if deleting_s is not None else termination_grace_s(spec_of(pod))
    return max(MIN_DELETE_GRACE_S, grace_s)
