"""What has to be done for one pod: a pure function of its spec and of what the runtime has.

Follows the kubelet's `computePodActions` (pkg/kubelet/kuberuntime), whose table of cases is the
specification in practice. Neighbours: `executor` does what is decided here. It never waits, asks
nobody, and knows no time: back-off is `backoff`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from kubeapi.types import core_v1
from nodeagent.pods.identity import container_hash
from nodeagent.pods.runtime_state import ContainerRecord, ContainerState, PodRuntime
from nodeagent.pods.spec import (
    Container,
    being_deleted,
    containers,
    ephemeral_containers,
    host_network,
    init_containers,
    is_sidecar,
    restart_policy,
    restarts_after,
)


class KillReason(Enum):
    """Why a container that runs is stopped; a failed probe has its own grace period."""

    CHANGED = "changed"
    LIVENESS = "liveness"
    STARTUP = "startup"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Kill:
    """A container to stop, and what the event says about it."""

    container: ContainerRecord
    message: str
    reason: KillReason


@dataclass(frozen=True)
class Verdicts:
    """What probes found so far, by container id; an id that is not there has no result yet."""

    liveness: Mapping[str, bool] = field(default_factory=dict)
    startup: Mapping[str, bool] = field(default_factory=dict)
    readiness: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class PodActions:
    """In the order of doing: kill the pod or single containers, make the sandbox, start."""

    kill_pod: bool = False
    create_sandbox: bool = False
    sandbox_id: str = ""
    attempt: int = 0
    init_to_start: tuple[str, ...] = ()
    to_start: tuple[str, ...] = ()
    ephemeral_to_start: tuple[str, ...] = ()
    to_kill: tuple[Kill, ...] = ()

    @property
    def nothing(self) -> bool:
        return not (self.kill_pod or self.create_sandbox or self.starts or self.to_kill)

    @property
    def starts(self) -> tuple[str, ...]:
        return self.ephemeral_to_start + self.init_to_start + self.to_start


@dataclass
class _Plan:
    """The lists under construction."""

    kill_pod: bool = False
    init: list[str] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)
    ephemeral: list[str] = field(default_factory=list)

    def done(self, sandbox_id: str, attempt: int) -> PodActions:
        return PodActions(
            kill_pod=self.kill_pod,
            sandbox_id=sandbox_id,
            attempt=attempt,
            init_to_start=tuple(self.init),
            to_start=tuple(self.start),
            ephemeral_to_start=tuple(self.ephemeral),
            to_kill=tuple(self.kill),
        )


def compute_pod_actions(
    pod: core_v1.Pod, runtime: PodRuntime, verdicts: Verdicts | None = None
) -> PodActions:
    """The actions that bring the runtime one step closer to the pod's spec."""
    verdicts = verdicts or Verdicts()
    renew, attempt, sandbox_id = _sandbox_needs_renewal(pod, runtime)
    if renew:
        return _with_new_sandbox(pod, runtime, attempt, sandbox_id)
    plan = _Plan()
    # They may come before initialization is complete, and are never started twice.
    names = [c.name or "" for c in ephemeral_containers(pod)]
    plan.ephemeral = [name for name in names if runtime.current(name) is None]
    plan.kill = [_kill_older(record) for record in runtime.superseded]
    initialized = _plan_init_containers(pod, runtime, verdicts, plan)
    if plan.kill_pod or not initialized:
        return plan.done(sandbox_id, attempt)
    kept = sum(_plan_container(pod, c, runtime, verdicts, plan) for c in containers(pod))
    if kept == 0 and not plan.start:
        plan.kill_pod = True
        # Sidecars must not keep alive a pod that is done.
        plan.init = []
        plan.ephemeral = []
    return plan.done(sandbox_id, attempt)


def should_restart(pod: core_v1.Pod, container: Container, record: ContainerRecord | None) -> bool:
    """Whether the container, seen by itself, is to be started (again)."""
    if being_deleted(pod):
        return False
    if record is None or record.state in (ContainerState.UNKNOWN, ContainerState.CREATED):
        return True
    return not record.running and restarts_after(pod, container, record.exit_code)


def _sandbox_needs_renewal(pod: core_v1.Pod, runtime: PodRuntime) -> tuple[bool, int, str]:
    """Whether a sandbox must be made, as which attempt, and the sandbox to use or replace."""
    if not runtime.sandboxes:
        return True, 0, ""
    newest = runtime.sandboxes[0]
    several = sum(s.ready for s in runtime.sandboxes) > 1
    other_network = newest.host_network != host_network(pod)
    without_address = not newest.host_network and not newest.ips
    if several or not newest.ready or other_network or without_address:
        return True, newest.attempt + 1, newest.id
    return False, newest.attempt, newest.id


def _with_new_sandbox(
    pod: core_v1.Pod, runtime: PodRuntime, attempt: int, sandbox_id: str
) -> PodActions:
    """Everything goes and is made anew; but what is done already is not run again."""
    kill_only = PodActions(kill_pod=True, sandbox_id=sandbox_id, attempt=attempt)
    had_containers = attempt != 0 and bool(runtime.containers)
    if had_containers and not _anything_may_restart(pod):
        return kill_only
    to_start = tuple(
        c.name or "" for c in containers(pod) if not _is_done(pod, c, runtime.current(c.name or ""))
    )
    if not to_start and _any_regular_seen(pod, runtime):
        return kill_only
    first_init = init_containers(pod)[:1]
    return PodActions(
        kill_pod=True,
        create_sandbox=True,
        sandbox_id=sandbox_id,
        attempt=attempt,
        init_to_start=tuple(c.name or "" for c in first_init),
        to_start=() if first_init else to_start,
    )


def _anything_may_restart(pod: core_v1.Pod) -> bool:
    return restart_policy(pod) != "Never" or any(
        c.restartPolicy not in (None, "Never") or c.restartPolicyRules for c in containers(pod)
    )


def _is_done(pod: core_v1.Pod, container: Container, record: ContainerRecord | None) -> bool:
    if record is None or not record.exited:
        return False
    return not restarts_after(pod, container, record.exit_code)


def _any_regular_seen(pod: core_v1.Pod, runtime: PodRuntime) -> bool:
    return any(runtime.current(c.name or "") is not None for c in containers(pod))


def _plan_init_containers(
    pod: core_v1.Pod, runtime: PodRuntime, verdicts: Verdicts, plan: _Plan
) -> bool:
    """Plan the init containers; True when the regular containers may be looked at.

    Walks from the last to the first: older ones that completed may have been removed from the
    runtime, so the last one that left a trace says how far initialization got. The rest of the
    walk only keeps sidecars running.
    """
    inits = init_containers(pod)
    if not inits:
        return True
    # A regular container that was ever made proves that initialization was complete.
    initialized = any(
        record is not None and record.state is not ContainerState.UNKNOWN
        for record in (runtime.current(c.name or "") for c in containers(pod))
    )
    passed = initialized
    for index in range(len(inits) - 1, -1, -1):
        container = inits[index]
        record = runtime.current(container.name or "")
        if record is None:
            if passed and is_sidecar(container):
                plan.init.append(container.name or "")
            continue
        if passed and not is_sidecar(container):
            continue
        step = _step_sidecar if is_sidecar(container) else _step_init
        complete = step(pod, container, record, verdicts, plan)
        if plan.kill_pod:
            plan.init = []
            return False
        if complete and index == len(inits) - 1:
            initialized = True
        elif complete and not passed:
            plan.init.append(inits[index + 1].name or "")
        passed = True
    if not passed:
        plan.init.append(inits[0].name or "")
    plan.init = list(dict.fromkeys(reversed(plan.init)))
    return initialized


def _step_init(
    pod: core_v1.Pod,
    container: Container,
    record: ContainerRecord,
    verdicts: Verdicts,
    plan: _Plan,
) -> bool:
    """Plan for the init container that initialization has got to; True when it completed."""
    name = container.name or ""
    if record.running:
        return False
    if record.exited and record.exit_code == 0:
        return True
    if record.state is ContainerState.CREATED:
        # Created but never started: the runtime failed in between.
        plan.init.append(name)
    elif not restarts_after(pod, container, record.exit_code or 1):
        plan.kill_pod = True
    else:
        if record.state is ContainerState.UNKNOWN:
            plan.kill.append(_kill_unknown("Init container", record))
        plan.init.append(name)
    return False


def _step_sidecar(
    pod: core_v1.Pod,
    container: Container,
    record: ContainerRecord,
    verdicts: Verdicts,
    plan: _Plan,
) -> bool:
    """Plan for a sidecar; True when it has started, so that the next init container may run."""
    name = container.name or ""
    if not record.running:
        if record.state is ContainerState.UNKNOWN:
            plan.kill.append(_kill_unknown("Init container", record))
        plan.init.append(name)
        return False
    kill = _reason_to_kill("Init container", container, record, verdicts)
    if kill is not None:
        plan.kill.append(kill)
        plan.init.append(name)
    if container.startupProbe is None:
        return True
    return verdicts.startup.get(record.id) is True


def _plan_container(
    pod: core_v1.Pod,
    container: Container,
    runtime: PodRuntime,
    verdicts: Verdicts,
    plan: _Plan,
) -> bool:
    """Plan for a regular container; True when it runs and stays."""
    name = container.name or ""
    record = runtime.current(name)
    if record is None or not record.running:
        if should_restart(pod, container, record):
            plan.start.append(name)
            if record is not None and record.state is ContainerState.UNKNOWN:
                plan.kill.append(_kill_unknown("Container", record))
        return False
    kill = _reason_to_kill("Container", container, record, verdicts)
    if kill is None:
        return True
    # A changed definition restarts whatever the policy says: the spec asks for the new one.
    if kill.reason is KillReason.CHANGED or restarts_after(pod, container, 137):
        kill = Kill(record, f"{kill.message}, will be restarted", kill.reason)
        plan.start.append(name)
    plan.kill.append(kill)
    return False


def _reason_to_kill(
    what: str, container: Container, record: ContainerRecord, verdicts: Verdicts
) -> Kill | None:
    if record.hash and record.hash != container_hash(container):
        message = f"{what} {container.name} definition changed"
        return Kill(record, message, KillReason.CHANGED)
    if verdicts.liveness.get(record.id) is False:
        message = f"{what} {container.name} failed liveness probe"
        return Kill(record, message, KillReason.LIVENESS)
    if verdicts.startup.get(record.id) is False:
        message = f"{what} {container.name} failed startup probe"
        return Kill(record, message, KillReason.STARTUP)
    return None


def _kill_older(record: ContainerRecord) -> Kill:
    """A container that an agent began to start when it died, found running beside its successor."""
    message = f"Container {record.name} runs twice, the older one is stopped"
    return Kill(record, message, KillReason.UNKNOWN)


def _kill_unknown(what: str, record: ContainerRecord) -> Kill:
    message = f'{what} is in "unknown" state, try killing it before restart'
    return Kill(record, message, KillReason.UNKNOWN)
