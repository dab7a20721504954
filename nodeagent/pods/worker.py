"""One pod's worker: woken by anything, it reads the present state and brings it one step closer.

A pod is first kept as its spec says; when it is done or deleted it is ended: containers stopped
with their grace, volumes and cgroups removed, and where it was deleted the runtime's remains and
at last the object in the API. Neighbours: `actions` decides, `executor` and `killing` do.
"""

import asyncio
import logging
import random
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from base.backoff import Backoff
from base.clock import Clock, parse_rfc3339
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupManager
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.events import EventRecorder
from nodeagent.pods.actions import PodActions, compute_pod_actions
from nodeagent.pods.conditions import OWNED
from nodeagent.pods.executor import Book, PodExecutor, SandboxError
from nodeagent.pods.garbage import find_garbage
from nodeagent.pods.interrupt import uninterrupted
from nodeagent.pods.killing import Killer, deletion_grace_s
from nodeagent.pods.material import MaterialSource
from nodeagent.pods.runtime_state import ContainerRecord, PodRuntime
from nodeagent.pods.sandbox_config import pod_log_directory
from nodeagent.pods.settings import Settings
from nodeagent.pods.spec import (
    being_deleted,
    full_name,
    host_network,
    is_terminal,
    metadata,
    spec_of,
    uid_of,
)
from nodeagent.pods.status import Observed, PodFailure, build_pod_status
from nodeagent.pods.status_writer import StatusWriter, status_patch
from nodeagent.pods.support import unsupported
from nodeagent.probes.manager import ProbeManager
from nodeagent.runtime_reader import RuntimeReader
from nodeagent.volumes.manager import VolumeManager
from nodeagent.volumes.payload import VolumeError

log = logging.getLogger(__name__)

DELETE_TIMEOUT_S = 10.0
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0


class StillRunning(Exception):
    """A container outlived its stop."""


# What goes wrong around a pod without the agent being at fault.
_EXPECTED = (
    RuntimeServiceError,
    SandboxError,
    VolumeError,
    StatusError,
    StillRunning,
    TimeoutError,
    OSError,
)


@dataclass(frozen=True)
class Tools:
    """Everything that workers share."""

    client: Client
    cri: CriClient
    reader: RuntimeReader
    executor: PodExecutor
    killer: Killer
    material: MaterialSource
    volumes: VolumeManager
    cgroups: CgroupManager
    probes: ProbeManager
    writer: StatusWriter
    events: EventRecorder
    settings: Settings
    clock: Clock
    rng: random.Random
    # Why pods cannot have a network now; "" where they can.
    network_problem: Callable[[], str]


class PodWorker:
    """Drives one pod until nothing of it is left."""

    def __init__(self, pod: core_v1.Pod, tools: Tools, *, seen_before: bool) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        # The object is gone from the API: the pod ends, and nobody waits for its status.
        self.gone = False
        self._tools = tools
        self._status = pod.status
        self._failure: PodFailure | None = None
        self._finished = is_terminal(pod)
        self._ended = False
        self._book = Book()
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, rng=tools.rng)
        self._wake = asyncio.Event()
        self._wake.set()
        self._step: asyncio.Task[None] | None = None
        self._ending_grace_s: int | None = None
        # A pod that nobody has started yet has nothing in the runtime: no need to ask.
        self._known_empty = not seen_before

    def wake(self) -> None:
        self._wake.set()

    def update(self, pod: core_v1.Pod) -> None:
        """The object as the API has it now."""
        before, self.pod = self.pod, pod
        if _matters(before, pod) or self._differs(pod):
            self.wake()
        if being_deleted(pod):
            self._hurry()

    def removed(self) -> None:
        """The object is gone from the API."""
        self.gone = True
        self._tools.writer.forget(self.uid)
        self._hurry()
        self.wake()

    async def run(self) -> None:
        """Work until the pod is gone from here and from the API."""
        while not (self.gone and self._ended):
            await self._wait()
            self._book.retry_after_s = None
            work = self._end() if self._must_end() else self._keep()
            try:
                await self._interruptible(work)
                self._backoff.reset()
            except _EXPECTED as error:
                self._try_again(str(error))
            except Exception:
                log.exception("pod %s: a step failed", full_name(self.pod))
                self._try_again("see above")
        self._tools.reader.forget(self.uid)

    def _must_end(self) -> bool:
        return self.gone or self._finished or being_deleted(self.pod)

    def _try_again(self, error: str) -> None:
        delay_s = self._backoff.next_delay_s()
        log.warning("pod %s: %s; again in %.1f s", full_name(self.pod), error, delay_s)
        self._book.retry_in(delay_s)

    def _hurry(self) -> None:
        """Break off what keeps the pod going, or an ending that would take longer than asked."""
        if self._step is None:
            return
        if self._ending_grace_s is None or deletion_grace_s(self.pod) < self._ending_grace_s:
            self._step.cancel()

    def _differs(self, pod: core_v1.Pod) -> bool:
        """Somebody else changed the status that this worker wrote."""
        if self._status is None or self._tools.writer.is_own(pod):
            return False
        return status_patch(pod, self._status) is not None

    async def _wait(self) -> None:
        """Until woken, or until it is time to try again."""
        timer = None
        if self._book.retry_after_s is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._book.retry_after_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    async def _interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one step, which `_hurry` may cancel; then the loop comes round again at once."""
        step = self._step = asyncio.create_task(work, name=f"pod {full_name(self.pod)}")
        try:
            await asyncio.wait({step})
        except asyncio.CancelledError:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            raise
        finally:
            self._step = None
            self._ending_grace_s = None
        if step.cancelled():
            self.wake()
            return
        step.result()

    # Keeping the pod as its spec says.

    async def _keep(self) -> None:
        tools = self._tools
        runtime = PodRuntime() if self._known_empty else await tools.reader.read_pod(self.uid)
        if self._deadline_passed():
            return
        self._publish(runtime)
        verdicts = tools.probes.verdicts(self.uid)
        actions = compute_pod_actions(self.pod, runtime, verdicts)
        if not actions.nothing:
            self._known_empty = False
        await self._apply(actions, runtime)
        runtime = await tools.reader.read_pod(self.uid)
        self._follow_probes(runtime)
        status = self._publish(runtime)
        if status.phase in ("Succeeded", "Failed"):
            self._finished = True
            self.wake()
        await self._collect_garbage(runtime)

    async def _apply(self, actions: PodActions, runtime: PodRuntime) -> None:
        tools, pod = self._tools, self.pod
        self._forget_failures(actions)
        if actions.create_sandbox and not self._may_start():
            return
        if actions.kill_pod or actions.to_kill:
            await tools.executor.kill(pod, actions, runtime)
        sandbox, ips = actions.sandbox_id, _ips(runtime)
        if actions.kill_pod and not actions.create_sandbox:
            return
        try:
            material = await tools.material.gather(pod, ips)
        except VolumeError as error:
            tools.events.pod(pod, "Warning", "FailedMount", str(error))
            raise
        renew_s = tools.material.tokens.renew_in_s(self.uid)
        if renew_s is not None:
            self._book.retry_in(renew_s)
        if actions.create_sandbox:
            making = tools.executor.create_sandbox(pod, actions.attempt)
            sandbox, ips = await uninterrupted(making)
        if actions.starts:
            started = await tools.executor.start_containers(
                pod,
                actions.starts,
                sandbox,
                actions.attempt,
                ips,
                runtime,
                material.with_ips(ips),
                self._book,
            )
            if started and actions.init_to_start:
                # A sidecar that runs lets the next container start; nothing else would tell.
                self.wake()

    def _forget_failures(self, actions: PodActions) -> None:
        """What is not to be started cannot be failing to start."""
        for name in list(self._book.failures):
            if name not in actions.starts:
                del self._book.failures[name]

    def _may_start(self) -> bool:
        """Whether a sandbox can be made; says why not where it cannot."""
        tools, pod = self._tools, self.pod
        refused = unsupported(pod)
        if refused:
            text = (
                f"Failed to create pod sandbox: not supported by this agent: {', '.join(refused)}"
            )
            tools.events.pod(pod, "Warning", "FailedCreatePodSandBox", text)
            return False
        problem = "" if host_network(pod) else tools.network_problem()
        if problem:
            text = f"network is not ready: {problem}"
            tools.events.pod(pod, "Warning", "NetworkNotReady", text)
            self._book.retry_in(10.0)
            return False
        return True

    def _deadline_passed(self) -> bool:
        """activeDeadlineSeconds counts from the pod's start."""
        limit_s = spec_of(self.pod).activeDeadlineSeconds
        start = self._status.startTime if self._status else None
        if limit_s is None or start is None:
            return False
        left_s = parse_rfc3339(start) + limit_s - self._tools.clock.now_s()
        if left_s > 0:
            self._book.retry_in(left_s)
            return False
        text = "Pod was active on the node longer than the specified deadline"
        self._tools.events.pod(self.pod, "Normal", "DeadlineExceeded", text)
        self._failure = PodFailure("DeadlineExceeded", text)
        self._finished = True
        self.wake()
        return True

    def _follow_probes(self, runtime: PodRuntime) -> None:
        addresses = _ips(runtime)
        if host_network(self.pod):
            addresses = self._tools.settings.node.host_ips
        address = addresses[0] if addresses else ""
        self._tools.probes.follow(self.pod, runtime, address)

    async def _collect_garbage(self, runtime: PodRuntime) -> None:
        garbage = find_garbage(runtime)
        for container in garbage.containers:
            await self._tools.cri.remove_container(container.id)
            self._remove_log(container)
        for sandbox in garbage.sandboxes:
            await self._tools.cri.remove_sandbox(sandbox.id)

    def _remove_log(self, container: ContainerRecord) -> None:
        folder = pod_log_directory(self._tools.settings.logs_dir, self.pod) / container.name
        for path in folder.glob(f"{container.restart_count}.log*"):
            path.unlink(missing_ok=True)

    # What the API is told.

    def _publish(self, runtime: PodRuntime, *, terminal: bool = False) -> core_v1.PodStatus:
        tools = self._tools
        seen = Observed(
            runtime=runtime,
            start_failures=self._book.failures,
            verdicts=tools.probes.verdicts(self.uid),
            host_ips=tools.settings.node.host_ips,
            terminal=terminal,
            failure=self._failure,
        )
        before = _with_conditions_of_others(self._status, self.pod.status)
        pod = msgspec.structs.replace(self.pod, status=before)
        self._status = build_pod_status(pod, seen, tools.clock.now_s())
        if not self.gone:
            tools.writer.submit(self.pod, self._status)
        return self._status

    # Ending the pod.

    async def _end(self) -> None:
        tools, pod = self._tools, self.pod
        deleting = self.gone or being_deleted(pod)
        grace_s = deletion_grace_s(pod) if deleting else None
        self._ending_grace_s = grace_s
        runtime = await tools.reader.read_pod(self.uid)
        if not runtime.stopped:
            await tools.killer.kill_pod(pod, runtime, grace_s)
            runtime = await tools.reader.read_pod(self.uid)
        if runtime.running:
            raise StillRunning(f"containers of pod {full_name(pod)} still run after their stop")
        tools.probes.stop(self.uid)
        self._publish(runtime, terminal=True)
        await uninterrupted(self._clean_up(runtime, deleting))
        if deleting:
            await self._delete_object()
            self._ended = True

    async def _clean_up(self, runtime: PodRuntime, deleting: bool) -> None:
        """Remove what a pod that does not run leaves behind; logs stay until it is deleted."""
        tools = self._tools
        tools.material.release(self.uid)
        await tools.volumes.remove_pod(self.uid)
        if not tools.cgroups.remove_pod(self.uid):
            self._book.retry_in(1.0)
        if not deleting:
            return
        for sandbox in runtime.sandboxes:
            await tools.cri.remove_sandbox(sandbox.id)
        for container in runtime.containers:
            await tools.cri.remove_container(container.id)
        folder = pod_log_directory(tools.settings.logs_dir, self.pod)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _delete_object(self) -> None:
        """Tell the API that nothing of the pod runs here any more."""
        if self.gone:
            return
        await self._tools.writer.flushed(self.uid)
        meta = metadata(self.pod)
        try:
            async with asyncio.timeout(DELETE_TIMEOUT_S):
                await self._tools.client.delete(
                    core_v1.Pod,
                    meta.name or "",
                    meta.namespace or "",
                    uid=self.uid,
                    grace_period_s=0,
                )
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _ips(runtime: PodRuntime) -> tuple[str, ...]:
    sandbox = runtime.ready_sandbox
    return sandbox.ips if sandbox is not None else ()


def _matters(before: core_v1.Pod, after: core_v1.Pod) -> bool:
    """Whether the change is one that the runtime has to follow."""
    old, new = metadata(before), metadata(after)
    return (
        old.generation != new.generation
        or old.deletionTimestamp != new.deletionTimestamp
        or old.deletionGracePeriodSeconds != new.deletionGracePeriodSeconds
        or old.labels != new.labels
        or old.annotations != new.annotations
        or before.spec != after.spec
    )


def _with_conditions_of_others(
    own: core_v1.PodStatus | None, stored: core_v1.PodStatus | None
) -> core_v1.PodStatus | None:
    """Our last status, with the conditions that other writers have set since."""
    if own is None or stored is None:
        return own or stored
    mine = [c for c in own.conditions or () if c.type in OWNED]
    theirs = [c for c in stored.conditions or () if c.type not in OWNED]
    return msgspec.structs.replace(own, conditions=mine + theirs)
