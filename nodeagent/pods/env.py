"""A container's environment: services, envFrom and env, resolved and expanded.

Pure: what the values refer to is handed in as `References`. What is missing is a ConfigError,
which the container's status shows as CreateContainerConfigError. Source: the kubelet's
`makeEnvironmentVariables`.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubeapi.types import core_v1
from nodeagent.pods.expansion import expand
from nodeagent.pods.fields import FieldError, NodeFacts, field_value, resource_value
from nodeagent.pods.spec import Container, metadata, spec_of

# Any printable ASCII but '=' (KEP-4369, relaxed environment variable names).
_NAME = re.compile(r"[ -<>-~]+")


class ConfigError(Exception):
    """What the container's configuration refers to is not there, or makes no sense."""


@dataclass(frozen=True)
class References:
    """What env may refer to. Objects of the pod's namespace, by name; absent ones are absent."""

    config_maps: Mapping[str, core_v1.ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, core_v1.Secret] = field(default_factory=dict)
    services: Iterable[core_v1.Service] = ()
    node: NodeFacts = field(default_factory=NodeFacts)
    pod_ips: tuple[str, ...] = ()


def build_env(pod: core_v1.Pod, container: Container, given: References) -> dict[str, str]:
    """Every variable of the container, in the order in which they were set."""
    found: dict[str, str] = {}
    for source in container.envFrom or ():
        found.update(_from_source(pod, source, given))
    services = service_env(pod, given.services)
    known = dict(services)
    known.update(found)
    for variable in container.env or ():
        value = _value(pod, container, variable, given, known)
        if value is None:
            continue
        found[variable.name or ""] = known[variable.name or ""] = value
    # What the user sets comes before what services give the same name.
    return services | found


def _value(
    pod: core_v1.Pod,
    container: Container,
    variable: core_v1.EnvVar,
    given: References,
    known: Mapping[str, str],
) -> str | None:
    """The variable's value; None where an optional key is not there."""
    source = variable.valueFrom
    if source is None:
        return expand(variable.value or "", known)
    try:
        if source.fieldRef is not None:
            path = source.fieldRef.fieldPath or ""
            return field_value(pod, path, given.node, given.pod_ips)
        if source.resourceFieldRef is not None:
            return resource_value(pod, source.resourceFieldRef, given.node, container)
    except FieldError as error:
        raise ConfigError(str(error)) from None
    if source.configMapKeyRef is not None:
        return _config_map_key(pod, source.configMapKeyRef, given)
    if source.secretKeyRef is not None:
        return _secret_key(pod, source.secretKeyRef, given)
    raise ConfigError(f"env {variable.name}: this kind of valueFrom is not supported (fileKeyRef)")


def _config_map_key(
    pod: core_v1.Pod, ref: core_v1.ConfigMapKeySelector, given: References
) -> str | None:
    found = given.config_maps.get(ref.name or "")
    if found is None:
        return _absent(ref.optional, f'configmap "{ref.name}" not found')
    value = (found.data or {}).get(ref.key or "")
    if value is None:
        where = f"{metadata(pod).namespace}/{ref.name}"
        return _absent(ref.optional, f"couldn't find key {ref.key} in ConfigMap {where}")
    return value


def _secret_key(pod: core_v1.Pod, ref: core_v1.SecretKeySelector, given: References) -> str | None:
    found = given.secrets.get(ref.name or "")
    if found is None:
        return _absent(ref.optional, f'secret "{ref.name}" not found')
    value = (found.data or {}).get(ref.key or "")
    if value is None:
        where = f"{metadata(pod).namespace}/{ref.name}"
        return _absent(ref.optional, f"couldn't find key {ref.key} in Secret {where}")
    return _text(value)


def _absent(optional: bool | None, message: str) -> str | None:
    if not optional:
        raise ConfigError(message)
    return None


def _text(encoded: str) -> str:
    """Any bytes can be a variable's value; those that are not UTF-8 travel as surrogates."""
    return base64.b64decode(encoded).decode(errors="surrogateescape")


def _from_source(
    pod: core_v1.Pod, source: core_v1.EnvFromSource, given: References
) -> dict[str, str]:
    values: dict[str, str] = {}
    if source.configMapRef is not None:
        config_map = given.config_maps.get(source.configMapRef.name or "")
        if config_map is None:
            name = source.configMapRef.name
            _absent(source.configMapRef.optional, f'configmap "{name}" not found')
        else:
            values = dict(config_map.data or {})
    elif source.secretRef is not None:
        secret = given.secrets.get(source.secretRef.name or "")
        if secret is None:
            _absent(source.secretRef.optional, f'secret "{source.secretRef.name}" not found')
        else:
            values = {key: _text(value) for key, value in (secret.data or {}).items()}
    prefix = source.prefix or ""
    return {
        prefix + key: value
        for key, value in sorted(values.items())
        if _NAME.fullmatch(prefix + key)
    }


def service_env(pod: core_v1.Pod, services: Iterable[core_v1.Service]) -> dict[str, str]:
    """Docker-link variables of the namespace's services; of default/kubernetes always."""
    namespace = metadata(pod).namespace
    links = spec_of(pod).enableServiceLinks is not False
    chosen: dict[str, core_v1.Service] = {}
    for service in services:
        meta = service.metadata
        if meta is None or not _has_cluster_ip(service):
            continue
        if meta.namespace == namespace and links:
            chosen[meta.name or ""] = service
        elif meta.namespace == "default" and meta.name == "kubernetes":
            chosen.setdefault("kubernetes", service)
    found: dict[str, str] = {}
    for name in sorted(chosen):
        found.update(_of_service(chosen[name]))
    return found


def _has_cluster_ip(service: core_v1.Service) -> bool:
    address = service.spec.clusterIP if service.spec else None
    return bool(address) and address != "None"


def _of_service(service: core_v1.Service) -> dict[str, str]:
    spec = service.spec or core_v1.ServiceSpec()
    ports = spec.ports or []
    name = _variable_name((service.metadata.name if service.metadata else None) or "")
    address = spec.clusterIP or ""
    found = {f"{name}_SERVICE_HOST": address}
    if not ports:
        return found
    found[f"{name}_SERVICE_PORT"] = str(ports[0].port)
    for port in ports:
        if port.name:
            found[f"{name}_SERVICE_PORT_{_variable_name(port.name)}"] = str(port.port)
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{host}:{port.port}"
        if index == 0:
            found[f"{name}_PORT"] = url
        prefix = f"{name}_PORT_{port.port}_{protocol.upper()}"
        found[prefix] = url
        found[f"{prefix}_PROTO"] = protocol.lower()
        found[f"{prefix}_PORT"] = str(port.port)
        found[f"{prefix}_ADDR"] = address
    return found


def _variable_name(text: str) -> str:
    return text.upper().replace("-", "_")


def expand_all(texts: Iterable[str] | None, env: Mapping[str, str]) -> list[str]:
    """`command` or `args` with $(VAR) replaced; these are UTF-8 text on the CRI's wire."""
    expanded = [expand(text, env) for text in texts or ()]
    return [text.encode(errors="surrogateescape").decode(errors="replace") for text in expanded]
