"""What the schema calls required, for every kind; the kinds' own checks come after it."""

from typing import Any

from controlplane.registry.strategy.validation.faults import Faults
from kubeapi.schema import FieldInfo, fields_of

# A check of the whole object names these itself (metadata has a check of its own; the rest are
# required by the schema, but may be empty in the API).
_ELSEWHERE = frozenset({"metadata", "kind", "apiVersion"})


def check_required(obj: Any, faults: Faults, path: str = "") -> None:
    """Note each required field that is absent, or an empty string or list."""
    for field in fields_of(type(obj)).values():
        if not path and field.name in _ELSEWHERE:
            continue
        value = getattr(obj, field.attribute)
        where = f"{path}.{field.name}" if path else field.name
        if field.required and value is None:
            faults.required(where)
        elif field.kind is not None and value is not None:
            _check_inside(value, field, faults, where)


def _check_inside(value: Any, field: FieldInfo, faults: Faults, where: str) -> None:
    if not field.containers:
        check_required(value, faults, where)
    elif field.containers == ("list",):
        for index, item in enumerate(value):
            check_required(item, faults, f"{where}[{index}]")
    elif field.containers == ("dict",):
        for key, item in value.items():
            check_required(item, faults, f"{where}[{key}]")
