"""Controllers of pods, and pod templates."""

from typing import Any

from base.clock import parse_rfc3339
from controlplane.rest.table.duration import human_duration, since
from controlplane.rest.table.text import (
    NONE,
    age_of,
    condition_status,
    container_texts,
    is_being_deleted,
    labels_text,
    name_of,
    selector_text,
    text_or,
)
from kubeapi.types import apps_v1, batch_v1, core_v1


def deployment_cells(obj: apps_v1.Deployment, now_s: float) -> list[Any]:
    spec = obj.spec or apps_v1.DeploymentSpec()
    status = obj.status or apps_v1.DeploymentStatus()
    return [
        name_of(obj),
        f"{status.readyReplicas or 0}/{spec.replicas or 0}",
        status.updatedReplicas or 0,
        status.availableReplicas or 0,
        age_of(obj, now_s),
        *container_texts(spec.template),
        selector_text(spec.selector),
    ]


def replica_set_cells(obj: apps_v1.ReplicaSet, now_s: float) -> list[Any]:
    spec = obj.spec or apps_v1.ReplicaSetSpec()
    status = obj.status or apps_v1.ReplicaSetStatus()
    return [
        name_of(obj),
        spec.replicas or 0,
        status.replicas or 0,
        status.readyReplicas or 0,
        age_of(obj, now_s),
        *container_texts(spec.template),
        selector_text(spec.selector),
    ]


def replication_controller_cells(obj: core_v1.ReplicationController, now_s: float) -> list[Any]:
    spec = obj.spec or core_v1.ReplicationControllerSpec()
    status = obj.status or core_v1.ReplicationControllerStatus()
    return [
        name_of(obj),
        spec.replicas or 0,
        status.replicas or 0,
        status.readyReplicas or 0,
        age_of(obj, now_s),
        *container_texts(spec.template),
        labels_text(spec.selector),
    ]


def stateful_set_cells(obj: apps_v1.StatefulSet, now_s: float) -> list[Any]:
    spec = obj.spec or apps_v1.StatefulSetSpec()
    status = obj.status or apps_v1.StatefulSetStatus()
    return [
        name_of(obj),
        f"{status.readyReplicas or 0}/{spec.replicas or 0}",
        age_of(obj, now_s),
        *container_texts(spec.template),
    ]


def daemon_set_cells(obj: apps_v1.DaemonSet, now_s: float) -> list[Any]:
    spec = obj.spec or apps_v1.DaemonSetSpec()
    status = obj.status or apps_v1.DaemonSetStatus()
    pod_spec = spec.template.spec if spec.template else None
    return [
        name_of(obj),
        status.desiredNumberScheduled or 0,
        status.currentNumberScheduled or 0,
        status.numberReady or 0,
        status.updatedNumberScheduled or 0,
        status.numberAvailable or 0,
        labels_text(pod_spec.nodeSelector if pod_spec else None),
        age_of(obj, now_s),
        *container_texts(spec.template),
        selector_text(spec.selector),
    ]


def pod_template_cells(obj: core_v1.PodTemplate, _now_s: float) -> list[Any]:
    metadata = obj.template.metadata if obj.template else None
    labels = labels_text(metadata.labels if metadata else None)
    return [name_of(obj), *container_texts(obj.template), labels]


def controller_revision_cells(obj: apps_v1.ControllerRevision, now_s: float) -> list[Any]:
    owner = NONE
    for reference in (obj.metadata.ownerReferences if obj.metadata else None) or ():
        if reference.controller:
            group = (reference.apiVersion or "").rpartition("/")[0]
            kind = f"{reference.kind}.{group}" if group else reference.kind or ""
            owner = f"{kind.lower()}/{reference.name}"
    return [name_of(obj), owner, obj.revision or 0, age_of(obj, now_s)]


def job_cells(obj: batch_v1.Job, now_s: float) -> list[Any]:
    spec = obj.spec or batch_v1.JobSpec()
    status = obj.status or batch_v1.JobStatus()
    return [
        name_of(obj),
        _job_state(obj, status),
        _completions(spec, status),
        _job_duration(status, now_s),
        age_of(obj, now_s),
        *container_texts(spec.template),
        selector_text(spec.selector),
    ]


def _job_state(obj: batch_v1.Job, status: batch_v1.JobStatus) -> str:
    for type_ in ("Complete", "Failed"):
        if condition_status(status.conditions, type_) == "True":
            return type_
    if is_being_deleted(obj):
        return "Terminating"
    for type_ in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition_status(status.conditions, type_) == "True":
            return type_
    return "Running"


def _completions(spec: batch_v1.JobSpec, status: batch_v1.JobStatus) -> str:
    succeeded = status.succeeded or 0
    if spec.completions is not None:
        return f"{succeeded}/{spec.completions}"
    parallelism = spec.parallelism or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(status: batch_v1.JobStatus, now_s: float) -> str:
    if not status.startTime:
        return ""
    end_s = parse_rfc3339(status.completionTime) if status.completionTime else now_s
    return human_duration(end_s - parse_rfc3339(status.startTime))


def cron_job_cells(obj: batch_v1.CronJob, now_s: float) -> list[Any]:
    spec = obj.spec or batch_v1.CronJobSpec()
    status = obj.status or batch_v1.CronJobStatus()
    job = (spec.jobTemplate.spec if spec.jobTemplate else None) or batch_v1.JobSpec()
    last = status.lastScheduleTime
    return [
        name_of(obj),
        spec.schedule or "",
        text_or(spec.timeZone, NONE),
        "<unset>" if spec.suspend is None else str(spec.suspend),
        len(status.active or ()),
        since(last, now_s) if last else NONE,
        age_of(obj, now_s),
        *container_texts(job.template),
        selector_text(job.selector),
    ]
