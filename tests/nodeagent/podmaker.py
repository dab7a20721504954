"""Pods and runtime records for the tests of this room, each with only what a test is about."""

from typing import Any

import msgspec

from kubeapi.types import core_v1
from nodeagent.pods.identity import container_hash
from nodeagent.pods.runtime_state import (
    ContainerRecord,
    ContainerState,
    PodRuntime,
    SandboxRecord,
)
from nodeagent.pods.spec import find_container

IMAGE = "registry.test/busybox:1"


def container(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent"} | fields


def make_pod(
    *containers: dict[str, Any],
    init: tuple[dict[str, Any], ...] = (),
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> core_v1.Pod:
    body = {
        "metadata": {"name": "p", "namespace": "default", "uid": "uid-p", "generation": 1}
        | (meta or {}),
        "spec": {"containers": list(containers) or [container()], "nodeName": "node"} | spec,
        "status": status or {},
    }
    if init:
        body["spec"]["initContainers"] = list(init)
    return msgspec.convert(body, core_v1.Pod)


def record(
    pod: core_v1.Pod, name: str = "a", state: str = "running", **fields: Any
) -> ContainerRecord:
    spec = find_container(pod, name)
    known: dict[str, Any] = {"hash": container_hash(spec) if spec else "", "sandbox_id": "s0"}
    identity = f"{name}-{fields.get('restart_count', 0)}"
    return ContainerRecord(id=identity, name=name, state=ContainerState(state), **(known | fields))


def runtime(*containers: ContainerRecord, sandbox: SandboxRecord | None = None) -> PodRuntime:
    ready = SandboxRecord("s0", ips=("10.244.0.5",))
    return PodRuntime((sandbox or ready,), containers)
