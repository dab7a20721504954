"""Deletes what is left behind by its owners, waits for dependents, or lets them go.

Background: an object all of whose owners are gone is deleted. Foreground: an owner goes after the
dependents that block it. Orphan: dependents lose the reference before the owner goes. Nothing is
deleted on the word of the graph alone: object and owners are read from the API first, and the
delete carries uid and resourceVersion. Source: Kubernetes, `pkg/controller/garbagecollector`.
"""

import random
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from base.clock import Clock
from controlplane.controllers import batches
from controlplane.controllers.owner_graph import (
    FOREGROUND,
    ORPHAN,
    Identity,
    Node,
    OwnerGraph,
)
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result, TerminalError
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers
from kubeapi.resources import RESOURCES, ResourceInfo, find_kind, split_api_version
from kubeapi.types import meta_v1

# Events name no owners, and are many.
IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))


def watched_kinds() -> list[ResourceInfo]:
    """Every kind that can be listed, watched and deleted, once."""
    return [
        info
        for info in RESOURCES
        if info.is_storage_version
        and {"list", "watch", "delete"} <= set(info.verbs)
        and (info.group, info.resource) not in IGNORED
    ]


@dataclass
class Owners:
    """The owners of an object by what the API says of each."""

    solid: list[meta_v1.OwnerReference] = field(default_factory=list)
    dangling: list[meta_v1.OwnerReference] = field(default_factory=list)
    waiting: list[meta_v1.OwnerReference] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What to do with an object: delete it by `policy`, take `references` from it, or nothing."""

    delete: bool = False
    policy: str = ""
    references: tuple[str, ...] = ()


def judge(owners: Owners, finalizers: list[str], *, has_dependents: bool) -> Verdict:
    """One owner that stays keeps the object; the others' references are then taken away.

    An owner that waits for its dependents hands its way of deletion down to them.
    """
    gone = owners.dangling + owners.waiting
    if owners.solid:
        return Verdict(references=tuple(r.uid or "" for r in gone))
    if not gone:
        return Verdict()
    if owners.waiting and has_dependents:
        return Verdict(delete=True, policy="Foreground")
    if ORPHAN in finalizers:
        return Verdict(delete=True, policy="Orphan")
    if FOREGROUND in finalizers:
        return Verdict(delete=True, policy="Foreground")
    return Verdict(delete=True, policy="Background")


class GarbageCollector:
    name = "generic-garbage-collector"

    def __init__(
        self, client: Client, informers: SharedInformers, clock: Clock, rng: random.Random
    ) -> None:
        self._client = client
        self._graph = OwnerGraph()
        self.loop = ControlLoop("garbage_collector", self.reconcile, clock, rng, workers=20)
        for info in watched_kinds():
            informers.of(info.type).add_handler(self._changed)

    def _changed(self, old: Any, new: Any) -> None:
        due = (
            self._graph.observe(new)
            if new is not None
            else self._graph.gone(meta_of(old).uid or "")
        )
        for uid in due:
            self.loop.enqueue(uid)

    async def reconcile(self, key: str) -> Result:
        """`key` is a uid."""
        node = self._graph.get(key)
        if node is None or (node.deleting and not node.waits_for_dependents and not node.virtual):
            return await self._orphan_dependents(node)
        live = await self._live(node.identity)
        if live is None or meta_of(live).uid != key:
            self._forget(key)
            return DONE
        self._graph.confirm(key, live)
        if node.waits_for_dependents:
            return await self._finish_foreground(node, live)
        if meta_of(live).deletionTimestamp is None:
            await self._collect(node, live)
        return DONE

    def _forget(self, uid: str) -> None:
        """The API says it is not there, whatever the watch has shown so far."""
        for due in self._graph.gone(uid):
            self.loop.enqueue(due)

    async def _live(self, identity: Identity) -> Any | None:
        info = find_kind(*split_api_version(identity.api_version), identity.kind)
        if info is None:
            what = f"{identity.api_version} {identity.kind}"
            raise TerminalError(f'owner "{identity.name}" is of a kind that is not served: {what}')
        namespace = identity.namespace if info.namespaced else ""
        if info.namespaced and not namespace:
            # A cluster-scoped object cannot be owned from inside a namespace: the reference
            # means nothing, and its object is left alone.
            raise TerminalError(f"a cluster-scoped object names {identity.kind} as its owner")
        try:
            return await self._client.get(info.type, identity.name, namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    # Background.

    async def _collect(self, node: Node, live: Any) -> None:
        references = meta_of(live).ownerReferences
        if not references:
            return
        owners = await self._classify(live, references)
        verdict = judge(
            owners, meta_of(live).finalizers or [], has_dependents=bool(node.dependents)
        )
        if verdict.delete:
            await self._delete(live, verdict.policy)
        elif verdict.references:
            await self._remove_references(live, set(verdict.references))

    async def _classify(self, live: Any, references: list[meta_v1.OwnerReference]) -> Owners:
        owners = Owners()
        for reference in references:
            identity = Identity(
                reference.apiVersion or "",
                reference.kind or "",
                meta_of(live).namespace or "",
                reference.name or "",
            )
            owner = await self._live(identity)
            if owner is None or meta_of(owner).uid != reference.uid:
                owners.dangling.append(reference)
            elif _waits_for_dependents(owner):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _delete(self, live: Any, policy: str) -> None:
        meta = meta_of(live)
        try:
            await self._client.delete(
                type(live),
                meta.name or "",
                meta.namespace or "",
                uid=meta.uid or "",
                resource_version=meta.resourceVersion or "",
                propagation_policy=policy,
            )
        except StatusError as error:
            if error.code != 404:
                raise

    async def _remove_references(self, live: Any, uids: set[str]) -> None:
        kept = [r for r in meta_of(live).ownerReferences or () if r.uid not in uids]
        await self._patch(live, {"ownerReferences": [_plain(r) for r in kept] or None})

    async def _patch(self, live: Any, metadata: dict[str, Any]) -> None:
        """A merge patch that holds for this version of the object alone."""
        meta = meta_of(live)
        metadata |= {"uid": meta.uid, "resourceVersion": meta.resourceVersion}
        try:
            await self._client.patch(
                type(live),
                meta.name or "",
                {"metadata": metadata},
                namespace=meta.namespace or "",
                patch_type=PatchType.MERGE,
            )
        except StatusError as error:
            if error.code != 404:
                raise

    async def _remove_finalizer(self, live: Any, finalizer: str) -> None:
        kept = [name for name in meta_of(live).finalizers or () if name != finalizer]
        await self._patch(live, {"finalizers": kept or None})

    # Foreground.

    async def _finish_foreground(self, node: Node, live: Any) -> Result:
        blocking = list(node.blocking_dependents())
        if not blocking:
            await self._remove_finalizer(live, FOREGROUND)
            return DONE
        for dependent in blocking:
            if not dependent.deleting:
                self.loop.enqueue(dependent.uid)
        return DONE

    # Orphan.

    async def _orphan_dependents(self, node: Node | None) -> Result:
        """Take the owner's reference from each dependent, then let the owner go."""
        if node is None:
            return DONE
        live = await self._live(node.identity)
        if live is None or meta_of(live).uid != node.uid:
            self._forget(node.uid)
            return DONE
        if ORPHAN not in (meta_of(live).finalizers or ()):
            return DONE
        dependents = list(node.dependents.values())
        failures = await batches.for_each(dependents, partial(self._release, node.uid))
        if failures:
            raise failures[0]
        await self._remove_finalizer(live, ORPHAN)
        return DONE

    async def _release(self, owner_uid: str, dependent: Node) -> None:
        live = await self._live(dependent.identity)
        if live is not None and meta_of(live).uid == dependent.uid:
            await self._remove_references(live, {owner_uid})


def _waits_for_dependents(owner: Any) -> bool:
    meta = meta_of(owner)
    return meta.deletionTimestamp is not None and FOREGROUND in (meta.finalizers or ())


def _plain(reference: meta_v1.OwnerReference) -> dict[str, Any]:
    fields = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {name: value for name in fields if (value := getattr(reference, name)) is not None}
