"""Status and conditions of a Deployment, with Kubernetes' reasons and messages.

Source: Kubernetes, `pkg/controller/deployment` (progress.go, sync.go).
"""

from collections.abc import Sequence

import msgspec

from base.clock import parse_rfc3339, rfc3339
from controlplane.controllers import deployment_scaling as scaling
from controlplane.controllers.pods import meta_of
from kubeapi.types import apps_v1

NO_DEADLINE_S = 2**31 - 1
NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"

Conditions = list[apps_v1.DeploymentCondition]


def deadline_s(deployment: apps_v1.Deployment) -> int | None:
    """`progressDeadlineSeconds`; None where progress is not watched."""
    given = deployment.spec.progressDeadlineSeconds if deployment.spec else None
    return None if given is None or given == NO_DEADLINE_S else given


def status_of(deployment: apps_v1.Deployment) -> apps_v1.DeploymentStatus:
    return deployment.status or apps_v1.DeploymentStatus()


def condition(conditions: Conditions, kind: str) -> apps_v1.DeploymentCondition | None:
    return next((c for c in conditions if c.type == kind), None)


def make(
    kind: str, status: str, reason: str, message: str, now_s: float
) -> apps_v1.DeploymentCondition:
    when = rfc3339(now_s)
    return apps_v1.DeploymentCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        lastUpdateTime=when,
        lastTransitionTime=when,
    )


def without(conditions: Conditions, kind: str) -> Conditions:
    return [c for c in conditions if c.type != kind]


def with_condition(conditions: Conditions, new: apps_v1.DeploymentCondition) -> Conditions:
    """Replaced at the end of the list; one with equal status and reason stays as it was."""
    current = condition(conditions, new.type or "")
    if current is not None and current.status == new.status:
        if current.reason == new.reason:
            return conditions
        new = msgspec.structs.replace(new, lastTransitionTime=current.lastTransitionTime)
    return [*without(conditions, new.type or ""), new]


def counted(
    deployment: apps_v1.Deployment,
    replica_sets: Sequence[apps_v1.ReplicaSet],
    new: apps_v1.ReplicaSet | None,
    conditions: Conditions,
    now_s: float,
) -> apps_v1.DeploymentStatus:
    """Counts over all ReplicaSets, and the Available condition. Zeros are absent."""
    available = scaling.total_available(replica_sets)
    statuses = [rs.status or apps_v1.ReplicaSetStatus() for rs in replica_sets]
    terminating = [s.terminatingReplicas for s in statuses]
    least = scaling.wanted(deployment) - scaling.max_unavailable(deployment)
    if available >= least:
        text = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    return apps_v1.DeploymentStatus(
        observedGeneration=meta_of(deployment).generation,
        replicas=sum(scaling.actual(rs) for rs in replica_sets) or None,
        updatedReplicas=(scaling.actual(new) if new else 0) or None,
        readyReplicas=sum(s.readyReplicas or 0 for s in statuses) or None,
        availableReplicas=available or None,
        unavailableReplicas=max(0, scaling.total_size(replica_sets) - available) or None,
        terminatingReplicas=None if None in terminating else sum(t or 0 for t in terminating),
        collisionCount=status_of(deployment).collisionCount,
        conditions=with_condition(conditions, make("Available", *text, now_s)),
    )


def is_complete(deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus) -> bool:
    """Every pod is of the newest template and available, and the last change was seen."""
    count = scaling.wanted(deployment)
    counts = (status.updatedReplicas, status.replicas, status.availableReplicas)
    seen = (status.observedGeneration or 0) >= (meta_of(deployment).generation or 0)
    return seen and all((n or 0) == count for n in counts)


def is_progressing(deployment: apps_v1.Deployment, new: apps_v1.DeploymentStatus) -> bool:
    """More pods of the newest template, fewer of the old, or more ready or available ones."""
    old = status_of(deployment)

    def old_pods(status: apps_v1.DeploymentStatus) -> int:
        return (status.replicas or 0) - (status.updatedReplicas or 0)

    return (
        (new.updatedReplicas or 0) > (old.updatedReplicas or 0)
        or old_pods(new) < old_pods(old)
        or (new.readyReplicas or 0) > (old.readyReplicas or 0)
        or (new.availableReplicas or 0) > (old.availableReplicas or 0)
    )


def _deadline_passed(
    deployment: apps_v1.Deployment, current: apps_v1.DeploymentCondition | None, now_s: float
) -> bool:
    limit_s = deadline_s(deployment)
    if current is None or limit_s is None or current.reason == NEW_AVAILABLE:
        return False
    if current.reason == TIMED_OUT:
        return True
    return parse_rfc3339(current.lastUpdateTime or rfc3339(0)) + limit_s < now_s


def with_progress(
    deployment: apps_v1.Deployment,
    status: apps_v1.DeploymentStatus,
    new: apps_v1.ReplicaSet | None,
    now_s: float,
) -> apps_v1.DeploymentStatus:
    """`status` with the Progressing condition that follows from it."""
    conditions = status.conditions or []
    current = condition(conditions, "Progressing")
    if deadline_s(deployment) is None:
        return msgspec.structs.replace(status, conditions=without(conditions, "Progressing"))
    settled = current is not None and current.reason == NEW_AVAILABLE
    if settled and (status.replicas or 0) == (status.updatedReplicas or 0):
        return status
    what = f'ReplicaSet "{meta_of(new).name}"' if new else f'Deployment "{_name(deployment)}"'
    if is_complete(deployment, status):
        done = make(
            "Progressing", "True", NEW_AVAILABLE, f"{what} has successfully progressed.", now_s
        )
        conditions = with_condition(conditions, done)
    elif is_progressing(deployment, status):
        moved = make("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now_s)
        if current is not None and current.status == "True":
            moved = msgspec.structs.replace(moved, lastTransitionTime=current.lastTransitionTime)
        # Removed first: its update time, from which the deadline counts, must move.
        conditions = with_condition(without(conditions, "Progressing"), moved)
    elif _deadline_passed(deployment, current, now_s):
        late = make("Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.", now_s)
        conditions = with_condition(conditions, late)
    return msgspec.structs.replace(status, conditions=conditions)


def with_failures(
    status: apps_v1.DeploymentStatus,
    replica_sets: Sequence[apps_v1.ReplicaSet],
    new: apps_v1.ReplicaSet | None,
    now_s: float,
) -> apps_v1.DeploymentStatus:
    """`status` with the ReplicaFailure of the newest ReplicaSet, or else of any."""
    conditions = status.conditions or []
    for rs in ([new] if new else []) + list(replica_sets):
        for found in (rs.status.conditions if rs.status else None) or ():
            if found.type == "ReplicaFailure":
                failure = make(
                    "ReplicaFailure",
                    found.status or "",
                    found.reason or "",
                    found.message or "",
                    now_s,
                )
                return msgspec.structs.replace(
                    status, conditions=with_condition(conditions, failure)
                )
    return msgspec.structs.replace(status, conditions=without(conditions, "ReplicaFailure"))


def check_again_in_s(
    deployment: apps_v1.Deployment, status: apps_v1.DeploymentStatus, now_s: float
) -> float:
    """Seconds until the progress deadline may have passed; 0 where nothing is waited for."""
    limit_s = deadline_s(deployment)
    current = condition(status.conditions or [], "Progressing")
    if limit_s is None or current is None or is_complete(deployment, status):
        return 0.0
    if current.reason in (TIMED_OUT, NEW_AVAILABLE) or not current.lastUpdateTime:
        return 0.0
    return max(1.0, parse_rfc3339(current.lastUpdateTime) + limit_s - now_s + 1.0)


def _name(deployment: apps_v1.Deployment) -> str:
    return meta_of(deployment).name or ""
