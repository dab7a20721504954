"""Roles and bindings that are Pinnace's own, each with why Kubernetes' roles do not suffice."""

from typing import Any, Final

from controlplane.auth.bootstrap.rbac_objects import (
    CONTROLLER_PREFIX,
    EVENT_RULE,
    cluster_role,
    cluster_role_binding,
)

PREFIX: Final = "pinnace:"

# Kubernetes runs the eviction of pods from tainted nodes as the node controller; ours is a
# controller of its own and may do that part only.
CONTROLLER_RULES: Final[dict[str, tuple[str, ...]]] = {
    "taint-eviction-controller": (
        "get list watch: nodes in core",
        "delete get list watch: pods in core",
        "patch update: pods/status in core",
        EVENT_RULE,
    ),
}


def pinnace_objects() -> list[dict[str, Any]]:
    """What is created beside Kubernetes' own objects at a first start."""
    # Kubernetes' Node authorizer gives a node what relates to it. Until Pinnace has one, nodes
    # have the role itself, which upstream binds to nobody.
    objects = [cluster_role_binding(PREFIX + "system:node", "system:node", ("group system:nodes",))]
    for name, rules in CONTROLLER_RULES.items():
        role = PREFIX + CONTROLLER_PREFIX.removeprefix("system:") + name
        objects.append(cluster_role(role, rules))
        objects.append(cluster_role_binding(role, role, (f"account {name}",)))
    return objects
