"""Requests and limits as the kernel takes them: QoS class, cpu shares and quota, OOM score.

Source: the kubelet's `qos` and `cm` packages and the CRI's LinuxContainerResources.
"""

from dataclasses import dataclass

from kubeapi.quantity import millis, units
from kubeapi.types import core_v1
from nodeagent.pods.spec import Container

CPU_PERIOD_US = 100_000
MIN_SHARES = 2
MAX_SHARES = 262_144
MIN_QUOTA_US = 1000

GUARANTEED_OOM_SCORE = -997
BEST_EFFORT_OOM_SCORE = 1000


@dataclass(frozen=True)
class Limits:
    """cgroup settings; 0 and None mean none. `cpu_shares` is on the scale of cgroup v1."""

    cpu_shares: int = MIN_SHARES
    cpu_quota_us: int | None = None
    memory_bytes: int | None = None


def _positive(amounts: dict[str, str] | None) -> dict[str, str]:
    counted = {k: v for k, v in (amounts or {}).items() if k in ("cpu", "memory")}
    return {k: v for k, v in counted.items() if millis(v) > 0}


def _resources(of: Container) -> core_v1.ResourceRequirements:
    return of.resources or core_v1.ResourceRequirements()


def qos_class(spec: core_v1.PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort (init containers count too)."""
    if spec.resources is not None:
        every = [spec.resources]
    else:
        every = [_resources(c) for c in [*(spec.initContainers or ()), *(spec.containers or ())]]
    if not any(_positive(r.requests) or _positive(r.limits) for r in every):
        return "BestEffort"
    for resources in every:
        limits = _positive(resources.limits)
        requests = _positive(resources.requests) or limits
        same = all(
            key in requests and millis(requests[key]) == millis(limits[key]) for key in limits
        )
        if set(limits) != {"cpu", "memory"} or not same:
            return "Burstable"
    return "Guaranteed"


def shares_of(milli_cpu: int) -> int:
    return min(MAX_SHARES, max(MIN_SHARES, milli_cpu * 1024 // 1000))


def quota_of(milli_cpu: int) -> int:
    return max(MIN_QUOTA_US, milli_cpu * CPU_PERIOD_US // 1000)


def _amount(amounts: dict[str, str] | None, key: str) -> int:
    """Millicores of cpu, bytes of anything else; 0 where it is not set."""
    text = (amounts or {}).get(key)
    if text is None:
        return 0
    return millis(text) if key == "cpu" else units(text)


def container_limits(container: Container) -> Limits:
    """A container's own cgroup; without a cpu request its limit stands for it."""
    resources = _resources(container)
    cpu_limit = _amount(resources.limits, "cpu")
    has_request = "cpu" in (resources.requests or {})
    cpu_request = _amount(resources.requests, "cpu") if has_request else cpu_limit
    return Limits(
        cpu_shares=shares_of(cpu_request),
        cpu_quota_us=quota_of(cpu_limit) if cpu_limit else None,
        memory_bytes=_amount(resources.limits, "memory") or None,
    )


def requested(spec: core_v1.PodSpec, key: str) -> int:
    """The pod's request: of containers and sidecars together, or of the largest init container
    with the sidecars started before it, whichever is more; and the overhead (KEP-753)."""
    return _total(spec, key, limits=False)[0]


def pod_limits(spec: core_v1.PodSpec) -> Limits:
    """The pod's cgroup: limits only where every container has one (cm `ResourceConfigForPod`)."""
    cpu, _ = _total(spec, "cpu", limits=False)
    cpu_limit, cpu_limited = _total(spec, "cpu", limits=True)
    memory_limit, memory_limited = _total(spec, "memory", limits=True)
    return Limits(
        cpu_shares=shares_of(cpu),
        cpu_quota_us=quota_of(cpu_limit) if cpu_limited else None,
        memory_bytes=memory_limit if memory_limited else None,
    )


def _total(spec: core_v1.PodSpec, key: str, *, limits: bool) -> tuple[int, bool]:
    """The pod's sum, and whether every container has a share in it."""

    def amount(resources: core_v1.ResourceRequirements) -> int:
        if limits:
            return _amount(resources.limits, key)
        return _amount(resources.requests, key) or (
            _amount(resources.limits, key) if key not in (resources.requests or {}) else 0
        )

    overhead = _amount(spec.overhead, key)
    if spec.resources is not None and amount(spec.resources):
        return amount(spec.resources) + overhead, True
    every = [*(spec.initContainers or ()), *(spec.containers or ())]
    sidecar_sum = largest_init = 0
    for container in spec.initContainers or ():
        own = amount(_resources(container))
        if container.restartPolicy == "Always":
            sidecar_sum += own
            own = 0
        largest_init = max(largest_init, sidecar_sum + own)
    regular = sum(amount(_resources(c)) for c in spec.containers or ())
    complete = bool(every) and all(amount(_resources(c)) > 0 for c in every)
    return max(regular + sidecar_sum, largest_init) + overhead, complete


def oom_score_adj(spec: core_v1.PodSpec, container: Container, capacity_bytes: int) -> int:
    """Who dies first when memory runs out (the kubelet's `GetContainerOOMScoreAdjust`)."""
    if spec.priorityClassName == "system-node-critical":
        return GUARANTEED_OOM_SCORE
    quality = qos_class(spec)
    if quality == "Guaranteed":
        return GUARANTEED_OOM_SCORE
    if quality == "BestEffort":
        return BEST_EFFORT_OOM_SCORE
    request_bytes = _amount(_resources(container).requests, "memory")
    adjusted = 1000 - 1000 * request_bytes // max(1, capacity_bytes)
    # Never as safe as a guaranteed pod, never as exposed as a best-effort one.
    return min(BEST_EFFORT_OOM_SCORE - 1, max(1000 + GUARANTEED_OOM_SCORE, adjusted))
