"""Empties a namespace that is being deleted, and lets it go when nothing is left in it.

Kinds come from the resource table, so a new one is emptied without a line here. Pods go first:
what protects them (a NetworkPolicy, say) must outlive them (KEP-5080). Source: Kubernetes,
`pkg/controller/namespace/deletion`.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from base.clock import Clock, rfc3339
from controlplane.controllers import batches
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.resources import RESOURCES, ResourceInfo
from kubeapi.types import core_v1

FINALIZER = "kubernetes"
PODS = ("", "pods")
# Objects that others' finalizers hold are looked at again after this time.
FINALIZERS_RECHECK_S = 15.0


@dataclass
class Remains:
    """What a pass over a namespace left behind."""

    objects: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    grace_s: float = 0.0

    @property
    def empty(self) -> bool:
        return not self.objects and not self.failures


def deletable_kinds() -> list[ResourceInfo]:
    """Every kind that a namespace can hold, once, pods first and events last."""
    found = [
        info
        for info in RESOURCES
        if info.namespaced and info.is_storage_version and {"list", "delete"} <= set(info.verbs)
    ]
    order = {PODS: -1, ("", "events"): 1}
    return sorted(found, key=lambda info: order.get((info.group, info.resource), 0))


def conditions(
    present: Sequence[core_v1.NamespaceCondition] | None, remains: Remains, now_s: float
) -> list[core_v1.NamespaceCondition]:
    """The conditions of a namespace that is being deleted."""
    left = [f"{kind} has {n} resource instances" for kind, n in sorted(remains.objects.items())]
    held = [f"{name} in {n} resource instances" for name, n in sorted(remains.finalizers.items())]
    failed = remains.failures
    rows = (
        ("NamespaceDeletionDiscoveryFailure", "", "", "ResourcesDiscovered",
         "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "", "", "ParsedGroupVersions",
         "All legacy kube types successfully parsed"),
        ("NamespaceDeletionContentFailure", "ContentDeletionFailed",
         f"Failed to delete all resource types, {len(failed)} remaining: {', '.join(failed)}"
         if failed else "", "ContentDeleted",
         "All content successfully deleted, may be waiting on finalization"),
        ("NamespaceContentRemaining", "SomeResourcesRemain",
         f"Some resources are remaining: {', '.join(left)}" if left else "", "ContentRemoved",
         "All content successfully removed"),
        ("NamespaceFinalizersRemaining", "SomeFinalizersRemain",
         "Some content in the namespace has finalizers remaining: " + ", ".join(held)
         if held else "", "ContentHasNoFinalizers",
         "All content-preserving finalizers finished"),
    )  # fmt: skip
    by_type = {c.type: c for c in present or ()}
    for kind, bad_reason, bad_message, good_reason, good_message in rows:
        bad = bool(bad_message)
        new = core_v1.NamespaceCondition(
            type=kind,
            status="True" if bad else "False",
            reason=bad_reason if bad else good_reason,
            message=bad_message or good_message,
            lastTransitionTime=rfc3339(now_s),
        )
        old = by_type.get(kind)
        if old is not None and old.status == new.status:
            new = msgspec.structs.replace(new, lastTransitionTime=old.lastTransitionTime)
        by_type[kind] = new
    return list(by_type.values())


class NamespaceController:
    name = "namespace-controller"

    def __init__(
        self, client: Client, informers: SharedInformers, clock: Clock, rng: random.Random
    ) -> None:
        self._client = client
        self._clock = clock
        self._kinds = deletable_kinds()
        self.loop = ControlLoop("namespace", self.reconcile, clock, rng, workers=10)
        self._namespaces = informers.of(core_v1.Namespace)
        self._namespaces.add_handler(self._namespace_changed)
        informers.of(core_v1.Pod).add_handler(self._pod_changed)

    def _namespace_changed(
        self, old: core_v1.Namespace | None, new: core_v1.Namespace | None
    ) -> None:
        if new is not None and meta_of(new).deletionTimestamp is not None:
            self.loop.enqueue(object_key(new))

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """The last pod is what a namespace waits for; the next pass need not."""
        if new is None and old is not None:
            namespace = self._namespaces.get(meta_of(old).namespace or "")
            self._namespace_changed(None, namespace)

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or meta_of(namespace).deletionTimestamp is None:
            return DONE
        if FINALIZER not in ((namespace.spec.finalizers if namespace.spec else None) or ()):
            return DONE
        remains = await self._empty(key)
        try:
            namespace = await self._write_status(namespace, remains)
            if remains.empty:
                await self._finalize(namespace)
                return DONE
        except StatusError as error:
            if error.code == 404:
                return DONE
            raise
        if remains.grace_s:
            return Result(remains.grace_s / 2 + 1.0)
        return Result(FINALIZERS_RECHECK_S if remains.finalizers else 1.0)

    async def _empty(self, namespace: str) -> Remains:
        remains = Remains()
        for info in self._kinds:
            if (info.group, info.resource) != PODS and remains.objects.get("pods."):
                break
            await self._empty_of(info, namespace, remains)
        return remains

    async def _empty_of(self, info: ResourceInfo, namespace: str, remains: Remains) -> None:
        """Delete every object of a kind, and count what is still there afterwards."""
        name = f"{info.resource}.{info.group}"
        try:
            found = (await self._client.list(info.type, namespace)).items
            if not found:
                return
            doomed = [obj for obj in found if meta_of(obj).deletionTimestamp is None]
            failures = await batches.for_each(doomed, partial(self._delete, info))
            if failures:
                remains.failures.append(f"{name}: {failures[0]}")
            for obj in (await self._client.list(info.type, namespace)).items:
                meta = meta_of(obj)
                remains.objects[name] += 1
                remains.finalizers.update(meta.finalizers or ())
                grace_s = meta.deletionGracePeriodSeconds or 0
                remains.grace_s = max(remains.grace_s, float(grace_s))
        except StatusError as error:
            remains.failures.append(f"{name}: {error}")

    async def _delete(self, info: ResourceInfo, obj: object) -> None:
        meta = meta_of(obj)
        try:
            await self._client.delete(
                info.type,
                meta.name or "",
                meta.namespace or "",
                uid=meta.uid or "",
                propagation_policy="Background",
            )
        except StatusError as error:
            if error.code != 404:
                raise

    async def _write_status(
        self, namespace: core_v1.Namespace, remains: Remains
    ) -> core_v1.Namespace:
        old = namespace.status or core_v1.NamespaceStatus()
        new = core_v1.NamespaceStatus(
            phase="Terminating",
            conditions=conditions(old.conditions, remains, self._clock.now_s()),
        )
        if new == old:
            return namespace
        changed = msgspec.structs.replace(namespace, status=new)
        return await self._client.update(changed, subresource="status")

    async def _finalize(self, namespace: core_v1.Namespace) -> None:
        finalizers = (namespace.spec.finalizers if namespace.spec else None) or []
        spec = core_v1.NamespaceSpec(finalizers=[f for f in finalizers if f != FINALIZER])
        changed = msgspec.structs.replace(namespace, spec=spec)
        await self._client.update(changed, subresource="finalize")
