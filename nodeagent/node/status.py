"""NodeStatus from facts: capacity, conditions, addresses, images. Pure.

Reasons and messages are the kubelet's, which people and tools search for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from base.clock import rfc3339
from kubeapi.types import core_v1
from nodeagent.node.facts import MachineFacts, Pressure
from pinnace_wire import cri_pb2 as pb

KUBELET_VERSION = "v1.36.2+pinnace.0.1.0"
IMAGES_MAX = 50
IMAGE_NAMES_MAX = 5
# The kubelet's default hard eviction thresholds, as far as conditions go.
MEMORY_LOW_BYTES = 100 << 20
DISK_LOW = 0.10
INODES_LOW = 0.05
PROCESSES_HIGH = 0.95


@dataclass(frozen=True)
class NodeFacts:
    """Everything a NodeStatus is made from."""

    name: str
    ips: tuple[str, ...]
    machine: MachineFacts
    pressure: Pressure
    max_pods: int
    runtime_version: str
    # Why the node cannot take pods, in the runtime's words; none where it can.
    problems: tuple[str, ...] = ()
    images: tuple[pb.Image, ...] = ()


def capacity(machine: MachineFacts, max_pods: int) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "pods": str(max_pods),
    } | {name: str(amount) for name, amount in machine.huge_pages.items()}


def allocatable(machine: MachineFacts, max_pods: int) -> dict[str, str]:
    """Capacity without what the eviction thresholds keep free, and without huge pages."""
    reserved = MEMORY_LOW_BYTES + sum(machine.huge_pages.values())
    memory_bytes = max(0, machine.memory_bytes - reserved)
    return capacity(machine, max_pods) | {
        "memory": f"{memory_bytes // 1024}Ki",
        "ephemeral-storage": str(int(machine.disk_bytes * (1 - DISK_LOW))),
    }


def labels(name: str, machine: MachineFacts) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def build_status(facts: NodeFacts, old: core_v1.NodeStatus, now_s: float) -> core_v1.NodeStatus:
    """The node's status now; `old` keeps the times of conditions that did not change, and what
    other writers own."""
    machine = facts.machine
    return msgspec.structs.replace(
        old,
        capacity=capacity(machine, facts.max_pods),
        allocatable=allocatable(machine, facts.max_pods),
        conditions=_conditions(facts, old, now_s),
        addresses=[
            *(core_v1.NodeAddress(type="InternalIP", address=ip) for ip in facts.ips),
            core_v1.NodeAddress(type="Hostname", address=facts.name),
        ],
        nodeInfo=core_v1.NodeSystemInfo(
            machineID=machine.machine_id,
            systemUUID=machine.system_uuid or machine.machine_id,
            bootID=machine.boot_id,
            kernelVersion=machine.kernel,
            osImage=machine.os_image,
            containerRuntimeVersion=facts.runtime_version,
            kubeletVersion=KUBELET_VERSION,
            kubeProxyVersion="",
            operatingSystem="linux",
            architecture=machine.architecture,
            swap=core_v1.NodeSwapStatus(capacity=machine.swap_bytes or None),
        ),
        images=_images(facts.images),
    )


def _images(images: Iterable[pb.Image]) -> list[core_v1.ContainerImage] | None:
    """The largest images, as the scheduler's image locality reads them."""
    largest = sorted(images, key=lambda image: image.size, reverse=True)[:IMAGES_MAX]
    return [
        core_v1.ContainerImage(
            names=[*image.repo_digests, *image.repo_tags][:IMAGE_NAMES_MAX] or [image.id],
            sizeBytes=image.size,
        )
        for image in largest
    ] or None


def _conditions(
    facts: NodeFacts, old: core_v1.NodeStatus, now_s: float
) -> list[core_v1.NodeCondition]:
    known = {c.type: c for c in old.conditions or ()}
    now = rfc3339(now_s)
    fresh = [_memory(facts.pressure), _disk(facts.pressure), _processes(facts.pressure)]
    fresh.append(_ready(facts.problems))
    settled = [
        msgspec.structs.replace(
            condition,
            lastHeartbeatTime=now,
            lastTransitionTime=_since(known.get(condition.type), condition, now),
        )
        for condition in fresh
    ]
    # NetworkUnavailable and whatever else others report stays as they left it.
    return [c for c in old.conditions or () if c.type not in {f.type for f in fresh}] + settled


def _since(
    known: core_v1.NodeCondition | None, condition: core_v1.NodeCondition, now: str
) -> str | None:
    same = known is not None and known.status == condition.status
    return known.lastTransitionTime if known is not None and same else now


def _condition(kind: str, holds: bool, reason: str, message: str) -> core_v1.NodeCondition:
    status = "True" if holds else "False"
    return core_v1.NodeCondition(type=kind, status=status, reason=reason, message=message)


def _memory(pressure: Pressure) -> core_v1.NodeCondition:
    low = pressure.memory_available_bytes < MEMORY_LOW_BYTES
    reason = "KubeletHasInsufficientMemory" if low else "KubeletHasSufficientMemory"
    message = f"kubelet has {'insufficient' if low else 'sufficient'} memory available"
    return _condition("MemoryPressure", low, reason, message)


def _disk(pressure: Pressure) -> core_v1.NodeCondition:
    low = pressure.disk_available_bytes < pressure.disk_total_bytes * DISK_LOW
    # A file system without a fixed number of inodes reports none.
    if pressure.inodes_total:
        low = low or pressure.inodes_free < pressure.inodes_total * INODES_LOW
    reason = "KubeletHasDiskPressure" if low else "KubeletHasNoDiskPressure"
    message = f"kubelet has {'disk' if low else 'no disk'} pressure"
    return _condition("DiskPressure", low, reason, message)


def _processes(pressure: Pressure) -> core_v1.NodeCondition:
    low = pressure.processes > pressure.processes_max * PROCESSES_HIGH
    reason = "KubeletHasInsufficientPID" if low else "KubeletHasSufficientPID"
    message = f"kubelet has {'insufficient' if low else 'sufficient'} PID available"
    return _condition("PIDPressure", low, reason, message)


def _ready(problems: tuple[str, ...]) -> core_v1.NodeCondition:
    if problems:
        text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        return _condition("Ready", False, "KubeletNotReady", text)
    return _condition("Ready", True, "KubeletReady", "kubelet is posting ready status")
