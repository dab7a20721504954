"""What controllers ask of a pod: is it active, ready, available; and pods made from templates.

Source: Kubernetes, `pkg/api/v1/pod/util.go` and `pkg/controller/controller_utils.go`.
"""

from typing import Any

from base.clock import parse_rfc3339
from controlplane.controllers.ownership import controller_reference
from kubeapi.types import core_v1, meta_v1

NO_STATUS = core_v1.PodStatus()
NO_SPEC = core_v1.PodSpec()
TERMINATED_PHASES = frozenset(("Succeeded", "Failed"))


def meta_of(obj: Any) -> meta_v1.ObjectMeta:
    """The metadata that every stored object has."""
    return obj.metadata  # type: ignore[no-any-return]


def status_of(pod: core_v1.Pod) -> core_v1.PodStatus:
    return pod.status or NO_STATUS


def spec_of(pod: core_v1.Pod) -> core_v1.PodSpec:
    return pod.spec or NO_SPEC


def condition(pod: core_v1.Pod, kind: str) -> core_v1.PodCondition | None:
    for found in status_of(pod).conditions or ():
        if found.type == kind:
            return found
    return None


def is_terminated(pod: core_v1.Pod) -> bool:
    """Its containers have ended for good."""
    return status_of(pod).phase in TERMINATED_PHASES


def is_active(pod: core_v1.Pod) -> bool:
    """Neither ended nor being deleted: what counts towards the replicas wanted."""
    return not is_terminated(pod) and meta_of(pod).deletionTimestamp is None


def is_terminating(pod: core_v1.Pod) -> bool:
    """Being deleted, its containers not yet known to have ended."""
    return meta_of(pod).deletionTimestamp is not None and not is_terminated(pod)


def is_ready(pod: core_v1.Pod) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready.status == "True"


def ready_since_s(pod: core_v1.Pod) -> float | None:
    """When the pod became ready; None while it is not."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return None
    return parse_rfc3339(ready.lastTransitionTime) if ready.lastTransitionTime else 0.0


def restarts(pod: core_v1.Pod) -> int:
    return max((c.restartCount or 0 for c in status_of(pod).containerStatuses or ()), default=0)


def from_template(template: core_v1.PodTemplateSpec | None, owner: Any) -> core_v1.Pod:
    """A pod that `owner` controls; the server completes its name."""
    template = template or core_v1.PodTemplateSpec()
    given = template.metadata or meta_v1.ObjectMeta()
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            namespace=owner.metadata.namespace,
            generateName=f"{owner.metadata.name}-",
            labels=given.labels,
            annotations=given.annotations,
            finalizers=given.finalizers,
            ownerReferences=[controller_reference(owner)],
        ),
        spec=template.spec,
    )
