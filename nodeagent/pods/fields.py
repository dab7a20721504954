"""The downward API: what a pod may learn of itself, by fieldRef and resourceFieldRef.

Source: Kubernetes' "Downward API", pkg/fieldpath and pkg/api/v1/resource.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kubeapi.quantity import NANO_PER_UNIT, parse
from kubeapi.types import core_v1
from nodeagent.pods.spec import Container, find_container, metadata, spec_of

_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")


class FieldError(ValueError):
    """A path or resource that the downward API does not have."""


@dataclass(frozen=True)
class NodeFacts:
    """What the downward API tells of the node."""

    name: str = ""
    host_ips: tuple[str, ...] = ()
    allocatable: dict[str, str] | None = None


Getter = Callable[[core_v1.Pod, NodeFacts, tuple[str, ...]], str]

_FIELDS: dict[str, Getter] = {
    "metadata.name": lambda pod, node, ips: metadata(pod).name or "",
    "metadata.namespace": lambda pod, node, ips: metadata(pod).namespace or "",
    "metadata.uid": lambda pod, node, ips: metadata(pod).uid or "",
    "metadata.labels": lambda pod, node, ips: _lines(metadata(pod).labels),
    "metadata.annotations": lambda pod, node, ips: _lines(metadata(pod).annotations),
    "spec.nodeName": lambda pod, node, ips: spec_of(pod).nodeName or node.name,
    "spec.serviceAccountName": lambda pod, node, ips: spec_of(pod).serviceAccountName or "",
    "status.hostIP": lambda pod, node, ips: node.host_ips[0] if node.host_ips else "",
    "status.hostIPs": lambda pod, node, ips: ",".join(node.host_ips),
    "status.podIP": lambda pod, node, ips: ips[0] if ips else "",
    "status.podIPs": lambda pod, node, ips: ",".join(ips),
}


def field_value(pod: core_v1.Pod, path: str, node: NodeFacts, pod_ips: tuple[str, ...] = ()) -> str:
    """The value of `path`. Raises FieldError for a path that the downward API does not have."""
    match = _SUBSCRIPT.fullmatch(path)
    if match is not None:
        meta = metadata(pod)
        of = meta.labels if match.group(1) == "metadata.labels" else meta.annotations
        return (of or {}).get(match.group(2), "")
    getter = _FIELDS.get(path)
    if getter is None:
        raise FieldError(f"unsupported fieldPath: {path}")
    return getter(pod, node, pod_ips)


def resource_value(
    pod: core_v1.Pod,
    selector: core_v1.ResourceFieldSelector,
    node: NodeFacts,
    container: Container | None = None,
) -> str:
    """A limit or request in units of the divisor, rounded up; a limit that is not set is what
    the node has."""
    if selector.containerName:
        container = find_container(pod, selector.containerName)
        if container is None:
            raise FieldError(f"container {selector.containerName} not found")
    if container is None:
        raise FieldError("containerName is required")
    kind, _, resource = (selector.resource or "").partition(".")
    if kind not in ("limits", "requests") or not _known(resource):
        raise FieldError(f"Unsupported container resource : {selector.resource}")
    amount = parse(_amount(container, kind, resource, node)).nanos
    divisor = parse(selector.divisor or "1").nanos or NANO_PER_UNIT
    return str(-(-amount // divisor))


def _known(resource: str) -> bool:
    return resource in ("cpu", "memory", "ephemeral-storage") or resource.startswith("hugepages-")


def _amount(container: Container, kind: str, resource: str, node: NodeFacts) -> str:
    resources = container.resources or core_v1.ResourceRequirements()
    limit = (resources.limits or {}).get(resource)
    if kind == "requests":
        return (resources.requests or {}).get(resource) or limit or "0"
    return limit or (node.allocatable or {}).get(resource) or "0"


def _lines(of: dict[str, str] | None) -> str:
    """`key="value"` per line, sorted, values quoted as Go's %q does."""
    return "\n".join(f"{key}={_quoted(text)}" for key, text in sorted((of or {}).items()))


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"} | {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}


def _quoted(text: str) -> str:
    escaped = "".join(_ESCAPES.get(c) or (c if c.isprintable() else _unprintable(c)) for c in text)
    return f'"{escaped}"'


def _unprintable(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
