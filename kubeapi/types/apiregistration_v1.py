"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bytes, Int32, Message, Time
from kubeapi.types import meta_v1


class APIService(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apiregistration.k8s.io", "v1", "APIService")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: APIServiceSpec | None = None
    status: APIServiceStatus | None = None


class APIServiceCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class APIServiceList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("apiregistration.k8s.io", "v1", "APIServiceList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[APIService] | None = None


class APIServiceSpec(Message, frozen=True, kw_only=True):
    caBundle: Bytes | None = None
    group: str | None = None
    groupPriorityMinimum: Int32 | None = None
    insecureSkipTLSVerify: bool | None = None
    service: ServiceReference | None = None
    version: str | None = None
    versionPriority: Int32 | None = None


class APIServiceStatus(Message, frozen=True, kw_only=True):
    conditions: list[APIServiceCondition] | None = None


class ServiceReference(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None
    port: Int32 | None = None
