"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bytes, Int32, Message, Time
from kubeapi.types import meta_v1


class CertificateSigningRequest(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1", "CertificateSigningRequest")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: CertificateSigningRequestSpec | None = None
    status: CertificateSigningRequestStatus | None = None


class CertificateSigningRequestCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    lastUpdateTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class CertificateSigningRequestList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("certificates.k8s.io", "v1", "CertificateSigningRequestList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CertificateSigningRequest] | None = None


class CertificateSigningRequestSpec(Message, frozen=True, kw_only=True):
    expirationSeconds: Int32 | None = None
    extra: dict[str, list[str]] | None = None
    groups: list[str] | None = None
    request: Bytes | None = None
    signerName: str | None = None
    uid: str | None = None
    usages: list[str] | None = None
    username: str | None = None


class CertificateSigningRequestStatus(Message, frozen=True, kw_only=True):
    certificate: Bytes | None = None
    conditions: list[CertificateSigningRequestCondition] | None = None
