"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, Message, Quantity, Time
from kubeapi.types import meta_v1


class ContainerResourceMetricSource(Message, frozen=True, kw_only=True):
    container: str | None = None
    name: str | None = None
    target: MetricTarget | None = None


class ContainerResourceMetricStatus(Message, frozen=True, kw_only=True):
    container: str | None = None
    current: MetricValueStatus | None = None
    name: str | None = None


class CrossVersionObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    name: str | None = None


class ExternalMetricSource(Message, frozen=True, kw_only=True):
    metric: MetricIdentifier | None = None
    target: MetricTarget | None = None


class ExternalMetricStatus(Message, frozen=True, kw_only=True):
    current: MetricValueStatus | None = None
    metric: MetricIdentifier | None = None


class HPAScalingPolicy(Message, frozen=True, kw_only=True):
    periodSeconds: Int32 | None = None
    type: str | None = None
    value: Int32 | None = None


class HPAScalingRules(Message, frozen=True, kw_only=True):
    policies: list[HPAScalingPolicy] | None = None
    selectPolicy: str | None = None
    stabilizationWindowSeconds: Int32 | None = None
    tolerance: Quantity | None = None


class HorizontalPodAutoscaler(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("autoscaling", "v2", "HorizontalPodAutoscaler")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: HorizontalPodAutoscalerSpec | None = None
    status: HorizontalPodAutoscalerStatus | None = None


class HorizontalPodAutoscalerBehavior(Message, frozen=True, kw_only=True):
    scaleDown: HPAScalingRules | None = None
    scaleUp: HPAScalingRules | None = None


class HorizontalPodAutoscalerCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class HorizontalPodAutoscalerList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("autoscaling", "v2", "HorizontalPodAutoscalerList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[HorizontalPodAutoscaler] | None = None


class HorizontalPodAutoscalerSpec(Message, frozen=True, kw_only=True):
    behavior: HorizontalPodAutoscalerBehavior | None = None
    maxReplicas: Int32 | None = None
    metrics: list[MetricSpec] | None = None
    minReplicas: Int32 | None = None
    scaleTargetRef: CrossVersionObjectReference | None = None


class HorizontalPodAutoscalerStatus(Message, frozen=True, kw_only=True):
    conditions: list[HorizontalPodAutoscalerCondition] | None = None
    currentMetrics: list[MetricStatus] | None = None
    currentReplicas: Int32 | None = None
    desiredReplicas: Int32 | None = None
    lastScaleTime: Time | None = None
    observedGeneration: Int64 | None = None


class MetricIdentifier(Message, frozen=True, kw_only=True):
    name: str | None = None
    selector: meta_v1.LabelSelector | None = None


class MetricSpec(Message, frozen=True, kw_only=True):
    containerResource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    type: str | None = None


class MetricStatus(Message, frozen=True, kw_only=True):
    containerResource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    type: str | None = None


class MetricTarget(Message, frozen=True, kw_only=True):
    averageUtilization: Int32 | None = None
    averageValue: Quantity | None = None
    type: str | None = None
    value: Quantity | None = None


class MetricValueStatus(Message, frozen=True, kw_only=True):
    averageUtilization: Int32 | None = None
    averageValue: Quantity | None = None
    value: Quantity | None = None


class ObjectMetricSource(Message, frozen=True, kw_only=True):
    describedObject: CrossVersionObjectReference | None = None
    metric: MetricIdentifier | None = None
    target: MetricTarget | None = None


class ObjectMetricStatus(Message, frozen=True, kw_only=True):
    current: MetricValueStatus | None = None
    describedObject: CrossVersionObjectReference | None = None
    metric: MetricIdentifier | None = None


class PodsMetricSource(Message, frozen=True, kw_only=True):
    metric: MetricIdentifier | None = None
    target: MetricTarget | None = None


class PodsMetricStatus(Message, frozen=True, kw_only=True):
    current: MetricValueStatus | None = None
    metric: MetricIdentifier | None = None


class ResourceMetricSource(Message, frozen=True, kw_only=True):
    name: str | None = None
    target: MetricTarget | None = None


class ResourceMetricStatus(Message, frozen=True, kw_only=True):
    current: MetricValueStatus | None = None
    name: str | None = None
