"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message, MicroTime
from kubeapi.types import meta_v1


class Lease(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("coordination.k8s.io", "v1", "Lease")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: LeaseSpec | None = None


class LeaseList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("coordination.k8s.io", "v1", "LeaseList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Lease] | None = None


class LeaseSpec(Message, frozen=True, kw_only=True):
    acquireTime: MicroTime | None = None
    holderIdentity: str | None = None
    leaseDurationSeconds: Int32 | None = None
    leaseTransitions: Int32 | None = None
    preferredHolder: str | None = None
    renewTime: MicroTime | None = None
    strategy: str | None = None
