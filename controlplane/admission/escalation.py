"""Nobody grants by RBAC what he does not hold (Kubernetes "Privilege escalation prevention").

Whoever may `escalate` the role, or `bind` the role that a binding names, is exempt.
"""

from typing import Any

from controlplane.auth.escalation import escalation_message, uncovered
from controlplane.auth.rbac import RBAC_GROUP
from controlplane.registry.backing import Backing
from controlplane.registry.options import Call
from kubeapi import errors
from kubeapi.types import rbac_v1

_ROLES = (rbac_v1.Role, rbac_v1.ClusterRole)
_BINDINGS = (rbac_v1.RoleBinding, rbac_v1.ClusterRoleBinding)


def rbac_escalation(backing: Backing, call: Call, obj: Any, old: Any) -> None:
    """403 for a role or binding that gives more than the caller has."""
    if isinstance(obj, _ROLES):
        if old is None or obj.rules != old.rules:
            _check(backing, call, "escalate", call.info.resource, call.name, obj.rules or [])
    elif isinstance(obj, _BINDINGS) and obj.roleRef is not None:
        if old is not None and obj.subjects == old.subjects:
            return
        kind, name = obj.roleRef.kind, obj.roleRef.name or ""
        resource = "roles" if kind == "Role" else "clusterroles"
        namespace = call.namespace if kind == "Role" else ""
        rules = backing.authorizer.role_rules(namespace, name)
        _check(backing, call, "bind", resource, name, rules)


def _check(
    backing: Backing,
    call: Call,
    exempting_verb: str,
    resource: str,
    name: str,
    rules: list[rbac_v1.PolicyRule] | None,
) -> None:
    exempt = backing.authorizer.authorize(
        call.user, exempting_verb, RBAC_GROUP, resource, "", name, call.namespace
    )
    if exempt.allowed:
        return
    if rules is None:  # it may come to grant anything once it is there
        raise errors.not_found(resource, name, RBAC_GROUP)
    held = backing.authorizer.rules_for(call.user, call.namespace)
    missing = uncovered(held, rules)
    if missing:
        message = escalation_message(call.user, missing)
        raise errors.forbidden(call.info.resource, call.name, message, call.info.group)
