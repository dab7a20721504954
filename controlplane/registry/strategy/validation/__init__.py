"""Every fault of an object, as Kubernetes names them: field path, type of fault and text.

`validate` judges an object by itself, `validate_update` also against what it replaces. Kinds
are in tables; what the schema calls required is checked for every kind.
Source: Kubernetes `pkg/apis/*/validation`.
"""

from collections.abc import Callable
from typing import Any

from kubeapi.errors import Cause

Validate = Callable[[Any], list[Cause]]
ValidateUpdate = Callable[[Any, Any], list[Cause]]

_CREATE: dict[type, Validate] = {}
_UPDATE: dict[type, ValidateUpdate] = {}


def validate(obj: Any) -> list[Cause]:
    """The faults of an object that is to be created."""
    check = _CREATE.get(type(obj))
    return check(obj) if check is not None else []


def validate_update(obj: Any, old: Any) -> list[Cause]:
    """The faults of an object that is to replace `old`."""
    check = _UPDATE.get(type(obj))
    return validate(obj) + (check(obj, old) if check is not None else [])
