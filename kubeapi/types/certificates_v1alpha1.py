"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class ClusterTrustBundle(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ClusterTrustBundleSpec | None = None


class ClusterTrustBundleList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundleList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ClusterTrustBundle] | None = None


class ClusterTrustBundleSpec(Message, frozen=True, kw_only=True):
    signerName: str | None = None
    trustBundle: str | None = None
