"""meta/v1 DeleteOptions as clients send them, in a body, in a query or inside an Eviction.

Source: apimachinery `meta/v1/validation` ValidateDeleteOptions.
"""

from typing import Any, Final

from controlplane.registry.options import DeleteOptions
from kubeapi import codec, errors
from kubeapi.types import meta_v1

_POLICIES: Final = ("", "Orphan", "Background", "Foreground")


def delete_options(body: bytes) -> DeleteOptions:
    """What a body asks for; an empty one asks for nothing. StatusError 400 or 422."""
    if not body:
        return DeleteOptions()
    given: Any = codec.decode(body, meta_v1.DeleteOptions)
    if given.kind not in (None, "", "DeleteOptions"):
        raise errors.bad_request(
            f"decoded object cannot be converted to DeleteOptions: it is a {given.kind}"
        )
    return checked(given)


def checked(given: meta_v1.DeleteOptions) -> DeleteOptions:
    """`given` as the registry takes it. StatusError 422 for what does not go together."""
    policy = given.propagationPolicy or ""
    if policy and given.orphanDependents is not None:
        raise _invalid(
            "propagationPolicy",
            f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both '
            "set",
            "FieldValueInvalid",
        )
    if given.orphanDependents is not None:
        policy = "Orphan" if given.orphanDependents else "Background"
    if policy not in _POLICIES:
        raise _invalid(
            "propagationPolicy",
            f'Unsupported value: "{policy}": supported values: "Foreground", "Background", '
            '"Orphan", "nil"',
            "FieldValueNotSupported",
        )
    if given.dryRun not in (None, [], ["All"]):
        shown = " ".join(f'"{value}"' for value in given.dryRun or ())
        raise _invalid(
            "dryRun",
            f'Unsupported value: [{shown}]: supported values: "All"',
            "FieldValueNotSupported",
        )
    preconditions = given.preconditions
    return DeleteOptions(
        uid=(preconditions.uid if preconditions else None) or "",
        resource_version=(preconditions.resourceVersion if preconditions else None) or "",
        grace_period_s=given.gracePeriodSeconds,
        propagation_policy=policy,
        dry_run=bool(given.dryRun),
    )


def _invalid(field: str, message: str, reason: str) -> errors.StatusError:
    cause = errors.Cause(reason, message, field)
    return errors.invalid("DeleteOptions", "", [cause], "meta.k8s.io")
