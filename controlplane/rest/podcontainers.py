"""Which container of a pod is meant, and whether it has a log: decided from the pod alone.

The messages are those of Kubernetes' pod registry (`validateContainer`) and kubelet
(`validateContainerLogStatus`): people and programs know them.
"""

from collections.abc import Iterable
from typing import Final

from kubeapi.errors import StatusError, bad_request
from kubeapi.types import core_v1

DEFAULT_CONTAINER_ANNOTATION: Final = "kubectl.kubernetes.io/default-container"
_IMAGE_TROUBLE: Final = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


def choose_container(pod: core_v1.Pod, name: str) -> str:
    """The container asked for, or the one that goes without saying. Raises StatusError 400."""
    pod_name = _pod_name(pod)
    spec = pod.spec or core_v1.PodSpec()
    ordinary = _names(spec.containers)
    others = _names(spec.initContainers) + _names(spec.ephemeralContainers)
    if name:
        if name not in ordinary + others:
            raise bad_request(f"container {name} is not valid for pod {pod_name}")
        return name
    if len(ordinary) == 1:
        return ordinary[0]
    annotations = (pod.metadata.annotations if pod.metadata else None) or {}
    default = annotations.get(DEFAULT_CONTAINER_ANNOTATION, "")
    if default in ordinary:
        return default
    raise bad_request(_choose_one(pod_name, spec))


def _choose_one(pod_name: str, spec: core_v1.PodSpec) -> str:
    text = f"a container name must be specified for pod {pod_name}"
    if spec.containers:
        text += f", choose one of: [{' '.join(_names(spec.containers))}]"
    if spec.initContainers:
        text += f" or one of the init containers: [{' '.join(_names(spec.initContainers))}]"
    return text


def check_has_log(pod: core_v1.Pod, container: str, *, previous: bool) -> None:
    """Raises StatusError 400 with the reason why there is no such log (yet)."""
    where = f'container "{container}" in pod "{_pod_name(pod)}"'
    status = _status_of(pod, container)
    if status is None:
        raise bad_request(f"{where} is not available")
    state = status.state or core_v1.ContainerState()
    last = status.lastState.terminated if status.lastState else None
    has_last = last is not None and bool(last.containerID)
    if previous:
        if not has_last:
            raise bad_request(f"previous terminated {where} not found")
    elif state.terminated is not None:
        if not state.terminated.containerID and not has_last:
            raise bad_request(f"{where} is terminated")
    elif state.running is None and last is not None:
        if not has_last:
            raise bad_request(f"{where} is terminated")
    elif state.running is None:
        raise bad_request(f"{where} is waiting to start{_waiting(state.waiting)}")


def _waiting(waiting: core_v1.ContainerStateWaiting | None) -> str:
    if waiting is None:
        return " - no logs yet"
    reason = waiting.reason or ""
    return f": {_IMAGE_TROUBLE.get(reason, reason)}"


def _status_of(pod: core_v1.Pod, container: str) -> core_v1.ContainerStatus | None:
    status = pod.status or core_v1.PodStatus()
    every = (
        *(status.containerStatuses or ()),
        *(status.initContainerStatuses or ()),
        *(status.ephemeralContainerStatuses or ()),
    )
    return next((one for one in every if one.name == container), None)


def node_of(pod: core_v1.Pod) -> str:
    """The node that runs the pod. Raises StatusError 400 where it is not scheduled yet."""
    if pod.spec is None or not pod.spec.nodeName:
        raise StatusError(400, "BadRequest", f"pod {_pod_name(pod)} does not have a host assigned")
    return pod.spec.nodeName


def _pod_name(pod: core_v1.Pod) -> str:
    return (pod.metadata.name if pod.metadata else None) or ""


def _names(
    containers: Iterable[core_v1.Container | core_v1.EphemeralContainer] | None,
) -> list[str]:
    return [one.name or "" for one in containers or ()]
