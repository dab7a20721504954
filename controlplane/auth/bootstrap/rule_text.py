"""Rules of RBAC as one line of text each, so that a table of roles reads at a glance.

    get list watch: pods pods/log in core
    update: leases in coordination.k8s.io named kube-scheduler
    get: /healthz /version/*

Verbs, then resources `in` API groups (`core` is the group whose name is empty) and perhaps the
object names they are limited to; or, after the verbs, paths that are no resources.
"""

from typing import Any


def parse_rule(text: str) -> dict[str, Any]:
    """The PolicyRule that a line stands for."""
    verbs, _, rest = text.partition(": ")
    rule: dict[str, Any] = {"verbs": verbs.split()}
    resources, has_groups, where = rest.partition(" in ")
    if not has_groups:
        return rule | {"nonResourceURLs": rest.split()}
    groups, _, names = where.partition(" named ")
    rule["apiGroups"] = ["" if group == "core" else group for group in groups.split()]
    rule["resources"] = resources.split()
    if names:
        rule["resourceNames"] = names.split()
    return rule
