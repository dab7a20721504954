"""Create, replace and delete of one object against one stored state; `Overtaken` when that state
is no longer the latest.

Source: apiserver `registry/generic/registry/store.go` and `registry/rest/{update,delete}.go`.
"""

from typing import Any, Final

from msgspec.structs import force_setattr

from base.clock import rfc3339
from controlplane.admission import chain
from controlplane.registry import kinds, lifecycle, strategy
from controlplane.registry.backing import Backing, key_of
from controlplane.registry.cache import ResourceCache
from controlplane.registry.options import Call, DeleteOptions
from controlplane.registry.registry import Overtaken
from controlplane.registry.stored import Stored
from kubeapi import errors
from kubeapi.errors import Cause
from kubeapi.resources import ResourceInfo

OVERTAKEN_TRIES: Final = 8
"""How often a write without a stated resourceVersion is tried anew on a newer state."""
NAME_TRIES: Final = 8
POD_GRACE_DEFAULT_S: Final = 30
# What describes an object rather than being it: their change is no new generation.
_NOT_DESIRED: Final = frozenset({"kind", "apiVersion", "metadata", "status"})


def check_name(call: Call, obj: Any) -> None:
    """The object must be the one that the URL names."""
    meta = lifecycle.metadata_of(obj)
    if not meta.name:
        raise errors.bad_request(
            f"the name of the object ({call.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if meta.name != call.name:
        raise errors.bad_request(
            f"the name of the object ({meta.name}) does not match the name on the URL ({call.name})"
        )
    lifecycle.set_namespace(meta, call.info, call.namespace)


async def create(backing: Backing, call: Call, obj: Any) -> Stored:
    """Store a new object, with the addresses that it needs, in one transaction."""
    cache = backing.registry.cache_of(call.info)
    key = key_of(call)
    if tracks_generation(call.info):
        force_setattr(obj.metadata, "generation", 1)
    exists = errors.already_exists(call.info.resource, call.name, call.info.group)
    for _ in range(OVERTAKEN_TRIES):
        if cache.get(key) is not None:
            raise exists
        claim = backing.addresses.claim(obj, None, backing.now())
        if call.dry_run:
            return Stored(cache.layout, key, cache.layout.value_of(obj), 0, obj)
        try:
            return await backing.registry.put(
                cache, key, obj, 0, compares=claim.compares, also=claim.operations
            )
        except Overtaken:
            claim.withdraw()  # the name is taken now, or an address that was free a moment ago
    raise errors.unavailable(f"{call.info.resource} {call.name}: no address could be kept")


async def create_named(backing: Backing, call: Call, obj: Any) -> Stored:
    """Store a new object whose name was generated; where that is taken, under another
    (KEP-4420)."""
    for _ in range(NAME_TRIES):
        try:
            return await create(backing, call, obj)
        except errors.StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        lifecycle.generate_name(obj.metadata, backing.rng)
        call.name = obj.metadata.name
    raise errors.already_exists(call.info.resource, call.name, call.info.group)


async def replace(
    backing: Backing, call: Call, cache: ResourceCache, stored: Stored, obj: Any
) -> Stored:
    """Store `obj` in place of `stored`; nothing is written when nothing changes."""
    old = stored.obj
    check_name(call, obj)
    _check_version(call, stored, obj)
    ending = lifecycle.update_causes(obj, old)
    lifecycle.carry_over(obj, old)
    _merge_parts(call, obj, old)
    if tracks_generation(call.info) and desired_differs(obj, old):
        force_setattr(obj.metadata, "generation", (old.metadata.generation or 0) + 1)
    await chain.admit(backing, call, obj, old)
    causes = ending + lifecycle.validate_metadata(obj, call.info)
    causes += strategy.validate_update(obj, old)
    if causes:
        raise errors.invalid(call.info.kind, call.name, causes, call.info.group)
    if _may_go(obj, old):
        return await _remove(backing, call, cache, stored)
    claim = backing.addresses.claim(obj, old, backing.now())
    value = cache.layout.value_of(obj)
    if value == stored.value:
        return stored
    if call.dry_run:
        return Stored(cache.layout, stored.key, value, stored.revision, obj)
    return await backing.registry.put(
        cache, stored.key, obj, stored.revision, compares=claim.compares, also=claim.operations
    )


def _check_version(call: Call, stored: Stored, obj: Any) -> None:
    meta = lifecycle.metadata_of(obj)
    given = meta.resourceVersion or "0"
    if given == "0":
        if kinds.group_resource(call.info.storage) in kinds.NEEDS_RESOURCE_VERSION:
            cause = Cause(
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise errors.invalid(call.info.resource, call.name, [cause], call.info.group)
    elif given != str(stored.revision):
        raise lifecycle.modified(call.info, call.name)
    uid = stored.obj.metadata.uid
    if meta.uid and meta.uid != uid:
        if call.verb == "patch":
            cause = Cause(
                "FieldValueInvalid", f'Invalid value: "{meta.uid}": field is immutable',
                "metadata.uid",
            )  # fmt: skip
            raise errors.invalid(call.info.kind, call.name, [cause], call.info.group)
        lifecycle.check_preconditions(call.info, call.name, stored.obj.metadata, meta.uid, "")


def _merge_parts(call: Call, obj: Any, old: Any) -> None:
    """Status is written through /status alone, everything else never through it."""
    if "status" not in call.info.subresources:
        strategy.prepare_update(obj, old)
        return
    if call.subresource != "status":
        force_setattr(obj, "status", old.status)
        strategy.prepare_update(obj, old)
        return
    for field in obj.__struct_fields__:
        if field not in _NOT_DESIRED:
            force_setattr(obj, field, getattr(old, field))
    # Agents label and annotate their nodes and pods along with the status.
    if call.info.resource not in ("nodes", "pods"):
        force_setattr(obj.metadata, "labels", old.metadata.labels)
    force_setattr(obj.metadata, "ownerReferences", old.metadata.ownerReferences)


def tracks_generation(info: ResourceInfo) -> bool:
    return kinds.group_resource(info.storage) in kinds.TRACKS_GENERATION


def desired_differs(obj: Any, old: Any) -> bool:
    return any(
        getattr(obj, field) != getattr(old, field)
        for field in obj.__struct_fields__
        if field not in _NOT_DESIRED
    )


def _may_go(obj: Any, old: Any) -> bool:
    """The last finalizer of an object that was only waiting for its finalizers is gone."""
    meta = obj.metadata
    if not meta.deletionTimestamp or meta.finalizers or not old.metadata.finalizers:
        return False
    return not meta.deletionGracePeriodSeconds and not _own_finalizers(obj)


def _own_finalizers(obj: Any) -> list[str]:
    """Namespaces have finalizers of their own in spec."""
    return (getattr(obj.spec, "finalizers", None) or []) if hasattr(obj, "spec") else []


async def _remove(backing: Backing, call: Call, cache: ResourceCache, stored: Stored) -> Stored:
    if call.dry_run:
        return stored
    return await backing.registry.delete(cache, stored, also=backing.addresses.release(stored.obj))


async def finalized(backing: Backing, call: Call, cache: ResourceCache, stored: Stored) -> Stored:
    """Remove a namespace whose own last finalizer went."""
    return await _remove(backing, call, cache, stored)


async def delete(
    backing: Backing, call: Call, cache: ResourceCache, stored: Stored, options: DeleteOptions
) -> tuple[Stored, bool]:
    """Remove the object, or mark it as being deleted where its agent or finalizers come first."""
    old = stored.obj
    meta = old.metadata
    group_resource = kinds.group_resource(call.info.storage)
    policy = "Orphan" if group_resource in kinds.ORPHANS_BY_DEFAULT else "Background"
    finalizers = lifecycle.finalizers_after_delete(meta.finalizers, options, policy)
    grace_s = grace_period_s(old, options) if call.info.resource == "pods" else 0
    waits = bool(grace_s or finalizers or _own_finalizers(old))
    if meta.deletionTimestamp and waits:
        shorter = grace_s < (meta.deletionGracePeriodSeconds or 0)
        if not shorter and finalizers == (meta.finalizers or []):
            return stored, False
        grace_s = min(grace_s, meta.deletionGracePeriodSeconds or 0)
    marked = stored.fresh_obj()
    deletion_s = backing.clock.now_s() + grace_s
    if not meta.deletionTimestamp or grace_s < (meta.deletionGracePeriodSeconds or 0):
        force_setattr(marked.metadata, "deletionTimestamp", rfc3339(deletion_s))
    force_setattr(marked.metadata, "deletionGracePeriodSeconds", grace_s)
    force_setattr(marked.metadata, "finalizers", finalizers or None)
    if tracks_generation(call.info) and not meta.deletionTimestamp:
        force_setattr(marked.metadata, "generation", (meta.generation or 0) + 1)
    if not waits:
        gone = await _remove(backing, call, cache, stored)
        if call.info.resource != "pods":
            return gone, True
        return Stored(cache.layout, stored.key, cache.layout.value_of(marked), gone.revision), True
    strategy.prepare_delete(marked)
    if call.dry_run:
        value = cache.layout.value_of(marked)
        return Stored(cache.layout, stored.key, value, stored.revision), False
    return await backing.registry.put(cache, stored.key, marked, stored.revision), False


async def remove(backing: Backing, call: Call, options: DeleteOptions) -> tuple[Stored, bool]:
    """Delete without asking whether the caller may: that has been asked. See `Api.delete`."""
    for _ in range(OVERTAKEN_TRIES):
        cache, stored = backing.cached(call)
        lifecycle.check_preconditions(
            call.info, call.name, stored.obj.metadata, options.uid, options.resource_version
        )
        await chain.admit_delete(backing, call, stored)
        try:
            return await delete(backing, call, cache, stored, options)
        except Overtaken:
            continue
    raise lifecycle.modified(call.info, call.name)


def grace_period_s(pod: Any, options: DeleteOptions) -> int:
    """How long the agent may take to end the pod; 0: nobody has to be waited for."""
    if not pod.spec.nodeName or (pod.status and pod.status.phase in ("Succeeded", "Failed")):
        return 0
    if options.grace_period_s is not None:
        return options.grace_period_s if options.grace_period_s >= 0 else 1
    if pod.metadata.deletionGracePeriodSeconds is not None:
        return int(pod.metadata.deletionGracePeriodSeconds)
    period_s = pod.spec.terminationGracePeriodSeconds
    return (
        POD_GRACE_DEFAULT_S if period_s is None else max(1, period_s) if period_s < 0 else period_s
    )
