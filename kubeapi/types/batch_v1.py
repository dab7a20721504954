"""Written by `python -m kubeapi.generate` from Kubernetes 1.36.0's schema."""

from __future__ import annotations

from typing import ClassVar

from kubeapi.scalars import Int32, Int64, Message, Time
from kubeapi.types import core_v1, meta_v1


class CronJob(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("batch", "v1", "CronJob")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: CronJobSpec | None = None
    status: CronJobStatus | None = None


class CronJobList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("batch", "v1", "CronJobList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[CronJob] | None = None


class CronJobSpec(Message, frozen=True, kw_only=True):
    concurrencyPolicy: str | None = None
    failedJobsHistoryLimit: Int32 | None = None
    jobTemplate: JobTemplateSpec | None = None
    schedule: str | None = None
    startingDeadlineSeconds: Int64 | None = None
    successfulJobsHistoryLimit: Int32 | None = None
    suspend: bool | None = None
    timeZone: str | None = None


class CronJobStatus(Message, frozen=True, kw_only=True):
    active: list[core_v1.ObjectReference] | None = None
    lastScheduleTime: Time | None = None
    lastSuccessfulTime: Time | None = None


class Job(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("batch", "v1", "Job")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ObjectMeta | None = None
    spec: JobSpec | None = None
    status: JobStatus | None = None


class JobCondition(Message, frozen=True, kw_only=True):
    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str | None = None
    type: str | None = None


class JobList(Message, frozen=True, kw_only=True):
    GVK: ClassVar[tuple[str, str, str]] = ("batch", "v1", "JobList")
    kind: str | None = None
    apiVersion: str | None = None
    metadata: meta_v1.ListMeta | None = None
    items: list[Job] | None = None


class JobSpec(Message, frozen=True, kw_only=True):
    activeDeadlineSeconds: Int64 | None = None
    backoffLimit: Int32 | None = None
    backoffLimitPerIndex: Int32 | None = None
    completionMode: str | None = None
    completions: Int32 | None = None
    managedBy: str | None = None
    manualSelector: bool | None = None
    maxFailedIndexes: Int32 | None = None
    parallelism: Int32 | None = None
    podFailurePolicy: PodFailurePolicy | None = None
    podReplacementPolicy: str | None = None
    selector: meta_v1.LabelSelector | None = None
    successPolicy: SuccessPolicy | None = None
    suspend: bool | None = None
    template: core_v1.PodTemplateSpec | None = None
    ttlSecondsAfterFinished: Int32 | None = None


class JobStatus(Message, frozen=True, kw_only=True):
    active: Int32 | None = None
    completedIndexes: str | None = None
    completionTime: Time | None = None
    conditions: list[JobCondition] | None = None
    failed: Int32 | None = None
    failedIndexes: str | None = None
    ready: Int32 | None = None
    startTime: Time | None = None
    succeeded: Int32 | None = None
    terminating: Int32 | None = None
    uncountedTerminatedPods: UncountedTerminatedPods | None = None


class JobTemplateSpec(Message, frozen=True, kw_only=True):
    metadata: meta_v1.ObjectMeta | None = None
    spec: JobSpec | None = None


class PodFailurePolicy(Message, frozen=True, kw_only=True):
    rules: list[PodFailurePolicyRule] | None = None


class PodFailurePolicyOnExitCodesRequirement(Message, frozen=True, kw_only=True):
    containerName: str | None = None
    operator: str | None = None
    values: list[Int32] | None = None


class PodFailurePolicyOnPodConditionsPattern(Message, frozen=True, kw_only=True):
    status: str | None = None
    type: str | None = None


class PodFailurePolicyRule(Message, frozen=True, kw_only=True):
    action: str | None = None
    onExitCodes: PodFailurePolicyOnExitCodesRequirement | None = None
    onPodConditions: list[PodFailurePolicyOnPodConditionsPattern] | None = None


class SuccessPolicy(Message, frozen=True, kw_only=True):
    rules: list[SuccessPolicyRule] | None = None


class SuccessPolicyRule(Message, frozen=True, kw_only=True):
    succeededCount: Int32 | None = None
    succeededIndexes: str | None = None


class UncountedTerminatedPods(Message, frozen=True, kw_only=True):
    failed: list[str] | None = None
    succeeded: list[str] | None = None
