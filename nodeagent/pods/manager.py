"""All pods of this node: one worker each, and what no pod of the API accounts for cleaned up."""

import asyncio
import logging
import shutil
from collections.abc import Callable

from kubeapi.types import core_v1, meta_v1
from nodeagent.pods.identity import POD_GRACE_S
from nodeagent.pods.runtime_state import PodRuntime
from nodeagent.pods.sandbox_config import pod_log_directories
from nodeagent.pods.spec import metadata, uid_of
from nodeagent.pods.tools import Tools
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime_reader import PodName

log = logging.getLogger(__name__)


class PodManager:
    """Takes what the watch of this node's pods says; `wake(uid)` may be called by anybody."""

    def __init__(self, make_tools: Callable[["PodManager"], Tools]) -> None:
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._by_name: dict[tuple[str, str], core_v1.Pod] = {}
        # Whether the API has said which pods are ours; until then nothing is an orphan.
        self._complete = False
        self._tools = make_tools(self)

    def find(self, namespace: str, name: str) -> core_v1.Pod | None:
        return self._by_name.get((namespace, name))

    def pods(self) -> list[core_v1.Pod]:
        return [*self._by_name.values()]

    def waiting_reason(self, uid: str, container: str) -> str:
        """Why the container does not run yet; "" where nothing is known of that."""
        worker = self._workers.get(uid)
        status = worker.status if worker is not None else None
        if status is None:
            return ""
        every = [*(status.initContainerStatuses or ()), *(status.containerStatuses or ())]
        state = next((s.state for s in every if s.name == container), None)
        waiting = state.waiting if state is not None else None
        return (waiting.reason if waiting is not None else None) or ""

    def on_change(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        """A handler of the informer of this node's pods."""
        if new is not None:
            self._take(new)
        elif old is not None:
            self._lose(old)

    def wake(self, uid: str) -> None:
        """Have a look at the pod soon; one that nobody knows is an orphan."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()
        elif self._complete and uid in self._tools.reader.names:
            self._adopt_orphan(uid)

    def wake_all(self) -> None:
        for worker in self._workers.values():
            worker.wake()

    async def reconcile(self) -> None:
        """Now that both the API and the runtime have been read: end what has no pod."""
        self._complete = True
        for uid in list(self._tools.reader.pods):
            if uid not in self._workers:
                self._adopt_orphan(uid)
        left = self._tools.volumes.pod_uids() | self._tools.cgroups.pod_uids()
        for uid in left - self._workers.keys():
            log.info("removing what is left of pod %s", uid)
            await self._tools.volumes.remove_pod(uid)
            self._tools.cgroups.remove_pod(uid)
        for uid, folder in pod_log_directories(self._tools.settings.logs_dir).items():
            if uid not in self._workers:
                log.info("removing the logs of pod %s, which is gone", uid)
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def close(self) -> None:
        """Stop working; containers stay as they are."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tools.probes.close()
        await self._tools.writer.close()
        await self._tools.material.close()

    def _take(self, pod: core_v1.Pod) -> None:
        meta = metadata(pod)
        self._by_name[(meta.namespace or "", meta.name or "")] = pod
        worker = self._workers.get(uid_of(pod))
        if worker is None:
            self._start(pod)
        else:
            worker.update(pod)

    def _lose(self, pod: core_v1.Pod) -> None:
        meta = metadata(pod)
        key = (meta.namespace or "", meta.name or "")
        if uid_of(self._by_name.get(key, pod)) == uid_of(pod):
            self._by_name.pop(key, None)
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.removed()

    def _start(self, pod: core_v1.Pod) -> PodWorker:
        uid = uid_of(pod)
        seen_before = not self._complete or uid in self._tools.reader.pods
        worker = PodWorker(pod, self._tools, seen_before=seen_before)
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run(), name=f"worker of {metadata(pod).name}")
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._done(uid, done))
        return worker

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("the worker of pod %s died", uid, exc_info=task.exception())

    def _adopt_orphan(self, uid: str) -> None:
        """A pod of the runtime that the API does not have: it is ended as if just deleted."""
        name = self._tools.reader.names.get(uid) or PodName(uid, "", "")
        log.info("pod %s/%s (%s) is not in the API: ending it", name.namespace, name.name, uid)
        runtime = self._tools.reader.pods.get(uid, PodRuntime())
        grace = next(
            (
                c.annotations[POD_GRACE_S]
                for c in runtime.containers
                if POD_GRACE_S in c.annotations
            ),
            "30",
        )
        pod = core_v1.Pod(
            metadata=meta_v1.ObjectMeta(name=name.name, namespace=name.namespace, uid=uid),
            spec=core_v1.PodSpec(terminationGracePeriodSeconds=int(grace)),
        )
        self._start(pod).removed()
