"""Jobs and CronJobs (pkg/apis/batch/validation)."""

import zoneinfo
from typing import Any, Final

from msgspec.structs import replace

from controlplane.registry.strategy.validation import values, workloads
from controlplane.registry.strategy.validation.cron_schedule import schedule_problem
from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.job_policies import (
    NEEDS_INDEXES,
    check_failure_policy,
    check_success_policy,
)
from controlplane.registry.strategy.validation.rules import Check, Rules, Table
from kubeapi import selectors
from kubeapi.types import batch_v1

_INDEXED_MAX: Final = 100_000
_CRON_NAME_MAX: Final = 52
_UID_LABELS: Final = ("batch.kubernetes.io/controller-uid", "controller-uid")


def _ends(template: Any, faults: Faults, path: str) -> None:
    """A job's pods must be able to end."""
    spec = template.spec if template is not None else None
    policy = (spec.restartPolicy if spec is not None else None) or ""
    where = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        faults.required(where, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        faults.unsupported(where, policy, ("OnFailure", "Never"))


def _job_spec(spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    _ends(spec.template, faults, path)
    if spec.completionMode == "Indexed":
        _indexed(spec, faults, path)
    else:
        _not_indexed(spec, faults, path)
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        text = "when maxFailedIndexes is specified"
        faults.required(f"{path}.backoffLimitPerIndex", text)
    if spec.podFailurePolicy is not None:
        check_failure_policy(spec, faults, path)
    if spec.successPolicy is not None:
        check_success_policy(spec, faults, path)
    supported = ("Failed",) if spec.podFailurePolicy else ("Failed", "TerminatingOrFailed")
    policy = spec.podReplacementPolicy
    if policy and policy not in supported:
        faults.unsupported(f"{path}.podReplacementPolicy", policy, supported)


def _indexed(spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    completions = spec.completions
    if completions is None:
        faults.required(f"{path}.completions", "when completion mode is Indexed")
    if spec.parallelism is not None and spec.parallelism > _INDEXED_MAX:
        text = f"must be less than or equal to {_INDEXED_MAX} when completion mode is Indexed"
        faults.invalid(f"{path}.parallelism", spec.parallelism, text)
    most = spec.maxFailedIndexes
    if most is not None and completions is not None and most > completions:
        text = "must be less than or equal to completions"
        faults.invalid(f"{path}.maxFailedIndexes", most, text)


def _not_indexed(spec: batch_v1.JobSpec, faults: Faults, path: str) -> None:
    for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
        value = getattr(spec, name)
        if value is not None:
            faults.invalid(f"{path}.{name}", value, NEEDS_INDEXES)


def check_new_job(job: batch_v1.Job, faults: Faults) -> None:
    """The selector was made for this job alone, unless its user wanted to choose."""
    spec = job.spec
    if spec is None:
        return
    if spec.selector is None:
        faults.required("spec.selector")
    elif not spec.manualSelector:
        uid = job.metadata.uid if job.metadata else None
        chosen = spec.selector.matchLabels or {}
        if not any(chosen == {key: uid} for key in _UID_LABELS):
            faults.invalid("spec.selector", spec.selector, "`selector` not auto-generated")
    matcher = selectors.of_selector(spec.selector)
    workloads.check_template_labels(matcher, spec.template, faults, "spec")


def _managed_by(value: str, faults: Faults, path: str, name: str) -> None:
    values.domain_path(value, faults, path, name)
    if len(value) > 63:
        faults.too_long(join(path, name), 63)


def _cron(spec: batch_v1.CronJobSpec, faults: Faults, path: str) -> None:
    if spec.schedule:
        text = schedule_problem(spec.schedule)
        if text:
            faults.invalid(f"{path}.schedule", spec.schedule, text)
    zone = spec.timeZone
    if zone is None:
        return
    if not zone:
        faults.invalid(f"{path}.timeZone", zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        text = (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        faults.invalid(f"{path}.timeZone", zone, text)
    elif not _is_zone(zone):
        faults.invalid(f"{path}.timeZone", zone, f"unknown time zone {zone}")


def _is_zone(name: str) -> bool:
    """A machine without a time zone database can not judge, and takes any."""
    return _finds_zone(name) or not _finds_zone("UTC")


def _finds_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _cron_job(job: batch_v1.CronJob, faults: Faults, path: str) -> None:
    name = (job.metadata.name if job.metadata else None) or ""
    if len(name) > _CRON_NAME_MAX:
        # The controller adds 11 characters to name a Job, whose pods carry that as a label.
        faults.invalid("metadata.name", name, "must be no more than 52 characters")


_COUNT: Final[dict[str, Check]] = dict.fromkeys(
    (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
        "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes",
    ),
    values.not_negative,
)  # fmt: skip

RULES: Table = {
    batch_v1.CronJob: Rules(whole=_cron_job, present=("spec",)),
    batch_v1.CronJobSpec: Rules(
        required=("schedule",),
        each={
            "concurrencyPolicy": values.one_of("Allow", "Forbid", "Replace"),
            "startingDeadlineSeconds": values.not_negative,
            "successfulJobsHistoryLimit": values.not_negative,
            "failedJobsHistoryLimit": values.not_negative,
        },
        whole=_cron,
        present=("jobTemplate",),
    ),
    batch_v1.Job: Rules(present=("spec",)),
    batch_v1.JobSpec: Rules(
        each={
            **_COUNT,
            "completionMode": values.one_of("Indexed", "NonIndexed"),
            "managedBy": _managed_by,
        },
        whole=_job_spec,
        present=("template",),
    ),
    batch_v1.JobTemplateSpec: Rules(present=("spec",)),
}

# Updates

_JOB_FIXED: Final = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
    "successPolicy",
)  # fmt: skip
_SCHEDULING: Final = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def update_job(new: batch_v1.Job, old: batch_v1.Job, faults: Faults) -> None:
    spec, was = new.spec, old.spec
    if spec is None or was is None:
        return
    check_new_job(new, faults)
    for name in _JOB_FIXED:
        if getattr(spec, name) != getattr(was, name):
            faults.immutable(f"spec.{name}", getattr(spec, name))
    if not _same_template(spec, was, old):
        faults.immutable("spec.template", spec.template)
    if spec.completions != was.completions:
        _completions(spec, was, faults)


def _same_template(spec: batch_v1.JobSpec, was: batch_v1.JobSpec, old: batch_v1.Job) -> bool:
    """A suspended job that never ran may still be sent elsewhere (KEP-2926)."""
    if spec.template == was.template:
        return True
    started = old.status is not None and old.status.startTime
    if not was.suspend or started or spec.template is None or was.template is None:
        return False
    return bool(_without_scheduling(spec.template) == _without_scheduling(was.template))


def _without_scheduling(template: Any) -> Any:
    pod = template.spec and replace(template.spec, **dict.fromkeys(_SCHEDULING))
    return replace(template, spec=pod, metadata=None)


def _completions(spec: batch_v1.JobSpec, was: batch_v1.JobSpec, faults: Faults) -> None:
    if spec.completionMode != "Indexed":
        faults.immutable("spec.completions", spec.completions)
    elif spec.completions is not None and spec.completions != spec.parallelism:
        text = "can only be modified in tandem with spec.parallelism"
        faults.invalid("spec.completions", spec.completions, text)
