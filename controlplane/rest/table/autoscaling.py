"""Autoscalers, scales and disruption budgets."""

from typing import Any, Final

from controlplane.rest.table.text import NONE, UNSET, age_of, name_of, text_or, with_more
from kubeapi.types import autoscaling_v1, autoscaling_v2, policy_v1

METRICS_SHOWN_MAX: Final = 2
UNKNOWN: Final = "<unknown>"
# The field of a MetricSpec (and MetricStatus) that each type of metric uses.
METRIC_FIELDS: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def autoscaler_cells(
    obj: autoscaling_v1.HorizontalPodAutoscaler | autoscaling_v2.HorizontalPodAutoscaler,
    now_s: float,
) -> list[Any]:
    if isinstance(obj, autoscaling_v1.HorizontalPodAutoscaler):
        return _row(obj, _cpu_text(obj), now_s)
    specs = (obj.spec.metrics if obj.spec else None) or []
    statuses = (obj.status.currentMetrics if obj.status else None) or []
    texts = [
        _metric_text(spec, statuses[index] if index < len(statuses) else None)
        for index, spec in enumerate(specs)
    ]
    shown = with_more(texts[:METRICS_SHOWN_MAX], len(texts), separator=", ", empty=NONE)
    return _row(obj, shown, now_s)


def _row(obj: Any, metrics: str, now_s: float) -> list[Any]:
    spec, target = obj.spec, obj.spec.scaleTargetRef if obj.spec else None
    return [
        name_of(obj),
        f"{target.kind}/{target.name}" if target else "",
        metrics,
        text_or(spec.minReplicas if spec else None, UNSET),
        (spec.maxReplicas if spec else None) or 0,
        (obj.status.currentReplicas if obj.status else None) or 0,
        age_of(obj, now_s),
    ]


def _cpu_text(obj: autoscaling_v1.HorizontalPodAutoscaler) -> str:
    target = obj.spec.targetCPUUtilizationPercentage if obj.spec else None
    current = obj.status.currentCPUUtilizationPercentage if obj.status else None
    if target is None:
        return NONE
    return f"cpu: {UNKNOWN if current is None else f'{current}%'}/{target}%"


def _metric_text(
    spec: autoscaling_v2.MetricSpec, status: autoscaling_v2.MetricStatus | None
) -> str:
    field = METRIC_FIELDS.get(spec.type or "")
    source = getattr(spec, field) if field else None
    if field is None or source is None:
        return "<unknown type>"
    target = source.target or autoscaling_v2.MetricTarget()
    reported = getattr(status, field) if status is not None else None
    current = (reported.current if reported else None) or autoscaling_v2.MetricValueStatus()
    if field in ("resource", "containerResource"):
        return f"{source.name}: {_resource_text(target, current)}"
    if target.averageValue is None:
        return f"{text_or(current.value, UNKNOWN)}/{text_or(target.value, UNKNOWN)}"
    average = f"{text_or(current.averageValue, UNKNOWN)}/{target.averageValue}"
    return average if field == "pods" else f"{average} (avg)"


def _resource_text(
    target: autoscaling_v2.MetricTarget, current: autoscaling_v2.MetricValueStatus
) -> str:
    if target.averageValue is not None:
        return f"{text_or(current.averageValue, UNKNOWN)}/{target.averageValue}"
    wanted, have = target.averageUtilization, current.averageUtilization
    shown = UNKNOWN if have is None else f"{have}%"
    return f"{shown}/{'<auto>' if wanted is None else f'{wanted}%'}"


def scale_cells(obj: autoscaling_v1.Scale, now_s: float) -> list[Any]:
    desired = (obj.spec.replicas if obj.spec else None) or 0
    available = (obj.status.replicas if obj.status else None) or 0
    return [name_of(obj), desired, available, age_of(obj, now_s)]


def disruption_budget_cells(obj: policy_v1.PodDisruptionBudget, now_s: float) -> list[Any]:
    spec = obj.spec or policy_v1.PodDisruptionBudgetSpec()
    return [
        name_of(obj),
        text_or(spec.minAvailable, "N/A"),
        text_or(spec.maxUnavailable, "N/A"),
        (obj.status.disruptionsAllowed if obj.status else None) or 0,
        age_of(obj, now_s),
    ]
