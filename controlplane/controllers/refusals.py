"""Refusals of the API that a controller answers otherwise than by trying again."""

from kubeapi.errors import StatusError


def namespace_ends(error: Exception) -> bool:
    """Refused because the namespace is being deleted: trying again cannot help."""
    return isinstance(error, StatusError) and any(
        cause.reason == "NamespaceTerminating" for cause in error.causes
    )
