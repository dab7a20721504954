"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class FieldSelectorAttributes(Message, frozen=True, kw_only=True):
    rawSelector: str | None = None
    requirements: list[meta_v1.FieldSelectorRequirement] | None = None


class LabelSelectorAttributes(Message, frozen=True, kw_only=True):
    rawSelector: str | None = None
    requirements: list[meta_v1.LabelSelectorRequirement] | None = None


class LocalSubjectAccessReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authorization.k8s.io", "v1", "LocalSubjectAccessReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: SubjectAccessReviewSpec | None = None
    status: SubjectAccessReviewStatus | None = None


class NonResourceAttributes(Message, frozen=True, kw_only=True):
    path: str | None = None
    verb: str | None = None


class NonResourceRule(Message, frozen=True, kw_only=True):
    nonResourceURLs: list[str] | None = None
    verbs: list[str] | None = None


class ResourceAttributes(Message, frozen=True, kw_only=True):
    fieldSelector: FieldSelectorAttributes | None = None
    group: str | None = None
    labelSelector: LabelSelectorAttributes | None = None
    name: str | None = None
    namespace: str | None = None
    resource: str | None = None
    subresource: str | None = None
    verb: str | None = None
    version: str | None = None


class ResourceRule(Message, frozen=True, kw_only=True):
    apiGroups: list[str] | None = None
    resourceNames: list[str] | None = None
    resources: list[str] | None = None
    verbs: list[str] | None = None


class SelfSubjectAccessReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authorization.k8s.io", "v1", "SelfSubjectAccessReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: SelfSubjectAccessReviewSpec | None = None
    status: SubjectAccessReviewStatus | None = None


class SelfSubjectAccessReviewSpec(Message, frozen=True, kw_only=True):
    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None


class SelfSubjectRulesReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authorization.k8s.io", "v1", "SelfSubjectRulesReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: SelfSubjectRulesReviewSpec | None = None
    status: SubjectRulesReviewStatus | None = None


class SelfSubjectRulesReviewSpec(Message, frozen=True, kw_only=True):
    namespace: str | None = None


class SubjectAccessReview(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("authorization.k8s.io", "v1", "SubjectAccessReview")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: SubjectAccessReviewSpec | None = None
    status: SubjectAccessReviewStatus | None = None


class SubjectAccessReviewSpec(Message, frozen=True, kw_only=True):
    extra: dict[str, list[str]] | None = None
    groups: list[str] | None = None
    nonResourceAttributes: NonResourceAttributes | None = None
    resourceAttributes: ResourceAttributes | None = None
    uid: str | None = None
    user: str | None = None


class SubjectAccessReviewStatus(Message, frozen=True, kw_only=True):
    allowed: bool | None = None
    denied: bool | None = None
    evaluationError: str | None = None
    reason: str | None = None


class SubjectRulesReviewStatus(Message, frozen=True, kw_only=True):
    evaluationError: str | None = None
    incomplete: bool | None = None
    nonResourceRules: list[NonResourceRule] | None = None
    resourceRules: list[ResourceRule] | None = None
