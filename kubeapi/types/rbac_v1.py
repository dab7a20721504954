"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class AggregationRule(Message, frozen=True, kw_only=True):
    clusterRoleSelectors: list[meta_v1.LabelSelector] | None = None


class ClusterRole(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "ClusterRole")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    aggregationRule: AggregationRule | None = None
    rules: list[PolicyRule] | None = None


class ClusterRoleBinding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    roleRef: RoleRef | None = None
    subjects: list[Subject] | None = None


class ClusterRoleBindingList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "ClusterRoleBindingList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ClusterRoleBinding] | None = None


class ClusterRoleList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "ClusterRoleList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ClusterRole] | None = None


class PolicyRule(Message, frozen=True, kw_only=True):
    apiGroups: list[str] | None = None
    nonResourceURLs: list[str] | None = None
    resourceNames: list[str] | None = None
    resources: list[str] | None = None
    verbs: list[str] | None = None


class Role(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "Role")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    rules: list[PolicyRule] | None = None


class RoleBinding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "RoleBinding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    roleRef: RoleRef | None = None
    subjects: list[Subject] | None = None


class RoleBindingList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "RoleBindingList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[RoleBinding] | None = None


class RoleList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("rbac.authorization.k8s.io", "v1", "RoleList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Role] | None = None


class RoleRef(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None


class Subject(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiGroup: str | None = None
    name: str | None = None
    namespace: str | None = None
