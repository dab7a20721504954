"""Containers of a pod: what each may say, and what only some kinds of them may."""

from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.probes import check_container_probes, check_sleeps
from controlplane.registry.strategy.validation.resources import check_claims
from controlplane.registry.strategy.validation.rules import Check, Rules, Table
from kubeapi import names
from kubeapi.types import core_v1

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"


def _image(value: str, faults: Faults, path: str, name: str) -> None:
    if value.strip() != value:
        faults.invalid(join(path, name), value, "must not have leading or trailing whitespace")


def _ports(container: Any, faults: Faults, path: str) -> None:
    seen: set[str] = set()
    for index, port in enumerate(container.ports or ()):
        where = f"{path}.ports[{index}]"
        if port.name:
            problems = names.port_name_problems(port.name)
            if problems:
                faults.each_invalid(f"{where}.name", port.name, problems)
            elif port.name in seen:
                faults.duplicate(f"{where}.name", port.name)
            seen.add(port.name)
        if not port.containerPort:
            faults.required(f"{where}.containerPort")
        else:
            values.port(port.containerPort, faults, where, "containerPort")
        if port.hostPort:
            values.port(port.hostPort, faults, where, "hostPort")


def _mounts(container: Any, faults: Faults, path: str) -> None:
    devices = {device.devicePath for device in container.volumeDevices or ()}
    seen: set[str] = set()
    for index, mount in enumerate(container.volumeMounts or ()):
        where, target = f"{path}.volumeMounts[{index}]", mount.mountPath
        if target and target in seen:
            faults.invalid(f"{where}.mountPath", target, "must be unique")
        if target and target in devices:
            text = "must not already exist in volumeDevices"
            faults.invalid(f"{where}.mountPath", target, text)
        seen.add(target or "")
        if mount.subPath and mount.subPathExpr:
            text = "subPathExpr and subPath are mutually exclusive"
            faults.invalid(f"{where}.subPathExpr", mount.subPathExpr, text)
        if mount.mountPropagation == "Bidirectional" and not _privileged(container):
            text = "Bidirectional mount propagation is available only to privileged containers"
            faults.forbidden(f"{where}.mountPropagation", text)


def _privileged(container: Any) -> bool:
    context = container.securityContext
    return bool(context is not None and context.privileged)


def _resize_policies(container: Any, faults: Faults, path: str) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(container.resizePolicy or ()):
        where = f"{path}.resizePolicy"
        resource = policy.resourceName or ""
        if resource in seen:
            faults.duplicate(f"{where}[{index}]", resource)
        seen.add(resource)
        if resource not in ("cpu", "memory"):
            faults.unsupported(where, resource, ("cpu", "memory"))
        if policy.restartPolicy not in ("NotRequired", "RestartContainer"):
            supported = ("NotRequired", "RestartContainer")
            faults.unsupported(where, policy.restartPolicy or "", supported)


def _container(container: Any, faults: Faults, path: str) -> None:
    if container.ports is not None:
        _ports(container, faults, path)
    if container.volumeMounts is not None:
        _mounts(container, faults, path)
    if container.resizePolicy is not None:
        _resize_policies(container, faults, path)
    check_container_probes(container, faults, path)


def _security(context: core_v1.SecurityContext, faults: Faults, path: str) -> None:
    if context.allowPrivilegeEscalation is not False:
        return
    if context.privileged:
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        faults.invalid(path, context, text)
    added = (context.capabilities.add if context.capabilities else None) or ()
    if "CAP_SYS_ADMIN" in added:
        text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        faults.invalid(path, context, text)


_PROFILE_KINDS: Final = {"seccompProfile": "seccomp", "appArmorProfile": "AppArmor"}


def _profile(profile: Any, faults: Faults, path: str) -> None:
    """A seccomp or AppArmor profile: only one on the node has a name."""
    kind = _PROFILE_KINDS.get(path.rpartition(".")[2], "seccomp")
    kind_type, local = profile.type or "", profile.localhostProfile
    supported = ("Localhost", "RuntimeDefault", "Unconfined")
    if not kind_type:
        faults.required(f"{path}.type", f"type is required when {path.rpartition('.')[2]} is set")
    elif kind_type not in supported:
        faults.unsupported(f"{path}.type", kind_type, supported)
    elif kind_type == "Localhost":
        if not local:
            text = f"must be set when {kind} type is Localhost"
            faults.required(f"{path}.localhostProfile", text)
        elif kind == "seccomp":
            values.local_path(local, faults, path, "localhostProfile")
    elif local is not None:
        shown = {"Type": kind_type, "LocalhostProfile": local} if kind == "seccomp" else local
        text = f"can only be set when {kind} type is Localhost"
        faults.invalid(f"{path}.localhostProfile", shown, text)


def check_containers(spec: core_v1.PodSpec, faults: Faults, path: str) -> None:
    """What containers may say depends on the pod: names, volumes, claims, host ports."""
    volumes = {volume.name for volume in spec.volumes or ()}
    claims = {claim.name or "" for claim in spec.resourceClaims or ()}
    seen: set[str] = set()
    host_ports: set[str] = set()
    for field in ("containers", "initContainers"):
        for index, container in enumerate(getattr(spec, field) or ()):
            where = f"{path}.{field}[{index}]"
            if container is None:
                continue
            if container.name:
                if container.name in seen:
                    faults.duplicate(f"{where}.name", container.name)
                seen.add(container.name)
            _references(container, volumes, faults, where)
            if container.resources is not None and container.resources.claims:
                check_claims(container.resources, claims, faults, where)
            if container.lifecycle is not None:
                check_sleeps(container.lifecycle, spec.terminationGracePeriodSeconds, faults, where)
            if container.ports:
                _host_ports(container, bool(spec.hostNetwork), host_ports, faults, where)
            if field == "initContainers" and container.restartPolicy != "Always":
                _not_sidecar(container, faults, where)


def _references(container: Any, volumes: set[Any], faults: Faults, path: str) -> None:
    for field in ("volumeMounts", "volumeDevices"):
        for index, mount in enumerate(getattr(container, field) or ()):
            if mount.name and mount.name not in volumes:
                faults.not_found(f"{path}.{field}[{index}].name", mount.name)


def _host_ports(container: Any, on_host: bool, seen: set[str], faults: Faults, path: str) -> None:
    for index, port in enumerate(container.ports):
        where = f"{path}.ports[{index}]"
        if on_host and port.hostPort not in (None, port.containerPort):
            text = "must match `hostPort` when `hostNetwork` is true"
            faults.invalid(f"{where}.containerPort", port.containerPort, text)
        if not port.hostPort:
            continue
        key = f"{port.protocol}/{port.hostIP or ''}/{port.hostPort}"
        if key in seen and not path.rpartition(".")[2].startswith("init"):
            faults.duplicate(f"{where}.hostPort", key)
        seen.add(key)


def _not_sidecar(container: Any, faults: Faults, path: str) -> None:
    for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if getattr(container, field) is not None:
            faults.forbidden(f"{path}.{field}", _ONLY_SIDECARS)


_EACH: Final[dict[str, Check]] = {
    "name": values.label,
    "image": _image,
    "imagePullPolicy": values.one_of(*PULL_POLICIES),
    "restartPolicy": values.one_of("Always", "Never", "OnFailure"),
    "terminationMessagePolicy": values.one_of("File", "FallbackToLogsOnError"),
}

RULES: Table = {
    core_v1.Container: Rules(
        required=("name", "image"), each=_EACH, whole=_container, skip=("resizePolicy",)
    ),
    core_v1.EphemeralContainer: Rules(
        required=("name", "image"), each=_EACH, whole=_container, skip=("resizePolicy",)
    ),
    core_v1.ContainerPort: Rules(each={"protocol": values.one_of(*values.PROTOCOLS)}),
    core_v1.AppArmorProfile: Rules(whole=_profile),
    core_v1.SeccompProfile: Rules(whole=_profile),
    core_v1.SecurityContext: Rules(
        each={
            "runAsUser": values.user_id,
            "runAsGroup": values.user_id,
            "procMount": values.one_of("Default", "Unmasked"),
        },
        whole=_security,
    ),
    core_v1.VolumeDevice: Rules(
        required=("name", "devicePath"), each={"devicePath": values.no_backsteps}
    ),
    core_v1.VolumeMount: Rules(
        required=("name", "mountPath"),
        each={
            "mountPropagation": values.one_of("Bidirectional", "HostToContainer", "None"),
            "subPath": values.local_path,
            "subPathExpr": values.local_path,
        },
    ),
}
