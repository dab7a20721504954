"""Roles and bindings (pkg/apis/rbac/validation)."""

from collections.abc import Sequence
from typing import Any, Final

from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from controlplane.registry.strategy.validation.scheduling import valid_selector
from kubeapi import names
from kubeapi.types import rbac_v1

_GROUP: Final = "rbac.authorization.k8s.io"
_SUBJECTS: Final = ("ServiceAccount", "User", "Group")


def _policy_rule(rule: rbac_v1.PolicyRule, namespaced: bool, faults: Faults, path: str) -> None:
    if not rule.verbs:
        faults.required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.nonResourceURLs
    if urls:
        text = "namespaced rules cannot apply to non-resource URLs"
        if namespaced:
            faults.invalid(f"{path}.nonResourceURLs", urls, text)
        if rule.apiGroups or rule.resources or rule.resourceNames:
            text = "rules cannot apply to both regular resources and non-resource URLs"
            faults.invalid(f"{path}.nonResourceURLs", urls, text)
        return
    if not rule.apiGroups:
        text = "resource rules must supply at least one api group"
        faults.required(f"{path}.apiGroups", text)
    if not rule.resources:
        faults.required(f"{path}.resources", "resource rules must supply at least one resource")


def _policy_rules(
    rules: Sequence[rbac_v1.PolicyRule] | None, namespaced: bool, faults: Faults
) -> None:
    for index, rule in enumerate(rules or ()):
        _policy_rule(rule, namespaced, faults, f"rules[{index}]")


def _role(role: rbac_v1.Role, faults: Faults, path: str) -> None:
    _policy_rules(role.rules, True, faults)


def _cluster_role(role: rbac_v1.ClusterRole, faults: Faults, path: str) -> None:
    _policy_rules(role.rules, False, faults)
    if role.aggregationRule is None:
        return
    chosen = role.aggregationRule.clusterRoleSelectors
    if not chosen:
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        faults.required("aggregationRule.clusterRoleSelectors", text)
    for index, selector in enumerate(chosen or ()):
        if not valid_selector(selector):
            where = f"aggregationRule.clusterRoleSelectors[{index}]"
            faults.invalid(where, None, "invalid label selector.")


def _binding(kinds: tuple[str, ...], namespaced: bool) -> Any:
    def check(binding: Any, faults: Faults, path: str) -> None:
        ref = binding.roleRef or rbac_v1.RoleRef()
        if (ref.apiGroup or _GROUP) != _GROUP:
            faults.unsupported("roleRef.apiGroup", ref.apiGroup, (_GROUP,))
        if ref.kind not in kinds:
            faults.unsupported("roleRef.kind", ref.kind or "", kinds)
        if not ref.name:
            faults.required("roleRef.name")
        else:
            faults.each_invalid("roleRef.name", ref.name, names.path_segment_problems(ref.name))
        for index, subject in enumerate(binding.subjects or ()):
            _subject(subject, namespaced, faults, f"subjects[{index}]")

    return check


def _subject(subject: rbac_v1.Subject, namespaced: bool, faults: Faults, path: str) -> None:
    kind, group = subject.kind or "", subject.apiGroup or ""
    if not subject.name:
        faults.required(f"{path}.name")
    if kind == "ServiceAccount":
        if subject.name:
            problems = names.dns_subdomain_problems(subject.name)
            faults.each_invalid(f"{path}.name", subject.name, problems)
        if group:
            faults.unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.namespace:
            faults.required(f"{path}.namespace")
    elif kind not in _SUBJECTS:
        faults.unsupported(f"{path}.kind", kind, _SUBJECTS)
    elif group != _GROUP:
        faults.unsupported(f"{path}.apiGroup", group, (_GROUP,))


RULES: Table = {
    rbac_v1.ClusterRole: Rules(whole=_cluster_role),
    rbac_v1.ClusterRoleBinding: Rules(whole=_binding(("ClusterRole",), False)),
    rbac_v1.Role: Rules(whole=_role),
    rbac_v1.RoleBinding: Rules(whole=_binding(("Role", "ClusterRole"), True)),
}

# Updates


def update_binding(new: Any, old: Any, faults: Faults) -> None:
    """Who may bind to one role may not turn that into another."""
    if new.roleRef == old.roleRef:
        return
    ref = new.roleRef or rbac_v1.RoleRef()
    shown = {"APIGroup": ref.apiGroup or "", "Kind": ref.kind or "", "Name": ref.name or ""}
    faults.immutable("roleRef", shown, "cannot change roleRef")
