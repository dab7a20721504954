"""When to look at which pod: exits as containerd reports them, and a relist as safety net.

containerd's own event stream is on the socket of the CRI in every version (the CRI's
GetContainerEvents came with 1.7). Where the stream works a relist a minute finds what it may have
missed; where it does not, one a second does its work. Neighbours: `runtime_reader`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc.aio

from base.backoff import Backoff
from base.clock import Clock
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.runtime_reader import RuntimeReader
from pinnace_wire import containerd_events_pb2 as events_pb
from pinnace_wire import containerd_tasks_pb2 as tasks_pb
from pinnace_wire import cri_pb2 as pb

log = logging.getLogger(__name__)

RELIST_WITH_EVENTS_S = 60.0
RELIST_WITHOUT_EVENTS_S = 1.0
NAMESPACE = "k8s.io"
# The CRI learns of an exit from the same event as we do, a moment before or after.
# On a machine under load that moment is long.
CONFIRM_DELAYS_S = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, *[1.0] * 30)
EXIT, OOM = "/tasks/exit", "/tasks/oom"
_FILTERS = [f'namespace=="{NAMESPACE}",topic=="{topic}"' for topic in (EXIT, OOM)]
# The CRI notes an OOM kill on its own, perhaps after the exit that it caused.
OOM_NOTED_S = 0.2


class RuntimeEvents:
    """Calls `wake(uid)` for each pod whose containers may have changed."""

    def __init__(
        self,
        cri: CriClient,
        reader: RuntimeReader,
        wake: Callable[[str], None],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._cri = cri
        self._reader = reader
        self._wake = wake
        self._clock = clock
        self._backoff = Backoff(0.1, 10.0, rng=rng)
        self._following = False
        self._relist_now = asyncio.Event()
        self._confirming: set[asyncio.Task[None]] = set()
        self.relisted_at_s: float | None = None

    async def run(self) -> None:
        """Follow events and relist, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._relist_loop())
        finally:
            for task in self._confirming:
                task.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                async for envelope in self._subscribe():
                    self._handle(envelope)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    log.warning("the runtime has no event stream: relisting every second instead")
                    self._following = False
                    return
                log.info("event stream of the runtime ended: %s", error.details())
            self._following = False
            await self._clock.sleep(self._backoff.next_delay_s())

    async def _subscribe(self) -> AsyncIterator[events_pb.Envelope]:
        subscribe = self._cri.channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=events_pb.SubscribeRequest.SerializeToString,
            response_deserializer=events_pb.Envelope.FromString,
        )
        call = subscribe(events_pb.SubscribeRequest(filters=_FILTERS))
        await call.wait_for_connection()
        self._following = True
        self._backoff.reset()
        # Whatever happened before the stream stood is found by one relist.
        self._relist_now.set()
        async for envelope in call:
            yield envelope

    def _handle(self, envelope: events_pb.Envelope) -> None:
        if envelope.topic == OOM:
            killed = tasks_pb.TaskOOM.FromString(envelope.event.value)
            self._start(self._look_again(killed.container_id))
            return
        ended = tasks_pb.TaskExit.FromString(envelope.event.value)
        # A process that exec started has an id of its own; its end changes nothing here.
        if ended.id == ended.container_id:
            self._start(self._wake_when_ended(ended.container_id))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="runtime event")
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _look_again(self, container_id: str) -> None:
        """Read once more what may have been read before its reason was known."""
        await self._clock.sleep(OOM_NOTED_S)
        uid = self._reader.uid_of(container_id)
        if uid is not None:
            self._reader.forget_record(container_id)
            self._wake(uid)

    async def _wake_when_ended(self, runtime_id: str) -> None:
        """Wake the pod once the CRI says so too: a look before that would find it running."""
        for delay_s in CONFIRM_DELAYS_S:
            await self._clock.sleep(delay_s)
            uid = self._reader.uid_of(runtime_id)
            if uid is not None and await self._has_ended(runtime_id):
                self._wake(uid)
                return
        self._relist_now.set()

    async def _has_ended(self, runtime_id: str) -> bool:
        """A sandbox ends by the same event as a container: its pause process is one."""
        try:
            status = await self._cri.container_status(runtime_id)
            # Not "does not run": a process can end before the CRI calls it started.
            return bool(status.state == pb.CONTAINER_EXITED)
        except RuntimeServiceError as error:
            if not error.not_found:
                return False
        try:
            sandbox = await self._cri.sandbox_status(runtime_id)
            return bool(sandbox.state != pb.SANDBOX_READY)
        except RuntimeServiceError as error:
            return error.not_found

    async def _relist_loop(self) -> None:
        while True:
            self._relist_now.clear()
            try:
                for uid in await self._reader.read_all():
                    self._wake(uid)
                self.relisted_at_s = self._clock.monotonic_s()
            except RuntimeServiceError as error:
                log.warning("cannot list containers: %s", error)
            period_s = RELIST_WITH_EVENTS_S if self._following else RELIST_WITHOUT_EVENTS_S
            try:
                async with asyncio.timeout(period_s):
                    await self._relist_now.wait()
            except TimeoutError:
                pass
