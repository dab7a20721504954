"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bytes, Int32, Message, Time
from kubeapi.types import meta_v1


class ClusterTrustBundle(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1beta1", "ClusterTrustBundle")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ClusterTrustBundleSpec | None = None


class ClusterTrustBundleList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1beta1", "ClusterTrustBundleList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ClusterTrustBundle] | None = None


class ClusterTrustBundleSpec(Message, frozen=True, kw_only=True):
    signerName: str | None = None
    trustBundle: str | None = None


class PodCertificateRequest(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1beta1", "PodCertificateRequest")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PodCertificateRequestSpec | None = None
    status: PodCertificateRequestStatus | None = None


class PodCertificateRequestList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1beta1", "PodCertificateRequestList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PodCertificateRequest] | None = None


class PodCertificateRequestSpec(Message, frozen=True, kw_only=True):
    maxExpirationSeconds: Int32 | None = None
    nodeName: str | None = None
    nodeUID: str | None = None
    pkixPublicKey: Bytes | None = None
    podName: str | None = None
    podUID: str | None = None
    proofOfPossession: Bytes | None = None
    serviceAccountName: str | None = None
    serviceAccountUID: str | None = None
    signerName: str | None = None
    stubPKCS10Request: Bytes | None = None
    unverifiedUserAnnotations: dict[str, str] | None = None


class PodCertificateRequestStatus(Message, frozen=True, kw_only=True):
    beginRefreshAt: Time | None = None
    certificateChain: str | None = None
    conditions: list[meta_v1.Condition] | None = None
    notAfter: Time | None = None
    notBefore: Time | None = None
