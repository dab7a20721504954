"""securityContext of pod and container as the CRI takes it.

The container's fields come before the pod's. Source: the kubelet's
`determineEffectiveSecurityContext` and `security_context.go`.
"""

from kubeapi.types import core_v1
from nodeagent.pods.env import ConfigError
from nodeagent.pods.spec import Container, event_name, spec_of
from pinnace_wire import cri_pb2 as pb

# What a container must not see of /proc and /sys unless procMount is Unmasked.
MASKED_PATHS = (
    "/proc/interrupts",
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

EMPTY_POD_CONTEXT = core_v1.PodSecurityContext()
EMPTY_CONTEXT = core_v1.SecurityContext()


def namespaces(pod: core_v1.Pod) -> pb.NamespaceOption:
    """Which namespaces a sandbox and its containers share with the node."""
    spec = spec_of(pod)
    pid = pb.CONTAINER
    if spec.hostPID:
        pid = pb.NODE
    elif spec.shareProcessNamespace:
        pid = pb.POD
    return pb.NamespaceOption(
        network=pb.NODE if spec.hostNetwork else pb.POD,
        pid=pid,
        ipc=pb.NODE if spec.hostIPC else pb.POD,
    )


def sandbox_security(pod: core_v1.Pod) -> pb.LinuxSandboxSecurityContext:
    context = spec_of(pod).securityContext or EMPTY_POD_CONTEXT
    every = [*(spec_of(pod).initContainers or ()), *(spec_of(pod).containers or ())]
    return pb.LinuxSandboxSecurityContext(
        namespace_options=namespaces(pod),
        run_as_user=_int64(context.runAsUser),
        run_as_group=_int64(context.runAsGroup if context.runAsUser is not None else None),
        supplemental_groups=supplemental_groups(context),
        supplemental_groups_policy=_groups_policy(context),
        privileged=any((c.securityContext or EMPTY_CONTEXT).privileged for c in every),
        seccomp=pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault),
        selinux_options=_selinux(context.seLinuxOptions),
    )


def container_security(
    pod: core_v1.Pod, container: Container, image: pb.Image
) -> pb.LinuxContainerSecurityContext:
    """Raises ConfigError where the image's user breaks runAsNonRoot."""
    podwide = spec_of(pod).securityContext or EMPTY_POD_CONTEXT
    own = container.securityContext or EMPTY_CONTEXT
    user = own.runAsUser if own.runAsUser is not None else podwide.runAsUser
    group = own.runAsGroup if own.runAsGroup is not None else podwide.runAsGroup
    non_root = own.runAsNonRoot if own.runAsNonRoot is not None else podwide.runAsNonRoot
    if non_root:
        _check_not_root(pod, container, user, image)
    # The CRI takes a group only together with a user: the image's own where none is asked for.
    image_user = image.uid.value if image.HasField("uid") else None
    username = "" if user is not None or image_user is not None else image.username
    if user is None and not username:
        user = image_user
    if group is not None and user is None and not username:
        user = 0
    unmasked = own.procMount == "Unmasked" or bool(own.privileged)
    return pb.LinuxContainerSecurityContext(
        capabilities=_capabilities(own.capabilities),
        privileged=bool(own.privileged),
        namespace_options=namespaces(pod),
        selinux_options=_selinux(own.seLinuxOptions or podwide.seLinuxOptions),
        run_as_user=_int64(user),
        run_as_group=_int64(group),
        run_as_username=username if user is None else "",
        readonly_rootfs=bool(own.readOnlyRootFilesystem),
        supplemental_groups=supplemental_groups(podwide),
        supplemental_groups_policy=_groups_policy(podwide),
        no_new_privs=own.allowPrivilegeEscalation is False,
        masked_paths=() if unmasked else MASKED_PATHS,
        readonly_paths=() if unmasked else READONLY_PATHS,
        seccomp=_seccomp(own.seccompProfile or podwide.seccompProfile),
        apparmor=_apparmor(own.appArmorProfile or podwide.appArmorProfile),
    )


def supplemental_groups(context: core_v1.PodSecurityContext) -> list[int]:
    """The groups asked for, and the one that owns the volumes."""
    owners = [context.fsGroup] if context.fsGroup is not None else []
    return list(dict.fromkeys([*owners, *(context.supplementalGroups or ())]))


def _groups_policy(context: core_v1.PodSecurityContext) -> pb.SupplementalGroupsPolicy:
    return pb.Strict if context.supplementalGroupsPolicy == "Strict" else pb.Merge


def _check_not_root(
    pod: core_v1.Pod, container: Container, user: int | None, image: pb.Image
) -> None:
    where = f'(pod: "{event_name(pod)}", container: {container.name})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
    elif image.HasField("uid") and image.uid.value == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    elif image.username:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
            f"cannot verify user is non-root {where}"
        )
    elif not image.HasField("uid"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def _capabilities(wanted: core_v1.Capabilities | None) -> pb.Capability | None:
    if wanted is None:
        return None
    return pb.Capability(add_capabilities=wanted.add or (), drop_capabilities=wanted.drop or ())


def _seccomp(profile: core_v1.SeccompProfile | None) -> pb.SecurityProfile:
    kind = profile.type if profile is not None else "Unconfined"
    local = (profile.localhostProfile if profile else None) or ""
    return _profile(kind or "Unconfined", local)


def _apparmor(profile: core_v1.AppArmorProfile | None) -> pb.SecurityProfile | None:
    if profile is None:
        return None
    return _profile(profile.type or "RuntimeDefault", profile.localhostProfile or "")


def _profile(kind: str, local: str) -> pb.SecurityProfile:
    return pb.SecurityProfile(profile_type=kind, localhost_ref=local)


def _selinux(options: core_v1.SELinuxOptions | None) -> pb.SELinuxOption | None:
    if options is None:
        return None
    return pb.SELinuxOption(
        user=options.user or "",
        role=options.role or "",
        type=options.type or "",
        level=options.level or "",
    )


def _int64(value: int | None) -> pb.Int64Value | None:
    return None if value is None else pb.Int64Value(value=value)
