"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class StorageVersionMigration(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storagemigration.k8s.io", "v1beta1", "StorageVersionMigration")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: StorageVersionMigrationSpec | None = None
    status: StorageVersionMigrationStatus | None = None


class StorageVersionMigrationList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storagemigration.k8s.io", "v1beta1", "StorageVersionMigrationList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[StorageVersionMigration] | None = None


class StorageVersionMigrationSpec(Message, frozen=True, kw_only=True):
    resource: meta_v1.GroupResource | None = None


class StorageVersionMigrationStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    resourceVersion: str | None = None
