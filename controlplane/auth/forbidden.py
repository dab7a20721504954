"""How a refusal reads. The texts are Kubernetes' (endpoints/handlers/responsewriters)."""

from controlplane.auth.user import User
from kubeapi.errors import StatusError, forbidden


def forbidden_message(
    user: User,
    verb: str,
    group: str,
    resource: str,
    subresource: str = "",
    name: str = "",
    namespace: str = "",
    reason: str = "",
) -> str:
    """`pods "x" is forbidden: User "u" cannot get resource "pods" in API group "" ...`."""
    return forbidden_error(
        user, verb, group, resource, subresource, name, namespace, reason
    ).message


def forbidden_error(
    user: User,
    verb: str,
    group: str,
    resource: str,
    subresource: str = "",
    name: str = "",
    namespace: str = "",
    reason: str = "",
) -> StatusError:
    """The 403 for a resource; `reason` is that of the Decision."""
    what = f"{resource}/{subresource}" if subresource else resource
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{what}" in API group "{group}" {where}'
    return forbidden(resource, name, f"{why}: {reason}" if reason else why, group)


def forbidden_path_error(user: User, verb: str, path: str, reason: str = "") -> StatusError:
    """The 403 for a path that is no resource."""
    message = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
    return StatusError(403, "Forbidden", f"{message}: {reason}" if reason else message)
