"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class VolumeAttributesClass(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1beta1", "VolumeAttributesClass")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    driverName: str | None = None
    parameters: dict[str, str] | None = None


class VolumeAttributesClassList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("storage.k8s.io", "v1beta1", "VolumeAttributesClassList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[VolumeAttributesClass] | None = None
