"""One look at a pod, and one step: keep it as its spec says, or end it.

Keeping: decide, stop and start containers, tell the API. Ending, for a pod that is done or
deleted: containers stopped with their grace, volumes and cgroups removed, and where it was deleted
the runtime's remains and at last the object in the API. Neighbours: `worker` says when; `actions`
decides what; `executor` and `killing` do it. It keeps nothing that the next agent could not read
from the runtime, but back-off.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable

import msgspec

from base.clock import parse_rfc3339
from kubeapi.errors import StatusError
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupError
from nodeagent.pods.actions import PodActions, compute_pod_actions
from nodeagent.pods.conditions import OWNED
from nodeagent.pods.executor import Book, Sandbox
from nodeagent.pods.garbage import find_garbage
from nodeagent.pods.interrupt import uninterrupted
from nodeagent.pods.killing import MIN_DELETE_GRACE_S, deletion_grace_s
from nodeagent.pods.observed import Observed, PodFailure
from nodeagent.pods.runtime_state import ContainerRecord, PodRuntime
from nodeagent.pods.sandbox_config import pod_log_directory
from nodeagent.pods.spec import (
    being_deleted,
    full_name,
    host_network,
    is_terminal,
    metadata,
    spec_of,
    uid_of,
)
from nodeagent.pods.status import FINAL, build_pod_status
from nodeagent.pods.support import unsupported
from nodeagent.pods.tools import Tools
from nodeagent.volumes.payload import VolumeError

DELETE_TIMEOUT_S = 10.0
NETWORK_RETRY_S = 10.0


class StillRunning(Exception):
    """A container outlived its stop."""


class PodSync:
    """The pod as the API has it, what was last said of it, and the two things to do with it."""

    def __init__(
        self, pod: core_v1.Pod, tools: Tools, wake: Callable[[], None], *, seen_before: bool
    ) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        # The object is gone from the API: the pod ends, and nobody waits for its status.
        self.gone = False
        # Somebody took the object away while the pod was ending: there is no more grace.
        self.forced = False
        # All that is to run has run; the pod stays as a record until it is deleted.
        self.finished = is_terminal(pod)
        # Nothing of it is left here.
        self.ended = False
        self.status = pod.status
        self.book = Book()
        self._tools = tools
        self._wake = wake
        self._failure: PodFailure | None = None
        # A pod that nobody has started yet has nothing in the runtime: no need to ask.
        self._known_empty = not seen_before

    @property
    def must_end(self) -> bool:
        return self.gone or self.finished or being_deleted(self.pod)

    @property
    def ending_grace_s(self) -> int | None:
        """The grace that an ending gives all containers together; None: each its own."""
        if self.forced:
            return MIN_DELETE_GRACE_S
        return deletion_grace_s(self.pod) if self._deleting else None

    @property
    def _deleting(self) -> bool:
        return self.gone or being_deleted(self.pod)

    async def keep(self) -> None:
        tools = self._tools
        runtime = PodRuntime() if self._known_empty else await tools.reader.read_pod(self.uid)
        if self._deadline_passed() or self._rejected(runtime):
            return
        self._publish(runtime)
        verdicts = tools.probes.verdicts(self.uid)
        actions = compute_pod_actions(self.pod, runtime, verdicts)
        if not actions.nothing:
            self._known_empty = False
        await self._apply(actions, runtime)
        runtime = await tools.reader.read_pod(self.uid)
        await self._fit_limits(runtime)
        self._follow_probes(runtime)
        status = self._publish(runtime)
        if status.phase in FINAL:
            self.finished = True
            self._wake()
        await self._collect_garbage(runtime)

    async def _apply(self, actions: PodActions, runtime: PodRuntime) -> None:
        tools, pod = self._tools, self.pod
        self._forget_failures(actions)
        if actions.create_sandbox and not self._may_start():
            return
        if actions.kill_pod or actions.to_kill:
            await tools.executor.kill(pod, actions, runtime)
        sandbox = Sandbox(actions.sandbox_id, actions.attempt, self._ips(runtime))
        if actions.kill_pod and not actions.create_sandbox:
            return
        try:
            material = await tools.material.gather(pod, sandbox.ips)
        except VolumeError as error:
            tools.events.pod(pod, "Warning", "FailedMount", str(error))
            raise
        renew_s = tools.material.tokens.renew_in_s(self.uid)
        if renew_s is not None:
            self.book.retry_in(renew_s)
        if actions.create_sandbox:
            making = tools.executor.create_sandbox(pod, actions.attempt)
            sandbox = await uninterrupted(making)
        if actions.starts:
            started = await tools.executor.start_containers(
                pod,
                actions.starts,
                sandbox,
                runtime,
                material.with_ips(sandbox.ips),
                self.book,
            )
            if started and actions.init_to_start:
                # A sidecar that runs lets the next container start; nothing else would tell.
                self._wake()

    async def _fit_limits(self, runtime: PodRuntime) -> None:
        """The pod's cgroup and the containers' have what the spec asks for now.

        A pod that grows does so before its containers, one that shrinks after them: the kernel
        refuses a parent less than its children have.
        """
        tools, pod = self._tools, self.pod
        if not runtime.running:
            return
        with contextlib.suppress(CgroupError):
            tools.cgroups.ensure_pod(pod)
        await tools.executor.resize(pod, runtime, self.book)
        tools.cgroups.ensure_pod(pod)

    def _rejected(self, runtime: PodRuntime) -> bool:
        """Whether the node has no room for a pod that is not here yet."""
        runs_already = bool(runtime.sandboxes) or bool(self.status and self.status.startTime)
        refusal = self._tools.admission.admit(self.pod, runs_already=runs_already)
        if refusal is None:
            return False
        self._tools.events.pod(self.pod, "Warning", refusal.reason, refusal.message)
        self._fail(refusal)
        return True

    def _fail(self, why: PodFailure) -> None:
        self._failure = why
        self.finished = True
        self._wake()

    def _forget_failures(self, actions: PodActions) -> None:
        """What is not to be started cannot be failing to start."""
        for name in list(self.book.failures):
            if name not in actions.starts:
                del self.book.failures[name]

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
            self.book.retry_in(NETWORK_RETRY_S)
            return False
        return True

    def _deadline_passed(self) -> bool:
        """activeDeadlineSeconds counts from the pod's start."""
        limit_s = spec_of(self.pod).activeDeadlineSeconds
        start = self.status.startTime if self.status else None
        if limit_s is None or start is None:
            return False
        left_s = parse_rfc3339(start) + limit_s - self._tools.clock.now_s()
        if left_s > 0:
            self.book.retry_in(left_s)
            return False
        text = "Pod was active on the node longer than the specified deadline"
        self._tools.events.pod(self.pod, "Normal", "DeadlineExceeded", text)
        self._fail(PodFailure("DeadlineExceeded", text))
        return True

    def _follow_probes(self, runtime: PodRuntime) -> None:
        addresses = self._ips(runtime)
        address = addresses[0] if addresses else ""
        self._tools.probes.follow(self.pod, runtime, address)

    def _ips(self, runtime: PodRuntime) -> tuple[str, ...]:
        if host_network(self.pod):
            return self._tools.settings.node.host_ips
        sandbox = runtime.ready_sandbox
        return sandbox.ips if sandbox is not None else ()

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
            start_failures=self.book.failures,
            verdicts=tools.probes.verdicts(self.uid),
            host_ips=tools.settings.node.host_ips,
            terminal=terminal,
            failure=self._failure,
            resized=self.book.resized,
        )
        before = _with_conditions_of_others(self.status, self.pod.status)
        pod = msgspec.structs.replace(self.pod, status=before)
        self.status = build_pod_status(pod, seen, tools.clock.now_s())
        if not self.gone:
            tools.writer.submit(self.pod, self.status)
        return self.status

    # Ending the pod.

    async def end(self) -> None:
        tools, pod = self._tools, self.pod
        deleting, grace_s = self._deleting, self.ending_grace_s
        runtime = await tools.reader.read_pod(self.uid)
        if not runtime.stopped:
            await tools.killer.kill_pod(pod, runtime, grace_s)
            runtime = await tools.reader.read_pod(self.uid)
        if any(container.running for container in runtime.containers):
            raise StillRunning(f"containers of pod {full_name(pod)} still run after their stop")
        tools.probes.stop(self.uid)
        self._publish(runtime, terminal=True)
        await uninterrupted(self._clean_up(runtime, deleting))
        if deleting:
            await self._delete_object()
            self.ended = True
            if self.gone:
                self._wake()

    async def _clean_up(self, runtime: PodRuntime, deleting: bool) -> None:
        """Remove what a pod that does not run leaves behind; logs stay until it is deleted."""
        tools = self._tools
        tools.material.release(self.uid)
        tools.admission.release(self.uid)
        await tools.volumes.remove_pod(self.uid)
        if not tools.cgroups.remove_pod(self.uid):
            self.book.retry_in(1.0)
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
            # A conflict is tried again: where the pod was replaced, the watch says so meanwhile.
            if error.code != 404:
                raise


def _with_conditions_of_others(
    own: core_v1.PodStatus | None, stored: core_v1.PodStatus | None
) -> core_v1.PodStatus | None:
    """Our last status, with the conditions that other writers have set since."""
    if own is None or stored is None:
        return own or stored
    mine = [c for c in own.conditions or () if c.type in OWNED]
    theirs = [c for c in stored.conditions or () if c.type not in OWNED]
    return msgspec.structs.replace(own, conditions=mine + theirs)
