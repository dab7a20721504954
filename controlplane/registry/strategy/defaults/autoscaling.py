"""Autoscalers. Source: pkg/apis/autoscaling/v2/defaults.go."""

from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default, ensure, put
from kubeapi.types import autoscaling_v1, autoscaling_v2

CPU_PERCENT: Final = 80
PERIOD_S: Final = 15
# Where metrics of v2 are kept when an autoscaler is written in v1.
METRICS_ANNOTATION: Final = "autoscaling.alpha.kubernetes.io/metrics"


def _v1(autoscaler: autoscaling_v1.HorizontalPodAutoscaler) -> None:
    annotations = (autoscaler.metadata.annotations if autoscaler.metadata else None) or {}
    if autoscaler.spec is not None and METRICS_ANNOTATION not in annotations:
        default(autoscaler.spec, "targetCPUUtilizationPercentage", CPU_PERCENT)


def _spec(spec: autoscaling_v2.HorizontalPodAutoscalerSpec) -> None:
    if not spec.metrics:
        target = autoscaling_v2.MetricTarget(type="Utilization", averageUtilization=CPU_PERCENT)
        cpu = autoscaling_v2.ResourceMetricSource(name="cpu", target=target)
        put(spec, "metrics", [autoscaling_v2.MetricSpec(type="Resource", resource=cpu)])


def _behavior(behavior: autoscaling_v2.HorizontalPodAutoscalerBehavior) -> None:
    """Up by four pods or to the double each 15 s at once; down to nothing, after the pause."""
    up = ensure(behavior, "scaleUp", autoscaling_v2.HPAScalingRules)
    default(up, "stabilizationWindowSeconds", 0)
    _rules(up, _policy("Pods", 4), _policy("Percent", 100))
    down = ensure(behavior, "scaleDown", autoscaling_v2.HPAScalingRules)
    _rules(down, _policy("Percent", 100))


def _rules(
    rules: autoscaling_v2.HPAScalingRules, *policies: autoscaling_v2.HPAScalingPolicy
) -> None:
    default(rules, "selectPolicy", "Max")
    default(rules, "policies", list(policies))


def _policy(kind: str, value: int) -> autoscaling_v2.HPAScalingPolicy:
    return autoscaling_v2.HPAScalingPolicy(type=kind, value=value, periodSeconds=PERIOD_S)


RULES: Final[dict[Any, Any]] = {
    autoscaling_v1.HorizontalPodAutoscaler: _v1,
    autoscaling_v2.HorizontalPodAutoscalerBehavior: _behavior,
    autoscaling_v2.HorizontalPodAutoscalerSpec: _spec,
}
