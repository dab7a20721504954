"""LimitRanges, ResourceQuotas, PodDisruptionBudgets and Events."""

from typing import Any, Final

from controlplane.registry.strategy.validation import resources, values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.quantity import parse
from kubeapi.types import core_v1, policy_v1

_LIMIT_TYPES: Final = frozenset({"Container", "PersistentVolumeClaim", "Pod"})
_BOUNDS: Final = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _limit(item: core_v1.LimitRangeItem, faults: Faults, path: str) -> None:
    kind = item.type or ""
    problems = names.qualified_name_problems(kind)
    if problems:
        faults.each_invalid(f"{path}.type", kind, problems)
    elif kind not in _LIMIT_TYPES and "/" not in kind:
        text = "must be a standard limit type or fully qualified"
        faults.invalid(f"{path}.type", kind, text)
    if kind == "Pod":
        for name in ("default", "defaultRequest"):
            if getattr(item, name):
                text = "may not be specified when `type` is 'Pod'"
                faults.forbidden(f"{path}.{name}", text)
        return
    if kind == "PersistentVolumeClaim" and not any(
        "storage" in (bound or ()) for bound in (item.min, item.max)
    ):
        text = "either minimum or maximum storage value is required, but neither was provided"
        faults.required(f"{path}.limits", text)
    for name in sorted({key for bound in _BOUNDS for key in getattr(item, bound) or ()}):
        _bounds(item, name, faults, path)


def _bounds(item: core_v1.LimitRangeItem, name: str, faults: Faults, path: str) -> None:
    """Of one resource: minimum <= default request <= default <= maximum."""

    def amount(bound: str) -> str | None:
        found: dict[str, str] = getattr(item, bound) or {}
        return found.get(name)

    low, high = amount("min"), amount("max")
    request, limit = amount("defaultRequest"), amount("default")
    order = (
        ("min", low, high, "min value {} is greater than max value {}"),
        ("defaultRequest", low, request, "min value {} is greater than default request value {}"),
        ("defaultRequest", request, high, "default request value {} is greater than max value {}"),
        ("defaultRequest", request, limit,
         "default request value {} is greater than default limit value {}"),
        ("default", low, limit, "min value {} is greater than default value {}"),
        ("default", limit, high, "default value {} is greater than max value {}"),
    )  # fmt: skip
    for field, small, large, text in order:
        if small is None or large is None or parse(small) <= parse(large):
            continue
        shown = large if field != "min" and small is low else small
        if field == "default" and small is low:
            shown = small
        faults.invalid(f"{path}.{field}[{name}]", shown, text.format(small, large))


_SCOPES: Final = frozenset(
    {
        "BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "PriorityClass",
        "CrossNamespacePodAffinity", "VolumeAttributesClass",
    }
)  # fmt: skip
_CONFLICTS: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def _quota(spec: core_v1.ResourceQuotaSpec, faults: Faults, path: str) -> None:
    for name, amount in (spec.hard or {}).items():
        where = f"{path}.hard[{name}]"
        resources.check_quota_name(name, faults, where)
        resources.check_amount(name, amount, faults, where)
    scopes = spec.scopes or []
    where = f"{path}.scopes"
    for scope in scopes:
        if scope not in _SCOPES:
            faults.invalid(where, scopes, "unsupported scope")
    if any(pair <= set(scopes) for pair in _CONFLICTS):
        faults.invalid(where, scopes, "conflicting scopes")


_NEEDS_VALUES: Final = (
    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
)


def _scope_selector(selector: core_v1.ScopeSelector, faults: Faults, path: str) -> None:
    """Kubernetes does not say which of the expressions it means."""
    where = f"{path}.matchExpressions"
    for term in selector.matchExpressions or ():
        if term.scopeName not in _SCOPES:
            faults.invalid(f"{where}.scopeName", term.scopeName or "", "unsupported scope")
        if term.operator in ("In", "NotIn"):
            if not term.values:
                faults.required(f"{where}.values", _NEEDS_VALUES)
        elif term.operator in ("Exists", "DoesNotExist"):
            if term.values:
                text = (
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
                    "selector"
                )
                faults.invalid(f"{where}.values", term.values, text)
        else:
            text = "not a valid selector operator"
            faults.invalid(f"{where}.operator", term.operator or "", text)


def _budget(spec: policy_v1.PodDisruptionBudgetSpec, faults: Faults, path: str) -> None:
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        shown = {
            "MinAvailable": spec.minAvailable,
            "Selector": spec.selector,
            "MaxUnavailable": spec.maxUnavailable,
            "UnhealthyPodEvictionPolicy": spec.unhealthyPodEvictionPolicy,
        }
        text = "minAvailable and maxUnavailable cannot be both set"
        faults.invalid(path, shown, text)
    for name in ("minAvailable", "maxUnavailable"):
        value = getattr(spec, name)
        if value is not None:
            values.count_or_percent(value, faults, path, name)
            values.not_over_100_percent(value, faults, path, name)


def _event(event: core_v1.Event, faults: Faults, path: str) -> None:
    """Events of things without a namespace are kept in `default`."""
    about = (event.involvedObject.namespace if event.involvedObject else None) or ""
    namespace = (event.metadata.namespace if event.metadata else None) or ""
    if event.eventTime:
        _new_event(event, namespace, faults)
    elif about != namespace and (about or namespace != "default"):
        faults.invalid("involvedObject.namespace", about, "does not match event.namespace")


_ACTION_MAX: Final = 128
_NOTE_MAX: Final = 1024


def _new_event(event: core_v1.Event, namespace: str, faults: Faults) -> None:
    """What events.k8s.io asks of an event that has a time (KEP-383)."""
    component = event.reportingComponent or ""
    problems = names.qualified_name_problems(component)
    if not component:
        faults.required("reportingController")
    faults.each_invalid("reportingController", component, problems)
    for field in ("reportingInstance", "action", "reason"):
        text = getattr(event, field) or ""
        if not text:
            faults.required(field)
        elif len(text) > _ACTION_MAX:
            faults.invalid(field, "", f"can have at most {_ACTION_MAX} characters")
    if event.type not in ("Normal", "Warning"):
        faults.invalid("type", "", f"has invalid value: {event.type or ''}")
    if len(event.message or "") > _NOTE_MAX:
        faults.invalid("message", "", f"can have at most {_NOTE_MAX} characters")
    if event.series is not None:
        if (event.series.count or 0) < 2:
            faults.invalid("series.count", "", "should be at least 2")
        if not event.series.lastObservedTime:
            faults.required("series.lastObservedTime")


RULES: Table = {
    core_v1.Event: Rules(whole=_event, skip=("involvedObject", "related")),
    core_v1.LimitRangeItem: Rules(whole=_limit),
    core_v1.ResourceQuotaSpec: Rules(whole=_quota),
    core_v1.ScopeSelector: Rules(whole=_scope_selector),
    policy_v1.PodDisruptionBudgetSpec: Rules(
        each={
            "unhealthyPodEvictionPolicy": values.one_of("AlwaysAllow", "IfHealthyBudget"),
        },
        whole=_budget,
    ),
}

# Updates


def update_event(new: Any, old: Any, faults: Faults) -> None:
    """Of an event that has a time only the series changes, and what makes it up."""
    if not new.eventTime or not old.eventTime:
        return
    if new.message != old.message:
        faults.immutable("message", new.message)
    if new.involvedObject != old.involvedObject:
        about = new.involvedObject or core_v1.ObjectReference()
        names_in_go = (
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        )
        shown = {
            {"uid": "UID", "apiVersion": "APIVersion"}.get(
                name, name[0].upper() + name[1:]
            ): getattr(about, name) or ""
            for name in names_in_go
        }
        faults.immutable("involvedObject", shown)
    for field in ("reason", "action", "reportingInstance", "type"):
        if getattr(new, field) != getattr(old, field):
            faults.immutable(field, getattr(new, field))


def update_quota(new: Any, old: Any, faults: Faults) -> None:
    """What a quota counts is chosen once."""
    scopes = (new.spec.scopes if new.spec else None) or []
    before = (old.spec.scopes if old.spec else None) or []
    if set(scopes) != set(before):
        faults.immutable("spec.scopes", scopes)
