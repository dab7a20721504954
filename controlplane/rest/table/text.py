"""How parts of objects read in a cell."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from controlplane.rest.table.duration import since
from kubeapi.types import core_v1, meta_v1

NONE: Final = "<none>"
UNSET: Final = "<unset>"

_EXPRESSIONS: Final = {
    "In": "{0} in ({1})",
    "NotIn": "{0} notin ({1})",
    "Exists": "{0}",
    "DoesNotExist": "!{0}",
}


def name_of(obj: Any) -> str:
    return (obj.metadata.name if obj.metadata else None) or ""


def age_of(obj: Any, now_s: float) -> str:
    return since(obj.metadata.creationTimestamp if obj.metadata else None, now_s)


def is_being_deleted(obj: Any) -> bool:
    return obj.metadata is not None and obj.metadata.deletionTimestamp is not None


def annotations_of(obj: Any) -> Mapping[str, str]:
    return (obj.metadata.annotations if obj.metadata else None) or {}


def text_or(value: Any, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def labels_text(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: meta_v1.LabelSelector | None) -> str:
    """A label selector as one would type it, in the order of its keys."""
    if selector is None:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in (selector.matchLabels or {}).items()]
    for expression in selector.matchExpressions or ():
        form = _EXPRESSIONS.get(expression.operator or "", "<error>")
        values = ",".join(sorted(expression.values or ()))
        parts.append((expression.key or "", form.format(expression.key, values)))
    parts.sort(key=lambda part: part[0])
    return ",".join(text for _, text in parts) or NONE


def container_texts(template: core_v1.PodTemplateSpec | None) -> tuple[str, str]:
    """Names and images of a template's containers."""
    spec = template.spec if template is not None else None
    containers = (spec.containers if spec is not None else None) or ()
    names = ",".join(container.name or "" for container in containers)
    return names, ",".join(container.image or "" for container in containers)


def with_more(shown: Sequence[str], count: int, *, separator: str = ",", empty: str = "") -> str:
    """`shown`, and how many of `count` are not."""
    text = separator.join(shown)
    if count > len(shown):
        return f"{text} + {count - len(shown)} more..."
    return text or empty


def reference_text(kind: str, group: str | None, name: str) -> str:
    return f"{kind}.{group}/{name}" if group else f"{kind}/{name}"


def ingress_points(points: Iterable[Any] | None) -> str:
    """Addresses of a load balancer."""
    return ",".join(point.ip or point.hostname or "" for point in points or ())


def condition_status(conditions: Iterable[Any] | None, type_: str) -> str:
    """The status of a condition, "" where there is none."""
    for condition in conditions or ():
        if condition.type == type_:
            return condition.status or ""
    return ""
