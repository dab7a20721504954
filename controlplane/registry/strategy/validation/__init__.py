"""Every fault of an object, as Kubernetes names them: field path, type of fault and text.

`validate` judges an object by itself, `validate_update` also against what it replaces. Kinds
are in tables (`kinds`, `updates`); a kind without own rules is held to what the schema calls
required. Source: Kubernetes `pkg/apis/*/validation`.
"""

from collections.abc import Callable
from typing import Any, Final

from controlplane.registry.strategy.validation import batch, pods, workloads
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.kinds import RULES, UNCHECKED
from controlplane.registry.strategy.validation.required import check_required
from controlplane.registry.strategy.validation.rules import Walker, structures
from controlplane.registry.strategy.validation.updates import UPDATES
from kubeapi.errors import Cause
from kubeapi.types import apps_v1, batch_v1, core_v1

_walker: Final = Walker(RULES)
_has_rules: dict[type, bool] = {}

# What only an object that is created has to be.
_CREATES: Final[dict[type, Callable[[Any, Faults], None]]] = {
    batch_v1.Job: batch.check_new_job,
    core_v1.Pod: pods.check_new_pod,
}

# Kinds whose fields tell together what none of them says alone.
_SEEN_AS: Final[dict[type, Callable[[Any], Any]]] = {
    apps_v1.StatefulSet: workloads.with_claim_volumes,
}


def validate(obj: Any) -> list[Cause]:
    """The faults of an object that is to be created."""
    faults = Faults()
    _check(obj, faults)
    check = _CREATES.get(obj.__class__)
    if check is not None:
        check(obj, faults)
    return faults


def validate_update(obj: Any, old: Any) -> list[Cause]:
    """The faults of an object that is to replace `old`."""
    faults = Faults()
    spec = getattr(obj, "spec", None)
    if spec is None or spec != old.spec:
        # What has been stored is not judged anew: an agent must be able to report on it.
        _check(obj, faults)
    check = UPDATES.get(obj.__class__)
    if check is not None:
        check(obj, old, faults)
    return faults


def _check(obj: Any, faults: Faults) -> None:
    kind = obj.__class__
    known = _has_rules.get(kind)
    if known is None:
        spec = (inner for name, _, inner in structures(kind) if name == "spec")
        known = kind in RULES or kind in UNCHECKED or any(inner in RULES for inner in spec)
        _has_rules[kind] = known
    if known:
        seen_as = _SEEN_AS.get(kind)
        _walker.check(obj if seen_as is None else seen_as(obj), faults)
    else:
        check_required(obj, faults)
