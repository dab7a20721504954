"""Selectors, affinity, tolerations, taints and spreading (pkg/apis/core/validation)."""

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import core_v1, meta_v1

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NO_OPERATOR = "not a valid selector operator"
_NEEDS_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_WEIGHT = values.between(1, 100, "must be in the range 1-100")


def _requirement(
    term: core_v1.NodeSelectorRequirement | meta_v1.LabelSelectorRequirement,
    faults: Faults,
    path: str,
    compares: bool,
) -> None:
    """What selectors over labels of nodes and of other objects share."""
    operator, given = term.operator or "", term.values or []
    if operator in ("In", "NotIn"):
        if not given:
            faults.required(f"{path}.values", _NEEDS_VALUES)
    elif operator in ("Exists", "DoesNotExist"):
        if given:
            faults.forbidden(f"{path}.values", _NO_VALUES)
    elif operator in ("Gt", "Lt") and compares:
        if len(given) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            faults.required(f"{path}.values", text)
    else:
        faults.invalid(f"{path}.operator", operator, _NO_OPERATOR)
    faults.each_invalid(
        f"{path}.key", term.key or "", names.qualified_name_problems(term.key or "")
    )


def _label_requirement(term: meta_v1.LabelSelectorRequirement, faults: Faults, path: str) -> None:
    _requirement(term, faults, path, compares=False)
    for index, value in enumerate(term.values or ()):
        problems = names.label_value_problems(value)
        faults.each_invalid(f"{path}.values[{index}]", value, problems)


def _node_requirement(term: core_v1.NodeSelectorRequirement, faults: Faults, path: str) -> None:
    _requirement(term, faults, path, compares=True)


def _node_field(term: core_v1.NodeSelectorRequirement, faults: Faults, path: str) -> None:
    given = term.values or []
    if term.operator in ("In", "NotIn"):
        if len(given) != 1:
            text = (
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
            faults.required(f"{path}.values", text)
    else:
        faults.invalid(f"{path}.operator", term.operator or "", _NO_OPERATOR)
    if term.key != "metadata.name":
        faults.invalid(f"{path}.key", term.key or "", "not a valid field selector key")
        return
    for index, value in enumerate(given):
        problems = names.dns_subdomain_problems(value)
        faults.each_invalid(f"{path}.values[{index}]", value, problems)


def _node_term(term: core_v1.NodeSelectorTerm, faults: Faults, path: str) -> None:
    for index, requirement in enumerate(term.matchExpressions or ()):
        _node_requirement(requirement, faults, f"{path}.matchExpressions[{index}]")
    for index, requirement in enumerate(term.matchFields or ()):
        _node_field(requirement, faults, f"{path}.matchFields[{index}]")


def _node_selector(selector: core_v1.NodeSelector, faults: Faults, path: str) -> None:
    if not selector.nodeSelectorTerms:
        text = "must have at least one node selector term"
        faults.required(f"{path}.nodeSelectorTerms", text)


def _weight(term: object, faults: Faults, path: str) -> None:
    _WEIGHT(getattr(term, "weight", None) or 0, faults, path, "weight")


def _pod_affinity_term(term: core_v1.PodAffinityTerm, faults: Faults, path: str) -> None:
    for name in term.namespaces or ():
        faults.each_invalid(f"{path}.namespace", name, names.dns_label_problems(name))
    key = term.topologyKey or ""
    if not key:
        faults.required(f"{path}.topologyKey", "can not be empty")
    faults.each_invalid(f"{path}.topologyKey", key, names.qualified_name_problems(key))
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = getattr(term, field)
        if keys and term.labelSelector is None:
            faults.forbidden(
                f"{path}.{field}", "must not be specified when labelSelector is not set"
            )


def _toleration(toleration: core_v1.Toleration, faults: Faults, path: str) -> None:
    operator, key, effect = toleration.operator or "", toleration.key, toleration.effect or ""
    if key:
        values.qualified(key, faults, path, "key")
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'  # noqa: E501
        faults.invalid(f"{path}.operator", operator, text)
    if toleration.tolerationSeconds is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        faults.invalid(f"{path}.effect", effect, text)
    if operator == "Exists":
        if toleration.value:
            text = "value must be empty when `operator` is 'Exists'"
            faults.invalid(f"{path}.operator", toleration, text)
    elif operator in ("Equal", ""):
        value = toleration.value or ""
        faults.each_invalid(f"{path}.operator", value, names.label_value_problems(value))
    else:
        faults.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in EFFECTS:
        faults.unsupported(f"{path}.effect", effect, EFFECTS)


def _spread(constraint: core_v1.TopologySpreadConstraint, faults: Faults, path: str) -> None:
    if (constraint.maxSkew or 0) <= 0:
        faults.invalid(f"{path}.maxSkew", constraint.maxSkew or 0, "must be greater than zero")
    if not constraint.topologyKey:
        faults.required(f"{path}.topologyKey", "can not be empty")
    action = constraint.whenUnsatisfiable or ""
    if action not in ("DoNotSchedule", "ScheduleAnyway"):
        supported = ("DoNotSchedule", "ScheduleAnyway")
        faults.unsupported(f"{path}.whenUnsatisfiable", action, supported)
    domains = constraint.minDomains
    if domains is not None:
        if domains <= 0:
            faults.invalid(f"{path}.minDomains", domains, "must be greater than 0")
        if action != "DoNotSchedule":
            text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            faults.invalid(f"{path}.minDomains", domains, text)
    if constraint.matchLabelKeys and constraint.labelSelector is None:
        text = "must not be specified when labelSelector is not set"
        faults.forbidden(f"{path}.matchLabelKeys", text)


def check_taints(taints: list[core_v1.Taint] | None, faults: Faults, path: str) -> None:
    """A node's taints; a key has each effect once."""
    seen: dict[str, set[str]] = {}
    for index, taint in enumerate(taints or ()):
        where, key, effect = f"{path}[{index}]", taint.key or "", taint.effect or ""
        faults.each_invalid(f"{where}.key", key, names.qualified_name_problems(key))
        value = taint.value or ""
        faults.each_invalid(f"{where}.value", value, names.label_value_problems(value))
        if not effect:
            faults.required(f"{where}.effect")
        elif effect not in EFFECTS:
            faults.unsupported(f"{where}.effect", effect, EFFECTS)
        if effect in seen.setdefault(key, set()):
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.timeAdded}
            faults.duplicate(where, shown, "taints must be unique by key and effect pair")
        seen[key].add(effect)


def valid_selector(selector: meta_v1.LabelSelector) -> bool:
    """Whether a label selector can be evaluated at all."""
    faults = Faults()
    if selector.matchLabels:
        values.labels(selector.matchLabels, faults, "", "matchLabels")
    for requirement in selector.matchExpressions or ():
        _label_requirement(requirement, faults, "")
    return not faults


def check_label_key(key: str | None, faults: Faults, path: str, name: str) -> None:
    values.qualified_or_empty(key or "", faults, path, name)


def required_selector(selector: meta_v1.LabelSelector | None, faults: Faults, path: str) -> None:
    if selector is None:
        faults.required(join(path, "selector"))


_POLICY = values.one_of("Honor", "Ignore")

RULES: Table = {
    core_v1.NodeSelector: Rules(whole=_node_selector),
    core_v1.NodeSelectorTerm: Rules(whole=_node_term, skip=("matchExpressions", "matchFields")),
    core_v1.PodAffinityTerm: Rules(whole=_pod_affinity_term),
    core_v1.PreferredSchedulingTerm: Rules(whole=_weight),
    core_v1.WeightedPodAffinityTerm: Rules(whole=_weight),
    core_v1.Toleration: Rules(whole=_toleration),
    core_v1.TopologySpreadConstraint: Rules(
        each={"nodeAffinityPolicy": _POLICY, "nodeTaintsPolicy": _POLICY}, whole=_spread
    ),
    meta_v1.LabelSelector: Rules(each={"matchLabels": values.labels}),
    meta_v1.LabelSelectorRequirement: Rules(whole=_label_requirement),
}
