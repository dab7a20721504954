"""Short ways to pods, nodes and snapshots for tables of scheduling cases."""

import itertools
from typing import Any

import msgspec

from controlplane.scheduler.podinfo import PodInfo, pod_info
from controlplane.scheduler.snapshot import Snapshot
from kubeapi import codec
from kubeapi.types import core_v1

_numbers = itertools.count(1)


def make_pod(name: str = "", **spec: Any) -> PodInfo:
    """`labels`, `namespace`, `requests` and `deleting` are taken out of `spec`."""
    name = name or f"pod-{next(_numbers)}"
    container: dict[str, Any] = {"name": "c", "image": "i"}
    if requests := spec.pop("requests", None):
        container["resources"] = {"requests": requests}
    if ports := spec.pop("ports", None):
        container["ports"] = ports
    meta: dict[str, Any] = {"name": name, "namespace": spec.pop("namespace", "default")}
    meta |= {"uid": f"uid-{meta['namespace']}-{name}", "labels": spec.pop("labels", {})}
    if spec.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    body = {"metadata": meta, "spec": {"containers": [container]} | spec}
    return pod_info(to_object(body, core_v1.Pod))


def make_node(name: str, **given: Any) -> core_v1.Node:
    """`labels`, `taints`, `unschedulable` and any resource, such as `cpu`."""
    labels = {"kubernetes.io/hostname": name} | given.pop("labels", {})
    spec = {key: given.pop(key) for key in ("taints", "unschedulable") if key in given}
    allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"} | given
    body = {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": allocatable},
    }
    return to_object(body, core_v1.Node)


def to_object(body: dict[str, Any], kind: type[Any]) -> Any:
    return codec.decode(msgspec.json.encode(body), kind)


def make_snapshot(
    *nodes: core_v1.Node, placed: dict[str, list[PodInfo]] | None = None, **parts: Any
) -> Snapshot:
    """`placed`: pods by the name of their node."""
    snapshot = Snapshot(**parts)
    for node in nodes:
        snapshot.set_node(node)
    for name, pods in (placed or {}).items():
        for pod in pods:
            snapshot.set_pod(pod, name)
    return snapshot
