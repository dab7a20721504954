"""Indices of informers that several controllers share: the name of each, and its function."""

from collections.abc import Iterable
from typing import Any

from controlplane.controllers.ownership import controller_uid
from controlplane.controllers.pods import meta_of, spec_of
from kubeapi.types import core_v1

BY_NAMESPACE = "namespace"
BY_CONTROLLER = "controller uid, or orphans of a namespace"
BY_NODE = "node name"


def by_namespace(obj: Any) -> Iterable[str]:
    return (meta_of(obj).namespace or "",)


def by_controller(obj: Any) -> Iterable[str]:
    """The uid of the controller, or what `orphans` gives for its namespace."""
    return (controller_uid(obj) or orphans(meta_of(obj).namespace or ""),)


def orphans(namespace: str) -> str:
    """The value under which `by_controller` has the objects that nobody controls."""
    return f"orphan/{namespace}"


def by_node(pod: core_v1.Pod) -> Iterable[str]:
    """The node that the pod is bound to."""
    name = spec_of(pod).nodeName
    return (name,) if name else ()
