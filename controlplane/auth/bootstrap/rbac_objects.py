"""Roles and bindings of a first start, made of the tables beside this module."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from controlplane.auth.aggregation import aggregated_rules
from controlplane.auth.bootstrap.cluster_roles import CLUSTER_ROLES
from controlplane.auth.bootstrap.controller_roles import CONTROLLER_ROLES
from controlplane.auth.bootstrap.rule_text import parse_rule

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
RBAC_VERSION: Final = f"{RBAC_GROUP}/v1"
AGGREGATE_LABEL: Final = "rbac.authorization.k8s.io/aggregate-to-"
CONTROLLER_PREFIX: Final = "system:controller:"

# Cluster role: the role that takes its rules in, by the label aggregate-to-<that role>.
FEEDS: Final = {
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
    "edit": "admin",
    "view": "edit",
}
AGGREGATED: Final = ("view", "edit", "admin")  # each after what it takes in

AUTHENTICATED: Final = "group system:authenticated"
EVERYONE: Final = (AUTHENTICATED, "group system:unauthenticated")
KUBE_CONTROLLER_MANAGER: Final = "user system:kube-controller-manager"
KUBE_SCHEDULER: Final = "user system:kube-scheduler"

# A subject reads "<kind> <name>"; an account is a ServiceAccount of kube-system. The binding has
# its role's name. `system:node` is bound to nobody: see `pinnace`.
CLUSTER_BINDINGS: Final[dict[str, tuple[str, ...]]] = {
    "cluster-admin": ("group system:masters",),
    "system:basic-user": (AUTHENTICATED,),
    "system:discovery": (AUTHENTICATED,),
    "system:kube-controller-manager": (KUBE_CONTROLLER_MANAGER,),
    "system:kube-dns": ("account kube-dns",),
    "system:kube-scheduler": (KUBE_SCHEDULER,),
    "system:monitoring": ("group system:monitoring",),
    "system:node": (),
    "system:node-proxier": ("user system:kube-proxy",),
    "system:public-info-viewer": EVERYONE,
    "system:service-account-issuer-discovery": ("group system:serviceaccounts",),
    "system:volume-scheduler": (KUBE_SCHEDULER,),
}

LEADER_RULES: Final = (
    "create get list update watch: leases in coordination.k8s.io",
    "create get list update watch: leasecandidates in coordination.k8s.io",
)
EVENT_RULE: Final = "create patch update: events in core events.k8s.io"
AUTHENTICATION_READER: Final = "extension-apiserver-authentication-reader"

# (namespace, role): (rules, binding, subjects)
ROLES: Final[dict[tuple[str, str], tuple[tuple[str, ...], str, tuple[str, ...]]]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        (
            "get list watch: configmaps in core",
            "update: configmaps in core named cluster-info",
            EVENT_RULE,
        ),
        "system:controller:bootstrap-signer",
        ("account bootstrap-signer",),
    ),
    ("kube-system", AUTHENTICATION_READER): (
        ("get list watch: configmaps in core named extension-apiserver-authentication",),
        f"system::{AUTHENTICATION_READER}",
        (KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        LEADER_RULES,
        "system::leader-locking-kube-controller-manager",
        (
            KUBE_CONTROLLER_MANAGER,
            "account kube-controller-manager",
            "account leader-election-controller",
        ),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        LEADER_RULES,
        "system::leader-locking-kube-scheduler",
        (KUBE_SCHEDULER, "account kube-scheduler"),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        ("get list watch: secrets in core",),
        "system:controller:bootstrap-signer",
        ("account bootstrap-signer",),
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        ("create get list watch: configmaps in core",),
        "system:controller:cloud-provider",
        ("account cloud-provider",),
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        ("delete get list watch: secrets in core", EVENT_RULE),
        "system:controller:token-cleaner",
        ("account token-cleaner",),
    ),
}


def rbac_objects() -> list[dict[str, Any]]:
    """Every cluster role, cluster role binding, role and role binding of a first start."""
    controllers = {CONTROLLER_PREFIX + name: rules for name, rules in CONTROLLER_ROLES.items()}
    cluster_roles = [
        cluster_role(name, rules) for name, rules in (CLUSTER_ROLES | controllers).items()
    ]
    for name in AGGREGATED:
        role = cluster_role(name, ())
        role["aggregationRule"] = {
            "clusterRoleSelectors": [{"matchLabels": {AGGREGATE_LABEL + name: "true"}}]
        }
        role["rules"] = aggregated_rules(role, cluster_roles)
        cluster_roles.append(role)
    bindings = [cluster_role_binding(name, name, who) for name, who in CLUSTER_BINDINGS.items()]
    for name in CONTROLLER_ROLES:
        role_name = CONTROLLER_PREFIX + name
        bindings.append(cluster_role_binding(role_name, role_name, (f"account {name}",)))
    return [*cluster_roles, *bindings, *_namespaced()]


def cluster_role(name: str, rules: Iterable[str]) -> dict[str, Any]:
    metadata = _metadata(name)
    if name in FEEDS:
        metadata["labels"][AGGREGATE_LABEL + FEEDS[name]] = "true"
    return {
        "apiVersion": RBAC_VERSION,
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": [parse_rule(text) for text in rules],
    }


def cluster_role_binding(name: str, role: str, subjects: Iterable[str]) -> dict[str, Any]:
    binding = {
        "apiVersion": RBAC_VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "subjects": [_subject(text) for text in subjects],
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
    }
    return {key: value for key, value in binding.items() if value}


def _namespaced() -> Iterable[dict[str, Any]]:
    for (namespace, name), (rules, binding, subjects) in ROLES.items():
        yield {
            "apiVersion": RBAC_VERSION,
            "kind": "Role",
            "metadata": _metadata(name, namespace),
            "rules": [parse_rule(text) for text in rules],
        }
        yield {
            "apiVersion": RBAC_VERSION,
            "kind": "RoleBinding",
            "metadata": _metadata(binding, namespace),
            "subjects": [_subject(text) for text in subjects],
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": name},
        }


def _metadata(name: str, namespace: str = "") -> dict[str, Any]:
    where: Mapping[str, str] = {"namespace": namespace} if namespace else {}
    return {
        "name": name,
        **where,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition(" ")
    if kind == "account":
        return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}
    return {"kind": kind.capitalize(), "apiGroup": RBAC_GROUP, "name": name}
