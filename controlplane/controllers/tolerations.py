"""Which taints a pod puts up with, and for how long.

Source: Kubernetes, `Toleration.ToleratesTaint`, `GetMinTolerationTime`.
"""

from collections.abc import Sequence

from kubeapi.types import core_v1


def tolerates(toleration: core_v1.Toleration, taint: core_v1.Taint) -> bool:
    """An empty key with Exists tolerates every taint, an empty effect every effect."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and (toleration.value or "") == (taint.value or "")


def stay_s(
    taints: Sequence[core_v1.Taint], tolerations: Sequence[core_v1.Toleration]
) -> float | None:
    """How long a pod may stay with these taints; None: for ever."""
    limits: list[float] = []
    for taint in taints:
        fitting = [t for t in tolerations if tolerates(t, taint)]
        if not fitting:
            return 0.0
        limits += [
            max(0.0, float(t.tolerationSeconds)) for t in fitting if t.tolerationSeconds is not None
        ]
    return min(limits, default=None)
