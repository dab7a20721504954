"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int64, Message, Time
from kubeapi.types import meta_v1


class ServerStorageVersion(Message, frozen=True, kw_only=True):
    apiServerID: str | None = None
    decodableVersions: list[str] | None = None
    encodingVersion: str | None = None
    servedVersions: list[str] | None = None


class StorageVersion(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: StorageVersionSpec | None = None
    status: StorageVersionStatus | None = None


class StorageVersionCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    observedGeneration: Int64 | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class StorageVersionList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("internal.apiserver.k8s.io", "v1alpha1", "StorageVersionList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[StorageVersion] | None = None


class StorageVersionSpec(Message, frozen=True, kw_only=True):
    pass


class StorageVersionStatus(Message, frozen=True, kw_only=True):
    commonEncodingVersion: str | None = None
    conditions: list[StorageVersionCondition] | None = None
    storageVersions: list[ServerStorageVersion] | None = None
