"""What a URL asks for: Kubernetes' RequestInfo (apiserver `endpoints/request/requestinfo.go`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kubeapi.resources import BY_PATH, ResourceInfo

_VERBS: Final[Mapping[str, str]] = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
# A second path segment that is a subresource of a namespace rather than a resource in it.
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """A resource URL taken apart. `info` is None for a resource that is not served."""

    group: str
    version: str
    resource: str
    info: ResourceInfo | None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource: the path that `proxy` hands on."""


def target_of(path: str) -> Target | None:
    """The resource that `path` (decoded) names; None where it is no resource URL."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    if parts[0] == "watch" and len(parts) > 1:  # the old way to say ?watch=true
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) >= 2:
        namespace = parts[1]
        if len(parts) >= 3 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource, *rest = [*parts, "", "", ""][: max(4, len(parts) + 1)]
    info = BY_PATH.get((group, version, resource))
    if resource == "namespaces":
        namespace = name
    return Target(
        group, version, resource, info, namespace, name, subresource, "/".join(rest).rstrip("/")
    )


def verb_of(method: str, target: Target, watch: bool) -> str:
    """The API verb of a request; "" where the method is none that the API knows."""
    verb = _VERBS.get(method, "")
    if target.name:
        return "watch" if watch and verb == "get" and not target.subresource else verb
    if verb == "get":
        return "watch" if watch else "list"
    return "deletecollection" if verb == "delete" else verb


def is_watch_path(path: str) -> bool:
    """`/api/v1/watch/...` and `/apis/<group>/<version>/watch/...`, deprecated but served."""
    parts = path.split("/")
    return parts[3:4] == ["watch"] if parts[1:2] == ["api"] else parts[4:5] == ["watch"]
