"""What the agent serves over its tunnel, and the little it must know of pods to do so.

`ContainerLookup` is the seam to the rest of the agent: names of containers become log files and
streaming addresses there, because the agent holds the pods and the CRI client.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubeapi.errors import StatusError


@dataclass(frozen=True)
class ContainerRef:
    """A container of a pod, as the API names it. `pod_uid` tells a pod from its namesakes."""

    namespace: str
    pod_name: str
    pod_uid: str
    container: str


@dataclass(frozen=True)
class ContainerLog:
    """One run of a container, and the CRI log file that the runtime writes for it."""

    container_id: str
    path: Path


class ContainerLookup(Protocol):
    """Implemented by the agent over its pod cache and CRI client.

    Failures are `StatusError`s and reach the user word for word; `container_not_found` below is
    the one that Kubernetes gives for a container that is not there.
    """

    def container_log(self, ref: ContainerRef, *, previous: bool) -> ContainerLog:
        """The latest run of the container (running or ended), or the one before it."""
        ...

    def is_running(self, container_id: str) -> bool:
        """Whether this very run still goes on; followers of its log stop when it does not."""
        ...

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
        """The address that the CRI's `Exec` answers for the running container."""
        ...


def container_not_found(container: str) -> StatusError:
    """As the kubelet says it of a container that does not run."""
    message = f'unable to upgrade connection: container not found ("{container}")'
    return StatusError(404, "NotFound", message)
