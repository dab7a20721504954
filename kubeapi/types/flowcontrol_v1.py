"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Message, Time
from kubeapi.types import meta_v1


class ExemptPriorityLevelConfiguration(Message, frozen=True, kw_only=True):
    lendablePercent: Int32 | None = None
    nominalConcurrencyShares: Int32 | None = None


class FlowDistinguisherMethod(Message, frozen=True, kw_only=True):
    type: str | None = None


class FlowSchema(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: FlowSchemaSpec | None = None
    status: FlowSchemaStatus | None = None


class FlowSchemaCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class FlowSchemaList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchemaList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[FlowSchema] | None = None


class FlowSchemaSpec(Message, frozen=True, kw_only=True):
    distinguisherMethod: FlowDistinguisherMethod | None = None
    matchingPrecedence: Int32 | None = None
    priorityLevelConfiguration: PriorityLevelConfigurationReference | None = None
    rules: list[PolicyRulesWithSubjects] | None = None


class FlowSchemaStatus(Message, frozen=True, kw_only=True):
    conditions: list[FlowSchemaCondition] | None = None


class GroupSubject(Message, frozen=True, kw_only=True):
    name: str | None = None


class LimitResponse(Message, frozen=True, kw_only=True):
    queuing: QueuingConfiguration | None = None
    type: str | None = None


class LimitedPriorityLevelConfiguration(Message, frozen=True, kw_only=True):
    borrowingLimitPercent: Int32 | None = None
    lendablePercent: Int32 | None = None
    limitResponse: LimitResponse | None = None
    nominalConcurrencyShares: Int32 | None = None


class NonResourcePolicyRule(Message, frozen=True, kw_only=True):
    nonResourceURLs: list[str] | None = None
    verbs: list[str] | None = None


class PolicyRulesWithSubjects(Message, frozen=True, kw_only=True):
    nonResourceRules: list[NonResourcePolicyRule] | None = None
    resourceRules: list[ResourcePolicyRule] | None = None
    subjects: list[Subject] | None = None


class PriorityLevelConfiguration(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: PriorityLevelConfigurationSpec | None = None
    status: PriorityLevelConfigurationStatus | None = None


class PriorityLevelConfigurationCondition(Message, frozen=True, kw_only=True):
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class PriorityLevelConfigurationList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfigurationList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[PriorityLevelConfiguration] | None = None


class PriorityLevelConfigurationReference(Message, frozen=True, kw_only=True):
    name: str | None = None


class PriorityLevelConfigurationSpec(Message, frozen=True, kw_only=True):
    exempt: ExemptPriorityLevelConfiguration | None = None
    limited: LimitedPriorityLevelConfiguration | None = None
    type: str | None = None


class PriorityLevelConfigurationStatus(Message, frozen=True, kw_only=True):
    conditions: list[PriorityLevelConfigurationCondition] | None = None


class QueuingConfiguration(Message, frozen=True, kw_only=True):
    handSize: Int32 | None = None
    queueLengthLimit: Int32 | None = None
    queues: Int32 | None = None


class ResourcePolicyRule(Message, frozen=True, kw_only=True):
    apiGroups: list[str] | None = None
    clusterScope: bool | None = None
    namespaces: list[str] | None = None
    resources: list[str] | None = None
    verbs: list[str] | None = None


class ServiceAccountSubject(Message, frozen=True, kw_only=True):
    name: str | None = None
    namespace: str | None = None


class Subject(Message, frozen=True, kw_only=True):
    kind: str | None = None
    group: GroupSubject | None = None
    serviceAccount: ServiceAccountSubject | None = None
    user: UserSubject | None = None


class UserSubject(Message, frozen=True, kw_only=True):
    name: str | None = None
