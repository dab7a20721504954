"""Revisions of a Deployment: which ReplicaSet is the template's, its name, hash and annotations.

Source: Kubernetes, `pkg/controller/deployment/util/deployment_util.go`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from controlplane.controllers.ownership import controller_reference
from controlplane.controllers.pods import meta_of
from kubeapi.types import apps_v1, core_v1, meta_v1

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
REVISION_HISTORY_LENGTH_MAX = 2000
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
# Annotations of the Deployment that its ReplicaSets do not inherit.
NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    )
)
# No vowels and nothing that looks like another: no hash spells a word (rand.SafeEncodeString).
_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def annotations_of(obj: Any) -> dict[str, str]:
    return meta_of(obj).annotations or {}


def revision_of(obj: Any) -> int:
    """The revision annotation, 0 where there is none or it is no number."""
    try:
        return int(annotations_of(obj).get(REVISION, "0"))
    except ValueError:
        return 0


def template_of(deployment: apps_v1.Deployment) -> core_v1.PodTemplateSpec:
    spec = deployment.spec
    return (spec.template if spec else None) or core_v1.PodTemplateSpec()


def _without_hash(template: core_v1.PodTemplateSpec) -> core_v1.PodTemplateSpec:
    meta = template.metadata or meta_v1.ObjectMeta()
    labels = {k: v for k, v in (meta.labels or {}).items() if k != HASH_LABEL}
    return msgspec.structs.replace(
        template, metadata=msgspec.structs.replace(meta, labels=labels or None)
    )


def same_template(a: core_v1.PodTemplateSpec | None, b: core_v1.PodTemplateSpec | None) -> bool:
    """Equal but for the hash label: what decides whether a ReplicaSet is a Deployment's newest.

    Never the hash, which may change with the encoding from one release to the next.
    """
    return a is not None and b is not None and _without_hash(a) == _without_hash(b)


def template_hash(template: core_v1.PodTemplateSpec, collisions: int | None) -> str:
    """FNV-1a over the template; `collisions` makes another where a name was taken."""
    data = msgspec.json.encode(_without_hash(template), order="deterministic")
    if collisions:
        data += collisions.to_bytes(8, "little")
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return "".join(_SAFE_ALPHABET[ord(c) % len(_SAFE_ALPHABET)] for c in str(value))


def by_age(replica_sets: Iterable[apps_v1.ReplicaSet]) -> list[apps_v1.ReplicaSet]:
    """Oldest first; those of one second by name."""
    return sorted(
        replica_sets, key=lambda rs: (meta_of(rs).creationTimestamp or "", meta_of(rs).name or "")
    )


def find_new(
    deployment: apps_v1.Deployment, replica_sets: Iterable[apps_v1.ReplicaSet]
) -> apps_v1.ReplicaSet | None:
    """The oldest ReplicaSet with the Deployment's template."""
    wanted = template_of(deployment)
    for rs in by_age(replica_sets):
        if same_template(rs.spec.template if rs.spec else None, wanted):
            return rs
    return None


def make_new(
    deployment: apps_v1.Deployment, replicas: int, annotations: dict[str, str]
) -> apps_v1.ReplicaSet:
    """The ReplicaSet for a template that has none yet."""
    spec = deployment.spec or apps_v1.DeploymentSpec()
    template = template_of(deployment)
    collisions = deployment.status.collisionCount if deployment.status else None
    label = {HASH_LABEL: template_hash(template, collisions)}
    given = template.metadata or meta_v1.ObjectMeta()
    labels = (given.labels or {}) | label
    selector = spec.selector or meta_v1.LabelSelector()
    return apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(
            name=f"{meta_of(deployment).name}-{label[HASH_LABEL]}",
            namespace=meta_of(deployment).namespace,
            labels=labels,
            annotations=annotations,
            ownerReferences=[controller_reference(deployment)],
        ),
        spec=apps_v1.ReplicaSetSpec(
            replicas=replicas,
            minReadySeconds=spec.minReadySeconds,
            selector=msgspec.structs.replace(
                selector, matchLabels=(selector.matchLabels or {}) | label
            ),
            template=msgspec.structs.replace(
                template, metadata=msgspec.structs.replace(given, labels=labels)
            ),
        ),
    )


def new_annotations(
    deployment: apps_v1.Deployment,
    existing: apps_v1.ReplicaSet | None,
    old: Sequence[apps_v1.ReplicaSet],
) -> dict[str, str]:
    """Annotations of the newest ReplicaSet: the Deployment's own, and the highest revision.

    A ReplicaSet that becomes the newest again (a rollback) keeps its past revisions in a list.
    """
    inherited = {k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}
    annotations = (annotations_of(existing) if existing else {}) | inherited
    revision = max((revision_of(rs) for rs in old), default=0) + 1
    if existing is not None and revision_of(existing) >= revision:
        return annotations
    past = annotations.get(REVISION)
    if past is not None:
        history = [part for part in annotations.get(REVISION_HISTORY, "").split(",") if part]
        history.append(past)
        while len(",".join(history)) > REVISION_HISTORY_LENGTH_MAX:
            history.pop(0)
        annotations[REVISION_HISTORY] = ",".join(history)
    annotations[REVISION] = str(revision)
    return annotations
