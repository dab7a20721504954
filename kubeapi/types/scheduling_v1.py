"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message
from kubeapi.types import meta_v1


class PriorityClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1", "PriorityClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    description: str | None = None
    globalDefault: bool | None = None
    preemptionPolicy: str | None = None
    value: Int32 | None = None


class PriorityClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("scheduling.k8s.io", "v1", "PriorityClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PriorityClass] | None = None
