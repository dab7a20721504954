"""The labels and annotations by which a container is known again after a restart of the agent.

They are the kubelet's, so that `crictl` and log collectors find what they look for. They are all
the state the agent has on disk: what they say about a container cannot disagree with it.
"""

import hashlib
import json

import msgspec

from kubeapi.types import core_v1
from nodeagent.pods.resize import RESOURCES, noted
from nodeagent.pods.spec import Container, metadata, spec_of, termination_grace_s

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
POD_GRACE_S = "io.kubernetes.pod.terminationGracePeriod"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_SEEN = "kubernetes.io/config.seen"


def container_hash(container: Container) -> str:
    """Changes when the container must be replaced: with its image (name and image are hashed;
    every other field of a running pod's containers is immutable, KEP-1287 apart)."""
    text = f"{container.name}\0{container.image}"
    return hashlib.blake2s(text.encode(), digest_size=4).hexdigest()


def sandbox_labels(pod: core_v1.Pod) -> dict[str, str]:
    meta = metadata(pod)
    return (meta.labels or {}) | {
        POD_NAME: meta.name or "",
        POD_NAMESPACE: meta.namespace or "",
        POD_UID: meta.uid or "",
    }


def sandbox_annotations(pod: core_v1.Pod) -> dict[str, str]:
    return (metadata(pod).annotations or {}) | {CONFIG_SOURCE: "api"}


def container_labels(pod: core_v1.Pod, container: Container) -> dict[str, str]:
    meta = metadata(pod)
    return {
        POD_NAME: meta.name or "",
        POD_NAMESPACE: meta.namespace or "",
        POD_UID: meta.uid or "",
        CONTAINER_NAME: container.name or "",
    }


def container_annotations(
    pod: core_v1.Pod, container: Container, restart_count: int
) -> dict[str, str]:
    found = {
        CONTAINER_HASH: container_hash(container),
        RESTART_COUNT: str(restart_count),
        TERMINATION_PATH: container.terminationMessagePath or "/dev/termination-log",
        TERMINATION_POLICY: container.terminationMessagePolicy or "File",
        POD_GRACE_S: str(termination_grace_s(spec_of(pod))),
        RESOURCES: noted(container),
    }
    if container.lifecycle is not None and container.lifecycle.preStop is not None:
        found[PRE_STOP] = msgspec.json.encode(container.lifecycle.preStop).decode()
    return found


def pre_stop_of(annotations: dict[str, str]) -> core_v1.LifecycleHandler | None:
    """The hook as it was when the container was made: it outlives the pod's object."""
    text = annotations.get(PRE_STOP)
    if not text:
        return None
    return msgspec.convert(json.loads(text), core_v1.LifecycleHandler)
