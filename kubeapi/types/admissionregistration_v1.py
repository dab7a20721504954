"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Bytes, Int32, Int64, Message
from kubeapi.types import meta_v1


class ApplyConfiguration(Message, frozen=True, kw_only=True):
    expression: str | None = None


class AuditAnnotation(Message, frozen=True, kw_only=True):
    key: str | None = None
    valueExpression: str | None = None


class ExpressionWarning(Message, frozen=True, kw_only=True):
    fieldRef: str | None = None
    warning: str | None = None


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
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: MutatingAdmissionPolicySpec | None = None


class MutatingAdmissionPolicyBinding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: MutatingAdmissionPolicyBindingSpec | None = None


class MutatingAdmissionPolicyBindingList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBindingList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[MutatingAdmissionPolicyBinding] | None = None


class MutatingAdmissionPolicyBindingSpec(Message, frozen=True, kw_only=True):
    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: str | None = None


class MutatingAdmissionPolicyList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyList")
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


class MutatingWebhook(Message, frozen=True, kw_only=True):
    admissionReviewVersions: list[str] | None = None
    clientConfig: WebhookClientConfig | None = None
    failurePolicy: str | None = None
    matchConditions: list[MatchCondition] | None = None
    matchPolicy: str | None = None
    name: str | None = None
    namespaceSelector: meta_v1.LabelSelector | None = None
    objectSelector: meta_v1.LabelSelector | None = None
    reinvocationPolicy: str | None = None
    rules: list[RuleWithOperations] | None = None
    sideEffects: str | None = None
    timeoutSeconds: Int32 | None = None


class MutatingWebhookConfiguration(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    webhooks: list[MutatingWebhook] | None = None


class MutatingWebhookConfigurationList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfigurationList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[MutatingWebhookConfiguration] | None = None


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


class RuleWithOperations(Message, frozen=True, kw_only=True):
    apiGroups: list[str] | None = None
    apiVersions: list[str] | None = None
    operations: list[str] | None = None
    resources: list[str] | None = None
    scope: str | None = None


class ServiceReference(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None
    path: str | None = None
    port: Int32 | None = None


class TypeChecking(Message, frozen=True, kw_only=True):
    expressionWarnings: list[ExpressionWarning] | None = None


class ValidatingAdmissionPolicy(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ValidatingAdmissionPolicySpec | None = None
    status: ValidatingAdmissionPolicyStatus | None = None


class ValidatingAdmissionPolicyBinding(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: ValidatingAdmissionPolicyBindingSpec | None = None


class ValidatingAdmissionPolicyBindingList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBindingList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ValidatingAdmissionPolicyBinding] | None = None


class ValidatingAdmissionPolicyBindingSpec(Message, frozen=True, kw_only=True):
    matchResources: MatchResources | None = None
    paramRef: ParamRef | None = None
    policyName: str | None = None
    validationActions: list[str] | None = None


class ValidatingAdmissionPolicyList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ValidatingAdmissionPolicy] | None = None


class ValidatingAdmissionPolicySpec(Message, frozen=True, kw_only=True):
    auditAnnotations: list[AuditAnnotation] | None = None
    failurePolicy: str | None = None
    matchConditions: list[MatchCondition] | None = None
    matchConstraints: MatchResources | None = None
    paramKind: ParamKind | None = None
    validations: list[Validation] | None = None
    variables: list[Variable] | None = None


class ValidatingAdmissionPolicyStatus(Message, frozen=True, kw_only=True):
    conditions: list[meta_v1.Condition] | None = None
    observedGeneration: Int64 | None = None
    typeChecking: TypeChecking | None = None


class ValidatingWebhook(Message, frozen=True, kw_only=True):
    admissionReviewVersions: list[str] | None = None
    clientConfig: WebhookClientConfig | None = None
    failurePolicy: str | None = None
    matchConditions: list[MatchCondition] | None = None
    matchPolicy: str | None = None
    name: str | None = None
    namespaceSelector: meta_v1.LabelSelector | None = None
    objectSelector: meta_v1.LabelSelector | None = None
    rules: list[RuleWithOperations] | None = None
    sideEffects: str | None = None
    timeoutSeconds: Int32 | None = None


class ValidatingWebhookConfiguration(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    webhooks: list[ValidatingWebhook] | None = None


class ValidatingWebhookConfigurationList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfigurationList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[ValidatingWebhookConfiguration] | None = None


class Validation(Message, frozen=True, kw_only=True):
    expression: str | None = None
    message: str | None = None
    messageExpression: str | None = None
    reason: str | None = None


class Variable(Message, frozen=True, kw_only=True):
    expression: str | None = None
    name: str | None = None


class WebhookClientConfig(Message, frozen=True, kw_only=True):
    caBundle: Bytes | None = None
    service: ServiceReference | None = None
    url: str | None = None
