"""What a pod's status is built from, beside the pod itself: values that others found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeapi.types import core_v1
from nodeagent.pods.actions import Verdicts
from nodeagent.pods.runtime_state import PodRuntime


@dataclass(frozen=True)
class StartFailure:
    """Why a container does not run although it should: its `waiting` reason and message."""

    reason: str
    message: str


@dataclass(frozen=True)
class PodFailure:
    """Why the whole pod failed: DeadlineExceeded, a rejected admission."""

    reason: str
    message: str


@dataclass(frozen=True)
class Observed:
    """What the status is built from, beside the pod itself."""

    runtime: PodRuntime = field(default_factory=PodRuntime)
    start_failures: Mapping[str, StartFailure] = field(default_factory=dict)
    verdicts: Verdicts = field(default_factory=Verdicts)
    host_ips: tuple[str, ...] = ()
    # All that ran has ended for good, whatever the restart policy says.
    terminal: bool = False
    # What containers, by id, were given after they were made (in-place resizes).
    resized: Mapping[str, core_v1.ResourceRequirements] = field(default_factory=dict)
    failure: PodFailure | None = None
