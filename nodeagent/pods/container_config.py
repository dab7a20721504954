"""A container as the CRI is asked for it. Source: the kubelet's `generateContainerConfig`."""

from collections.abc import Sequence
from dataclasses import dataclass

from kubeapi.quantity import units
from kubeapi.types import core_v1
from nodeagent.pods.env import expand_all
from nodeagent.pods.identity import container_annotations, container_labels
from nodeagent.pods.qos import CPU_PERIOD_US, container_limits, oom_score_adj
from nodeagent.pods.security import container_security
from nodeagent.pods.spec import Container, spec_of
from pinnace_wire import cri_pb2 as pb


@dataclass(frozen=True)
class ContainerMount:
    """One host path seen in the container."""

    container_path: str
    host_path: str
    read_only: bool = False
    propagation: str = "None"


@dataclass(frozen=True)
class Machine:
    """What of the node shapes a container's settings."""

    memory_bytes: int
    cgroup_v2: bool = False


_PROPAGATION = {
    "None": pb.PROPAGATION_PRIVATE,
    "HostToContainer": pb.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": pb.PROPAGATION_BIDIRECTIONAL,
}


def container_config(
    pod: core_v1.Pod,
    container: Container,
    *,
    restart_count: int,
    image: pb.Image,
    env: dict[str, str],
    mounts: Sequence[ContainerMount],
    machine: Machine,
) -> pb.ContainerConfig:
    """Raises ConfigError where pod and image do not go together."""
    name = container.name or ""
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=name, attempt=restart_count),
        # By name as well as by id, so that the status shows the name the pod asked for.
        image=pb.ImageSpec(image=image.id, user_specified_image=container.image or ""),
        command=expand_all(container.command, env),
        args=expand_all(container.args, env),
        working_dir=container.workingDir or "",
        envs=[
            pb.KeyValue(key=key, value=text.encode(errors="surrogateescape"))
            for key, text in env.items()
        ],
        mounts=[_mount(mount) for mount in mounts],
        labels=container_labels(pod, container),
        annotations=container_annotations(pod, container, restart_count),
        log_path=f"{name}/{restart_count}.log",
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdinOnce),
        tty=bool(container.tty),
        linux=pb.LinuxContainerConfig(
            resources=container_resources(pod, container, machine),
            security_context=container_security(pod, container, image),
        ),
    )


def _mount(mount: ContainerMount) -> pb.Mount:
    return pb.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.read_only,
        propagation=_PROPAGATION[mount.propagation],
    )


def container_resources(
    pod: core_v1.Pod, container: Container, machine: Machine
) -> pb.LinuxContainerResources:
    limits = container_limits(container)
    memory_bytes = limits.memory_bytes or 0
    return pb.LinuxContainerResources(
        cpu_period=CPU_PERIOD_US,
        cpu_quota=limits.cpu_quota_us or 0,
        cpu_shares=limits.cpu_shares,
        memory_limit_in_bytes=memory_bytes,
        # Without swap: equal to the memory limit.
        memory_swap_limit_in_bytes=memory_bytes,
        oom_score_adj=oom_score_adj(spec_of(pod), container, machine.memory_bytes),
        hugepage_limits=_hugepages(container),
        # All processes of a container go together when its memory is out (as since 1.28).
        unified={"memory.oom.group": "1"} if machine.cgroup_v2 else {},
    )


_PAGE_SIZES = {"2Mi": "2MB", "1Gi": "1GB", "64Ki": "64KB"}


def _hugepages(container: Container) -> list[pb.HugepageLimit]:
    limits = (container.resources.limits if container.resources else None) or {}
    return [
        pb.HugepageLimit(page_size=_PAGE_SIZES.get(size, size), limit=units(amount))
        for key, amount in limits.items()
        if (size := key.removeprefix("hugepages-")) != key
    ]
