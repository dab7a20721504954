"""What a caller asks for besides the object: who, which, and with what options."""

from dataclasses import dataclass, field

from controlplane.auth.user import User
from kubeapi.resources import ResourceInfo


@dataclass(slots=True)
class Call:
    """One request to the API, as every door hands it in."""

    user: User
    verb: str  # get, list, watch, create, update, patch, delete, deletecollection
    info: ResourceInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """`resource_version` as the client gave it: "" (the latest), "0" (any), or a number."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    allow_bookmarks: bool = False
    timeout_s: int = 0


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """meta/v1 DeleteOptions: preconditions, grace and what becomes of dependents."""

    uid: str = ""
    resource_version: str = ""
    grace_period_s: int | None = None
    propagation_policy: str = ""  # Foreground, Background, Orphan; "": the kind's own
    dry_run: bool = False
