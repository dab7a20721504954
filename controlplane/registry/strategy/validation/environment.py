"""Variables of containers, and the fields of pods that they and volumes may show."""

import re
from typing import Any, Final

from controlplane.registry.strategy.validation import values
from controlplane.registry.strategy.validation.faults import Faults
from controlplane.registry.strategy.validation.rules import Rules, Table
from kubeapi import names
from kubeapi.quantity import parse
from kubeapi.types import core_v1

_ENV_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS: Final = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
    "metadata.uid",
)  # fmt: skip
_KNOWN_FIELDS: Final = frozenset(_ENV_FIELDS + VOLUME_FIELDS) | {
    "spec.restartPolicy", "spec.schedulerName", "spec.hostNetwork", "status.phase",
    "status.nominatedNodeName",
}  # fmt: skip
_SUBSCRIPT = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]", re.DOTALL)
_RESOURCES: Final = tuple(
    f"{side}.{name}"
    for side in ("limits", "requests")
    for name in ("cpu", "ephemeral-storage", "memory")
)
_HUGEPAGES = ("limits.hugepages-", "requests.hugepages-")
_SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def check_field(
    ref: core_v1.ObjectFieldSelector, supported: tuple[str, ...], faults: Faults, path: str
) -> None:
    """A field of the pod, perhaps with a subscript."""
    text = ref.fieldPath or ""
    if not text:
        faults.required(f"{path}.fieldPath")
        return
    found = _SUBSCRIPT.fullmatch(text)
    if found is not None:
        key = found[2].lower() if found[1].endswith("annotations") else found[2]
        faults.each_invalid(path, key, names.qualified_name_problems(key))
    elif text not in supported:
        if text in _KNOWN_FIELDS:
            faults.unsupported(f"{path}.fieldPath", text, sorted(supported))
        else:
            reason = f"error converting fieldPath: field label not supported: {text}"
            faults.invalid(f"{path}.fieldPath", text, reason)


def check_resource(
    ref: core_v1.ResourceFieldSelector, in_volume: bool, faults: Faults, path: str
) -> None:
    """A request or limit of a container."""
    name = ref.resource or ""
    if in_volume and not ref.containerName:
        faults.required(f"{path}.containerName")
    elif not name:
        faults.required(f"{path}.resource")
    elif name not in _RESOURCES and not name.startswith(_HUGEPAGES):
        faults.unsupported(f"{path}.resource", name, _RESOURCES)
    elif ref.divisor and parse(ref.divisor).nanos:
        kind = name.partition(".")[2]
        allowed = ("1m", "1") if kind == "cpu" else _SIZES
        if ref.divisor not in allowed:
            listed = " and ".join(allowed) if kind == "cpu" else ", ".join(allowed)
            text = f"only divisor's values {listed} are supported with the {kind} resource"
            faults.invalid(f"{path}.divisor", name, text)


def _key_ref(ref: Any, faults: Faults, path: str) -> None:
    faults.each_invalid(
        f"{path}.name", ref.name or "", names.dns_subdomain_problems(ref.name or "")
    )
    if not ref.key:
        faults.required(f"{path}.key")
    else:
        faults.each_invalid(f"{path}.key", ref.key, names.config_key_problems(ref.key))


def _value_from(variable: core_v1.EnvVar, faults: Faults, path: str) -> None:
    source = variable.valueFrom
    if source is None:
        return
    where = f"{path}.valueFrom"
    found = [name for name in _SOURCES if getattr(source, name) is not None]
    if not found:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"  # noqa: E501
        faults.invalid(where, "", text)
    elif variable.value:
        faults.invalid(where, "", "may not be specified when `value` is not empty")
    elif len(found) > 1:
        faults.invalid(where, "", "may not have more than one field specified at a time")
    if source.fieldRef is not None:
        check_field(source.fieldRef, _ENV_FIELDS, faults, f"{where}.fieldRef")
    if source.resourceFieldRef is not None:
        check_resource(source.resourceFieldRef, False, faults, f"{where}.resourceFieldRef")


def _env_from(source: core_v1.EnvFromSource, faults: Faults, path: str) -> None:
    found = [r for r in (source.configMapRef, source.secretRef) if r is not None]
    outer = path.rpartition("[")[0]
    if not found:
        faults.invalid(outer, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(found) > 1:
        faults.invalid(outer, "", "may not have more than one field specified at a time")


_NAMED = Rules(required=("name",), each={"name": values.subdomain})

RULES: Table = {
    core_v1.ConfigMapEnvSource: _NAMED,
    core_v1.SecretEnvSource: _NAMED,
    core_v1.ConfigMapKeySelector: Rules(whole=_key_ref),
    core_v1.SecretKeySelector: Rules(whole=_key_ref),
    core_v1.EnvFromSource: Rules(
        each={"prefix": values.named(names.env_name_problems)}, whole=_env_from
    ),
    core_v1.EnvVar: Rules(
        required=("name",),
        each={"name": values.named(names.env_name_problems)},
        whole=_value_from,
    ),
}
