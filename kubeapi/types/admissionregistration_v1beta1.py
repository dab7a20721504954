"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Message
from kubeapi.types import meta_v1


class ApplyConfiguration(Message, frozen=True, kw_only=True):
    expression: str | None = None


class JSONPatch(Message, frozen=True, kw_only=True):
    expression: str | None = None


class MatchCondition(Message, frozen=True, kw_only=True):
    expression: str | None = None
    name: str | None = None


class MatchResources(Message, frozen=True, kw_only=True):
    excludeResourceRules: list[NamedRuleWithOperations] | None = None
    matchPolicy: str | None = None
    namespaceSelector: meta_v1.LabelSelector | None = None
    objectSelector: meta_v1.LabelSelector | None = None
    resourceRules: list[NamedRuleWithOperations] | None = None


class MutatingAdmissionPolicy(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicy")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: MutatingAdmissionPolicySpec | None = None


class MutatingAdmissionPolicyBinding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyBinding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: MutatingAdmissionPolicyBindingSpec | None = None


class MutatingAdmissionPolicyBindingList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyBindingList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[MutatingAdmissionPolicyBinding] | None = None


class MutatingAdmissionPolicyBindingSpec(Message, frozen=True, kw_only=True):
    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: str | None = None


class MutatingAdmissionPolicyList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[MutatingAdmissionPolicy] | None = None


class MutatingAdmissionPolicySpec(Message, frozen=True, kw_only=True):
    failurePolicy: str | None = None
    matchConditions: list[MatchCondition] | None = None
    matchConstraints: MatchResources | None = None
    mutations: list[Mutation] | None = None
    paramKind: ParamKind | None = None
    reinvocationPolicy: str | None = None
    variables: list[Variable] | None = None


class Mutation(Message, frozen=True, kw_only=True):
    applyConfiguration: ApplyConfiguration | None = None
    jsonPatch: JSONPatch | None = None
    patchType: str | None = None


class NamedRuleWithOperations(Message, frozen=True, kw_only=True):
    apiGroups: list[str] | None = None
    apiVersions: list[str] | None = None
    operations: list[str] | None = None
    resourceNames: list[str] | None = None
    resources: list[str] | None = None
    scope: str | None = None


class ParamKind(Message, frozen=True, kw_only=True):
    kind: str | None = None
    apiVersion: str | None = None


class ParamRef(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None
    parameterNotFoundAction: str | None = None
    selector: meta_v1.LabelSelector | None = None


class Variable(Message, frozen=True, kw_only=True):
    expression: str | None = None
    name: str | None = None
