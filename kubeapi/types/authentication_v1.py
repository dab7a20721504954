"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int64, Message, Time
from kubeapi.types import meta_v1


class BoundObjectReference(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None
    name: str | None = None
    uid: str | None = None


class SelfSubjectReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authentication.k8s.io", "v1", "SelfSubjectReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    status: SelfSubjectReviewStatus | None = None


class SelfSubjectReviewStatus(Message, frozen=True, kw_only=True):
    userInfo: UserInfo | None = None


class TokenRequest(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authentication.k8s.io", "v1", "TokenRequest")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: TokenRequestSpec | None = None
    status: TokenRequestStatus | None = None


class TokenRequestSpec(Message, frozen=True, kw_only=True):
    audiences: list[str] | None = None
    boundObjectRef: BoundObjectReference | None = None
    expirationSeconds: Int64 | None = None


class TokenRequestStatus(Message, frozen=True, kw_only=True):
    expirationTimestamp: Time | None = None
    token: str | None = None


class TokenReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authentication.k8s.io", "v1", "TokenReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: TokenReviewSpec | None = None
    status: TokenReviewStatus | None = None


class TokenReviewSpec(Message, frozen=True, kw_only=True):
    audiences: list[str] | None = None
    token: str | None = None


class TokenReviewStatus(Message, frozen=True, kw_only=True):
    audiences: list[str] | None = None
    authenticated: bool | None = None
    error: str | None = None
    user: UserInfo | None = None


class UserInfo(Message, frozen=True, kw_only=True):
    extra: dict[str, list[str]] | None = None
    groups: list[str] | None = None
    uid: str | None = None
    username: str | None = None
