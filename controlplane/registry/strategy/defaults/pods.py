"""Pods, their containers and volumes. Source: pkg/apis/core/v1/defaults.go."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default, put
from kubeapi.quantity import Quantity, parse
from kubeapi.types import core_v1


def pull_policy(image: str) -> str:
    """Always for an image without tag or digest, or tagged `latest`; else IfNotPresent.

    A colon before the last slash is the registry's port.
    """
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _container(container: core_v1.Container | core_v1.EphemeralContainer) -> None:
    if not container.imagePullPolicy:
        put(container, "imagePullPolicy", pull_policy(container.image or ""))


def _image_volume(volume: core_v1.ImageVolumeSource) -> None:
    if not volume.pullPolicy:
        put(volume, "pullPolicy", pull_policy(volume.reference or ""))


def _volume(volume: core_v1.Volume) -> None:
    if not any(
        getattr(volume, field) is not None
        for field in core_v1.Volume.__struct_fields__
        if field != "name"
    ):
        put(volume, "emptyDir", core_v1.EmptyDirVolumeSource())


def _pod_spec(spec: core_v1.PodSpec) -> None:
    # `serviceAccount` is the old name of the field and always says the same.
    account = spec.serviceAccountName or spec.serviceAccount
    if account:
        put(spec, "serviceAccountName", account)
        put(spec, "serviceAccount", account)


def _pod(pod: core_v1.Pod) -> None:
    """What pods have beyond the templates they are made of."""
    spec = pod.spec
    if spec is None:
        return
    default(spec, "enableServiceLinks", True)
    containers = [*(spec.initContainers or ()), *(spec.containers or ())]
    for container in containers:
        if container.resources is not None:
            _requests_from_limits(container.resources)
    if spec.hostNetwork:
        for container in containers:
            for port in container.ports or ():
                if not port.hostPort:
                    put(port, "hostPort", port.containerPort)
    if spec.resources is not None and spec.resources.limits:
        _pod_requests(spec, spec.resources)


def _requests_from_limits(resources: core_v1.ResourceRequirements) -> None:
    if resources.limits:
        put(resources, "requests", {**resources.limits, **(resources.requests or {})})


def _pod_requests(spec: core_v1.PodSpec, resources: core_v1.ResourceRequirements) -> None:
    """Requests of the whole pod (KEP-2837): what its containers ask for, or else its limits."""
    requests = dict(resources.requests or {})
    for name, amount in _container_requests(spec).items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, amount)
    for name, amount in (resources.limits or {}).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            requests.setdefault(name, amount)
    put(resources, "requests", requests)


def _container_requests(spec: core_v1.PodSpec) -> dict[str, str]:
    """What the containers need at once: their sum, or the largest init container if that is more.

    Init containers that restart always (sidecars) run beside all that come after them
    (KEP-753).
    """
    total: dict[str, Quantity] = {}
    for container in spec.containers or ():
        _merge(total, _requests(container), lambda a, b: a + b)
    sidecars: dict[str, Quantity] = {}
    largest: dict[str, Quantity] = {}
    for container in spec.initContainers or ():
        requests = _requests(container)
        if container.restartPolicy == "Always":
            _merge(total, requests, lambda a, b: a + b)
            _merge(sidecars, requests, lambda a, b: a + b)
            requests = sidecars
        else:
            _merge(requests, sidecars, lambda a, b: a + b)
        _merge(largest, requests, max)
    _merge(total, largest, max)
    return {name: str(amount) for name, amount in total.items()}


def _requests(container: core_v1.Container) -> dict[str, Quantity]:
    requests = (container.resources.requests if container.resources else None) or {}
    return {name: parse(amount) for name, amount in requests.items()}


def _merge(
    into: dict[str, Quantity],
    other: dict[str, Quantity],
    combine: Callable[[Quantity, Quantity], Quantity],
) -> None:
    for name, amount in other.items():
        into[name] = combine(into[name], amount) if name in into else amount


def _limit_range_item(item: core_v1.LimitRangeItem) -> None:
    """A container's default limit is the maximum, its default request the limit or the minimum."""
    if item.type != "Container":
        return
    limits = {**(item.max or {}), **(item.default or {})}
    requests = {**(item.min or {}), **limits, **(item.defaultRequest or {})}
    _put_some(item, (("default", limits), ("defaultRequest", requests)))


def _put_some(obj: Any, values: Iterable[tuple[str, dict[str, str]]]) -> None:
    for field, value in values:
        if value:
            put(obj, field, value)


RULES: Final[dict[Any, Any]] = {
    core_v1.Container: _container,
    core_v1.EphemeralContainer: _container,
    core_v1.ImageVolumeSource: _image_volume,
    core_v1.LimitRangeItem: _limit_range_item,
    core_v1.Pod: _pod,
    core_v1.PodSpec: _pod_spec,
    core_v1.Volume: _volume,
}
