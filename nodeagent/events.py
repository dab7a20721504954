"""Events about pods and the node, sent beside the work and never in its way.

Equal events are one object whose count grows, as client-go's correlator does it; each object has
a budget, so that a pod that fails in a loop does not flood the API. What cannot be sent is
dropped: an event is a help to people, never state.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace

from base.clock import Clock, rfc3339
from kubeapi.client import Client, PatchType
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1
from nodeagent.pods.spec import metadata

log = logging.getLogger(__name__)

COMPONENT = "kubelet"
SEND_TIMEOUT_S = 10.0
QUEUE_MAX = 1000
KNOWN_MAX = 4096
# client-go's spam filter: 25 events per object, then one more every 5 minutes.
BURST = 25
REFILL_S = 300.0


@dataclass(frozen=True)
class Occurrence:
    """One thing that happened; two that are equal are counted together."""

    regarding: core_v1.ObjectReference
    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class _Known:
    """An event that has been sent: its name, and what it counts to."""

    name: str
    count: int
    first_s: float


class EventRecorder:
    """`event` takes note and returns; `run` sends."""

    def __init__(self, client: Client, node_name: str, clock: Clock) -> None:
        self._client = client
        self._node_name = node_name
        self._clock = clock
        self._queue: asyncio.Queue[tuple[Occurrence, float]] = asyncio.Queue(QUEUE_MAX)
        self._known: OrderedDict[Occurrence, _Known] = OrderedDict()
        self._budget: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._serial = 0

    def pod(
        self, pod: core_v1.Pod, type_: str, reason: str, message: str, container: str = ""
    ) -> None:
        """An event of a pod, or of one of its containers."""
        meta = metadata(pod)
        path = None
        if container:
            inits = {c.name for c in (pod.spec.initContainers if pod.spec else None) or ()}
            field = "initContainers" if container in inits else "containers"
            path = f"spec.{field}{{{container}}}"
        reference = core_v1.ObjectReference(
            apiVersion="v1",
            kind="Pod",
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            fieldPath=path,
        )
        self._note(Occurrence(reference, type_, reason, message))

    def node(self, type_: str, reason: str, message: str) -> None:
        name = self._node_name
        reference = core_v1.ObjectReference(kind="Node", name=name, uid=name, namespace=None)
        self._note(Occurrence(reference, type_, reason, message))

    async def run(self) -> None:
        """Send what was noted, in order, until cancelled."""
        while True:
            occurrence, at_s = await self._queue.get()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._send(occurrence, at_s)
            except (StatusError, TimeoutError) as error:
                log.warning("event %s not sent: %s", occurrence.reason, error)
            except Exception:
                log.exception("event %s not sent", occurrence.reason)

    def _note(self, occurrence: Occurrence) -> None:
        # The version that an object had is no part of what happened.
        regarding = occurrence.regarding
        log.debug("%s %s: %s", regarding.name, occurrence.reason, occurrence.message)
        now_s = self._clock.now_s()
        if self._over_budget(regarding, now_s):
            return
        try:
            self._queue.put_nowait((occurrence, now_s))
        except asyncio.QueueFull:
            log.warning("event %s of %s dropped: queue full", occurrence.reason, regarding.name)

    def _over_budget(self, regarding: core_v1.ObjectReference, now_s: float) -> bool:
        key = f"{regarding.kind}/{regarding.uid}"
        tokens, at_s = self._budget.pop(key, (float(BURST), now_s))
        tokens = min(float(BURST), tokens + (now_s - at_s) / REFILL_S)
        over = tokens < 1.0
        self._budget[key] = (tokens if over else tokens - 1.0, now_s)
        if len(self._budget) > KNOWN_MAX:
            self._budget.popitem(last=False)
        return over

    async def _send(self, occurrence: Occurrence, at_s: float) -> None:
        key = replace(occurrence, regarding=_without_version(occurrence.regarding))
        known = self._known.pop(key, None)
        if known is not None:
            known = await self._count_up(key, known, at_s)
        if known is None:
            known = await self._create(occurrence, at_s)
        self._known[key] = known
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    async def _count_up(self, key: Occurrence, known: _Known, at_s: float) -> _Known | None:
        """The event counted once more; None where it has expired in the API."""
        counted = replace(known, count=known.count + 1)
        patch = {"count": counted.count, "lastTimestamp": rfc3339(at_s)}
        namespace = key.regarding.namespace or "default"
        try:
            await self._client.patch(
                core_v1.Event,
                known.name,
                patch,
                namespace=namespace,
                patch_type=PatchType.MERGE,
            )
        except StatusError as error:
            if error.code == 404:
                return None
            raise
        return counted

    async def _create(self, occurrence: Occurrence, at_s: float) -> _Known:
        regarding = occurrence.regarding
        self._serial += 1
        name = f"{regarding.name}.{int(at_s * 1e9) + self._serial:x}"
        event = core_v1.Event(
            metadata=meta_v1.ObjectMeta(name=name, namespace=regarding.namespace or "default"),
            involvedObject=regarding,
            type=occurrence.type,
            reason=occurrence.reason,
            message=occurrence.message,
            count=1,
            firstTimestamp=rfc3339(at_s),
            lastTimestamp=rfc3339(at_s),
            source=core_v1.EventSource(component=COMPONENT, host=self._node_name),
            reportingComponent=COMPONENT,
            reportingInstance=self._node_name,
        )
        await self._client.create(event)
        return _Known(name, 1, at_s)


def _without_version(reference: core_v1.ObjectReference) -> core_v1.ObjectReference:
    return core_v1.ObjectReference(
        kind=reference.kind,
        namespace=reference.namespace,
        name=reference.name,
        uid=reference.uid,
        fieldPath=reference.fieldPath,
    )
