"""What the runtime has of one pod, as values: sandboxes and containers, newest first."""

from dataclasses import dataclass, field
from enum import Enum


class ContainerState(Enum):
    """The CRI's container states."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SandboxRecord:
    """One pod sandbox; of several the newest counts."""

    id: str
    attempt: int = 0
    ready: bool = True
    created_at_ns: int = 0
    ips: tuple[str, ...] = ()
    host_network: bool = False


@dataclass(frozen=True)
class ContainerRecord:
    """One container of a pod, running or not; `message` is its termination message."""

    id: str
    name: str
    state: ContainerState = ContainerState.RUNNING
    created_at_ns: int = 0
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    hash: str = ""
    restart_count: int = 0
    sandbox_id: str = ""
    log_path: str = ""
    annotations: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def running(self) -> bool:
        return self.state is ContainerState.RUNNING

    @property
    def exited(self) -> bool:
        return self.state is ContainerState.EXITED

    @property
    def failed(self) -> bool:
        """It ended, and not well."""
        return self.exited and self.exit_code != 0


@dataclass(frozen=True)
class PodRuntime:
    """Everything the runtime has of one pod."""

    sandboxes: tuple[SandboxRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()

    def current(self, name: str) -> ContainerRecord | None:
        """The newest container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def previous(self, name: str) -> ContainerRecord | None:
        """The one before it."""
        return next((c for c in [c for c in self.containers if c.name == name][1:]), None)

    @property
    def ready_sandbox(self) -> SandboxRecord | None:
        return next((s for s in self.sandboxes if s.ready), None)

    @property
    def running(self) -> tuple[ContainerRecord, ...]:
        """What may still execute: an unknown state may be a running one."""
        alive = (ContainerState.RUNNING, ContainerState.UNKNOWN)
        return tuple(c for c in self.containers if c.state in alive)

    @property
    def superseded(self) -> tuple[ContainerRecord, ...]:
        """Containers that run although there is a newer one of their name."""
        return tuple(c for c in self.containers if c.running and c != self.current(c.name))

    @property
    def stopped(self) -> bool:
        return not self.running and self.ready_sandbox is None
