"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, IntOrString, Message, Time
from kubeapi.types import meta_v1


class Eviction(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("policy", "v1", "Eviction")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    deleteOptions: meta_v1.DeleteOptions | None = None


class PodDisruptionBudget(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("policy", "v1", "PodDisruptionBudget")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PodDisruptionBudgetSpec | None = None
    status: PodDisruptionBudgetStatus | None = None


class PodDisruptionBudgetList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("policy", "v1", "PodDisruptionBudgetList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PodDisruptionBudget] | None = None


class PodDisruptionBudgetSpec(Message, frozen=True, kw_only=True):
    maxUnavailable: IntOrString | None = None
    minAvailable: IntOrString | None = None
    selector: meta_v1.LabelSelector | None = None
    unhealthyPodEvictionPolicy: str | None = None


class PodDisruptionBudgetStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    currentHealthy: Int32 | None = None
    desiredHealthy: Int32 | None = None
    disruptedPods: dict[str, Time] | None = None
    disruptionsAllowed: Int32 | None = None
    expectedPods: Int32 | None = None
    observedGeneration: Int64 | None = None
