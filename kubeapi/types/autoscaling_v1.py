"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, Message, Time
from kubeapi.types import meta_v1


class CrossVersionObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    name: str | None = None


class HorizontalPodAutoscaler(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("autoscaling", "v1", "HorizontalPodAutoscaler")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: HorizontalPodAutoscalerSpec | None = None
    status: HorizontalPodAutoscalerStatus | None = None


class HorizontalPodAutoscalerList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("autoscaling", "v1", "HorizontalPodAutoscalerList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[HorizontalPodAutoscaler] | None = None


class HorizontalPodAutoscalerSpec(Message, frozen=True, kw_only=True):
    maxReplicas: Int32 | None = None
    minReplicas: Int32 | None = None
    scaleTargetRef: CrossVersionObjectReference | None = None
    targetCPUUtilizationPercentage: Int32 | None = None


class HorizontalPodAutoscalerStatus(Message, frozen=True, kw_only=True):
    currentCPUUtilizationPercentage: Int32 | None = None
    currentReplicas: Int32 | None = None
    desiredReplicas: Int32 | None = None
    lastScaleTime: Time | None = None
    observedGeneration: Int64 | None = None


class Scale(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("autoscaling", "v1", "Scale")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ScaleSpec | None = None
    status: ScaleStatus | None = None


class ScaleSpec(Message, frozen=True, kw_only=True):
    replicas: Int32 | None = None


class ScaleStatus(Message, frozen=True, kw_only=True):
    replicas: Int32 | None = None
    selector: str | None = None
