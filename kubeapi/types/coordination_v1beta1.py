"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message, MicroTime
from kubeapi.types import meta_v1


class LeaseCandidate(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("coordination.k8s.io", "v1beta1", "LeaseCandidate")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: LeaseCandidateSpec | None = None


class LeaseCandidateList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("coordination.k8s.io", "v1beta1", "LeaseCandidateList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[LeaseCandidate] | None = None


class LeaseCandidateSpec(Message, frozen=True, kw_only=True):
    binaryVersion: str | None = None
    emulationVersion: str | None = None
    leaseName: str | None = None
    pingTime: MicroTime | None = None
    renewTime: MicroTime | None = None
    strategy: str | None = None
