"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, Message, Quantity, Time
from kubeapi.types import core_v1, meta_v1


class CSIDriver(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSIDriver")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: CSIDriverSpec | None = None


class CSIDriverList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSIDriverList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CSIDriver] | None = None


class CSIDriverSpec(Message, frozen=True, kw_only=True):
    attachRequired: bool | None = None
    fsGroupPolicy: str | None = None
    nodeAllocatableUpdatePeriodSeconds: Int64 | None = None
    podInfoOnMount: bool | None = None
    preventPodSchedulingIfMissing: bool | None = None
    requiresRepublish: bool | None = None
    seLinuxMount: bool | None = None
    serviceAccountTokenInSecrets: bool | None = None
    storageCapacity: bool | None = None
    tokenRequests: list[TokenRequest] | None = None
    volumeLifecycleModes: list[str] | None = None


class CSINode(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSINode")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: CSINodeSpec | None = None


class CSINodeDriver(Message, frozen=True, kw_only=True):
    allocatable: VolumeNodeResources | None = None
    name: str | None = None
    nodeID: str | None = None
    topologyKeys: list[str] | None = None


class CSINodeList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSINodeList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CSINode] | None = None


class CSINodeSpec(Message, frozen=True, kw_only=True):
    drivers: list[CSINodeDriver] | None = None


class CSIStorageCapacity(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSIStorageCapacity")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    capacity: Quantity | None = None
    maximumVolumeSize: Quantity | None = None
    nodeTopology: meta_v1.LabelSelector | None = None
    storageClassName: str | None = None


class CSIStorageCapacityList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "CSIStorageCapacityList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CSIStorageCapacity] | None = None


class StorageClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "StorageClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    allowVolumeExpansion: bool | None = None
    allowedTopologies: list[core_v1.TopologySelectorTerm] | None = None
    mountOptions: list[str] | None = None
    parameters: dict[str, str] | None = None
    provisioner: str | None = None
    reclaimPolicy: str | None = None
    volumeBindingMode: str | None = None


class StorageClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "StorageClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[StorageClass] | None = None


class TokenRequest(Message, frozen=True, kw_only=True):
    audience: str | None = None
    expirationSeconds: Int64 | None = None


class VolumeAttachment(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "VolumeAttachment")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: VolumeAttachmentSpec | None = None
    status: VolumeAttachmentStatus | None = None


class VolumeAttachmentList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "VolumeAttachmentList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[VolumeAttachment] | None = None


class VolumeAttachmentSource(Message, frozen=True, kw_only=True):
    inlineVolumeSpec: core_v1.PersistentVolumeSpec | None = None
    persistentVolumeName: str | None = None


class VolumeAttachmentSpec(Message, frozen=True, kw_only=True):
    attacher: str | None = None
    nodeName: str | None = None
    source: VolumeAttachmentSource | None = None


class VolumeAttachmentStatus(Message, frozen=True, kw_only=True):
    attachError: VolumeError | None = None
    attached: bool | None = None
    attachmentMetadata: dict[str, str] | None = None
    detachError: VolumeError | None = None


class VolumeAttributesClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "VolumeAttributesClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    driverName: str | None = None
    parameters: dict[str, str] | None = None


class VolumeAttributesClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1", "VolumeAttributesClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[VolumeAttributesClass] | None = None


class VolumeError(Message, frozen=True, kw_only=True):
    errorCode: Int32 | None = None
    message: str | None = None
    time: Time | None = None


class VolumeNodeResources(Message, frozen=True, kw_only=True):
    count: Int32 | None = None
