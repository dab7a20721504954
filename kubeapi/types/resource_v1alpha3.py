"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, Message, Time
from kubeapi.types import meta_v1


class DeviceTaint(Message, frozen=True, kw_only=True):
    effect: str | None = None
    key: str | None = None
    timeAdded: Time | None = None
    value: str | None = None


class DeviceTaintRule(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1alpha3", "DeviceTaintRule")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: DeviceTaintRuleSpec | None = None
    status: DeviceTaintRuleStatus | None = None


class DeviceTaintRuleList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1alpha3", "DeviceTaintRuleList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[DeviceTaintRule] | None = None


class DeviceTaintRuleSpec(Message, frozen=True, kw_only=True):
    deviceSelector: DeviceTaintSelector | None = None
    taint: DeviceTaint | None = None


class DeviceTaintRuleStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None


class DeviceTaintSelector(Message, frozen=True, kw_only=True):
    device: str | None = None
    driver: str | None = None
    pool: str | None = None


class PoolStatus(Message, frozen=True, kw_only=True):
    allocatedDevices: Int32 | None = None
    availableDevices: Int32 | None = None
    driver: str | None = None
    generation: Int64 | None = None
    nodeName: str | None = None
    poolName: str | None = None
    resourceSliceCount: Int32 | None = None
    totalDevices: Int32 | None = None
    unavailableDevices: Int32 | None = None
    validationError: str | None = None


class ResourcePoolStatusRequest(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1alpha3", "ResourcePoolStatusRequest")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ResourcePoolStatusRequestSpec | None = None
    status: ResourcePoolStatusRequestStatus | None = None


class ResourcePoolStatusRequestList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("resource.k8s.io", "v1alpha3", "ResourcePoolStatusRequestList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ResourcePoolStatusRequest] | None = None


class ResourcePoolStatusRequestSpec(Message, frozen=True, kw_only=True):
    driver: str | None = None
    limit: Int32 | None = None
    poolName: str | None = None


class ResourcePoolStatusRequestStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    poolCount: Int32 | None = None
    pools: list[PoolStatus] | None = None
