"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message, Quantity
from kubeapi.types import core_v1, meta_v1


class Overhead(Message, frozen=True, kw_only=True):
    podFixed: dict[str, Quantity] | None = None


class RuntimeClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("node.k8s.io", "v1", "RuntimeClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    handler: str | None = None
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None


class RuntimeClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("node.k8s.io", "v1", "RuntimeClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[RuntimeClass] | None = None


class Scheduling(Message, frozen=True, kw_only=True):
    nodeSelector: dict[str, str] | None = None
    tolerations: list[core_v1.Toleration] | None = None
