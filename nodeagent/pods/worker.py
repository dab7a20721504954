"""One pod's worker: woken by anything, it has the pod looked at and one step done, over and over.

It is told nothing but "look": what happened is read from the present state. A step that keeps the
pod going is broken off when the pod is deleted, and an ending when it is to be quicker. Neighbours:
`sync` takes the steps, `manager` wakes.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from base.backoff import Backoff
from kubeapi.errors import StatusError
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupError
from nodeagent.cri import RuntimeServiceError
from nodeagent.pods.executor import SandboxError
from nodeagent.pods.spec import being_deleted, full_name, metadata, uid_of
from nodeagent.pods.status_writer import status_patch
from nodeagent.pods.sync import PodSync, StillRunning
from nodeagent.pods.tools import Tools
from nodeagent.volumes.payload import VolumeError

log = logging.getLogger(__name__)

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 60.0

# What goes wrong around a pod without the agent being at fault.
_EXPECTED = (
    RuntimeServiceError,
    CgroupError,
    SandboxError,
    VolumeError,
    StatusError,
    StillRunning,
    TimeoutError,
    OSError,
)


class PodWorker:
    """Drives one pod until nothing of it is left, here and in the API."""

    def __init__(self, pod: core_v1.Pod, tools: Tools, *, seen_before: bool) -> None:
        self.uid = uid_of(pod)
        self._tools = tools
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, rng=tools.rng)
        self._awake = asyncio.Event()
        self._awake.set()
        self._sync = PodSync(pod, tools, self.wake, seen_before=seen_before)
        self._step: asyncio.Task[None] | None = None
        # While the pod ends: the grace it was given (None: each container its own).
        self._ending = False
        self._ending_grace_s: int | None = None

    @property
    def status(self) -> core_v1.PodStatus | None:
        """What was last said of the pod."""
        return self._sync.status

    def wake(self) -> None:
        self._awake.set()

    def update(self, pod: core_v1.Pod) -> None:
        """The object as the API has it now."""
        before, self._sync.pod = self._sync.pod, pod
        if _matters(before, pod) or self._differs(pod):
            self.wake()
        if being_deleted(pod):
            self._hurry()

    def removed(self) -> None:
        """The object is gone from the API."""
        self._sync.gone = True
        self._sync.forced = being_deleted(self._sync.pod)
        self._tools.writer.forget(self.uid)
        self._hurry()
        self.wake()

    async def run(self) -> None:
        """Work until the pod is gone from here and from the API."""
        while True:
            await self._wait()
            if self._sync.gone and self._sync.ended:
                break
            self._sync.book.retry_after_s = None
            self._ending = self._sync.must_end
            self._ending_grace_s = self._sync.ending_grace_s
            work = self._sync.end() if self._ending else self._sync.keep()
            try:
                await self._interruptible(work)
                self._backoff.reset()
            except _EXPECTED as error:
                self._try_again(str(error))
            except Exception:
                log.exception("pod %s: a step failed", full_name(self._sync.pod))
                self._try_again("see above")
        self._tools.reader.forget(self.uid)

    def _try_again(self, error: str) -> None:
        delay_s = self._backoff.next_delay_s()
        log.warning("pod %s: %s; again in %.1f s", full_name(self._sync.pod), error, delay_s)
        self._sync.book.retry_in(delay_s)

    def _hurry(self) -> None:
        """Break off what keeps the pod going, or an ending that would take longer than asked."""
        if self._step is None:
            return
        wanted_s, given_s = self._sync.ending_grace_s, self._ending_grace_s
        sooner = wanted_s is not None and (given_s is None or wanted_s < given_s)
        if not self._ending or sooner:
            self._step.cancel()

    def _differs(self, pod: core_v1.Pod) -> bool:
        """Somebody else changed the status that this worker wrote."""
        if self._sync.status is None or self._tools.writer.is_own(pod):
            return False
        return status_patch(pod, self._sync.status) is not None

    async def _wait(self) -> None:
        """Until woken, or until it is time to try again."""
        timer = None
        if self._sync.book.retry_after_s is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._sync.book.retry_after_s, self._awake.set)
        try:
            await self._awake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._awake.clear()

    async def _interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one step, which `_hurry` may cancel; then the loop comes round again at once."""
        name = f"pod {full_name(self._sync.pod)}"
        step = self._step = asyncio.create_task(work, name=name)
        try:
            await asyncio.wait({step})
        except asyncio.CancelledError:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            raise
        finally:
            self._step = None
        if step.cancelled():
            self.wake()
            return
        step.result()


def _matters(before: core_v1.Pod, after: core_v1.Pod) -> bool:
    """Whether the change is one that the runtime has to follow."""
    old, new = metadata(before), metadata(after)
    return (
        old.generation != new.generation
        or old.deletionTimestamp != new.deletionTimestamp
        or old.deletionGracePeriodSeconds != new.deletionGracePeriodSeconds
        or old.labels != new.labels
        or old.annotations != new.annotations
        or before.spec != after.spec
    )
