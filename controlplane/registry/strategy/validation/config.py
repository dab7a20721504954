"""ConfigMaps, Secrets, Namespaces, Nodes and what limits and describes them."""

import base64
import json
from typing import Any, Final

from controlplane.registry.strategy.validation import scheduling, values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.types import coordination_v1, core_v1, node_v1, scheduling_v1

SIZE_MAX_BYTES: Final = 1024 * 1024


def _config_map(config: core_v1.ConfigMap, faults: Faults, path: str) -> None:
    data, binary = config.data or {}, config.binaryData or {}
    size_bytes = 0
    for key, value in data.items():
        faults.each_invalid(f"data[{key}]", key, names.config_key_problems(key))
        if key in binary:
            faults.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size_bytes += len(value) if value.isascii() else len(value.encode())
    for key, value in binary.items():
        faults.each_invalid(f"binaryData[{key}]", key, names.config_key_problems(key))
        size_bytes += decoded_size_bytes(value)
    if size_bytes > SIZE_MAX_BYTES:
        faults.too_long("", SIZE_MAX_BYTES)


def decoded_size_bytes(text: str) -> int:
    """How many bytes base64 text stands for."""
    return len(text) // 4 * 3 - text[-2:].count("=") if text else 0


# Data that a type of Secret must have (core/types.go, SecretType).
_SECRET_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"


def _secret(secret: core_v1.Secret, faults: Faults, path: str) -> None:
    data = secret.data or {}
    size_bytes = 0
    for key, value in data.items():
        faults.each_invalid(f"data[{key}]", key, names.config_key_problems(key))
        size_bytes += decoded_size_bytes(value)
    if size_bytes > SIZE_MAX_BYTES:
        faults.too_long("data", SIZE_MAX_BYTES)
    _secret_type(secret, data, faults)


def _secret_type(secret: core_v1.Secret, data: dict[str, str], faults: Faults) -> None:
    kind = secret.type or ""
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            faults.required(f"data[{key}]")
    if kind == "kubernetes.io/service-account-token":
        annotations = (secret.metadata.annotations if secret.metadata else None) or {}
        if not annotations.get(_ACCOUNT_NAME):
            faults.required(f"metadata.annotations[{_ACCOUNT_NAME}]")
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            faults.required("data[username]")
            faults.required("data[password]")
    elif kind == "kubernetes.io/dockercfg":
        _json_data(data, ".dockercfg", faults)
    elif kind == "kubernetes.io/dockerconfigjson":
        _json_data(data, ".dockerconfigjson", faults)


def _json_data(data: dict[str, str], key: str, faults: Faults) -> None:
    if key not in data:
        faults.required(f"data[{key}]")
        return
    try:
        if not isinstance(json.loads(base64.b64decode(data[key])), dict):
            raise ValueError("not an object")
    except ValueError as error:
        faults.invalid(f"data[{key}]", "<secret contents redacted>", str(error))


def _namespace_spec(spec: core_v1.NamespaceSpec, faults: Faults, path: str) -> None:
    for finalizer in spec.finalizers or ():
        problems = names.qualified_name_problems(finalizer)
        faults.each_invalid(f"{path}.finalizers", finalizer, problems)
        if not problems and "/" not in finalizer and finalizer != "kubernetes":
            text = "name is neither a standard finalizer name nor is it fully qualified"
            faults.invalid(f"{path}.finalizers", finalizer, text)


def _node_spec(spec: core_v1.NodeSpec, faults: Faults, path: str) -> None:
    scheduling.check_taints(spec.taints, faults, "metadata.taints")
    cidrs = spec.podCIDRs or ([spec.podCIDR] if spec.podCIDR else [])
    bad = False
    for index, cidr in enumerate(cidrs):
        problems = values.cidr_problems(cidr)
        bad = bad or bool(problems)
        faults.each_invalid(f"{path}.podCIDRs[{index}]", cidr, problems)
    if not bad and len({":" in cidr for cidr in cidrs}) < len(cidrs):
        text = "may specify no more than one CIDR for each IP family"
        faults.invalid(f"{path}.podCIDRs", cidrs, text)


def _priority_class(item: scheduling_v1.PriorityClass, faults: Faults, path: str) -> None:
    name = (item.metadata.name if item.metadata else None) or ""
    value = item.value or 0
    if name.startswith("system-") and name not in _SYSTEM_CLASSES:
        text = (
            "priority class names with 'system-' prefix are reserved for system use only. error: "
        )
        text += f"{name} is not a known system priority class"
        faults.forbidden("metadata.name", text)
    elif name in _SYSTEM_CLASSES:
        if value != _SYSTEM_CLASSES[name]:
            text = (
                "priority class names with 'system-' prefix are reserved for system use only. "
                f"error: value of {name} PriorityClass must be {_SYSTEM_CLASSES[name]}"
            )
            faults.forbidden("metadata.name", text)
    elif value > _PRIORITY_MAX:
        text = f"maximum allowed value of a user defined priority is {_PRIORITY_MAX}"
        faults.forbidden("value", text)


_PRIORITY_MAX: Final = 1_000_000_000
_SYSTEM_CLASSES: Final = {
    "system-node-critical": 2_000_001_000,
    "system-cluster-critical": 2_000_000_000,
}


def _lease(spec: coordination_v1.LeaseSpec, faults: Faults, path: str) -> None:
    if spec.preferredHolder and not spec.strategy:
        text = "may only be specified if `strategy` is defined"
        faults.forbidden(f"{path}.preferredHolder", text)


RULES: Table = {
    coordination_v1.LeaseSpec: Rules(
        each={
            "leaseDurationSeconds": values.positive,
            "leaseTransitions": values.not_negative,
        },
        whole=_lease,
    ),
    core_v1.ConfigMap: Rules(whole=_config_map),
    core_v1.NamespaceSpec: Rules(whole=_namespace_spec),
    core_v1.NodeSpec: Rules(whole=_node_spec),
    core_v1.Secret: Rules(whole=_secret),
    node_v1.RuntimeClass: Rules(required=("handler",), each={"handler": values.label}),
    node_v1.Scheduling: Rules(each={"nodeSelector": values.labels}),
    scheduling_v1.PriorityClass: Rules(
        each={"preemptionPolicy": values.one_of("PreemptLowerPriority", "Never")},
        whole=_priority_class,
    ),
}

# Updates


def update_frozen_data(new: Any, old: Any, faults: Faults) -> None:
    """ConfigMaps and Secrets whose user said that they stay as they are (KEP-1412)."""
    if isinstance(new, core_v1.Secret) and new.type != old.type:
        faults.immutable("type", new.type)
    if not old.immutable:
        return
    text = "field is immutable when `immutable` is set"
    for name in ("immutable", "data", "binaryData"):
        changed = (getattr(new, name, None) or None) != (getattr(old, name, None) or None)
        if changed:
            faults.forbidden(name, text)


def update_node(new: core_v1.Node, old: core_v1.Node, faults: Faults) -> None:
    spec, was = new.spec or core_v1.NodeSpec(), old.spec or core_v1.NodeSpec()
    if was.podCIDRs and spec.podCIDRs != was.podCIDRs:
        text = 'node updates may not change podCIDR except from "" to valid'
        faults.forbidden("spec.podCIDRs", text)
    if was.providerID and spec.providerID != was.providerID:
        text = 'node updates may not change providerID except from "" to valid'
        faults.forbidden("spec.providerID", text)
