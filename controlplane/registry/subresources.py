"""What a subresource does, as a table; what is not in it is refused by name.

`status` is not here: it is the object itself, of which another part is written.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from controlplane.registry import lifecycle, writes
from controlplane.registry.backing import Backing
from controlplane.registry.delete_options import checked
from controlplane.registry.options import Call
from controlplane.registry.registry import Overtaken
from controlplane.registry.stored import Layout, Stored
from kubeapi import errors, selectors
from kubeapi.errors import Cause
from kubeapi.resources import ResourceInfo, resource_of
from kubeapi.types import autoscaling_v1, certificates_v1, core_v1, meta_v1

SCALE = ResourceInfo("autoscaling", "v1", "scales", "Scale", True)
_scale_layout = Layout(SCALE)

_Change = Callable[[Stored], Any]


async def get(backing: Backing, call: Call) -> Stored:
    entry = _entry(call)
    if entry.get is None:
        raise unsupported(call)
    return entry.get(backing.cached(call)[1])


async def create(backing: Backing, call: Call, obj: Any) -> None:
    entry = _entry(call)
    if entry.create is None:
        raise unsupported(call)
    await entry.create(backing, call, obj)


async def update(backing: Backing, call: Call, make: Callable[[], Any]) -> Stored:
    return await patch(backing, call, lambda _: make())


async def patch(backing: Backing, call: Call, change: _Change) -> Stored:
    """`change` makes the new state of the subresource of the one it is given."""
    entry = _entry(call)
    if entry.write is None or entry.get is None:
        raise unsupported(call)
    for _ in range(writes.OVERTAKEN_TRIES):
        stored = backing.cached(call)[1]
        wanted = change(entry.get(stored))
        given = (lifecycle.metadata_of(wanted).resourceVersion or "0").strip()
        if given not in ("0", str(stored.revision)):
            raise lifecycle.modified(call.info, call.name)
        try:
            return entry.get(await entry.write(backing, call, stored, wanted))
        except Overtaken:
            continue  # an update of that very version will be refused, a patch is made anew
    raise lifecycle.modified(call.info, call.name)


def pod_binding(call: Call) -> Call:
    """The old way to bind a pod, `bindings`, as the new one: `pods/<name>/binding`."""
    return replace(call, info=resource_of(core_v1.Pod), subresource="binding")


def unsupported(call: Call) -> errors.StatusError:
    return errors.StatusError(
        404, "NotFound",
        f"the server could not find the requested resource: {call.info.resource}/"
        f"{call.subresource} is not served for {call.verb}",
        name=call.name, group=call.info.group, kind=call.info.resource,
    )  # fmt: skip


# Scale


def _scale_of(stored: Stored) -> Stored:
    obj = stored.obj
    meta = obj.metadata
    status = obj.status
    selector = obj.spec.selector
    matcher = selectors.of_set if isinstance(selector, dict) else selectors.of_selector
    text = str(matcher(selector)) if selector is not None else ""
    scale = autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=meta.name, namespace=meta.namespace, uid=meta.uid,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=obj.spec.replicas or None),
        status=autoscaling_v1.ScaleStatus(
            replicas=(status.replicas if status else None) or 0, selector=text or None
        ),
    )  # fmt: skip
    value = _scale_layout.value_of(scale)
    return Stored(_scale_layout, stored.key, value, stored.revision, scale)


async def _write_scale(backing: Backing, call: Call, stored: Stored, scale: Any) -> Stored:
    replicas = (scale.spec.replicas if scale.spec else None) or 0
    if replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = Cause("FieldValueInvalid", text, "spec.replicas")
        raise errors.invalid("Scale", call.name, [cause], "autoscaling")
    writes.check_name(call, scale)
    obj = stored.fresh_obj()
    force_setattr(obj.spec, "replicas", replicas)
    return await _write_object(backing, call, stored, obj)


async def _write_object(backing: Backing, call: Call, stored: Stored, obj: Any) -> Stored:
    """Store the parent object, as an update of itself that was authorized as a subresource."""
    parent = replace(call, subresource="")
    return await writes.replace(backing, parent, backing.registry.cache_of(call.info), stored, obj)


async def _put(backing: Backing, call: Call, stored: Stored, obj: Any) -> Stored:
    """Store what the subresource alone may change, unless this is a dry run."""
    cache = backing.registry.cache_of(call.info)
    if call.dry_run:
        return Stored(cache.layout, stored.key, cache.layout.value_of(obj), stored.revision, obj)
    return await backing.registry.put(cache, stored.key, obj, stored.revision)


# Pods


async def _bind(backing: Backing, call: Call, binding: Any) -> None:
    """Give a pod to a node, once (registry/core/pod/storage `assignPod`)."""
    target = binding.target
    if target is None or not target.name:
        cause = Cause("FieldValueRequired", "Required value", "target.name")
        raise errors.invalid("Binding", call.name, [cause])
    if target.kind not in (None, "", "Node"):
        text = f'Unsupported value: "{target.kind}": supported values: "Node", "<empty>"'
        cause = Cause("FieldValueNotSupported", text, "target.kind")
        raise errors.invalid("Binding", call.name, [cause])
    for _ in range(writes.OVERTAKEN_TRIES):
        cache, stored = backing.cached(call)
        pod = stored.fresh_obj()
        _check_bindable(call, pod, binding)
        if call.dry_run:
            return
        _assign(pod, target.name, binding, backing.now())
        try:
            await backing.registry.put(cache, stored.key, pod, stored.revision)
        except Overtaken:
            continue
        return
    raise lifecycle.modified(call.info, call.name)


def _check_bindable(call: Call, pod: Any, binding: Any) -> None:
    given = lifecycle.metadata_of(binding).uid
    if given:
        lifecycle.check_preconditions(call.info, call.name, pod.metadata, given, "")
    problem = ""
    if pod.metadata.deletionTimestamp:
        problem = f"pod {call.name} is being deleted, cannot be assigned to a host"
    elif pod.spec.nodeName:
        problem = f'pod {call.name} is already assigned to node "{pod.spec.nodeName}"'
    elif pod.spec.schedulingGates:
        problem = f"pod {call.name} has non-empty .spec.schedulingGates"
    if problem:
        raise errors.conflict("pods/binding", call.name, problem)


def _assign(pod: Any, node: str, binding: Any, now: str) -> None:
    force_setattr(pod.spec, "nodeName", node)
    for field in ("annotations", "labels"):
        added = getattr(binding.metadata, field)
        if added:
            force_setattr(pod.metadata, field, (getattr(pod.metadata, field) or {}) | added)
    status = pod.status or core_v1.PodStatus(phase="Pending")
    others = [c for c in status.conditions or () if c.type != "PodScheduled"]
    scheduled = core_v1.PodCondition(
        type="PodScheduled", status="True", lastTransitionTime=now,
        observedGeneration=pod.metadata.generation,
    )  # fmt: skip
    force_setattr(pod, "status", msgspec.structs.replace(status, conditions=[*others, scheduled]))


# Namespaces


async def _finalize(backing: Backing, call: Call, stored: Stored, namespace: Any) -> Stored:
    """Set a namespace's own finalizers; with the last one the namespace goes."""
    obj = stored.fresh_obj()
    finalizers = namespace.spec.finalizers if namespace.spec else None
    force_setattr(obj, "spec", core_v1.NamespaceSpec(finalizers=finalizers or None))
    cache = backing.registry.cache_of(call.info)
    meta = obj.metadata
    if meta.deletionTimestamp and not finalizers and not meta.finalizers:
        return await writes.finalized(backing, call, cache, stored)
    return await _put(backing, call, stored, obj)


# Certificates


async def _approve(backing: Backing, call: Call, stored: Stored, request: Any) -> Stored:
    obj = stored.fresh_obj()
    conditions = request.status.conditions if request.status else None
    status = obj.status or certificates_v1.CertificateSigningRequestStatus()
    force_setattr(obj, "status", msgspec.structs.replace(status, conditions=conditions))
    return await _put(backing, call, stored, obj)


async def _evict(backing: Backing, call: Call, eviction: Any) -> None:
    """Delete a pod unless a PodDisruptionBudget covers it: budgets are not counted yet, so a pod
    under one is not evicted rather than evicted against it."""
    stored = backing.cached(call)[1]
    labels = stored.obj.metadata.labels or {}
    for budget in backing.registry.cache_named("policy", "poddisruptionbudgets").values(
        call.namespace
    ):
        selector = budget.obj.spec.selector if budget.obj.spec else None
        if selector is not None and selectors.of_selector(selector).matches(labels):
            raise errors.StatusError(
                429, "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                causes=[
                    Cause(
                        "DisruptionBudget",
                        f"The disruption budget {budget.obj.metadata.name} is still being "
                        "processed by the server.",
                        "",
                    )
                ],
                retry_after_s=10,
            )  # fmt: skip
    options = checked(eviction.deleteOptions or meta_v1.DeleteOptions())
    evicted = replace(call, verb="delete", subresource="")
    evicted.dry_run = call.dry_run or options.dry_run
    await writes.remove(backing, evicted, options)


@dataclass(frozen=True)
class _Subresource:
    get: Callable[[Stored], Stored] | None = None
    create: Callable[[Backing, Call, Any], Awaitable[None]] | None = None
    write: Callable[[Backing, Call, Stored, Any], Awaitable[Stored]] | None = None


def _itself(stored: Stored) -> Stored:
    return stored


_SCALE = _Subresource(get=_scale_of, write=_write_scale)
_TABLE: dict[tuple[str, str, str], _Subresource] = {
    ("", "namespaces", "finalize"): _Subresource(get=_itself, write=_finalize),
    ("", "pods", "binding"): _Subresource(create=_bind),
    ("", "pods", "eviction"): _Subresource(create=_evict),
    ("", "replicationcontrollers", "scale"): _SCALE,
    ("apps", "deployments", "scale"): _SCALE,
    ("apps", "replicasets", "scale"): _SCALE,
    ("apps", "statefulsets", "scale"): _SCALE,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): _Subresource(
        get=_itself, write=_approve
    ),
}


def is_served(call: Call) -> bool:
    key = (call.info.group, call.info.resource, call.subresource)
    return call.subresource in ("", "status") or key in _TABLE


def _entry(call: Call) -> _Subresource:
    found = _TABLE.get((call.info.group, call.info.resource, call.subresource))
    if found is None:
        raise unsupported(call)
    return found
