"""A list of faults with one method per type of fault (apimachinery `validation/field`)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kubeapi.errors import Cause


class Faults(list[Cause]):
    """Collects every fault of one object; a path is such as `spec.containers[0].name`."""

    def _add(self, reason: str, path: str, message: str) -> None:
        self.append(Cause(reason, message, path))

    def required(self, path: str, detail: str = "") -> None:
        self._add("FieldValueRequired", path, _with_detail("Required value", detail))

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self._add("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")

    def bare_invalid(self, path: str, detail: str) -> None:
        """Where Kubernetes does not show the value."""
        self._add("FieldValueInvalid", path, f"Invalid value: {detail}")

    def unsupported(self, path: str, value: Any, supported: Sequence[str]) -> None:
        """The values that there are come in the order in which Kubernetes lists them."""
        names = ", ".join(f'"{name}"' for name in supported)
        message = f"Unsupported value: {shown(value)}: supported values: {names}"
        self._add("FieldValueNotSupported", path, message)

    def duplicate(self, path: str, value: Any, detail: str = "") -> None:
        message = _with_detail(f"Duplicate value: {shown(value)}", detail)
        self._add("FieldValueDuplicate", path, message)

    def forbidden(self, path: str, detail: str) -> None:
        self._add("FieldValueForbidden", path, f"Forbidden: {detail}")

    def not_found(self, path: str, value: Any, detail: str = "") -> None:
        self._add("FieldValueNotFound", path, _with_detail(f"Not found: {shown(value)}", detail))

    def too_long(self, path: str, limit_bytes: int) -> None:
        self._add("FieldValueTooLong", path, f"Too long: may not be more than {limit_bytes} bytes")

    def too_many(self, path: str, count: int, limit: int) -> None:
        self._add("FieldValueTooMany", path, f"Too many: {count}: must have at most {limit} items")

    def each_invalid(self, path: str, value: Any, details: Iterable[str]) -> None:
        """One fault for each thing that is wrong with the same value."""
        for detail in details:
            self.invalid(path, value, detail)

    def immutable(self, path: str, value: Any, detail: str = "field is immutable") -> None:
        self.invalid(path, value, detail)


def join(path: str, name: str) -> str:
    """The path of a field of the structure at `path`; the object itself is at ""."""
    return f"{path}.{name}" if path else name


def shown(value: Any) -> str:
    """A value as the message has it: JSON, null where it is absent."""
    return msgspec.json.encode(value).decode()


def _with_detail(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text
