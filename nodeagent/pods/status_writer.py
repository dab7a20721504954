"""Pod statuses on their way to the API: at once, only what changed, the latest of each pod.

One write per pod is under way at a time; what comes meanwhile is joined into the next. Neighbours:
`worker` submits what `status` built.
"""

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from base.backoff import Backoff
from base.clock import Clock
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import core_v1
from nodeagent.pods.spec import EMPTY_STATUS, metadata, uid_of

log = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 10.0
# Lists that strategic merge would join with what is stored: they replace it.
_REPLACED = ("podIPs", "hostIPs")
# The pod is gone, or the API will never take this: another try would be no better. A conflict
# (409) is another writer's moment; where it means that the pod was replaced, `forget` follows.
_FINAL = (404, 422)


@dataclass
class _Pending:
    """The newest status of one pod, and the stored pod that it differs from."""

    pod: core_v1.Pod
    status: core_v1.PodStatus
    task: asyncio.Task[None] | None = None
    written: asyncio.Event = field(default_factory=asyncio.Event)


class StatusWriter:
    """`submit` returns at once; `flushed` waits until the pod's latest status is stored."""

    def __init__(self, client: Client, clock: Clock, rng: random.Random) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._pending: dict[str, _Pending] = {}
        self._stored: dict[str, core_v1.Pod] = {}

    def submit(self, pod: core_v1.Pod, status: core_v1.PodStatus) -> None:
        """Have `status` stored, where it differs from what `pod` has."""
        uid = uid_of(pod)
        pending = self._pending.get(uid)
        if pending is not None:
            pending.pod, pending.status = pod, status
            return
        if status_patch(self._newest(pod), status) is None:
            return
        pending = self._pending[uid] = _Pending(pod, status)
        name = f"status of {metadata(pod).name}"
        pending.task = asyncio.create_task(self._write(uid, pending), name=name)

    async def flushed(self, uid: str) -> None:
        pending = self._pending.get(uid)
        if pending is not None:
            await pending.written.wait()

    def forget(self, uid: str) -> None:
        """The pod is gone: so is what was to be said about it."""
        self._stored.pop(uid, None)
        pending = self._pending.pop(uid, None)
        if pending is not None:
            pending.written.set()
            if pending.task is not None:
                pending.task.cancel()

    async def close(self) -> None:
        tasks = [p.task for p in self._pending.values() if p.task is not None]
        for uid in list(self._pending):
            self.forget(uid)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _newest(self, pod: core_v1.Pod) -> core_v1.Pod:
        """`pod`, or what our own write brought back where the watch has not caught up."""
        stored = self._stored.get(uid_of(pod))
        if stored is None or _version(pod) >= _version(stored):
            return pod
        return stored

    def is_own(self, pod: core_v1.Pod) -> bool:
        """Whether this version of the pod is no newer than our last write to it."""
        stored = self._stored.get(uid_of(pod))
        return stored is not None and _version(pod) <= _version(stored)

    async def _write(self, uid: str, pending: _Pending) -> None:
        """Write until what was submitted last has been sent (or can never be)."""
        backoff = Backoff(0.1, 10.0, rng=self._rng)
        sent: core_v1.PodStatus | None = None
        # Not "until nothing differs": a server may keep a field in another form for ever.
        while pending.status is not sent:
            status = pending.status
            patch = status_patch(self._newest(pending.pod), status)
            try:
                if patch is not None:
                    await self._patch(uid, pending.pod, patch)
                sent = status
            except (StatusError, TimeoutError) as error:
                if isinstance(error, StatusError) and error.code in _FINAL:
                    log.info("status of %s not written: %s", metadata(pending.pod).name, error)
                    sent = status
                else:
                    await self._wait(pending, error, backoff)
        if self._pending.get(uid) is pending:
            del self._pending[uid]
        pending.written.set()

    async def _patch(self, uid: str, pod: core_v1.Pod, patch: dict[str, Any]) -> None:
        meta = metadata(pod)
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            self._stored[uid] = await self._client.patch(
                core_v1.Pod,
                meta.name or "",
                patch,
                namespace=meta.namespace or "",
                subresource="status",
            )

    async def _wait(self, pending: _Pending, error: Exception, backoff: Backoff) -> None:
        delay_s = backoff.next_delay_s()
        name = metadata(pending.pod).name
        log.warning("status of %s not written, again in %.1f s: %s", name, delay_s, error)
        await self._clock.sleep(delay_s)


def _version(pod: core_v1.Pod) -> int:
    return int(metadata(pod).resourceVersion or 0)


def status_patch(pod: core_v1.Pod, wanted: core_v1.PodStatus) -> dict[str, Any] | None:
    """The strategic merge patch from the stored status to `wanted`; None where they are equal.

    The uid in it is a precondition: a namesake of the pod never gets this status.
    """
    old = msgspec.to_builtins(pod.status or EMPTY_STATUS)
    new = msgspec.to_builtins(wanted)
    changed: dict[str, Any] = {}
    for key in old.keys() | new.keys():
        if old.get(key) == new.get(key):
            continue
        changed[key] = new.get(key)
        if key in _REPLACED and changed[key] is not None:
            changed[key] = [*changed[key], {"$patch": "replace"}]
        if key == "conditions":
            changed[key] = _with_removals(old.get(key) or [], changed[key] or [])
    if not changed:
        return None
    return {"metadata": {"uid": metadata(pod).uid}, "status": changed}


def _with_removals(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Conditions are merged one by one: a field that is gone from one has to be named."""
    before = {condition["type"]: condition for condition in old}
    return [dict.fromkeys(before.get(condition["type"], ())) | condition for condition in new]
