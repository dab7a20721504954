"""What of a pod may change while it lives (ValidatePodUpdate, ValidateContainerStateTransition)."""

from typing import Any, Final

from msgspec.structs import replace

from controlplane.registry.strategy.validation.faults import Faults
from kubeapi.types import core_v1

_ONLY: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def update_pod(new: core_v1.Pod, old: core_v1.Pod, faults: Faults) -> None:
    spec, was = new.spec, old.spec
    if new.status != old.status:
        _status(new, old, faults)
    if spec is None or was is None or spec == was:
        return
    before = len(faults)
    for field in ("containers", "initContainers"):
        _lengths(spec, was, field, faults)
    if len(faults) > before:
        return  # nothing else could be compared
    for field in ("containers", "initContainers"):
        _images(spec, field, faults)
    _deadline(spec, was, faults)
    _tolerations(spec, was, faults)
    _gates(spec, was, faults)
    if not _same_but_for_mutable(spec, was):
        faults.forbidden("spec", _ONLY)


def _lengths(spec: core_v1.PodSpec, was: core_v1.PodSpec, field: str, faults: Faults) -> None:
    if len(getattr(spec, field) or ()) != len(getattr(was, field) or ()):
        faults.forbidden(f"spec.{field}", "pod updates may not add or remove containers")


def _images(spec: core_v1.PodSpec, field: str, faults: Faults) -> None:
    """A second time: the first check is that of new pods and templates."""
    for index, container in enumerate(getattr(spec, field) or ()):
        if not container.image:
            faults.required(f"spec.{field}[{index}].image")


def _deadline(spec: core_v1.PodSpec, was: core_v1.PodSpec, faults: Faults) -> None:
    """A pod's time may be cut, or limited for the first time."""
    new, old = spec.activeDeadlineSeconds, was.activeDeadlineSeconds
    if old is None:
        return
    where = "spec.activeDeadlineSeconds"
    if new is None:
        faults.invalid(where, None, "must not update from a positive integer to nil value")
    elif new > old:
        faults.invalid(where, new, "must be less than or equal to previous value")


def _tolerations(spec: core_v1.PodSpec, was: core_v1.PodSpec, faults: Faults) -> None:
    kept = [replace(t, tolerationSeconds=None) for t in spec.tolerations or ()]
    for toleration in was.tolerations or ():
        if replace(toleration, tolerationSeconds=None) not in kept:
            text = "existing toleration can not be modified except its tolerationSeconds"
            faults.forbidden("spec.tolerations", text)
            return


def _gates(spec: core_v1.PodSpec, was: core_v1.PodSpec, faults: Faults) -> None:
    known = {gate.name for gate in was.schedulingGates or ()}
    for index, gate in enumerate(spec.schedulingGates or ()):
        if gate.name not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            faults.forbidden(f"spec.schedulingGates[{index}].name", text)


def _same_but_for_mutable(spec: core_v1.PodSpec, was: core_v1.PodSpec) -> bool:
    changed: dict[str, Any] = {
        "containers": _with_images(spec.containers, was.containers),
        "initContainers": _with_images(spec.initContainers, was.initContainers),
        "activeDeadlineSeconds": was.activeDeadlineSeconds,
        "tolerations": was.tolerations,
        "schedulingGates": was.schedulingGates,
    }
    if (was.terminationGracePeriodSeconds or 0) < 0 and spec.terminationGracePeriodSeconds == 1:
        changed["terminationGracePeriodSeconds"] = was.terminationGracePeriodSeconds
    if was.schedulingGates:
        changed |= _narrowed(spec, was)
    return replace(spec, **changed) == was


def _with_images(new: list[Any] | None, old: list[Any] | None) -> list[Any] | None:
    if new is None or old is None or len(new) != len(old):
        return new
    return [replace(n, image=o.image) for n, o in zip(new, old, strict=True)]


def _narrowed(spec: core_v1.PodSpec, was: core_v1.PodSpec) -> dict[str, Any]:
    """A pod that still waits at its gates may be told to go to fewer nodes (KEP-3838)."""
    kept: dict[str, Any] = {}
    if (was.nodeSelector or {}).items() <= (spec.nodeSelector or {}).items():
        kept["nodeSelector"] = was.nodeSelector
    if spec.affinity is not None:
        affinity, before = spec.affinity, was.affinity or core_v1.Affinity()
        if _terms_narrowed(affinity.nodeAffinity, before.nodeAffinity):
            merged = replace(affinity, nodeAffinity=before.nodeAffinity)
            same = was.affinity is None and merged == core_v1.Affinity()
            kept["affinity"] = None if same else merged
    return kept


def _terms_narrowed(new: core_v1.NodeAffinity | None, old: core_v1.NodeAffinity | None) -> bool:
    required = old.requiredDuringSchedulingIgnoredDuringExecution if old is not None else None
    if required is None:
        return True
    wanted = new.requiredDuringSchedulingIgnoredDuringExecution if new is not None else None
    before = required.nodeSelectorTerms or []
    after = (wanted.nodeSelectorTerms if wanted is not None else None) or []
    if len(before) != len(after):
        return False
    return all(_term_narrowed(n, o) for n, o in zip(after, before, strict=True))


def _term_narrowed(new: core_v1.NodeSelectorTerm, old: core_v1.NodeSelectorTerm) -> bool:
    for field in ("matchExpressions", "matchFields"):
        kept = getattr(new, field) or []
        if not all(requirement in kept for requirement in getattr(old, field) or ()):
            return False
    return True


def _status(new: core_v1.Pod, old: core_v1.Pod, faults: Faults) -> None:
    """An agent may not take back that a container ended for good."""
    status, was, spec = new.status, old.status, new.spec
    if status is None or was is None or spec is None or spec.restartPolicy != "Never":
        return
    for field, of in (("containerStatuses", "containers"),
                      ("initContainerStatuses", "initContainers")):  # fmt: skip
        restarts = {c.name for c in getattr(spec, of) or () if c.restartPolicy}
        now = {s.name: s for s in getattr(status, field) or ()}
        for index, before in enumerate(getattr(was, field) or ()):
            after = now.get(before.name)
            if before.name not in restarts and _ended(before) and after and not _ended(after):
                text = "may not be transitioned to non-terminated state"
                faults.forbidden(f"status.{field}[{index}].state", text)


def _ended(status: core_v1.ContainerStatus) -> bool:
    return status.state is not None and status.state.terminated is not None
