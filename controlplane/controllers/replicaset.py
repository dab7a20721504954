"""Keeps as many pods of a template alive as a ReplicaSet asks for.

Source: Kubernetes, `pkg/controller/replicaset/replica_set.go`.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from base.clock import Clock
from controlplane.controllers import batches, pods, replicaset_plan
from controlplane.controllers.expectations import Expectations
from controlplane.controllers.ownership import Claimer, controller_of, controller_uid
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, WARNING, EventRecorder
from controlplane.controllers.replicaset_plan import PodView
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.selectors import LabelMatcher, of_selector
from kubeapi.types import apps_v1, core_v1

# Counting pods takes time in proportion to their number; a ReplicaSet of a thousand is counted at
# most ten times a second, whatever happens to its pods.
COUNT_DELAY_PER_POD_S = 0.0001
COUNT_DELAY_MAX_S = 0.5
COUNT_AT_ONCE_PODS = 50

BY_CONTROLLER = "controller uid, or orphans of a namespace"


def by_controller(pod: core_v1.Pod) -> Iterable[str]:
    """Index of pods: the uid of the controller, or `orphan/<namespace>`."""
    return (controller_uid(pod) or f"orphan/{pods.meta_of(pod).namespace}",)


@dataclass
class _Views:
    """Views of the pods of one ReplicaSet, made once per version of a pod."""

    generation: int | None
    matcher: LabelMatcher
    template_labels: dict[str, str]
    cached: dict[str, PodView] = field(default_factory=dict)

    def of(self, controlled: Iterable[core_v1.Pod]) -> list[PodView]:
        fresh: dict[str, PodView] = {}
        cached = self.cached
        for pod in controlled:
            uid = pods.meta_of(pod).uid or ""
            view = cached.get(uid)
            if view is None or view.pod is not pod:
                view = replicaset_plan.view(pod, self.matcher, self.template_labels)
            fresh[uid] = view
        self.cached = fresh
        return list(fresh.values())


class ReplicaSetController:
    name = "replicaset-controller"

    def __init__(
        self,
        client: Client,
        informers: SharedInformers,
        recorder: EventRecorder,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._claimer = Claimer(client, core_v1.Pod, apps_v1.ReplicaSet)
        self._expectations = Expectations(clock)
        self._views: dict[str, _Views] = {}
        self.loop = ControlLoop("replicaset", self.reconcile, clock, rng)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index(BY_CONTROLLER, by_controller)
        self._replica_sets = informers.of(apps_v1.ReplicaSet)
        self._replica_sets.add_index(BY_CONTROLLER, lambda rs: (controller_uid(rs),))
        self._replica_sets.add_handler(self._replica_set_changed)
        self._pods.add_handler(self._pod_changed)

    # What wakes a key.

    def _replica_set_changed(
        self, old: apps_v1.ReplicaSet | None, new: apps_v1.ReplicaSet | None
    ) -> None:
        if new is None and old is not None:
            self._expectations.forget(object_key(old))
            self._views.pop(pods.meta_of(old).uid or "", None)
        changed = new or old
        if changed is not None:
            self.loop.enqueue(object_key(changed))

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if old is not None and (new is None or controller_uid(new) != controller_uid(old)):
            self._observe(old, gone=True)
        if new is None:
            return
        if controller_of(new) is None:
            self._wake_adopters(old, new)
        elif pods.meta_of(new).deletionTimestamp is not None:
            self._observe(new, gone=True)
        else:
            self._observe(new, created=old is None)

    def _observe(self, pod: core_v1.Pod, *, gone: bool = False, created: bool = False) -> None:
        key = self._key_of_controller(pod)
        if key is None:
            return
        if gone:
            self._expectations.deletion_observed(key, pods.meta_of(pod).uid or "")
        if created:
            self._expectations.creation_observed(key)
        count = len(self._pods.by_index(BY_CONTROLLER, controller_uid(pod)))
        late = count > COUNT_AT_ONCE_PODS
        delay_s = min(COUNT_DELAY_MAX_S, count * COUNT_DELAY_PER_POD_S) if late else 0.0
        self.loop.enqueue(key, delay_s)

    def _key_of_controller(self, pod: core_v1.Pod) -> str | None:
        owner = controller_of(pod)
        if owner is None or owner.kind != "ReplicaSet":
            return None
        key = f"{pods.meta_of(pod).namespace}/{owner.name}"
        rs = self._replica_sets.get(key)
        return key if rs is not None and pods.meta_of(rs).uid == owner.uid else None

    def _wake_adopters(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        meta = pods.meta_of(new)
        was_orphan = old is not None and controller_of(old) is None
        if was_orphan and old is not None and pods.meta_of(old).labels == meta.labels:
            return
        for rs in self._replica_sets.list():
            matcher = self._views_of(rs).matcher
            if pods.meta_of(rs).namespace == meta.namespace and matcher.matches(meta.labels):
                self.loop.enqueue(object_key(rs))

    def _views_of(self, rs: apps_v1.ReplicaSet) -> _Views:
        uid, generation = pods.meta_of(rs).uid or "", pods.meta_of(rs).generation
        views = self._views.get(uid)
        if views is None or views.generation != generation:
            spec = rs.spec or apps_v1.ReplicaSetSpec()
            template = spec.template.metadata if spec.template else None
            labels = (template.labels if template else None) or {}
            matcher = of_selector(spec.selector)
            views = self._views[uid] = _Views(generation, matcher, labels)
        return views

    # What a run does.

    async def reconcile(self, key: str) -> Result:
        rs = self._replica_sets.get(key)
        if rs is None:
            self._expectations.forget(key)
            return DONE
        caught_up = self._expectations.satisfied(key)
        views = await self._claimed(rs)
        failures: list[Exception] = []
        plan = replicaset_plan.Plan()
        if caught_up and pods.meta_of(rs).deletionTimestamp is None:
            active = [v.pod for v in views if v.active]
            plan = replicaset_plan.decide(rs, active, self._related(rs), self._clock.now_s())
            failures = await self._carry_out(key, rs, plan)
        await self._write_status(rs, views, plan, failures)
        if failures:
            raise failures[0]
        min_ready_s = (rs.spec.minReadySeconds if rs.spec else 0) or 0
        now_s = self._clock.now_s()
        return Result(replicaset_plan.next_available_in_s(views, min_ready_s, now_s))

    async def _claimed(self, rs: apps_v1.ReplicaSet) -> list[PodView]:
        """Views of the pods it controls, after adopting orphans and releasing strangers."""
        meta = pods.meta_of(rs)
        tracked = self._views_of(rs)
        views = tracked.of(self._pods.by_index(BY_CONTROLLER, meta.uid))
        strangers = [v.pod for v in views if not v.matches]
        orphans = [
            pod
            for pod in self._pods.by_index(BY_CONTROLLER, f"orphan/{meta.namespace}")
            if pods.is_active(pod) and tracked.matcher.matches(pods.meta_of(pod).labels)
        ]
        own = [v for v in views if v.matches]
        if not strangers and not orphans:
            return own
        adopted = await self._claimer.claim(
            rs, strangers + orphans, lambda pod: tracked.matcher.matches(pods.meta_of(pod).labels)
        )
        labels = tracked.template_labels
        return own + [replicaset_plan.view(pod, tracked.matcher, labels) for pod in adopted]

    def _related(self, rs: apps_v1.ReplicaSet) -> Iterable[core_v1.Pod]:
        owner_uid = controller_uid(rs)
        siblings = self._replica_sets.by_index(BY_CONTROLLER, owner_uid) if owner_uid else (rs,)
        for sibling in siblings:
            yield from self._pods.by_index(BY_CONTROLLER, pods.meta_of(sibling).uid)

    async def _carry_out(
        self, key: str, rs: apps_v1.ReplicaSet, plan: replicaset_plan.Plan
    ) -> list[Exception]:
        if plan.create:
            return await self._create(key, rs, plan.create)
        if plan.delete:
            return await self._delete(key, rs, plan.delete)
        return []

    async def _create(self, key: str, rs: apps_v1.ReplicaSet, count: int) -> list[Exception]:
        self._expectations.expect_creations(key, count)
        template = pods.from_template(rs.spec.template if rs.spec else None, rs)
        created, failures = await batches.slow_start(count, partial(self._create_one, rs, template))
        # What failed, or was not tried after a failure, will never be observed.
        self._expectations.creation_observed(key, count - created)
        return [error for error in failures if not namespace_ends(error)]

    async def _create_one(self, rs: apps_v1.ReplicaSet, template: core_v1.Pod) -> None:
        try:
            pod = await self._client.create(template)
        except Exception as error:
            if not namespace_ends(error):
                self._recorder.event(rs, WARNING, "FailedCreate", f"Error creating: {error}")
            raise
        name = pods.meta_of(pod).name
        self._recorder.event(rs, NORMAL, "SuccessfulCreate", f"Created pod: {name}")

    async def _delete(
        self, key: str, rs: apps_v1.ReplicaSet, doomed: Iterable[core_v1.Pod]
    ) -> list[Exception]:
        doomed = list(doomed)
        self._expectations.expect_deletions(key, {pods.meta_of(p).uid or "" for p in doomed})
        return await batches.for_each(doomed, partial(self._delete_one, key, rs))

    async def _delete_one(self, key: str, rs: apps_v1.ReplicaSet, pod: core_v1.Pod) -> None:
        meta = pods.meta_of(pod)
        name, uid = meta.name or "", meta.uid or ""
        try:
            await self._client.delete(core_v1.Pod, name, meta.namespace or "", uid=uid)
        except Exception as error:
            self._expectations.deletion_observed(key, uid)
            if isinstance(error, StatusError) and error.code in (404, 409):
                return  # gone, or another pod of that name by now
            self._recorder.event(rs, WARNING, "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.event(rs, NORMAL, "SuccessfulDelete", f"Deleted pod: {name}")

    async def _write_status(
        self,
        rs: apps_v1.ReplicaSet,
        views: list[PodView],
        plan: replicaset_plan.Plan,
        failures: list[Exception],
    ) -> None:
        failure = None
        if failures:
            failure = ("FailedCreate" if plan.create else "FailedDelete", str(failures[0]))
        status = replicaset_plan.status(rs, views, failure, self._clock.now_s())
        if status == rs.status:
            return
        try:
            await self._client.update(
                msgspec.structs.replace(rs, status=status), subresource="status"
            )
        except StatusError as error:
            if error.code != 404:
                raise


def namespace_ends(error: Exception) -> bool:
    """Refused because the namespace is being deleted: trying again cannot help."""
    return isinstance(error, StatusError) and any(
        cause.reason == "NamespaceTerminating" for cause in error.causes
    )
