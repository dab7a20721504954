"""What the runtime has, read and kept: the CRI's answers as `PodRuntime` values per pod.

A container's status can change only with its state, so one that has been read is asked for again
only when the list shows another state. Neighbours: `cri`; `runtime_events` says when to look.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.pods.identity import (
    CONTAINER_HASH,
    CONTAINER_NAME,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
    RESTART_COUNT,
    TERMINATION_PATH,
    TERMINATION_POLICY,
)
from nodeagent.pods.runtime_state import (
    ContainerRecord,
    ContainerState,
    PodRuntime,
    SandboxRecord,
)
from nodeagent.termination_message import read_termination_message
from pinnace_wire import cri_pb2 as pb

STATES = {
    pb.CONTAINER_CREATED: ContainerState.CREATED,
    pb.CONTAINER_RUNNING: ContainerState.RUNNING,
    pb.CONTAINER_EXITED: ContainerState.EXITED,
    pb.CONTAINER_UNKNOWN: ContainerState.UNKNOWN,
}


@dataclass(frozen=True)
class PodName:
    """Which pod a sandbox was made for, by its labels."""

    uid: str
    namespace: str
    name: str


@dataclass
class RuntimeReader:
    """Reads pods from the CRI; `pods` holds what was read last, by pod uid."""

    cri: CriClient
    pods: dict[str, PodRuntime] = field(default_factory=dict)
    names: dict[str, PodName] = field(default_factory=dict)
    _owner: dict[str, str] = field(default_factory=dict)
    _records: dict[tuple[str, int], ContainerRecord] = field(default_factory=dict)
    _sandboxes: dict[tuple[str, int], SandboxRecord] = field(default_factory=dict)

    def uid_of(self, runtime_id: str) -> str | None:
        """The pod that a container or sandbox id belongs to, where it has been seen."""
        return self._owner.get(runtime_id)

    def claim(self, runtime_id: str, uid: str) -> None:
        """Tell whose a container is that was just made: it may end before it is read."""
        self._owner[runtime_id] = uid

    def forget_record(self, container_id: str) -> None:
        """Have the container's status read again."""
        for key in [k for k in self._records if k[0] == container_id]:
            del self._records[key]

    def find(self, container_id: str) -> ContainerRecord | None:
        for container in self.pods.get(self._owner.get(container_id, ""), PodRuntime()).containers:
            if container.id == container_id:
                return container
        return None

    async def read_pod(self, uid: str) -> PodRuntime:
        """Everything of one pod, as it is now."""
        labels = {POD_UID: uid}
        sandboxes, containers = await asyncio.gather(
            self.cri.list_sandboxes(labels), self.cri.list_containers(labels)
        )
        return await self._assemble(uid, sandboxes, containers)

    async def read_all(self) -> set[str]:
        """Read every pod; the uids of those that changed since they were read last."""
        sandboxes, containers = await asyncio.gather(
            self.cri.list_sandboxes(), self.cri.list_containers()
        )
        by_uid: dict[str, tuple[list[pb.PodSandbox], list[pb.Container]]] = {}
        for sandbox in sandboxes:
            by_uid.setdefault(sandbox.labels.get(POD_UID, ""), ([], []))[0].append(sandbox)
        for container in containers:
            by_uid.setdefault(container.labels.get(POD_UID, ""), ([], []))[1].append(container)
        # What has no uid was not made by an agent, and is left alone.
        by_uid.pop("", None)
        changed = set()
        for uid in by_uid.keys() | self.pods.keys():
            before = self.pods.get(uid, PodRuntime())
            after = await self._assemble(uid, *by_uid.get(uid, ([], [])))
            if after != before:
                changed.add(uid)
        return changed

    def forget(self, uid: str) -> None:
        """Drop what was read of a pod that is gone."""
        self.pods.pop(uid, None)
        self.names.pop(uid, None)
        gone = {i for i, owner in self._owner.items() if owner == uid}
        for runtime_id in gone:
            del self._owner[runtime_id]
        for cache in (self._records, self._sandboxes):
            for key in [k for k in cache if k[0] in gone]:
                del cache[key]

    async def _assemble(
        self, uid: str, sandboxes: Iterable[pb.PodSandbox], containers: Iterable[pb.Container]
    ) -> PodRuntime:
        sandboxes, containers = list(sandboxes), list(containers)
        for item in sandboxes:
            self._owner[item.id] = uid
            labels = item.labels
            self.names[uid] = PodName(uid, labels.get(POD_NAMESPACE, ""), labels.get(POD_NAME, ""))
        for one in containers:
            self._owner[one.id] = uid
        found = await asyncio.gather(
            *(self._sandbox(s) for s in sandboxes), *(self._container(c) for c in containers)
        )
        runtime = PodRuntime(
            tuple(sorted((f for f in found if isinstance(f, SandboxRecord)), key=_sandbox_age)),
            tuple(sorted((f for f in found if isinstance(f, ContainerRecord)), key=_age)),
        )
        if runtime == PodRuntime():
            self.pods.pop(uid, None)
        else:
            self.pods[uid] = runtime
        return runtime

    async def _sandbox(self, item: pb.PodSandbox) -> SandboxRecord | None:
        known = self._sandboxes.get((item.id, item.state))
        if known is not None:
            return known
        try:
            status = await self.cri.sandbox_status(item.id)
        except RuntimeServiceError as error:
            if error.not_found:
                return None
            raise
        record = sandbox_record(status)
        self._sandboxes[(item.id, status.state)] = record
        return record

    async def _container(self, item: pb.Container) -> ContainerRecord | None:
        known = self._records.get((item.id, item.state))
        if known is not None:
            return known
        try:
            status = await self.cri.container_status(item.id)
        except RuntimeServiceError as error:
            if error.not_found:
                return None
            raise
        record = container_record(status, item.pod_sandbox_id)
        self._records[(item.id, status.state)] = record
        return record


def _sandbox_age(sandbox: SandboxRecord) -> tuple[int, int]:
    return (-sandbox.created_at_ns, -sandbox.attempt)


def _age(container: ContainerRecord) -> tuple[int, int]:
    return (-container.created_at_ns, -container.restart_count)


def sandbox_record(status: pb.PodSandboxStatus) -> SandboxRecord:
    network = status.network
    ips = [network.ip, *(extra.ip for extra in network.additional_ips)] if network.ip else []
    return SandboxRecord(
        id=status.id,
        attempt=status.metadata.attempt,
        ready=status.state == pb.SANDBOX_READY,
        created_at_ns=status.created_at,
        ips=tuple(ips),
        host_network=status.linux.namespaces.options.network == pb.NODE,
    )


def container_record(status: pb.ContainerStatus, sandbox_id: str) -> ContainerRecord:
    annotations = dict(status.annotations)
    state = STATES[status.state]
    return ContainerRecord(
        id=status.id,
        name=status.labels.get(CONTAINER_NAME, ""),
        state=state,
        created_at_ns=status.created_at,
        started_at_ns=status.started_at,
        finished_at_ns=status.finished_at,
        exit_code=status.exit_code,
        reason=status.reason,
        message=_message(status, annotations) if state is ContainerState.EXITED else "",
        image=status.image.image,
        image_ref=status.image_ref,
        hash=annotations.get(CONTAINER_HASH, ""),
        restart_count=int(annotations.get(RESTART_COUNT) or 0),
        sandbox_id=sandbox_id,
        log_path=status.log_path,
        annotations=annotations,
    )


def _message(status: pb.ContainerStatus, annotations: dict[str, str]) -> str:
    """What the container left in its termination message file, or in its log."""
    inside = annotations.get(TERMINATION_PATH, "")
    host_path = next((m.host_path for m in status.mounts if m.container_path == inside), None)
    fall_back = annotations.get(TERMINATION_POLICY) == "FallbackToLogsOnError"
    return read_termination_message(
        Path(host_path) if host_path else None,
        Path(status.log_path) if fall_back and status.exit_code != 0 else None,
        status.message,
    )
