"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class IPAddress(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1beta1", "IPAddress")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: IPAddressSpec | None = None


class IPAddressList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1beta1", "IPAddressList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[IPAddress] | None = None


class IPAddressSpec(Message, frozen=True, kw_only=True):
    parentRef: ParentReference | None = None


class ParentReference(Message, frozen=True, kw_only=True):
    group: str | None = None
    name: str | None = None
    namespace: str | None = None
    resource: str | None = None


class ServiceCIDR(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1beta1", "ServiceCIDR")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ServiceCIDRSpec | None = None
    status: ServiceCIDRStatus | None = None


class ServiceCIDRList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("networking.k8s.io", "v1beta1", "ServiceCIDRList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ServiceCIDR] | None = None


class ServiceCIDRSpec(Message, frozen=True, kw_only=True):
    cidrs: list[str] | None = None


class ServiceCIDRStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
