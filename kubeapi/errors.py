"""Failures as Kubernetes tells them: a `Status` object with code, reason, message and causes.

Source: k8s.io/apimachinery `api/errors` and the API conventions, "Response Status Kind".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """One wrong field: `reason` is a CauseType (FieldValueRequired, ...), `field` its path."""

    reason: str
    message: str
    field: str

    def text(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class StatusError(Exception):
    """An operation that the API refused, or could not do."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after_s: int = 0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.name = name
        self.group = group
        self.kind = kind
        self.uid = uid
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    def status(self) -> dict[str, Any]:
        """The `Status` object, ready for JSON."""
        details: dict[str, Any] = {
            key: value
            for key, value in (
                ("name", self.name),
                ("group", self.group),
                ("kind", self.kind),
                ("uid", self.uid),
            )
            if value
        }
        if self.causes:
            details["causes"] = [
                {"reason": c.reason, "message": c.message} | ({"field": c.field} if c.field else {})
                for c in self.causes
            ]
        if self.retry_after_s:
            details["retryAfterSeconds"] = self.retry_after_s
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if details:
            body["details"] = details
        body["code"] = self.code
        return body

    @classmethod
    def from_status(cls, status: dict[str, Any]) -> "StatusError":
        """The error that a `Status` body of a remote server stands for."""
        details = status.get("details") or {}
        return cls(
            int(status.get("code") or 500),
            str(status.get("reason") or ""),
            str(status.get("message") or ""),
            name=details.get("name", ""),
            group=details.get("group", ""),
            kind=details.get("kind", ""),
            uid=details.get("uid", ""),
            causes=[
                Cause(c.get("reason", ""), c.get("message", ""), c.get("field", ""))
                for c in details.get("causes") or ()
            ],
            retry_after_s=int(details.get("retryAfterSeconds") or 0),
        )


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, name: str, group: str = "") -> StatusError:
    message = f'{_qualified(resource, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, name=name, group=group, kind=resource)


def already_exists(resource: str, name: str, group: str = "") -> StatusError:
    message = f'{_qualified(resource, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, name=name, group=group, kind=resource)


def conflict(resource: str, name: str, why: str, group: str = "") -> StatusError:
    message = f'Operation cannot be fulfilled on {_qualified(resource, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, name=name, group=group, kind=resource)


def invalid(kind: str, name: str, causes: Sequence[Cause], group: str = "") -> StatusError:
    """422 with every cause; `kind` is the Kind, not the resource, as Kubernetes answers here."""
    texts = list(dict.fromkeys(cause.text() for cause in causes))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{_qualified(kind, group)} "{name}" is invalid: {joined}'
    return StatusError(422, "Invalid", message, name=name, group=group, kind=kind, causes=causes)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(resource: str, name: str, why: str, group: str = "") -> StatusError:
    quoted = f' "{name}"' if name else ""
    message = f"{_qualified(resource, group)}{quoted} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, name=name, group=group, kind=resource)


def expired(message: str) -> StatusError:
    """410: the resourceVersion or continue token is older than the history that is kept."""
    return StatusError(410, "Expired", message)


def internal(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}")


def unavailable(message: str, retry_after_s: int = 1) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message, retry_after_s=retry_after_s)
