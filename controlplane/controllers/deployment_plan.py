"""What to do next about a Deployment: a pure function of it and its ReplicaSets.

Source: Kubernetes, `pkg/controller/deployment` (sync.go, rolling.go, recreate.go).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from controlplane.controllers import deployment_revision as revision
from controlplane.controllers import deployment_scaling as scaling
from controlplane.controllers import deployment_status as status
from controlplane.controllers.pods import meta_of
from kubeapi.types import apps_v1


@dataclass(frozen=True)
class Update:
    """A ReplicaSet to write, and the ScalingReplicaSet event to record when that is done."""

    replica_set: apps_v1.ReplicaSet
    event: str = ""


@dataclass
class Decision:
    """Writes in their order: create, then updates, then deletes, then the Deployment's status."""

    create: apps_v1.ReplicaSet | None = None
    updates: list[Update] = field(default_factory=list)
    deletes: list[apps_v1.ReplicaSet] = field(default_factory=list)
    deployment: apps_v1.Deployment | None = None
    requeue_after_s: float = 0.0


def decide(
    deployment: apps_v1.Deployment,
    replica_sets: Sequence[apps_v1.ReplicaSet],
    old_pods_run: bool,
    now_s: float,
) -> Decision:
    """`old_pods_run`: some pod of another template than the newest has not ended yet (only
    Recreate asks)."""
    work = _Work(deployment, replica_sets, now_s)
    if meta_of(deployment).deletionTimestamp is not None:
        work.write_status(progress=False)
        return work.decision
    work.note_pause()
    paused = bool(deployment.spec and deployment.spec.paused)
    if paused or scaling.was_scaled(deployment, replica_sets):
        work.sync_new(create=False)
        work.scale()
        if paused:
            work.clean_up()
        work.write_status(progress=False)
        return work.decision
    moved = work.roll() if scaling.is_rolling(deployment) else work.recreate(old_pods_run)
    if not moved and status.is_complete(deployment, status.status_of(deployment)):
        work.clean_up()
    work.write_status(progress=True)
    return work.decision


class _Work:
    """The Deployment and its ReplicaSets as they will be once the decision is carried out."""

    def __init__(
        self,
        deployment: apps_v1.Deployment,
        replica_sets: Sequence[apps_v1.ReplicaSet],
        now_s: float,
    ) -> None:
        self.decision = Decision()
        self._given = deployment
        self._now_s = now_s
        self._conditions = list(status.status_of(deployment).conditions or ())
        self._annotations = revision.annotations_of(deployment)
        new = revision.find_new(deployment, replica_sets)
        self._new = new
        self._old = [rs for rs in replica_sets if rs is not new]
        self._changed: dict[str, Update] = {}

    @property
    def _all(self) -> list[apps_v1.ReplicaSet]:
        return [*self._old, self._new] if self._new else self._old

    # The newest ReplicaSet and its revision.

    def sync_new(self, *, create: bool) -> None:
        """Bring the newest ReplicaSet's annotations and the revision up to date, or create it."""
        if self._new is not None:
            self._sync_existing(self._new)
        elif create:
            self._create_new()

    def _sync_existing(self, new: apps_v1.ReplicaSet) -> None:
        annotations = revision.new_annotations(self._given, new, self._old)
        spec = new.spec or apps_v1.ReplicaSetSpec()
        wanted_s = self._given.spec.minReadySeconds if self._given.spec else None
        if annotations != revision.annotations_of(new) or spec.minReadySeconds != wanted_s:
            meta = msgspec.structs.replace(meta_of(new), annotations=annotations)
            spec = msgspec.structs.replace(spec, minReadySeconds=wanted_s)
            self._put(msgspec.structs.replace(new, metadata=meta, spec=spec))
        self._set_revision(annotations)
        if not status.condition(self._conditions, "Progressing"):
            message = f'Found new replica set "{meta_of(new).name}"'
            self._progressing("True", "FoundNewReplicaSet", message)

    def _create_new(self) -> None:
        count = scaling.size_of_new(self._given, self._old, 0)
        annotations = revision.new_annotations(self._given, None, self._old)
        annotations |= scaling.replica_annotations(self._given)
        self._new = self.decision.create = revision.make_new(self._given, count, annotations)
        self._set_revision(annotations)
        message = f'Created new replica set "{meta_of(self._new).name}"'
        self._progressing("True", "NewReplicaSetCreated", message)

    def _set_revision(self, annotations: dict[str, str]) -> None:
        self._annotations = self._annotations | {revision.REVISION: annotations[revision.REVISION]}

    def note_pause(self) -> None:
        """Pausing stops the progress deadline; resuming starts it anew."""
        current = status.condition(self._conditions, "Progressing")
        if current is not None and current.reason == status.TIMED_OUT:
            return
        paused = bool(self._given.spec and self._given.spec.paused)
        was_paused = current is not None and current.reason == status.PAUSED
        if paused and not was_paused:
            self._progressing("Unknown", status.PAUSED, "Deployment is paused")
        elif was_paused and not paused:
            self._progressing("Unknown", "DeploymentResumed", "Deployment is resumed")

    def _progressing(self, value: str, reason: str, message: str) -> None:
        if status.deadline_s(self._given) is not None:
            new = status.make("Progressing", value, reason, message, self._now_s)
            self._conditions = status.with_condition(self._conditions, new)

    # Rollout and scaling.

    def roll(self) -> bool:
        """One step of a rolling update; whether anything was scaled."""
        self.sync_new(create=True)
        assert self._new is not None
        present, count = scaling.size(self._new), scaling.wanted(self._given)
        if present > count:
            return self._resize(self._new, count)
        if present < count and self.decision.create is None:
            grown = scaling.size_of_new(self._given, self._all, present)
            if self._resize(self._new, grown):
                return True
        return self._resize_all(scaling.shrink_old(self._given, self._new, self._old))

    def recreate(self, old_pods_run: bool) -> bool:
        """All old pods end before the first new one starts."""
        self.sync_new(create=False)
        active = scaling.active(self._old)
        if active:
            return self._resize_all({meta_of(rs).name or "": 0 for rs in active})
        if old_pods_run or any(scaling.actual(rs) for rs in self._old):
            return True
        if self._new is None:
            self.sync_new(create=True)
            return True
        return self._resize(self._new, scaling.wanted(self._given))

    def scale(self) -> None:
        """Follow a change of the Deployment's size without rolling anything out."""
        active = scaling.active(self._all)
        if len(active) <= 1:
            only = active[0] if active else self._new or _latest(self._old)
            if only is not None:
                self._set_size(only, scaling.wanted(self._given))
        elif scaling.is_saturated(self._given, self._new):
            self._resize_all({meta_of(rs).name or "": 0 for rs in scaling.active(self._old)})
        elif scaling.is_rolling(self._given):
            sizes = scaling.proportional(self._given, active)
            for rs in active:
                self._set_size(rs, sizes[meta_of(rs).name or ""])

    def _resize_all(self, sizes: dict[str, int]) -> bool:
        resized = [
            self._resize(rs, sizes.get(meta_of(rs).name or "", scaling.size(rs)))
            for rs in self._old
        ]
        return any(resized)

    def _resize(self, rs: apps_v1.ReplicaSet, count: int) -> bool:
        if scaling.size(rs) == count:
            return False
        self._set_size(rs, count)
        return True

    def _set_size(self, rs: apps_v1.ReplicaSet, count: int) -> None:
        """Size and annotations; only a change of size is an event."""
        before = scaling.size(rs)
        annotations = revision.annotations_of(rs) | scaling.replica_annotations(self._given)
        if count == before and annotations == revision.annotations_of(rs):
            return
        meta = msgspec.structs.replace(meta_of(rs), annotations=annotations)
        spec = msgspec.structs.replace(rs.spec or apps_v1.ReplicaSetSpec(), replicas=count)
        event = ""
        if count != before:
            way = "up" if count > before else "down"
            event = f"Scaled {way} replica set {meta.name} from {before} to {count}"
        self._put(msgspec.structs.replace(rs, metadata=meta, spec=spec), event)

    def _put(self, rs: apps_v1.ReplicaSet, event: str = "") -> None:
        name = meta_of(rs).name or ""
        if self._new is not None and meta_of(self._new).name == name:
            self._new = rs
        self._old = [rs if meta_of(old).name == name else old for old in self._old]
        earlier = self._changed.get(name)
        self._changed[name] = Update(rs, event or (earlier.event if earlier else ""))
        self.decision.updates = list(self._changed.values())

    def clean_up(self) -> None:
        """Forget the oldest revisions beyond `revisionHistoryLimit`."""
        limit = self._given.spec.revisionHistoryLimit if self._given.spec else None
        if limit is None:
            return
        alive = [rs for rs in self._old if meta_of(rs).deletionTimestamp is None]
        for rs in sorted(alive, key=revision.revision_of)[: max(0, len(alive) - limit)]:
            if not (scaling.actual(rs) or scaling.size(rs) or _unobserved(rs)):
                self.decision.deletes.append(rs)

    # The Deployment itself.

    def write_status(self, *, progress: bool) -> None:
        given = self._given
        new_status = status.counted(given, self._all, self._new, self._conditions, self._now_s)
        if progress:
            new_status = status.with_progress(given, new_status, self._new, self._now_s)
            new_status = status.with_failures(new_status, self._all, self._new, self._now_s)
            self.decision.requeue_after_s = status.check_again_in_s(given, new_status, self._now_s)
        meta = meta_of(given)
        if new_status != given.status or self._annotations != revision.annotations_of(given):
            meta = msgspec.structs.replace(meta, annotations=self._annotations or None)
            self.decision.deployment = msgspec.structs.replace(
                given, metadata=meta, status=new_status
            )


def _latest(replica_sets: Iterable[apps_v1.ReplicaSet]) -> apps_v1.ReplicaSet | None:
    return next(reversed(revision.by_age(replica_sets)), None)


def _unobserved(rs: apps_v1.ReplicaSet) -> bool:
    seen = rs.status.observedGeneration if rs.status else None
    return (meta_of(rs).generation or 0) > (seen or 0)
