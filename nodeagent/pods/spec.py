"""Reading a pod's spec: the few questions that many modules ask, with Kubernetes' defaults."""

from collections.abc import Iterator

import msgspec

from kubeapi.types import core_v1, meta_v1

Container = core_v1.Container

DEFAULT_GRACE_S = 30
EMPTY_META = meta_v1.ObjectMeta()
EMPTY_SPEC = core_v1.PodSpec()
EMPTY_STATUS = core_v1.PodStatus()


def metadata(pod: core_v1.Pod) -> meta_v1.ObjectMeta:
    return pod.metadata or EMPTY_META


def uid_of(pod: core_v1.Pod) -> str:
    return metadata(pod).uid or ""


def full_name(pod: core_v1.Pod) -> str:
    return f"{metadata(pod).namespace}/{metadata(pod).name}"


def event_name(pod: core_v1.Pod) -> str:
    """`name_namespace(uid)`, as the kubelet's messages name a pod."""
    meta = metadata(pod)
    return f"{meta.name}_{meta.namespace}({meta.uid})"


def spec_of(pod: core_v1.Pod) -> core_v1.PodSpec:
    return pod.spec or EMPTY_SPEC


def containers(pod: core_v1.Pod) -> list[Container]:
    return spec_of(pod).containers or []


def init_containers(pod: core_v1.Pod) -> list[Container]:
    return spec_of(pod).initContainers or []


def ephemeral_containers(pod: core_v1.Pod) -> list[Container]:
    """Containers that `kubectl debug` adds to a pod that runs, with the fields all have."""
    return [
        msgspec.convert(msgspec.to_builtins(one), Container)
        for one in spec_of(pod).ephemeralContainers or ()
    ]


def target_of(pod: core_v1.Pod, name: str) -> str:
    """The container whose processes an ephemeral container is to see; "" for none."""
    every = spec_of(pod).ephemeralContainers or ()
    return next((one.targetContainerName or "" for one in every if one.name == name), "")


def all_containers(pod: core_v1.Pod) -> Iterator[Container]:
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def find_container(pod: core_v1.Pod, name: str) -> Container | None:
    return next((c for c in all_containers(pod) if c.name == name), None)


def is_sidecar(container: Container) -> bool:
    """An init container that keeps running beside the others (KEP-753)."""
    return container.restartPolicy == "Always"


def sidecars(pod: core_v1.Pod) -> list[Container]:
    return [c for c in init_containers(pod) if is_sidecar(c)]


def restart_policy(pod: core_v1.Pod) -> str:
    return spec_of(pod).restartPolicy or "Always"


def host_network(pod: core_v1.Pod) -> bool:
    return bool(spec_of(pod).hostNetwork)


def termination_grace_s(spec: core_v1.PodSpec) -> int:
    grace_s = spec.terminationGracePeriodSeconds
    return DEFAULT_GRACE_S if grace_s is None else grace_s


def being_deleted(pod: core_v1.Pod) -> bool:
    return metadata(pod).deletionTimestamp is not None


def phase_of(pod: core_v1.Pod) -> str:
    return (pod.status.phase if pod.status else None) or "Pending"


def is_terminal(pod: core_v1.Pod) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def restarts_after(pod: core_v1.Pod, container: Container, exit_code: int) -> bool:
    """Whether a container that ended with `exit_code` is to run again.

    Its own restartPolicy and rules come before the pod's (KEP-5307).
    """
    for rule in container.restartPolicyRules or ():
        if rule.exitCodes is not None and _matches(rule.exitCodes, exit_code):
            return True
    policy = container.restartPolicy or restart_policy(pod)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _matches(rule: core_v1.ContainerRestartRuleOnExitCodes, exit_code: int) -> bool:
    listed = exit_code in (rule.values or ())
    return listed if rule.operator == "In" else not listed
