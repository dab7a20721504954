"""The rules of metadata that hold for every kind, as pure functions over a caller's own object.

Sources: apiserver `registry/rest/{create,update,delete}.go` and the API conventions.
Objects handed in here were decoded for this request alone; they may be changed in place.
"""

import random
import uuid
from typing import Any, Final

from msgspec.structs import force_setattr

from controlplane.registry.options import DeleteOptions
from kubeapi import errors, names
from kubeapi.errors import Cause
from kubeapi.resources import ResourceInfo
from kubeapi.types import meta_v1

GENERATED_SUFFIX: Final = 5
GENERATED_BASE_MAX: Final = 63 - GENERATED_SUFFIX
# Without vowels and digits that look alike no words come out (apimachinery `util/rand`).
SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
FINALIZER_ORPHAN: Final = "orphan"
FINALIZER_FOREGROUND: Final = "foregroundDeletion"


def begin_object(
    obj: Any, info: ResourceInfo, namespace: str, now: str, rng: random.Random
) -> None:
    """Metadata of an object that is being created: name, uid, times, generation."""
    meta = metadata_of(obj)
    if meta.resourceVersion:
        raise errors.StatusError(
            500, "", "resourceVersion should not be set on objects to be created"
        )
    set_namespace(meta, info, namespace)
    if not meta.name and meta.generateName:
        generate_name(meta, rng)
    force_setattr(meta, "uid", str(uuid.UUID(int=rng.getrandbits(128), version=4)))
    force_setattr(meta, "creationTimestamp", now)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        force_setattr(meta, field, None)


def generate_name(meta: meta_v1.ObjectMeta, rng: random.Random) -> None:
    base = (meta.generateName or "")[:GENERATED_BASE_MAX]
    suffix = "".join(rng.choices(SUFFIX_ALPHABET, k=GENERATED_SUFFIX))
    force_setattr(meta, "name", base + suffix)


def metadata_of(obj: Any) -> meta_v1.ObjectMeta:
    if obj.metadata is None:
        force_setattr(obj, "metadata", meta_v1.ObjectMeta())
    meta: meta_v1.ObjectMeta = obj.metadata
    return meta


def set_namespace(meta: meta_v1.ObjectMeta, info: ResourceInfo, namespace: str) -> None:
    """The URL's namespace is the object's; another one in the object is an error."""
    given = meta.namespace or ""
    if not info.namespaced:
        force_setattr(meta, "namespace", None)
        return
    if given and given != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    force_setattr(meta, "namespace", namespace)


def update_causes(new: Any, old: Any) -> list[Cause]:
    """What an update may not say of an object's end (`ValidateObjectMetaUpdate`)."""
    meta, was = metadata_of(new), old.metadata
    causes: list[Cause] = []
    if was.deletionTimestamp:
        added = [f for f in meta.finalizers or () if f not in (was.finalizers or ())]
        if added:
            shown = ", ".join(f'"{finalizer}"' for finalizer in added)
            text = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found "
                f"new finalizers []string{{{shown}}}"
            )
            causes.append(Cause("FieldValueForbidden", text, "metadata.finalizers"))
        return causes
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        given = getattr(meta, field)
        if given is not None:
            shown = f'"{given}"' if isinstance(given, str) else str(given)
            text = f"Invalid value: {shown}: field is immutable"
            causes.append(Cause("FieldValueInvalid", text, f"metadata.{field}"))
    return causes


def carry_over(new: Any, old: Any) -> None:
    """Metadata that an update can not change: it is the stored object's."""
    meta, was = metadata_of(new), old.metadata
    force_setattr(meta, "uid", was.uid)
    force_setattr(meta, "creationTimestamp", was.creationTimestamp)
    force_setattr(meta, "generation", was.generation)
    force_setattr(meta, "deletionTimestamp", was.deletionTimestamp)
    force_setattr(meta, "deletionGracePeriodSeconds", was.deletionGracePeriodSeconds)
    force_setattr(meta, "selfLink", None)
    if meta.generateName is None:
        force_setattr(meta, "generateName", was.generateName)


def validate_metadata(obj: Any, info: ResourceInfo) -> list[Cause]:
    """Names, labels, annotations, finalizers and owners (`ValidateObjectMeta`)."""
    meta = obj.metadata
    causes: list[Cause] = []
    if not meta.name:
        causes.append(
            Cause(
                "FieldValueRequired",
                "Required value: name or generateName is required",
                "metadata.name",
            )
        )
    else:
        causes += _name_causes(meta.name, info)
    if meta.generateName:
        problems = names.generate_name_problems(meta.generateName, info.group, info.resource)
        causes += names.invalid_causes(meta.generateName, "metadata.generateName", problems)
    causes += names.label_causes(meta.labels, "metadata.labels")
    causes += names.annotation_causes(meta.annotations, "metadata.annotations")
    causes += names.finalizer_causes(meta.finalizers, "metadata.finalizers")
    return causes + _owner_causes(meta.ownerReferences)


def _name_causes(name: str, info: ResourceInfo) -> list[Cause]:
    problems = names.object_name_problems(name, info.group, info.resource)
    return [
        Cause("FieldValueInvalid", f'Invalid value: "{name}": {problem}', "metadata.name")
        for problem in problems
    ]


def _owner_causes(owners: list[meta_v1.OwnerReference] | None) -> list[Cause]:
    causes: list[Cause] = []
    controllers: list[meta_v1.OwnerReference] = []
    for owner in owners or ():
        path = "metadata.ownerReferences"  # Kubernetes does not say which one
        for field, text in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not getattr(owner, field):
                causes.append(
                    Cause("FieldValueInvalid", f'Invalid value: "": {text}', f"{path}.{field}")
                )
        if owner.controller:
            controllers.append(owner)
    if len(controllers) > 1:
        first, second = controllers[:2]
        causes.append(
            Cause(
                "FieldValueInvalid",
                'Invalid value: "null": Only one reference can have Controller set to true. '
                f'Found "true" in references for {first.kind}/{first.name} and '
                f"{second.kind}/{second.name}",
                "metadata.ownerReferences",
            )
        )
    return causes


def check_preconditions(
    resource: ResourceInfo, name: str, meta: meta_v1.ObjectMeta, uid: str, resource_version: str
) -> None:
    """409 where the stored object is not the one that the caller means."""
    if uid and uid != meta.uid:
        raise errors.conflict(
            resource.resource,
            name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta.uid}",
            resource.group,
        )
    if resource_version and resource_version != meta.resourceVersion:
        raise errors.conflict(
            resource.resource,
            name,
            f"Precondition failed: ResourceVersion in precondition: {resource_version}, "
            f"ResourceVersion in object meta: {meta.resourceVersion}",
            resource.group,
        )


def modified(info: ResourceInfo, name: str) -> errors.StatusError:
    """409 for an update of a state that has been overtaken."""
    return errors.conflict(
        info.resource,
        name,
        "the object has been modified; please apply your changes to the latest version and "
        "try again",
        info.group,
    )


def finalizers_after_delete(
    finalizers: list[str] | None, options: DeleteOptions, default_policy: str
) -> list[str]:
    """The finalizers that a delete request leaves: the policy's own is added, others' stay."""
    kept = [f for f in finalizers or () if f not in (FINALIZER_ORPHAN, FINALIZER_FOREGROUND)]
    policy = options.propagation_policy
    if not policy:
        # A finalizer that a user put there himself counts as the choice of a policy.
        if FINALIZER_ORPHAN in (finalizers or ()):
            policy = "Orphan"
        elif FINALIZER_FOREGROUND in (finalizers or ()):
            policy = "Foreground"
        else:
            policy = default_policy
    if policy == "Orphan":
        kept.append(FINALIZER_ORPHAN)
    elif policy == "Foreground":
        kept.append(FINALIZER_FOREGROUND)
    return kept
