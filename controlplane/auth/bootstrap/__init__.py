"""The objects that a cluster has after its first start, as data.

Namespaces, priority classes, RBAC roles and bindings and the API priority and fairness
configuration are Kubernetes 1.36's own; `pinnace` holds the few that are ours. Whoever starts
the control plane creates what is missing; nothing here talks to the store, and objects that
depend on the cluster's addresses (the `kubernetes` Service and its endpoints) are not here.
"""

from typing import Any

from controlplane.auth.bootstrap.flowcontrol import flow_schemas, priority_levels
from controlplane.auth.bootstrap.pinnace import pinnace_objects
from controlplane.auth.bootstrap.rbac_objects import rbac_objects
from controlplane.auth.bootstrap.system import namespaces, priority_classes

__all__ = ["bootstrap_objects", "pinnace_objects"]


def bootstrap_objects() -> list[dict[str, Any]]:
    """Kubernetes' own objects of a first start, namespaces first.

    They are as stored but for uid, resourceVersion and creationTimestamp. admin, edit and view
    carry the rules that aggregation gives them, so that they work before its controller has run.
    """
    return [
        *namespaces(),
        *priority_classes(),
        *rbac_objects(),
        *priority_levels(),
        *flow_schemas(),
    ]
