"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message
from kubeapi.types import meta_v1


class BasicSchedulingPolicy(Message, frozen=True, kw_only=True):
    pass


class GangSchedulingPolicy(Message, frozen=True, kw_only=True):
    minCount: Int32 | None = None


class PodGroup(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1alpha2", "PodGroup")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PodGroupSpec | None = None
    status: PodGroupStatus | None = None


class PodGroupList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1alpha2", "PodGroupList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PodGroup] | None = None


class PodGroupResourceClaim(Message, frozen=True, kw_only=True):
    name: str | None = None
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class PodGroupResourceClaimStatus(Message, frozen=True, kw_only=True):
    name: str | None = None
    resourceClaimName: str | None = None


class PodGroupSchedulingConstraints(Message, frozen=True, kw_only=True):
    topology: list[TopologyConstraint] | None = None


class PodGroupSchedulingPolicy(Message, frozen=True, kw_only=True):
    basic: BasicSchedulingPolicy | None = None
    gang: GangSchedulingPolicy | None = None


class PodGroupSpec(Message, frozen=True, kw_only=True):
    disruptionMode: str | None = None
    podGroupTemplateRef: PodGroupTemplateReference | None = None
    priority: Int32 | None = None
    priorityClassName: str | None = None
    resourceClaims: list[PodGroupResourceClaim] | None = None
    schedulingConstraints: PodGroupSchedulingConstraints | None = None
    schedulingPolicy: PodGroupSchedulingPolicy | None = None


class PodGroupStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    resourceClaimStatuses: list[PodGroupResourceClaimStatus] | None = None


class PodGroupTemplate(Message, frozen=True, kw_only=True):
    disruptionMode: str | None = None
    name: str | None = None
    priority: Int32 | None = None
    priorityClassName: str | None = None
    resourceClaims: list[PodGroupResourceClaim] | None = None
    schedulingConstraints: PodGroupSchedulingConstraints | None = None
    schedulingPolicy: PodGroupSchedulingPolicy | None = None


class PodGroupTemplateReference(Message, frozen=True, kw_only=True):
    workload: WorkloadPodGroupTemplateReference | None = None


class TopologyConstraint(Message, frozen=True, kw_only=True):
    key: str | None = None


class TypedLocalObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None


class Workload(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1alpha2", "Workload")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: WorkloadSpec | None = None


class WorkloadList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1alpha2", "WorkloadList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Workload] | None = None


class WorkloadPodGroupTemplateReference(Message, frozen=True, kw_only=True):
    podGroupTemplateName: str | None = None
    workloadName: str | None = None


class WorkloadSpec(Message, frozen=True, kw_only=True):
    controllerRef: TypedLocalObjectReference | None = None
    podGroupTemplates: list[PodGroupTemplate] | None = None
