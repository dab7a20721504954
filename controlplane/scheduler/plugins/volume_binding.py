"""Pods wait for their claims, and follow a volume that only some nodes reach.

Volumes are bound by others: here a claim without a volume only keeps the pod waiting, with the
words that Kubernetes' scheduler has for it (`plugins/volumebinding`). A claim whose class wants
the pod's node first (WaitForFirstConsumer) is not provisioned for yet, and the pod is told so.
"""

from controlplane.scheduler.plugins.node_affinity import NodeTest, compile_selector
from controlplane.scheduler.podinfo import PodInfo
from controlplane.scheduler.snapshot import NodeInfo, Snapshot
from controlplane.scheduler.verdicts import (
    CLAIM_CHANGED,
    NODE_ADDED,
    NODE_CHANGED,
    Filter,
    Plugin,
    PodRejected,
    Rejection,
)
from kubeapi.types import core_v1

ELSEWHERE = Rejection(("node(s) didn't match PersistentVolume's node affinity",))
NO_VOLUME = Rejection(("node(s) didn't find available persistent volumes to bind",))


def claim_names(pod: PodInfo) -> list[str]:
    """Names of the claims that the pod's volumes use, ephemeral ones by the name they get."""
    names = []
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            names.append(volume.persistentVolumeClaim.claimName or "")
        elif volume.ephemeral is not None:
            names.append(f"{pod.key.partition('/')[2]}-{volume.name}")
    return names


def make_filter(pod: PodInfo, snapshot: Snapshot) -> Filter | None:
    names = claim_names(pod)
    if not names:
        return None
    waits = False
    tests: list[NodeTest] = []
    for name in names:
        claim = snapshot.volumes.claim(f"{pod.namespace}/{name}")
        if claim is None:
            raise PodRejected(f'persistentvolumeclaim "{name}" not found')
        if claim.metadata is not None and claim.metadata.deletionTimestamp is not None:
            raise PodRejected(f'persistentvolumeclaim "{name}" is being deleted')
        if not _is_bound(claim):
            if not snapshot.volumes.waits_for_consumer(claim):
                raise PodRejected("pod has unbound immediate PersistentVolumeClaims")
            waits = True
        else:
            tests += _tests(claim, snapshot)

    def check(node: NodeInfo) -> Rejection | None:
        if waits:
            return NO_VOLUME
        return None if all(test(node) for test in tests) else ELSEWHERE

    return check


def _is_bound(claim: core_v1.PersistentVolumeClaim) -> bool:
    return bool(claim.spec and claim.spec.volumeName)


def _tests(claim: core_v1.PersistentVolumeClaim, snapshot: Snapshot) -> list[NodeTest]:
    volume = snapshot.volumes.volume((claim.spec.volumeName if claim.spec else None) or "")
    affinity = volume.spec.nodeAffinity if volume and volume.spec else None
    if affinity is None or affinity.required is None:
        return []
    return [compile_selector(affinity.required)]


PLUGIN = Plugin(
    "VolumeBinding",
    make_filter,
    events=frozenset((NODE_ADDED, NODE_CHANGED, CLAIM_CHANGED)),
)
