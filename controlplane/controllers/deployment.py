"""Rolls out a Deployment's template through ReplicaSets.

Source: Kubernetes, `pkg/controller/deployment/deployment_controller.go`.
"""

import random

import msgspec

from base.clock import Clock
from controlplane.controllers import deployment_plan, pods
from controlplane.controllers import deployment_revision as revision
from controlplane.controllers import deployment_status as status
from controlplane.controllers.deployment_scaling import is_rolling
from controlplane.controllers.indices import (
    BY_CONTROLLER,
    BY_NAMESPACE,
    by_controller,
    by_namespace,
)
from controlplane.controllers.ownership import Claimer, controller_of, controller_uid
from controlplane.controllers.pods import meta_of
from controlplane.controllers.reconciler import DONE, ControlLoop, Result
from controlplane.controllers.recorder import NORMAL, WARNING, EventRecorder
from controlplane.controllers.refusals import namespace_ends
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.informer import SharedInformers, object_key
from kubeapi.selectors import of_selector
from kubeapi.types import apps_v1, core_v1


class DeploymentController:
    name = "deployment-controller"

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
        self._claimer = Claimer(client, apps_v1.ReplicaSet, apps_v1.Deployment)
        self.loop = ControlLoop("deployment", self.reconcile, clock, rng)
        self._deployments = informers.of(apps_v1.Deployment)
        self._replica_sets = informers.of(apps_v1.ReplicaSet)
        self._pods = informers.of(core_v1.Pod)
        self._pods.add_index(BY_CONTROLLER, by_controller)
        self._replica_sets.add_index(BY_NAMESPACE, by_namespace)
        self._deployments.add_handler(self._deployment_changed)
        self._replica_sets.add_handler(self._replica_set_changed)
        self._pods.add_handler(self._pod_changed)

    # What wakes a key.

    def _deployment_changed(
        self, old: apps_v1.Deployment | None, new: apps_v1.Deployment | None
    ) -> None:
        changed = new or old
        if changed is not None:
            self.loop.enqueue(object_key(changed))

    def _replica_set_changed(
        self, old: apps_v1.ReplicaSet | None, new: apps_v1.ReplicaSet | None
    ) -> None:
        for rs in (old, new):
            owner = controller_of(rs) if rs is not None else None
            if owner is not None and owner.kind == "Deployment":
                self.loop.enqueue(f"{meta_of(rs).namespace}/{owner.name}")
        if new is not None and controller_of(new) is None:
            for deployment in self._deployments.list():
                same_namespace = meta_of(deployment).namespace == meta_of(new).namespace
                if same_namespace and _matches(deployment, new):
                    self.loop.enqueue(object_key(deployment))

    def _pod_changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """Recreate waits for the last old pod to go; nothing else depends on pods directly."""
        if new is not None or old is None:
            return
        owner = controller_of(old)
        if owner is None or owner.kind != "ReplicaSet":
            return
        rs = self._replica_sets.get(f"{meta_of(old).namespace}/{owner.name}")
        above = controller_of(rs) if rs is not None else None
        key = f"{meta_of(old).namespace}/{above.name}" if above is not None else ""
        deployment = self._deployments.get(key)
        if deployment is not None and not is_rolling(deployment):
            self.loop.enqueue(key)

    # What a run does.

    async def reconcile(self, key: str) -> Result:
        deployment = self._deployments.get(key)
        if deployment is None:
            return DONE
        matcher = of_selector(deployment.spec.selector if deployment.spec else None)
        if matcher.is_everything:
            return await self._refuse_to_select_all(deployment)
        owned = await self._claimer.claim(
            deployment,
            self._replica_sets.by_index(BY_NAMESPACE, meta_of(deployment).namespace),
            lambda rs: matcher.matches(meta_of(rs).labels),
        )
        decision = deployment_plan.decide(
            deployment, owned, self._old_pods_run(deployment, owned), self._clock.now_s()
        )
        await self._carry_out(deployment, decision)
        return Result(decision.requeue_after_s)

    async def _refuse_to_select_all(self, deployment: apps_v1.Deployment) -> Result:
        text = "This deployment is selecting all pods. A non-empty selector is required."
        self._recorder.event(deployment, WARNING, "SelectingAll", text)
        seen, now = status.status_of(deployment), meta_of(deployment).generation
        if (seen.observedGeneration or 0) < (now or 0):
            seen = msgspec.structs.replace(seen, observedGeneration=now)
            await self._write_status(msgspec.structs.replace(deployment, status=seen))
        return DONE

    def _old_pods_run(
        self, deployment: apps_v1.Deployment, owned: list[apps_v1.ReplicaSet]
    ) -> bool:
        new = revision.find_new(deployment, owned)
        return any(
            not pods.is_terminated(pod)
            for rs in owned
            if rs is not new
            for pod in self._pods.by_index(BY_CONTROLLER, meta_of(rs).uid)
        )

    async def _carry_out(
        self, deployment: apps_v1.Deployment, decision: deployment_plan.Decision
    ) -> None:
        if decision.create is not None and not await self._create(deployment, decision.create):
            return
        for update in decision.updates:
            await self._client.update(update.replica_set)
            if update.event:
                self._recorder.event(deployment, NORMAL, "ScalingReplicaSet", update.event)
        for rs in decision.deletes:
            await self._delete(rs)
        if decision.deployment is not None:
            await self._write_status(decision.deployment)

    async def _create(self, deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet) -> bool:
        """Whether the ReplicaSet is there now; otherwise the Deployment waits for better times."""
        try:
            await self._client.create(rs)
        except StatusError as error:
            if error.reason == "AlreadyExists":
                await self._resolve_collision(deployment, rs, error)
                return True
            if namespace_ends(error):
                return False
            await self._report_failed_create(deployment, rs, error)
            raise
        count = rs.spec.replicas if rs.spec else 0
        if count:
            text = f"Scaled up replica set {meta_of(rs).name} from 0 to {count}"
            self._recorder.event(deployment, NORMAL, "ScalingReplicaSet", text)
        return True

    async def _resolve_collision(
        self, deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet, error: StatusError
    ) -> None:
        """Fine where it is our own and only the cache was behind; else another hash is needed."""
        meta = meta_of(rs)
        live = await self._client.get(apps_v1.ReplicaSet, meta.name or "", meta.namespace or "")
        template = live.spec.template if live.spec else None
        own = controller_uid(live) == meta_of(deployment).uid
        if own and revision.same_template(template, revision.template_of(deployment)):
            return
        seen = status.status_of(deployment)
        collided = msgspec.structs.replace(seen, collisionCount=(seen.collisionCount or 0) + 1)
        await self._write_status(msgspec.structs.replace(deployment, status=collided))
        raise error

    async def _report_failed_create(
        self, deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet, error: StatusError
    ) -> None:
        text = f'Failed to create new replica set "{meta_of(rs).name}": {error}'
        self._recorder.event(deployment, WARNING, "ReplicaSetCreateError", text)
        if status.deadline_s(deployment) is None:
            return
        seen = status.status_of(deployment)
        now_s = self._clock.now_s()
        failed = status.make("Progressing", "False", "ReplicaSetCreateError", text, now_s)
        conditions = status.with_condition(list(seen.conditions or ()), failed)
        if conditions != seen.conditions:
            told = msgspec.structs.replace(seen, conditions=conditions)
            await self._write_status(msgspec.structs.replace(deployment, status=told))

    async def _delete(self, rs: apps_v1.ReplicaSet) -> None:
        meta = meta_of(rs)
        try:
            await self._client.delete(
                apps_v1.ReplicaSet, meta.name or "", meta.namespace or "", uid=meta.uid or ""
            )
        except StatusError as error:
            if error.code != 404:
                raise

    async def _write_status(self, deployment: apps_v1.Deployment) -> None:
        try:
            await self._client.update(deployment, subresource="status")
        except StatusError as error:
            if error.code != 404:
                raise


def _matches(deployment: apps_v1.Deployment, rs: apps_v1.ReplicaSet) -> bool:
    selector = deployment.spec.selector if deployment.spec else None
    return of_selector(selector).matches(meta_of(rs).labels)
