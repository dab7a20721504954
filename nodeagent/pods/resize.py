"""In-place changes of a container's cpu and memory (KEP-1287): what to do, from values.

What a container was given stands in an annotation; what it was given since is remembered by the
pod's `Book`. After a restart of the agent an update is simply done once more.
"""

import json
from enum import Enum

import msgspec

from kubeapi.types import core_v1
from nodeagent.pods.qos import container_limits
from nodeagent.pods.spec import Container

RESOURCES = "io.pinnace.container.resources"
EMPTY = core_v1.ResourceRequirements()


class Resize(Enum):
    """How a container gets to what its spec asks for."""

    NONE = "none"
    UPDATE = "update"
    RESTART = "restart"


def noted(container: Container) -> str:
    """The annotation of a container that is made with its present resources."""
    return msgspec.json.encode(container.resources or EMPTY).decode()


def given(annotations: dict[str, str]) -> core_v1.ResourceRequirements | None:
    """What the container was made with; None where nobody noted it."""
    text = annotations.get(RESOURCES)
    return msgspec.convert(json.loads(text), core_v1.ResourceRequirements) if text else None


def plan(container: Container, actual: core_v1.ResourceRequirements | None) -> Resize:
    """What to do with a container that runs with `actual`."""
    if actual is None:
        return Resize.NONE
    before = Container(name=container.name, resources=actual)
    old, new = container_limits(before), container_limits(container)
    if old == new:
        return Resize.NONE
    changed = set()
    if (old.cpu_shares, old.cpu_quota_us) != (new.cpu_shares, new.cpu_quota_us):
        changed.add("cpu")
    if old.memory_bytes != new.memory_bytes:
        changed.add("memory")
    policies = {p.resourceName: p.restartPolicy for p in container.resizePolicy or ()}
    if any(policies.get(name) == "RestartContainer" for name in changed):
        return Resize.RESTART
    return Resize.UPDATE
