"""Who owns whom, as the watches tell: the garbage collector's picture of the cluster.

Pure: it holds no object, only identities and owner references, and does no I/O. An owner that is
named but has not been seen is *virtual* until a watch shows it or the API says it is not there.
Source: Kubernetes, `pkg/controller/garbagecollector` (graph.go, graph_builder.go).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kubeapi.types import meta_v1

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Identity:
    """Where to find an object; `namespace` is "" for what is cluster-scoped."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(eq=False, slots=True)
class Node:
    """One object, with its owners by uid and the objects that name it as theirs."""

    uid: str
    identity: Identity
    owners: dict[str, meta_v1.OwnerReference] = field(default_factory=dict)
    dependents: dict[str, "Node"] = field(default_factory=dict)
    deleting: bool = False
    waits_for_dependents: bool = False
    virtual: bool = False

    def blocking_dependents(self) -> Iterator["Node"]:
        """Those that must go before this one may, when it is deleted in the foreground."""
        for dependent in self.dependents.values():
            if dependent.owners[self.uid].blockOwnerDeletion:
                yield dependent


def identity_of(obj: Any) -> Identity:
    group, version, kind = type(obj).GVK
    meta = obj.metadata
    api_version = f"{group}/{version}" if group else version
    return Identity(api_version, kind, meta.namespace or "", meta.name or "")


class OwnerGraph:
    """Nodes by uid. Each change returns the uids of which something may have to be done now."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def observe(self, obj: Any) -> set[str]:
        """An object is there, new or changed."""
        meta = obj.metadata
        uid = meta.uid or ""
        node = self._nodes.get(uid)
        if node is None:
            if not meta.ownerReferences and not meta.finalizers:
                # Most objects own nothing and are owned by nobody: remembered when named.
                return set()
            node = self._nodes[uid] = Node(uid, identity_of(obj))
        node.virtual, node.identity = False, identity_of(obj)
        due = self._relink(node, meta.ownerReferences or ())
        return due | self._note_deletion(node, meta)

    def _relink(self, node: Node, references: Iterable[meta_v1.OwnerReference]) -> set[str]:
        owners = {r.uid or "": r for r in references}
        if owners == node.owners:
            return set()
        due = {node.uid}
        for uid in node.owners.keys() - owners.keys():
            owner = self._unlink(node, uid)
            if owner is not None and owner.waits_for_dependents:
                due.add(uid)
        unblocked = [
            uid
            for uid in node.owners.keys() & owners.keys()
            if node.owners[uid].blockOwnerDeletion and not owners[uid].blockOwnerDeletion
        ]
        due.update(uid for uid in unblocked if self._nodes[uid].waits_for_dependents)
        node.owners = owners
        for uid, reference in owners.items():
            owner = self._nodes.get(uid)
            if owner is None:
                owner = self._nodes[uid] = self._make_virtual(node, reference)
            owner.dependents[node.uid] = node
            if owner.virtual:
                due.add(uid)
        return due

    def _make_virtual(self, dependent: Node, reference: meta_v1.OwnerReference) -> Node:
        """The scope of the owner's kind is not known here: the reader of the identity drops the
        namespace where the kind has none."""
        identity = Identity(
            reference.apiVersion or "",
            reference.kind or "",
            dependent.identity.namespace,
            reference.name or "",
        )
        return Node(reference.uid or "", identity, virtual=True)

    def _unlink(self, node: Node, owner_uid: str) -> Node | None:
        owner = self._nodes.get(owner_uid)
        if owner is not None:
            owner.dependents.pop(node.uid, None)
            if owner.virtual and not owner.dependents:
                del self._nodes[owner_uid]
                return None
        return owner

    def _note_deletion(self, node: Node, meta: meta_v1.ObjectMeta) -> set[str]:
        if meta.deletionTimestamp is None:
            return set()
        finalizers = meta.finalizers or ()
        node.deleting = True
        node.waits_for_dependents = FOREGROUND in finalizers
        due = {node.uid} if ORPHAN in finalizers else set()
        if node.waits_for_dependents:
            due |= {node.uid, *node.dependents}
        return due

    def confirm(self, uid: str, obj: Any) -> None:
        """The API has the object that was so far only named as an owner.

        Safe, because a read is never behind a watch: should it go, the watch has yet to say so.
        """
        node = self._nodes.get(uid)
        if node is not None and node.virtual:
            node.virtual, node.identity = False, identity_of(obj)

    def gone(self, uid: str) -> set[str]:
        """An object is not there any more."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return set()
        due = set(node.dependents)
        for owner_uid in node.owners:
            owner = self._unlink(node, owner_uid)
            if owner is not None and owner.waits_for_dependents:
                due.add(owner_uid)
        return due
