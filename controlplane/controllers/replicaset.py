"""Keeps as many pods of a template alive as a ReplicaSet asks for.

Source: Kubernetes, `pkg/controller/replicaset/replica_set.go`.
"""

import random
from collections.abc import Iterable
from functools import partial

import msgspec

from base.clock import Clock
from controlplane.controllers import batches, pods, replicaset_plan
from controlplane.controllers.expectations import Expectations
from controlplane.controllers.indices import BY_CONTROLLER, by_controller, orphans
from controlplane.controllers.ownership import Claimer, controller_of, controller_uid
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, WARNING, EventRecorder
from controlplane.controllers.refusals import namespace_ends
from controlplane.controllers.replicaset_plan import Tally
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.types import apps_v1, core_v1

# A ReplicaSet of many pods gathers their changes: its status, and what follows from that, is
# written a few times a second, not once per pod.
GATHER_FROM_PODS = 50
GATHER_S = 0.1
# The informer shows an adoption within milliseconds, and wakes us then.
ADOPTION_RECHECK_S = 1.0


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
        self._tallies: dict[str, Tally] = {}
        self.loop = ControlLoop("replicaset", self.reconcile, clock, rng)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index(BY_CONTROLLER, by_controller)
        self._replica_sets = informers.of(apps_v1.ReplicaSet)
        self._replica_sets.add_index(BY_CONTROLLER, by_controller)
        self._replica_sets.add_handler(self._replica_set_changed)
        self._pods.add_handler(self._pod_changed)

    # What wakes a key.

    def _replica_set_changed(
        self, old: apps_v1.ReplicaSet | None, new: apps_v1.ReplicaSet | None
    ) -> None:
        if new is None:
            if old is not None:
                self._expectations.forget(object_key(old))
                self._tallies.pop(pods.meta_of(old).uid or "", None)
                self.loop.enqueue(object_key(old))
            return
        # A change of status is most often our own write, and nothing to hurry for.
        same = old is not None and _spec_version(old) == _spec_version(new)
        self.loop.enqueue(object_key(new), self._gather_s(new) if same else 0.0)

    def _gather_s(self, rs: apps_v1.ReplicaSet) -> float:
        count = len(self._pods.by_index(BY_CONTROLLER, pods.meta_of(rs).uid))
        return GATHER_S if count > GATHER_FROM_PODS else 0.0

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        self._count(old, new)
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

    def _count(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        before = self._tallies.get(controller_uid(old)) if old is not None else None
        after = self._tallies.get(controller_uid(new)) if new is not None else None
        if old is not None and before is not None and before is not after:
            before.drop(pods.meta_of(old).uid or "")
        if new is not None and after is not None:
            after.put(new)

    def _observe(self, pod: core_v1.Pod, *, gone: bool = False, created: bool = False) -> None:
        rs = self._controller_of(pod)
        if rs is None:
            return
        key = object_key(rs)
        if gone:
            self._expectations.deletion_observed(key, pods.meta_of(pod).uid or "")
        if created:
            self._expectations.creation_observed(key)
        self.loop.enqueue(key, self._gather_s(rs))

    def _controller_of(self, pod: core_v1.Pod) -> apps_v1.ReplicaSet | None:
        owner = controller_of(pod)
        if owner is None or owner.kind != "ReplicaSet":
            return None
        rs = self._replica_sets.get(f"{pods.meta_of(pod).namespace}/{owner.name}")
        return rs if rs is not None and pods.meta_of(rs).uid == owner.uid else None

    def _wake_adopters(self, old: core_v1.Pod | None, new: core_v1.Pod) -> None:
        meta = pods.meta_of(new)
        was_orphan = old is not None and controller_of(old) is None
        if was_orphan and old is not None and pods.meta_of(old).labels == meta.labels:
            return
        for rs in self._replica_sets.list():
            same_namespace = pods.meta_of(rs).namespace == meta.namespace
            if same_namespace and self._tally_of(rs).matcher.matches(meta.labels):
                self.loop.enqueue(object_key(rs))

    def _tally_of(self, rs: apps_v1.ReplicaSet) -> Tally:
        uid = pods.meta_of(rs).uid or ""
        tally = self._tallies.get(uid)
        if tally is None or tally.generation != pods.meta_of(rs).generation:
            tally = self._tallies[uid] = Tally(rs)
            for pod in self._pods.by_index(BY_CONTROLLER, uid):
                tally.put(pod)
        return tally

    # What a run does.

    async def reconcile(self, key: str) -> Result:
        rs = self._replica_sets.get(key)
        if rs is None:
            self._expectations.forget(key)
            return DONE
        # Asked for before the count: what is seen in between only makes the count truer.
        caught_up = self._expectations.satisfied(key)
        if await self._claim(rs):
            return Result(ADOPTION_RECHECK_S)
        tally = self._tally_of(rs)
        surplus, failures = 0, list[Exception]()
        if caught_up and pods.meta_of(rs).deletionTimestamp is None:
            surplus = replicaset_plan.surplus(rs, tally.active)
            failures = await self._carry_out(key, rs, tally, surplus)
        failure = None
        if failures:
            failure = ("FailedCreate" if surplus < 0 else "FailedDelete", str(failures[0]))
        await self._write_status(rs, tally, failure)
        if failures:
            raise failures[0]
        min_ready_s = replicaset_plan.min_ready_s(rs)
        return Result(tally.available(min_ready_s, self._clock.now_s())[1])

    async def _claim(self, rs: apps_v1.ReplicaSet) -> bool:
        """Release pods that do not match and adopt those that do; whether any was adopted, and
        will only be counted once the informer shows it."""
        tally = self._tally_of(rs)
        matches = tally.matcher.matches
        namespace = pods.meta_of(rs).namespace or ""
        strangers = [v.pod for v in tally.views() if not v.matches] if tally.strangers else []
        adoptable = [
            pod
            for pod in self._pods.by_index(BY_CONTROLLER, orphans(namespace))
            if pods.is_active(pod) and matches(pods.meta_of(pod).labels)
        ]
        if not strangers and not adoptable:
            return False
        adopted = await self._claimer.claim(
            rs, strangers + adoptable, lambda pod: matches(pods.meta_of(pod).labels)
        )
        return bool(adopted)

    def _related(self, rs: apps_v1.ReplicaSet) -> Iterable[core_v1.Pod]:
        owner_uid = controller_uid(rs)
        siblings = self._replica_sets.by_index(BY_CONTROLLER, owner_uid) if owner_uid else (rs,)
        for sibling in siblings:
            yield from self._pods.by_index(BY_CONTROLLER, pods.meta_of(sibling).uid)

    async def _carry_out(
        self, key: str, rs: apps_v1.ReplicaSet, tally: Tally, surplus: int
    ) -> list[Exception]:
        if surplus < 0:
            return await self._create(key, rs, -surplus)
        if surplus > 0:
            active = [v.pod for v in tally.views() if v.active and v.matches]
            now_s = self._clock.now_s()
            doomed = replicaset_plan.to_delete(rs, active, self._related(rs), now_s)
            return await self._delete(key, rs, doomed)
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
        self, rs: apps_v1.ReplicaSet, tally: Tally, failure: tuple[str, str] | None
    ) -> None:
        status = replicaset_plan.status(rs, tally, failure, self._clock.now_s())
        if status == rs.status:
            return
        changed = msgspec.structs.replace(rs, status=status)
        try:
            await self._client.update(changed, subresource="status")
        except StatusError as error:
            if error.code != 404:
                raise


def _spec_version(rs: apps_v1.ReplicaSet) -> tuple[object, ...]:
    """Differs when anything but the status did."""
    meta = pods.meta_of(rs)
    return meta.generation, meta.deletionTimestamp, meta.annotations, meta.ownerReferences
