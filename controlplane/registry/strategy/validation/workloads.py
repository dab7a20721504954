"""Deployments, ReplicaSets, DaemonSets, StatefulSets, ReplicationControllers, revisions."""

from typing import Any, Final

from msgspec.structs import replace

from controlplane.registry.strategy.validation import scheduling, values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Check, Rules, Table
from kubeapi import selectors
from kubeapi.types import apps_v1, core_v1, meta_v1

_MISMATCH: Final = "`selector` does not match template `labels`"


def check_selector(
    spec: Any, faults: Faults, path: str, kind: str, *, required: bool = True
) -> None:
    """The selector is there, says something and chooses the pods of the template."""
    selector: meta_v1.LabelSelector | None = spec.selector
    if selector is None:
        if required:
            faults.required(f"{path}.selector")
    elif not selector.matchLabels and not selector.matchExpressions:
        faults.invalid(f"{path}.selector", selector, f"empty selector is invalid for {kind}")
        return
    elif not scheduling.valid_selector(selector):
        faults.invalid(f"{path}.selector", selector, "invalid label selector")
        return
    check_template_labels(selectors.of_selector(selector), spec.template, faults, path)


def check_template_labels(
    matcher: selectors.LabelMatcher, template: Any, faults: Faults, path: str
) -> None:
    meta = template.metadata if template is not None else None
    labels = meta.labels if meta is not None else None
    if not matcher.matches(labels):
        faults.invalid(f"{path}.template.metadata.labels", labels, _MISMATCH)


def check_runs_always(template: Any, faults: Faults, path: str, kind: str) -> None:
    """Pods that are replaced when they end have to restart by themselves."""
    spec = template.spec if template is not None else None
    if spec is None:
        return
    if spec.restartPolicy not in (None, "", "Always"):
        where = f"{path}.template.spec.restartPolicy"
        faults.unsupported(where, spec.restartPolicy, ("Always",))
    if spec.activeDeadlineSeconds is not None:
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        faults.forbidden(f"{path}.template.spec.activeDeadlineSeconds", text)


def _deployment(spec: apps_v1.DeploymentSpec, faults: Faults, path: str) -> None:
    check_selector(spec, faults, path, "deployment")
    check_runs_always(spec.template, faults, path, "ReplicaSet")
    deadline_s = spec.progressDeadlineSeconds
    if deadline_s is not None:
        values.not_negative(deadline_s, faults, path, "progressDeadlineSeconds")
        if deadline_s <= (spec.minReadySeconds or 0):
            text = "must be greater than minReadySeconds"
            faults.invalid(f"{path}.progressDeadlineSeconds", deadline_s, text)


def _deployment_strategy(strategy: apps_v1.DeploymentStrategy, faults: Faults, path: str) -> None:
    rolling = strategy.rollingUpdate
    if strategy.type == "Recreate":
        if rolling is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            faults.forbidden(f"{path}.rollingUpdate", text)
    elif strategy.type == "RollingUpdate":
        if (
            rolling is not None
            and values.is_zero(rolling.maxUnavailable)
            and values.is_zero(rolling.maxSurge)
        ):
            text = "may not be 0 when `maxSurge` is 0"
            value = rolling.maxUnavailable or 0
            faults.invalid(f"{path}.rollingUpdate.maxUnavailable", value, text)
    else:
        shown = {"Type": strategy.type or "", "RollingUpdate": None}
        faults.unsupported(path, shown, ("Recreate", "RollingUpdate"))


def _replica_set(spec: apps_v1.ReplicaSetSpec, faults: Faults, path: str) -> None:
    check_selector(spec, faults, path, "deployment")
    check_runs_always(spec.template, faults, path, "ReplicaSet")


def _daemon_set(spec: apps_v1.DaemonSetSpec, faults: Faults, path: str) -> None:
    check_selector(spec, faults, path, "daemonset", required=False)
    check_runs_always(spec.template, faults, path, "DaemonSet")


def _daemon_strategy(strategy: apps_v1.DaemonSetUpdateStrategy, faults: Faults, path: str) -> None:
    if strategy.type == "OnDelete":
        return
    if strategy.type != "RollingUpdate":
        shown = {"Type": strategy.type or "", "RollingUpdate": None}
        faults.unsupported(path, shown, ("RollingUpdate", "OnDelete"))
    elif strategy.rollingUpdate is None:
        faults.required(f"{path}.rollingUpdate")
    else:
        _daemon_rolling(strategy.rollingUpdate, faults, f"{path}.rollingUpdate")


def _daemon_rolling(rolling: Any, faults: Faults, path: str) -> None:
    """Of unavailable and surge exactly one is not zero (KEP-1591)."""
    has_unavailable = not values.is_zero(rolling.maxUnavailable)
    has_surge = not values.is_zero(rolling.maxSurge)
    if has_unavailable and has_surge:
        text = "may not be set when maxUnavailable is non-zero"
        faults.invalid(f"{path}.maxSurge", rolling.maxSurge, text)
    elif not has_unavailable and not has_surge:
        faults.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def _stateful_set(spec: apps_v1.StatefulSetSpec, faults: Faults, path: str) -> None:
    check_selector(spec, faults, path, "statefulset")
    check_runs_always(spec.template, faults, path, "StatefulSet")
    policy = spec.podManagementPolicy or ""
    if not policy:
        faults.required(f"{path}.podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        text = "must be 'OrderedReady' or 'Parallel'"
        faults.invalid(f"{path}.podManagementPolicy", policy, text)


def with_claim_volumes(stateful_set: apps_v1.StatefulSet) -> apps_v1.StatefulSet:
    """Its pods will have a volume for each claim template, and may mount them."""
    spec = stateful_set.spec
    if spec is None or not spec.volumeClaimTemplates or spec.template is None:
        return stateful_set
    pod = spec.template.spec or core_v1.PodSpec()
    claimed = [
        core_v1.Volume(
            name=name,
            persistentVolumeClaim=core_v1.PersistentVolumeClaimVolumeSource(claimName=name),
        )
        for name in ((c.metadata.name if c.metadata else "") for c in spec.volumeClaimTemplates)
    ]
    known = {volume.name for volume in claimed}
    volumes = claimed + [v for v in pod.volumes or () if v.name not in known]
    template = replace(spec.template, spec=replace(pod, volumes=volumes))
    return replace(stateful_set, spec=replace(spec, template=template))


def _stateful_strategy(
    strategy: apps_v1.StatefulSetUpdateStrategy, faults: Faults, path: str
) -> None:
    rolling = strategy.rollingUpdate
    shown = None
    if rolling is not None:
        shown = {"Partition": rolling.partition or 0, "MaxUnavailable": rolling.maxUnavailable}
    if not strategy.type:
        faults.required(path)
    elif strategy.type == "OnDelete":
        if rolling is not None:
            text = "only allowed for updateStrategy 'RollingUpdate'"
            faults.invalid(f"{path}.rollingUpdate", shown, text)
    elif strategy.type != "RollingUpdate":
        whole = {"Type": strategy.type, "RollingUpdate": shown}
        faults.invalid(path, whole, "must be 'RollingUpdate' or 'OnDelete'")


def _replication_controller(
    spec: core_v1.ReplicationControllerSpec, faults: Faults, path: str
) -> None:
    if not spec.selector:
        faults.required(f"{path}.selector")
    if spec.template is None:
        faults.required(f"{path}.template")
        return
    if spec.selector:
        matcher = selectors.of_set(spec.selector)
        check_template_labels(matcher, spec.template, faults, path)
    check_runs_always(spec.template, faults, path, "ReplicationController")


def _revision(revision: apps_v1.ControllerRevision, faults: Faults, path: str) -> None:
    if revision.data is None:
        faults.required("data", "data is mandatory")
    elif not isinstance(revision.data, dict):
        faults.required("data", "data must be a valid JSON object")


_RETENTION = values.one_of("Delete", "Retain")
_COUNTS: Final[dict[str, Check]] = {
    "replicas": values.not_negative,
    "minReadySeconds": values.not_negative,
    "revisionHistoryLimit": values.not_negative,
}


def _limited(value: int | str, faults: Faults, path: str, name: str) -> None:
    values.count_or_percent(value, faults, path, name)
    values.not_over_100_percent(value, faults, path, name)


def _subset(rules: dict[str, Check], *fields: str) -> dict[str, Check]:
    return {name: rules[name] for name in fields}


RULES: Table = {
    apps_v1.ControllerRevision: Rules(each={"revision": values.not_negative}, whole=_revision),
    apps_v1.DaemonSet: Rules(present=("spec",)),
    apps_v1.DaemonSetSpec: Rules(
        each=_subset(_COUNTS, "minReadySeconds", "revisionHistoryLimit"),
        whole=_daemon_set,
        present=("template",),
    ),
    apps_v1.DaemonSetUpdateStrategy: Rules(whole=_daemon_strategy),
    apps_v1.RollingUpdateDaemonSet: Rules(each={"maxSurge": _limited, "maxUnavailable": _limited}),
    apps_v1.Deployment: Rules(present=("spec",)),
    apps_v1.DeploymentSpec: Rules(each=_COUNTS, whole=_deployment, present=("template",)),
    apps_v1.DeploymentStrategy: Rules(whole=_deployment_strategy),
    apps_v1.RollingUpdateDeployment: Rules(
        each={"maxSurge": values.count_or_percent, "maxUnavailable": _limited}
    ),
    apps_v1.ReplicaSet: Rules(present=("spec",)),
    apps_v1.ReplicaSetSpec: Rules(
        each=_subset(_COUNTS, "replicas", "minReadySeconds"),
        whole=_replica_set,
        present=("template",),
    ),
    apps_v1.StatefulSet: Rules(present=("spec",)),
    apps_v1.StatefulSetSpec: Rules(
        each=_COUNTS | {"serviceName": values.label},
        whole=_stateful_set,
        present=("template",),
    ),
    apps_v1.StatefulSetUpdateStrategy: Rules(whole=_stateful_strategy),
    apps_v1.RollingUpdateStatefulSetStrategy: Rules(
        each={"partition": values.not_negative, "maxUnavailable": _limited}
    ),
    apps_v1.StatefulSetOrdinals: Rules(each={"start": values.not_negative}),
    apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy: Rules(
        each={"whenDeleted": _RETENTION, "whenScaled": _RETENTION}
    ),
    core_v1.ReplicationController: Rules(present=("spec",)),
    core_v1.ReplicationControllerSpec: Rules(
        each=_subset(_COUNTS, "replicas", "minReadySeconds") | {"selector": values.labels},
        whole=_replication_controller,
    ),
}

# Updates

_STATEFUL_SPEC: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)
_STATEFUL_MUTABLE: Final = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def update_selector(new: Any, old: Any, faults: Faults) -> None:
    """A selector decides which pods are whose: it is chosen once."""
    if new.spec is not None and old.spec is not None and new.spec.selector != old.spec.selector:
        faults.immutable("spec.selector", new.spec.selector)


def update_stateful_set(new: Any, old: Any, faults: Faults) -> None:
    kept = {name: getattr(old.spec, name) for name in _STATEFUL_MUTABLE}
    if replace(new.spec, **kept) != old.spec:
        faults.forbidden("spec", _STATEFUL_SPEC)


def update_revision(new: Any, old: Any, faults: Faults) -> None:
    if new.data != old.data:
        faults.immutable("data", new.data)
