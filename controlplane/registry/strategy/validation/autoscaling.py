"""HorizontalPodAutoscalers (pkg/apis/autoscaling/validation)."""

from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi.types import autoscaling_v2

_SOURCES: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGETS: Final = ("Utilization", "Value", "AverageValue")
_WINDOW_MAX_S: Final = 3600
_PERIOD_MAX_S: Final = 1800


def _autoscaler(
    spec: autoscaling_v2.HorizontalPodAutoscalerSpec, faults: Faults, path: str
) -> None:
    low, high = spec.minReplicas, spec.maxReplicas or 0
    if low is not None and low < 1:
        faults.invalid(f"{path}.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        faults.required(f"{path}.maxReplicas", "must be set and greater than 0")
    if low is not None and high < low:
        text = "must be greater than or equal to `minReplicas`"
        faults.invalid(f"{path}.maxReplicas", high, text)
    if low == 0 and not any(m.type in ("Object", "External") for m in spec.metrics or ()):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"  # noqa: E501
        faults.forbidden(f"{path}.metrics", text)


def _target_ref(ref: autoscaling_v2.CrossVersionObjectReference, faults: Faults, path: str) -> None:
    for name in ("kind", "name"):
        if not getattr(ref, name):
            faults.required(f"{path}.{name}")
    if path.endswith("scaleTargetRef") and not ref.apiVersion:
        faults.invalid(f"{path}.apiVersion", "", "apiVersion must specify API group")


def _metric(metric: autoscaling_v2.MetricSpec, faults: Faults, path: str) -> None:
    kind, where = metric.type or "", f"{path}.type"
    found = [name for name in _SOURCES.values() if getattr(metric, name) is not None]
    if not kind:
        faults.required(where, "must specify a metric source type")
    if kind not in _SOURCES:
        faults.unsupported(where, kind, tuple(_SOURCES))
        if not found:
            faults.unsupported(where, kind, tuple(_SOURCES))
        return
    wanted = _SOURCES[kind]
    if wanted not in found:
        text = "must populate information for the given metric source"
        faults.required(f"{path}.{wanted}", text)
    elif len(found) > 1:
        for name in found:
            if name != wanted:
                text = "must populate the given metric source only"
                faults.forbidden(f"{path}.{name}", text)


def _resource_metric(metric: Any, faults: Faults, path: str) -> None:
    if not metric.name:
        faults.required(f"{path}.name", "must specify a resource name")
    if hasattr(metric, "container") and not metric.container:
        faults.required(f"{path}.container", "must specify a container")
    target = metric.target or autoscaling_v2.MetricTarget()
    where = f"{path}.target"
    if target.averageUtilization is None and target.averageValue is None:
        text = "must set either a target raw value or a target utilization"
        faults.required(f"{where}.averageUtilization", text)
    elif target.averageUtilization is not None and target.averageValue is not None:
        text = "may not set both a target raw value and a target utilization"
        faults.forbidden(f"{where}.averageValue", text)


def _target(target: autoscaling_v2.MetricTarget, faults: Faults, path: str) -> None:
    kind = target.type or ""
    if not kind:
        faults.required(f"{path}.type", "must specify a metric target type")
    if kind not in _TARGETS:
        text = "must be either Utilization, Value, or AverageValue"
        faults.invalid(f"{path}.type", kind, text)
    for name in ("value", "averageValue"):
        amount = getattr(target, name)
        if amount is not None and values.quantity_sign(amount) <= 0:
            faults.invalid(f"{path}.{name}", amount, "must be positive")


def _scaling(rules: autoscaling_v2.HPAScalingRules, faults: Faults, path: str) -> None:
    window_s = rules.stabilizationWindowSeconds
    if window_s is not None:
        where = f"{path}.stabilizationWindowSeconds"
        if window_s < 0:
            faults.invalid(where, window_s, "must be greater than or equal to zero")
        elif window_s > _WINDOW_MAX_S:
            text = f"must be less than or equal to {_WINDOW_MAX_S}"
            faults.invalid(where, window_s, text)
    if not rules.policies:
        faults.required(f"{path}.policies", "must specify at least one Policy")


def _policy(policy: autoscaling_v2.HPAScalingPolicy, faults: Faults, path: str) -> None:
    if policy.type not in ("Pods", "Percent"):
        faults.unsupported(f"{path}.type", policy.type or "", ("Percent", "Pods"))
    for name in ("value", "periodSeconds"):
        number = getattr(policy, name) or 0
        if number <= 0:
            faults.invalid(f"{path}.{name}", number, "must be greater than zero")
    period_s = policy.periodSeconds or 0
    if period_s > _PERIOD_MAX_S:
        text = f"must be less than or equal to {_PERIOD_MAX_S}"
        faults.invalid(f"{path}.periodSeconds", period_s, text)


RULES: Table = {
    autoscaling_v2.ContainerResourceMetricSource: Rules(
        whole=_resource_metric, present=("target",)
    ),
    autoscaling_v2.CrossVersionObjectReference: Rules(whole=_target_ref),
    autoscaling_v2.HPAScalingPolicy: Rules(whole=_policy),
    autoscaling_v2.HPAScalingRules: Rules(
        each={"selectPolicy": values.one_of("Disabled", "Max", "Min")}, whole=_scaling
    ),
    autoscaling_v2.HorizontalPodAutoscaler: Rules(present=("spec",)),
    autoscaling_v2.HorizontalPodAutoscalerSpec: Rules(
        whole=_autoscaler, present=("scaleTargetRef",)
    ),
    autoscaling_v2.MetricSpec: Rules(whole=_metric),
    autoscaling_v2.MetricTarget: Rules(each={"averageUtilization": values.positive}, whole=_target),
    autoscaling_v2.ResourceMetricSource: Rules(whole=_resource_metric, present=("target",)),
}
