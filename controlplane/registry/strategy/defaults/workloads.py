"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and their like.

Source: pkg/apis/apps/v1/defaults.go, pkg/apis/batch/v1/defaults.go.
"""

from typing import Any, Final

from controlplane.registry.strategy.defaults.fill import default, default_zero, ensure, put
from kubeapi.types import apps_v1, batch_v1, core_v1, meta_v1

INT32_MAX: Final = 2**31 - 1
ROLLING: Final = "RollingUpdate"


def _deployment_strategy(strategy: apps_v1.DeploymentStrategy) -> None:
    default_zero(strategy, "type", ROLLING)
    if strategy.type == ROLLING:
        ensure(strategy, "rollingUpdate", apps_v1.RollingUpdateDeployment)


def _daemon_set_strategy(strategy: apps_v1.DaemonSetUpdateStrategy) -> None:
    default_zero(strategy, "type", ROLLING)
    if strategy.type == ROLLING:
        ensure(strategy, "rollingUpdate", apps_v1.RollingUpdateDaemonSet)


def _stateful_set_strategy(strategy: apps_v1.StatefulSetUpdateStrategy) -> None:
    default_zero(strategy, "type", ROLLING)
    if strategy.type == ROLLING:
        ensure(strategy, "rollingUpdate", apps_v1.RollingUpdateStatefulSetStrategy)


def _claim_templates(spec: apps_v1.StatefulSetSpec) -> None:
    for claim in spec.volumeClaimTemplates or ():
        put(claim, "apiVersion", "v1")
        put(claim, "kind", "PersistentVolumeClaim")
        status = ensure(claim, "status", core_v1.PersistentVolumeClaimStatus)
        default_zero(status, "phase", "Pending")


def _template_labels(spec: Any) -> dict[str, str]:
    template = spec.template if spec is not None else None
    metadata = template.metadata if template is not None else None
    return dict((metadata.labels if metadata is not None else None) or {})


def _replication_controller(controller: core_v1.ReplicationController) -> None:
    labels = _template_labels(controller.spec)
    if controller.spec is None or not labels:
        return
    default_zero(controller.spec, "selector", labels)
    _label_like_template(controller, labels)


def _job(job: batch_v1.Job) -> None:
    spec = job.spec
    if spec is None:
        return
    if spec.completions is None and spec.parallelism is None:
        put(spec, "completions", 1)
    default(spec, "parallelism", 1)
    default(spec, "backoffLimit", 6 if spec.backoffLimitPerIndex is None else INT32_MAX)
    default(spec, "completionMode", "NonIndexed")
    default(spec, "suspend", False)
    default(spec, "manualSelector", False)
    replacement = "TerminatingOrFailed" if spec.podFailurePolicy is None else "Failed"
    default(spec, "podReplacementPolicy", replacement)
    labels = _template_labels(spec)
    if labels:
        _label_like_template(job, labels)


def _label_like_template(obj: Any, labels: dict[str, str]) -> None:
    metadata = ensure(obj, "metadata", meta_v1.ObjectMeta)
    default_zero(metadata, "labels", dict(labels))


RULES: Final[dict[Any, Any]] = {
    apps_v1.DaemonSetUpdateStrategy: _daemon_set_strategy,
    apps_v1.DeploymentStrategy: _deployment_strategy,
    apps_v1.StatefulSetSpec: _claim_templates,
    apps_v1.StatefulSetUpdateStrategy: _stateful_set_strategy,
    batch_v1.Job: _job,
    core_v1.ReplicationController: _replication_controller,
}
