"""Names of containers to log files and streaming addresses: `streams.ContainerLookup` over what
the agent knows of its pods."""

from dataclasses import dataclass
from pathlib import Path

from kubeapi.errors import StatusError, bad_request, not_found
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.pods.manager import PodManager
from nodeagent.pods.runtime_state import ContainerRecord
from nodeagent.pods.spec import find_container, uid_of
from nodeagent.runtime_reader import RuntimeReader
from nodeagent.streams import ContainerLog, ContainerRef, container_not_found
from pinnace_wire import cri_pb2 as pb

_CANNOT_PULL = "waiting to start: trying and failing to pull image"
_WAITING = {
    "ErrImagePull": _CANNOT_PULL,
    "ImagePullBackOff": _CANNOT_PULL,
    "ErrImageNeverPull": "waiting to start: image can't be pulled",
}


@dataclass(frozen=True)
class PodLookup:
    """Implements `nodeagent.streams.ContainerLookup`."""

    pods: PodManager
    reader: RuntimeReader
    cri: CriClient

    def container_log(self, ref: ContainerRef, *, previous: bool) -> ContainerLog:
        uid = self._uid(ref)
        runtime = self.reader.pods.get(uid)
        if previous:
            record = runtime.previous(ref.container) if runtime else None
        else:
            record = runtime.current(ref.container) if runtime else None
        if record is None:
            raise _no_log(ref, previous, self.pods.waiting_reason(uid, ref.container))
        return ContainerLog(record.id, Path(record.log_path))

    def is_running(self, container_id: str) -> bool:
        record = self.reader.find(container_id)
        return record is not None and record.running

    async def exec_url(
        self,
        ref: ContainerRef,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        record = self._running(ref)
        request = pb.ExecRequest(
            container_id=record.id, cmd=command, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
        )
        try:
            return await self.cri.exec_url(request)
        except RuntimeServiceError as error:
            raise StatusError(500, "InternalError", str(error)) from None

    def _running(self, ref: ContainerRef) -> ContainerRecord:
        runtime = self.reader.pods.get(self._uid(ref))
        record = runtime.current(ref.container) if runtime else None
        if record is None or not record.running:
            raise container_not_found(ref.container)
        return record

    def _uid(self, ref: ContainerRef) -> str:
        """The uid of the pod that `ref` names, which must be one of this node."""
        pod = self.pods.find(ref.namespace, ref.pod_name)
        if pod is None or (ref.pod_uid and uid_of(pod) != ref.pod_uid):
            raise not_found("pods", ref.pod_name)
        if find_container(pod, ref.container) is None:
            raise bad_request(f"container {ref.container} is not valid for pod {ref.pod_name}")
        return uid_of(pod)


def _no_log(ref: ContainerRef, previous: bool, reason: str) -> StatusError:
    if previous:
        return bad_request(
            f'previous terminated container "{ref.container}" in pod "{ref.pod_name}" not found'
        )
    why = _WAITING.get(reason, f"waiting to start: {reason or 'ContainerCreating'}")
    return bad_request(f'container "{ref.container}" in pod "{ref.pod_name}" is {why}')
