"""Roles and bindings that are Pinnace's own, each with why Kubernetes' roles do not suffice."""

from typing import Any, Final

from controlplane.auth.bootstrap.rbac_objects import (
    CONTROLLER_PREFIX,
    cluster_role,
    cluster_role_binding,
)

PREFIX: Final = "pinnace:"

# Kubernetes' controllers read through informers that run as system:kube-controller-manager, who
# may list and watch everything. Ours read as themselves, so each names what it reads beyond its
# own role.
CONTROLLER_READS: Final[dict[str, tuple[str, ...]]] = {
    "node-controller": (
        "get list watch: leases in coordination.k8s.io",
        "get list watch: daemonsets in apps",
    ),
    "root-ca-cert-publisher": ("get list watch: configmaps namespaces in core",),
    "service-account-controller": ("get list watch: namespaces serviceaccounts in core",),
}


def pinnace_objects() -> list[dict[str, Any]]:
    """What is created beside Kubernetes' own objects at a first start."""
    # Kubernetes' Node authorizer gives a node what relates to it. Until Pinnace has one, nodes
    # have the role itself, which upstream binds to nobody.
    objects = [cluster_role_binding(PREFIX + "system:node", "system:node", ("group system:nodes",))]
    for name, rules in CONTROLLER_READS.items():
        role = PREFIX + CONTROLLER_PREFIX.removeprefix("system:") + name
        objects.append(cluster_role(role, rules))
        objects.append(cluster_role_binding(role, role, (f"account {name}",)))
    return objects
