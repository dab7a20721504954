"""Does what `actions` decided, against containerd: sandboxes and containers, made and stopped.

Neighbours: `worker` calls it with fresh actions and reads the runtime again afterwards. A failure
to start is kept in the pod's `Book`, for its status and for the next attempt; nothing here loops.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from base.clock import Clock
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupError, CgroupManager
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.events import EventRecorder
from nodeagent.images import Credentials, ImageError, ImageManager
from nodeagent.pods.actions import Kill, KillReason, PodActions
from nodeagent.pods.backoff import FailureBackoff, go_duration
from nodeagent.pods.container_config import container_config, container_resources
from nodeagent.pods.dns import pod_dns, read_host_resolv_conf
from nodeagent.pods.env import ConfigError, References, build_env
from nodeagent.pods.hooks import HookError, run_hook
from nodeagent.pods.hosts_file import hosts_file
from nodeagent.pods.identity import container_hash
from nodeagent.pods.interrupt import uninterrupted
from nodeagent.pods.killing import Killer
from nodeagent.pods.mounts import container_mounts
from nodeagent.pods.observed import StartFailure
from nodeagent.pods.resize import Resize, given, plan
from nodeagent.pods.runtime_state import ContainerRecord, ContainerState, PodRuntime
from nodeagent.pods.sandbox_config import pod_log_directory, sandbox_config
from nodeagent.pods.settings import Settings
from nodeagent.pods.spec import (
    EMPTY_STATUS,
    Container,
    all_containers,
    event_name,
    find_container,
    host_network,
    target_of,
    uid_of,
)
from nodeagent.runtime_reader import RuntimeReader, sandbox_record
from nodeagent.volumes.manager import VolumeManager
from pinnace_wire import cri_pb2 as pb

log = logging.getLogger(__name__)

CONFIG_RETRY_S = 10.0
START_RETRY_S = 1.0


@dataclass
class Book:
    """What is remembered of one pod between two runs of its worker."""

    failures: dict[str, StartFailure] = field(default_factory=dict)
    crashes: FailureBackoff = field(default_factory=FailureBackoff)
    # What containers, by id, were given since they were made.
    resized: dict[str, core_v1.ResourceRequirements] = field(default_factory=dict)
    retry_after_s: float | None = None

    def retry_in(self, delay_s: float) -> None:
        """Look again after `delay_s`, or sooner where that was asked for."""
        known_s = self.retry_after_s
        self.retry_after_s = delay_s if known_s is None else min(known_s, delay_s)


@dataclass(frozen=True)
class Material:
    """What containers of one pod are made with, beside the pod itself."""

    references: References
    credentials: list[Credentials]
    volumes: dict[str, Path]

    def with_ips(self, pod_ips: tuple[str, ...]) -> "Material":
        return replace(self, references=replace(self.references, pod_ips=pod_ips))


@dataclass(frozen=True)
class Sandbox:
    """The sandbox that containers are started in; `ips` are the pod's (the node's on its net)."""

    id: str
    attempt: int
    ips: tuple[str, ...]


class SandboxError(Exception):
    """The sandbox could not be made; the event has been written."""


@dataclass(frozen=True)
class _Start:
    """One container about to start."""

    pod: core_v1.Pod
    container: Container
    sandbox: Sandbox
    sandbox_config: pb.PodSandboxConfig
    restart_count: int
    material: Material
    # The container whose processes this one sees, for an ephemeral container.
    target_id: str = ""
    # The container itself, where it was made but an agent that died did not start it.
    made_id: str = ""


@dataclass(frozen=True)
class PodExecutor:
    """Performs actions of any pod; holds no state of its own."""

    cri: CriClient
    reader: RuntimeReader
    images: ImageManager
    volumes: VolumeManager
    cgroups: CgroupManager
    events: EventRecorder
    killer: Killer
    settings: Settings
    clock: Clock
    # Making sandboxes and containers is the machine's CPU: of 30 pods at once on 2 cores, all come
    # after 5 s when they share it, but half of them after 3 s when a few go at a time.
    slots: asyncio.Semaphore

    async def kill(self, pod: core_v1.Pod, actions: PodActions, runtime: PodRuntime) -> None:
        """The killing part: the whole pod, or single containers."""
        if actions.kill_pod:
            if actions.create_sandbox and runtime.sandboxes:
                text = "Pod sandbox changed, it will be killed and re-created."
                self.events.pod(pod, "Normal", "SandboxChanged", text)
            await self.killer.kill_pod(pod, runtime)
            return
        for kill in actions.to_kill:
            await self.killer.kill_container(pod, kill.container, kill)

    async def create_sandbox(self, pod: core_v1.Pod, attempt: int) -> Sandbox:
        """A new sandbox. Raises SandboxError."""
        _, missing = pod_dns(pod, self.settings.cluster_dns, read_host_resolv_conf())
        if missing is not None:
            self.events.pod(pod, "Warning", "MissingClusterDNS", missing)
        try:
            self.cgroups.ensure_pod(pod)
            config = self._sandbox_config(pod, attempt)
            async with self.slots:
                sandbox_id = await self.cri.run_sandbox(config)
            self.reader.claim(sandbox_id, uid_of(pod))
            status = await self.cri.sandbox_status(sandbox_id)
        except (RuntimeServiceError, CgroupError) as error:
            text = f"Failed to create pod sandbox: {error}"
            self.events.pod(pod, "Warning", "FailedCreatePodSandBox", text)
            raise SandboxError(text) from None
        own = sandbox_record(status).ips
        return Sandbox(
            sandbox_id, attempt, self.settings.node.host_ips if host_network(pod) else own
        )

    def _sandbox_config(self, pod: core_v1.Pod, attempt: int) -> pb.PodSandboxConfig:
        dns, _ = pod_dns(pod, self.settings.cluster_dns, read_host_resolv_conf())
        log_dir = pod_log_directory(self.settings.logs_dir, pod)
        log_dir.mkdir(parents=True, exist_ok=True)
        return sandbox_config(
            pod,
            attempt,
            dns,
            self.settings.logs_dir,
            self.cgroups.pod_parent(pod),
            self.settings.cluster_dns.domain,
        )

    async def start_containers(
        self,
        pod: core_v1.Pod,
        names: tuple[str, ...],
        sandbox: Sandbox,
        runtime: PodRuntime,
        material: Material,
        book: Book,
    ) -> bool:
        """Start `names` in order; one that fails does not keep the next from starting.

        True where at least one started.
        """
        config = self._sandbox_config(pod, sandbox.attempt)
        any_started = False
        for name in names:
            container = find_container(pod, name)
            if container is None:
                continue
            record = runtime.current(name)
            if self._must_wait(pod, container, record, book):
                continue
            start = _Start(
                pod,
                container,
                sandbox,
                config,
                _next_restart(pod, name, record),
                material,
                _target_id(pod, name, runtime),
                made_id=_made_id(record, sandbox),
            )
            any_started = await self._start(start, book) or any_started
        return any_started

    def _must_wait(
        self, pod: core_v1.Pod, container: Container, record: ContainerRecord | None, book: Book
    ) -> bool:
        """Whether the container is in crash-loop back-off; counts the restart where not."""
        if record is None or not record.exited:
            return False
        key = f"{container.name}/{container_hash(container)}"
        now_s, ended_s = self.clock.now_s(), record.finished_at_ns / 1e9
        wait_s = book.crashes.remaining_s(key, ended_s, now_s)
        if wait_s <= 0:
            book.crashes.failed(key, ended_s, now_s)
            return False
        where = f"container={container.name} pod={event_name(pod)}"
        text = f"Back-off restarting failed container {container.name} in pod {event_name(pod)}"
        self.events.pod(pod, "Warning", "BackOff", text, container.name or "")
        message = f"back-off {go_duration(book.crashes.delay_s(key))} restarting failed {where}"
        book.failures[container.name or ""] = StartFailure("CrashLoopBackOff", message)
        book.retry_in(wait_s)
        return True

    async def resize(self, pod: core_v1.Pod, runtime: PodRuntime, book: Book) -> None:
        """Bring the limits of containers that run to what the spec asks for now."""
        for container in all_containers(pod):
            record = runtime.current(container.name or "")
            if record is None or not record.running:
                continue
            actual = book.resized.get(record.id) or given(record.annotations)
            step = plan(container, actual)
            if step is Resize.RESTART:
                text = f"Container {container.name} resize requires restart"
                kill = Kill(record, text, KillReason.CHANGED)
                await self.killer.kill_container(pod, record, kill)
            elif step is Resize.UPDATE:
                limits = container_resources(pod, container, self.settings.machine)
                try:
                    await self.cri.update_resources(record.id, limits)
                except RuntimeServiceError as error:
                    text = f"Error resizing container {container.name}: {error}"
                    self.events.pod(pod, "Warning", "ResizeError", text, container.name or "")
                    book.retry_in(CONFIG_RETRY_S)
                    continue
                book.resized[record.id] = container.resources or core_v1.ResourceRequirements()

    async def _start(self, start: _Start, book: Book) -> bool:
        name = start.container.name or ""
        try:
            container_id = start.made_id or await self._create(start)
            await uninterrupted(self._launch(start, container_id))
            await self._post_start(start, container_id)
        except ImageError as error:
            self._failed(start, book, StartFailure(error.reason, str(error)), error.reason)
            book.retry_in(error.retry_after_s or CONFIG_RETRY_S)
        except ConfigError as error:
            failure = StartFailure("CreateContainerConfigError", str(error))
            self._failed(start, book, failure, str(error))
            book.retry_in(CONFIG_RETRY_S)
        except HookError as error:
            failure = StartFailure("PostStartHookError", str(error))
            self._failed(start, book, failure, str(error))
            book.retry_in(0.0)
        except RuntimeServiceError as error:
            creating = error.call == "CreateContainer"
            reason = "CreateContainerError" if creating else "RunContainerError"
            self._failed(start, book, StartFailure(reason, error.details), error.details)
            book.retry_in(CONFIG_RETRY_S if creating else START_RETRY_S)
        else:
            book.failures.pop(name, None)
            return True
        return False

    def _failed(self, start: _Start, book: Book, failure: StartFailure, said: str) -> None:
        name = start.container.name or ""
        book.failures[name] = failure
        self.events.pod(start.pod, "Warning", "Failed", f"Error: {said}", name)

    def _config(self, start: _Start, image: pb.Image) -> pb.ContainerConfig:
        pod, settings = start.pod, self.settings
        env = build_env(pod, start.container, start.material.references)
        mounts = container_mounts(
            start.container,
            start.material.volumes,
            self.volumes.pod_dir(uid_of(pod)),
            env,
            start.restart_count,
            hosts_file(pod, start.sandbox.ips, settings.cluster_dns.domain),
        )
        config = container_config(
            pod,
            start.container,
            restart_count=start.restart_count,
            image=image,
            env=env,
            mounts=mounts,
            machine=settings.machine,
        )
        if start.target_id:
            options = config.linux.security_context.namespace_options
            options.pid, options.target_id = pb.TARGET, start.target_id
        return config

    async def _create(self, start: _Start) -> str:
        """The id of the container, made but not started."""
        pod = start.pod
        image = await self.images.ensure(pod, start.container, start.material.credentials)
        config = self._config(start, image)
        async with self.slots:
            making = self.cri.create_container(start.sandbox.id, config, start.sandbox_config)
            container_id = await uninterrupted(making)
        name = start.container.name or ""
        self.events.pod(pod, "Normal", "Created", "Container created", name)
        return container_id

    async def _launch(self, start: _Start, container_id: str) -> None:
        # It may end before it is read: its pod must be known by then.
        self.reader.claim(container_id, uid_of(start.pod))
        async with self.slots:
            await self.cri.start_container(container_id)
        name = start.container.name or ""
        self.events.pod(start.pod, "Normal", "Started", "Container started", name)

    async def _post_start(self, start: _Start, container_id: str) -> None:
        name, pod = start.container.name or "", start.pod
        hook = start.container.lifecycle.postStart if start.container.lifecycle else None
        if hook is None:
            return
        address = start.sandbox.ips[0] if start.sandbox.ips else ""
        try:
            await run_hook(self.cri, self.clock, hook, start.container, container_id, address)
        except HookError:
            self.events.pod(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", name)
            await self.killer.kill_container(pod, ContainerRecord(container_id, name))
            raise


def _next_restart(pod: core_v1.Pod, name: str, record: ContainerRecord | None) -> int:
    """The count of this run: one more than the last, where there was one.

    A container that was removed from the runtime by hand is remembered by the pod's status.
    """
    if record is not None:
        return record.restart_count + 1
    status = pod.status or EMPTY_STATUS
    every = [*(status.initContainerStatuses or ()), *(status.containerStatuses or ())]
    known = next((s for s in every if s.name == name and s.containerID), None)
    return (known.restartCount or 0) + 1 if known is not None else 0


def _target_id(pod: core_v1.Pod, name: str, runtime: PodRuntime) -> str:
    target = runtime.current(target_of(pod, name))
    return target.id if target is not None and target.running else ""


def _made_id(record: ContainerRecord | None, sandbox: Sandbox) -> str:
    if record is None or record.state is not ContainerState.CREATED:
        return ""
    return record.id if record.sandbox_id == sandbox.id else ""
