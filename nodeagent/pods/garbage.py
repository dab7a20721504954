"""What of a pod the runtime may forget: all but the last two runs, and sandboxes without any."""

from dataclasses import dataclass

from nodeagent.pods.runtime_state import ContainerRecord, PodRuntime, SandboxRecord

# The present run and the one before it, for `kubectl logs --previous` and lastState.
KEPT_RUNS = 2


@dataclass(frozen=True)
class Garbage:
    containers: tuple[ContainerRecord, ...] = ()
    sandboxes: tuple[SandboxRecord, ...] = ()


def find_garbage(runtime: PodRuntime) -> Garbage:
    """What can be removed while the pod goes on."""
    kept: list[ContainerRecord] = []
    removed: list[ContainerRecord] = []
    for container in runtime.containers:
        runs = sum(c.name == container.name for c in kept)
        alive = container in runtime.running
        (kept if alive or runs < KEPT_RUNS else removed).append(container)
    used = {container.sandbox_id for container in kept}
    old = [s for s in runtime.sandboxes[1:] if not s.ready and s.id not in used]
    return Garbage(tuple(removed), tuple(old))
