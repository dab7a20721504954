"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, IntOrString, Json, Message, Time
from kubeapi.types import core_v1, meta_v1


class ControllerRevision(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "ControllerRevision")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    data: Json = None
    revision: Int64 | None = None


class ControllerRevisionList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "ControllerRevisionList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ControllerRevision] | None = None


class DaemonSet(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "DaemonSet")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: DaemonSetSpec | None = None
    status: DaemonSetStatus | None = None


class DaemonSetCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class DaemonSetList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "DaemonSetList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[DaemonSet] | None = None


class DaemonSetSpec(Message, frozen=True, kw_only=True):
    minReadySeconds: Int32 | None = None
    revisionHistoryLimit: Int32 | None = None
    selector: meta_v1.LabelSelector | None = None
    template: core_v1.PodTemplateSpec | None = None
    updateStrategy: DaemonSetUpdateStrategy | None = None


class DaemonSetStatus(Message, frozen=True, kw_only=True):
    collisionCount: Int32 | None = None
    conditions: list[DaemonSetCondition] | None = None
    currentNumberScheduled: Int32 | None = None
    desiredNumberScheduled: Int32 | None = None
    numberAvailable: Int32 | None = None
    numberMisscheduled: Int32 | None = None
    numberReady: Int32 | None = None
    numberUnavailable: Int32 | None = None
    observedGeneration: Int64 | None = None
    updatedNumberScheduled: Int32 | None = None


class DaemonSetUpdateStrategy(Message, frozen=True, kw_only=True):
    rollingUpdate: RollingUpdateDaemonSet | None = None
    type: str | None = None


class Deployment(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "Deployment")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


class DeploymentCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    lastUpdateTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class DeploymentList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "DeploymentList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Deployment] | None = None


class DeploymentSpec(Message, frozen=True, kw_only=True):
    minReadySeconds: Int32 | None = None
    paused: bool | None = None
    progressDeadlineSeconds: Int32 | None = None
    replicas: Int32 | None = None
    revisionHistoryLimit: Int32 | None = None
    selector: meta_v1.LabelSelector | None = None
    strategy: DeploymentStrategy | None = None
    template: core_v1.PodTemplateSpec | None = None


class DeploymentStatus(Message, frozen=True, kw_only=True):
    availableReplicas: Int32 | None = None
    collisionCount: Int32 | None = None
    conditions: list[DeploymentCondition] | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Int32 | None = None
    terminatingReplicas: Int32 | None = None
    unavailableReplicas: Int32 | None = None
    updatedReplicas: Int32 | None = None


class DeploymentStrategy(Message, frozen=True, kw_only=True):
    rollingUpdate: RollingUpdateDeployment | None = None
    type: str | None = None


class ReplicaSet(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "ReplicaSet")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ReplicaSetSpec | None = None
    status: ReplicaSetStatus | None = None


class ReplicaSetCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class ReplicaSetList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "ReplicaSetList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ReplicaSet] | None = None


class ReplicaSetSpec(Message, frozen=True, kw_only=True):
    minReadySeconds: Int32 | None = None
    replicas: Int32 | None = None
    selector: meta_v1.LabelSelector | None = None
    template: core_v1.PodTemplateSpec | None = None


class ReplicaSetStatus(Message, frozen=True, kw_only=True):
    availableReplicas: Int32 | None = None
    conditions: list[ReplicaSetCondition] | None = None
    fullyLabeledReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Int32 | None = None
    terminatingReplicas: Int32 | None = None


class RollingUpdateDaemonSet(Message, frozen=True, kw_only=True):
    maxSurge: IntOrString | None = None
    maxUnavailable: IntOrString | None = None


class RollingUpdateDeployment(Message, frozen=True, kw_only=True):
    maxSurge: IntOrString | None = None
    maxUnavailable: IntOrString | None = None


class RollingUpdateStatefulSetStrategy(Message, frozen=True, kw_only=True):
    maxUnavailable: IntOrString | None = None
    partition: Int32 | None = None


class StatefulSet(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "StatefulSet")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: StatefulSetSpec | None = None
    status: StatefulSetStatus | None = None


class StatefulSetCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class StatefulSetList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apps", "v1", "StatefulSetList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[StatefulSet] | None = None


class StatefulSetOrdinals(Message, frozen=True, kw_only=True):
    start: Int32 | None = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(Message, frozen=True, kw_only=True):
    whenDeleted: str | None = None
    whenScaled: str | None = None


class StatefulSetSpec(Message, frozen=True, kw_only=True):
    minReadySeconds: Int32 | None = None
    ordinals: StatefulSetOrdinals | None = None
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    podManagementPolicy: str | None = None
    replicas: Int32 | None = None
    revisionHistoryLimit: Int32 | None = None
    selector: meta_v1.LabelSelector | None = None
    serviceName: str | None = None
    template: core_v1.PodTemplateSpec | None = None
    updateStrategy: StatefulSetUpdateStrategy | None = None
    volumeClaimTemplates: list[core_v1.PersistentVolumeClaim] | None = None


class StatefulSetStatus(Message, frozen=True, kw_only=True):
    availableReplicas: Int32 | None = None
    collisionCount: Int32 | None = None
    conditions: list[StatefulSetCondition] | None = None
    currentReplicas: Int32 | None = None
    currentRevision: str | None = None
    observedGeneration: Int64 | None = None
    readyReplicas: Int32 | None = None
    replicas: Int32 | None = None
    updateRevision: str | None = None
    updatedReplicas: Int32 | None = None


class StatefulSetUpdateStrategy(Message, frozen=True, kw_only=True):
    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None
    type: str | None = None
