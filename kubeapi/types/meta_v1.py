"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from kubeapi.scalars import Int32, Int64, Json, Message, RawJson, Time


class APIGroup(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "APIGroup")
    kind: str | None = None
    apiVersion: str | None = None
    name: str | None = None
    preferredVersion: GroupVersionForDiscovery | None = None
    serverAddressByClientCIDRs: list[ServerAddressByClientCIDR] | None = None
    versions: list[GroupVersionForDiscovery] | None = None


class APIGroupList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "APIGroupList")
    kind: str | None = None
    apiVersion: str | None = None
    groups: list[APIGroup] | None = None


class APIResource(Message, frozen=True, kw_only=True):
    kind: str | None = None
    categories: list[str] | None = None
    group: str | None = None
    name: str | None = None
    namespaced: bool | None = None
    shortNames: list[str] | None = None
    singularName: str | None = None
    storageVersionHash: str | None = None
    verbs: list[str] | None = None
    version: str | None = None


class APIResourceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "APIResourceList")
    kind: str | None = None
    apiVersion: str | None = None
    groupVersion: str | None = None
    resources: list[APIResource] | None = None


class APIVersions(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "APIVersions")
    kind: str | None = None
    apiVersion: str | None = None
    serverAddressByClientCIDRs: list[ServerAddressByClientCIDR] | None = None
    versions: list[str] | None = None


class Condition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class DeleteOptions(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    dryRun: list[str] | None = None
    gracePeriodSeconds: Int64 | None = None
    ignoreStoreReadErrorWithClusterBreakingPotential: bool | None = None
    orphanDependents: bool | None = None
    preconditions: Preconditions | None = None
    propagationPolicy: str | None = None


class FieldSelectorRequirement(Message, frozen=True, kw_only=True):
    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class GroupResource(Message, frozen=True, kw_only=True):
    group: str | None = None
    resource: str | None = None


class GroupVersionForDiscovery(Message, frozen=True, kw_only=True):
    groupVersion: str | None = None
    version: str | None = None


class LabelSelector(Message, frozen=True, kw_only=True):
    matchExpressions: list[LabelSelectorRequirement] | None = None
    matchLabels: dict[str, str] | None = None


class LabelSelectorRequirement(Message, frozen=True, kw_only=True):
    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class ListMeta(Message, frozen=True, kw_only=True):
    continue_: str | None = field(default=None, name="continue")
    remainingItemCount: Int64 | None = None
    resourceVersion: str | None = None
    selfLink: str | None = None
    shardInfo: ShardInfo | None = None


class ManagedFieldsEntry(Message, frozen=True, kw_only=True):
    apiVersion: str | None = None
    fieldsType: str | None = None
    fieldsV1: RawJson = None
    manager: str | None = None
    operation: str | None = None
    subresource: str | None = None
    time: Time | None = None


class ObjectMeta(Message, frozen=True, kw_only=True):
    annotations: dict[str, str] | None = None
    creationTimestamp: Time | None = None
    deletionGracePeriodSeconds: Int64 | None = None
    deletionTimestamp: Time | None = None
    finalizers: list[str] | None = None
    generateName: str | None = None
    generation: Int64 | None = None
    labels: dict[str, str] | None = None
    managedFields: list[ManagedFieldsEntry] | None = None
    name: str | None = None
    namespace: str | None = None
    ownerReferences: list[OwnerReference] | None = None
    resourceVersion: str | None = None
    selfLink: str | None = None
    uid: str | None = None


class OwnerReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    blockOwnerDeletion: bool | None = None
    controller: bool | None = None
    name: str | None = None
    uid: str | None = None


class PartialObjectMetadata(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("meta.k8s.io", "v1", "PartialObjectMetadata")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: ObjectMeta | None = None


class PartialObjectMetadataList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("meta.k8s.io", "v1", "PartialObjectMetadataList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: ListMeta | None = None
    items: list[PartialObjectMetadata] | None = None


class Preconditions(Message, frozen=True, kw_only=True):
    resourceVersion: str | None = None
    uid: str | None = None


class ServerAddressByClientCIDR(Message, frozen=True, kw_only=True):
    clientCIDR: str | None = None
    serverAddress: str | None = None


class ShardInfo(Message, frozen=True, kw_only=True):
    selector: str | None = None


class Status(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("", "v1", "Status")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: ListMeta | None = None
    code: Int32 | None = None
    details: StatusDetails | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None


class StatusCause(Message, frozen=True, kw_only=True):
    field: str | None = None
    message: str | None = None
    reason: str | None = None


class StatusDetails(Message, frozen=True, kw_only=True):
    kind: str | None = None
    causes: list[StatusCause] | None = None
    group: str | None = None
    name: str | None = None
    retryAfterSeconds: Int32 | None = None
    uid: str | None = None


class Table(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("meta.k8s.io", "v1", "Table")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: ListMeta | None = None
    columnDefinitions: list[TableColumnDefinition] | None = None
    rows: list[TableRow] | None = None


class TableColumnDefinition(Message, frozen=True, kw_only=True):
    description: str | None = None
    format: str | None = None
    name: str | None = None
    priority: Int32 | None = None
    type: str | None = None


class TableRow(Message, frozen=True, kw_only=True):
    cells: list[Json] | None = None
    conditions: list[TableRowCondition] | None = None
    object: Json = None


class TableRowCondition(Message, frozen=True, kw_only=True):
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class WatchEvent(Message, frozen=True, kw_only=True):
    object: Json = None
    type: str | None = None
