"""What a kind adds to the generic verbs: defaults, what clients may not set, validation.

`defaults` fills what the user left out, `prepare` takes away what is not the user's to give,
`validation` finds every fault. Objects handed to the first two are fresh and changed in place.
"""

from typing import Any

from msgspec.structs import force_setattr

from controlplane.auth.user import ANONYMOUS, User
from controlplane.registry.strategy.defaults import apply_defaults
from controlplane.registry.strategy.prepare import (
    KEEPS_STATUS,
    before_create,
    before_delete,
    before_update,
)
from controlplane.registry.strategy.validation import validate, validate_update
from kubeapi.resources import ResourceInfo

__all__ = ["prepare_create", "prepare_delete", "prepare_update", "validate", "validate_update"]


def prepare_create(
    obj: Any, info: ResourceInfo, user: User = ANONYMOUS, now: str | None = None
) -> None:
    """`user` asks for it at the time `now`; name, uid and namespace are known already."""
    if "status" in info.subresources and type(obj) not in KEEPS_STATUS:
        force_setattr(obj, "status", None)
    apply_defaults(obj)
    before_create(obj, user, now)


def prepare_update(obj: Any, old: Any) -> None:
    apply_defaults(obj)
    before_update(obj, old)


def prepare_delete(obj: Any) -> None:
    """`obj` is about to be marked as being deleted."""
    before_delete(obj)
