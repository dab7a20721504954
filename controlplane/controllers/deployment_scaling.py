"""How many pods each ReplicaSet of a Deployment may have: the arithmetic of rolling updates.

Source: Kubernetes, `pkg/controller/deployment` (rolling.go, sync.go) and its util package.
"""

import math
from collections.abc import Iterable, Sequence

from controlplane.controllers.deployment_revision import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    annotations_of,
    by_age,
)
from controlplane.controllers.pods import meta_of
from kubeapi.intstr import resolve_fenceposts
from kubeapi.types import apps_v1

ReplicaSets = Sequence[apps_v1.ReplicaSet]


def wanted(deployment: apps_v1.Deployment) -> int:
    replicas = deployment.spec.replicas if deployment.spec else None
    return 1 if replicas is None else replicas


def size(rs: apps_v1.ReplicaSet) -> int:
    """The replicas that the ReplicaSet asks for."""
    return (rs.spec.replicas if rs.spec else 0) or 0


def available(rs: apps_v1.ReplicaSet) -> int:
    return (rs.status.availableReplicas if rs.status else 0) or 0


def actual(rs: apps_v1.ReplicaSet) -> int:
    return (rs.status.replicas if rs.status else 0) or 0


def total_size(replica_sets: Iterable[apps_v1.ReplicaSet]) -> int:
    return sum(size(rs) for rs in replica_sets)


def total_available(replica_sets: Iterable[apps_v1.ReplicaSet]) -> int:
    return sum(available(rs) for rs in replica_sets)


def active(replica_sets: Iterable[apps_v1.ReplicaSet]) -> list[apps_v1.ReplicaSet]:
    return [rs for rs in replica_sets if size(rs) > 0]


def is_rolling(deployment: apps_v1.Deployment) -> bool:
    strategy = deployment.spec.strategy if deployment.spec else None
    return strategy is None or strategy.type != "Recreate"


def _fenceposts(deployment: apps_v1.Deployment) -> tuple[int, int]:
    """How many pods there may be too many, and too few."""
    strategy = deployment.spec.strategy if deployment.spec else None
    rolling = strategy.rollingUpdate if strategy else None
    if rolling is None:
        rolling = apps_v1.RollingUpdateDeployment(maxSurge="25%", maxUnavailable="25%")
    return resolve_fenceposts(rolling.maxSurge, rolling.maxUnavailable, wanted(deployment))


def max_surge(deployment: apps_v1.Deployment) -> int:
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: apps_v1.Deployment) -> int:
    if not is_rolling(deployment) or wanted(deployment) == 0:
        return 0
    return min(_fenceposts(deployment)[1], wanted(deployment))


def replica_annotations(deployment: apps_v1.Deployment) -> dict[str, str]:
    """What each ReplicaSet notes of the Deployment's size, to scale in proportion later."""
    return {
        DESIRED_REPLICAS: str(wanted(deployment)),
        MAX_REPLICAS: str(wanted(deployment) + max_surge(deployment)),
    }


def _annotated(rs: apps_v1.ReplicaSet, name: str) -> int | None:
    try:
        return int(annotations_of(rs)[name])
    except (KeyError, ValueError):
        return None


def was_scaled(deployment: apps_v1.Deployment, replica_sets: ReplicaSets) -> bool:
    """The Deployment's size changed since its active ReplicaSets were last sized."""
    noted = (_annotated(rs, DESIRED_REPLICAS) for rs in active(replica_sets))
    return any(desired is not None and desired != wanted(deployment) for desired in noted)


def size_of_new(deployment: apps_v1.Deployment, everything: ReplicaSets, present: int) -> int:
    """The newest ReplicaSet's next size; `present` is what it has now."""
    if not is_rolling(deployment):
        return wanted(deployment)
    room = wanted(deployment) + max_surge(deployment) - total_size(everything)
    if room <= 0:
        return present
    return present + min(room, wanted(deployment) - present)


def shrink_old(
    deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet, old: ReplicaSets
) -> dict[str, int]:
    """Next sizes (by name) of the old ReplicaSets that may shrink now: pods that are not
    available go first, then as many of the others as availability allows."""
    least = wanted(deployment) - max_unavailable(deployment)
    sizes = {_name(rs): size(rs) for rs in by_age(old)}
    before = dict(sizes)
    room = total_size(old) + size(new) - least - max(0, size(new) - available(new))
    if total_size(old) == 0 or room <= 0:
        return {}
    for rs in by_age(old):
        unhealthy = min(room, max(0, size(rs) - available(rs)))
        sizes[_name(rs)] -= unhealthy
        room -= unhealthy
    # A status may be older than the last change of size: what is about to be deleted does not
    # count as available. (Kubernetes trusts the status here, and can fall short by a step.)
    room = sum(min(available(rs), size(rs)) for rs in (*old, new)) - least
    for rs in by_age(old):
        spare = min(sizes[_name(rs)], max(0, room))
        sizes[_name(rs)] -= spare
        room -= spare
    return {name: count for name, count in sizes.items() if count != before[name]}


def _name(rs: apps_v1.ReplicaSet) -> str:
    return meta_of(rs).name or ""


def is_saturated(deployment: apps_v1.Deployment, new: apps_v1.ReplicaSet | None) -> bool:
    """The newest ReplicaSet alone is what the Deployment asks for."""
    if new is None:
        return False
    count = wanted(deployment)
    return _annotated(new, DESIRED_REPLICAS) == size(new) == available(new) == count


def proportional(deployment: apps_v1.Deployment, replica_sets: ReplicaSets) -> dict[str, int]:
    """Sizes (by name) that spread a change of the Deployment's size over `replica_sets` in
    proportion to theirs; the largest gets what rounding leaves."""
    limit = wanted(deployment) + max_surge(deployment) if wanted(deployment) > 0 else 0
    to_add = limit - total_size(replica_sets)
    ordered = by_age(replica_sets)
    # The larger first; of equal ones, the newer grows and the older shrinks first.
    if to_add > 0:
        ordered.reverse()
    ordered.sort(key=size, reverse=True)
    sizes = {_name(rs): size(rs) for rs in ordered}
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, to_add, added)
        sizes[_name(rs)] += share
        added += share
    if ordered and to_add:
        largest = _name(ordered[0])
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet, to_add: int, added: int) -> int:
    if size(rs) == 0 or to_add == added:
        return 0
    fraction = _fraction(deployment, rs)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet) -> int:
    if wanted(deployment) == 0:
        return -size(rs)
    before = _annotated(rs, MAX_REPLICAS) or (
        (deployment.status.replicas if deployment.status else 0) or 0
    )
    if before == 0:
        return 0
    exact = size(rs) * (wanted(deployment) + max_surge(deployment)) / before
    return math.floor(exact + 0.5) - size(rs)
