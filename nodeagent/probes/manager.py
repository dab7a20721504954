"""A task per probe of each running container, and what they found."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock
from kubeapi.types import core_v1
from nodeagent.cri import CriClient
from nodeagent.events import EventRecorder
from nodeagent.pods.actions import Verdicts
from nodeagent.pods.runtime_state import PodRuntime
from nodeagent.pods.spec import all_containers, init_containers, is_sidecar, uid_of
from nodeagent.probes.checks import Outcome, ProbeResult, ProbeTarget, check
from nodeagent.probes.counting import (
    EARLY_DELAYS_S,
    Counter,
    ProbeKind,
    first_delay_s,
    next_delay_s,
    probe_of,
)

log = logging.getLogger(__name__)

OUTPUT_IN_EVENT_CHARS = 1024
Key = tuple[str, ProbeKind]


@dataclass
class _Probing:
    """One probe of one container that runs."""

    uid: str
    counter: Counter
    started: asyncio.Event
    task: asyncio.Task[None] | None = None


class ProbeManager:
    """Starts and stops probing as containers come and go; `wake(uid)` when a verdict changes."""

    def __init__(
        self, cri: CriClient, events: EventRecorder, clock: Clock, wake: Callable[[str], None]
    ) -> None:
        self._cri = cri
        self._events = events
        self._clock = clock
        self._wake = wake
        self._probing: dict[Key, _Probing] = {}

    def follow(self, pod: core_v1.Pod, runtime: PodRuntime, pod_ip: str) -> None:
        """Probe exactly the containers of `pod` that run now."""
        uid, wanted = uid_of(pod), set()
        inits = init_containers(pod)
        for container in all_containers(pod):
            record = runtime.current(container.name or "")
            if record is None or not record.running:
                continue
            if container in inits and not is_sidecar(container):
                continue
            target = ProbeTarget(container, record.id, pod_ip)
            started = self._started_event(container, record.id)
            for kind in ProbeKind:
                if probe_of(container, kind) is not None:
                    wanted.add((record.id, kind))
                    if (record.id, kind) not in self._probing:
                        self._start(pod, kind, target, started, record.started_at_ns / 1e9)
        self._stop(uid, keep=wanted)

    def stop(self, uid: str) -> None:
        """Stop probing the pod, and forget what was found."""
        self._stop(uid, keep=set())

    def verdicts(self, uid: str) -> Verdicts:
        found: dict[ProbeKind, dict[str, bool]] = {kind: {} for kind in ProbeKind}
        for (container_id, kind), probing in self._probing.items():
            if probing.uid == uid and probing.counter.verdict is not None:
                found[kind][container_id] = probing.counter.verdict
        return Verdicts(
            liveness=found[ProbeKind.LIVENESS],
            startup=found[ProbeKind.STARTUP],
            readiness=found[ProbeKind.READINESS],
        )

    async def close(self) -> None:
        tasks = [p.task for p in self._probing.values() if p.task is not None]
        self._probing.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _started_event(self, container: core_v1.Container, container_id: str) -> asyncio.Event:
        """Set once the container has started, which its other probes wait for."""
        for kind in ProbeKind:
            known = self._probing.get((container_id, kind))
            if known is not None:
                return known.started
        started = asyncio.Event()
        if container.startupProbe is None:
            started.set()
        return started

    def _start(
        self,
        pod: core_v1.Pod,
        kind: ProbeKind,
        target: ProbeTarget,
        started: asyncio.Event,
        started_at_s: float,
    ) -> None:
        probe = probe_of(target.container, kind)
        assert probe is not None
        probing = _Probing(uid_of(pod), Counter(probe, kind), started)
        self._probing[(target.container_id, kind)] = probing
        name = f"{kind.value} probe of {target.container.name}"
        probing.task = asyncio.create_task(self._run(pod, target, probing, started_at_s), name=name)

    def _stop(self, uid: str, keep: set[Key]) -> None:
        for key, probing in list(self._probing.items()):
            if probing.uid == uid and key not in keep:
                if probing.task is not None:
                    probing.task.cancel()
                del self._probing[key]

    async def _run(
        self, pod: core_v1.Pod, target: ProbeTarget, probing: _Probing, started_at_s: float
    ) -> None:
        counter = probing.counter
        if counter.kind is not ProbeKind.STARTUP:
            await probing.started.wait()
        ran_for_s = self._clock.now_s() - started_at_s
        await self._clock.sleep(first_delay_s(counter.probe, ran_for_s))
        done = 0
        while not counter.finished:
            result = await self._check(counter.probe, target)
            done += 1
            changed = counter.take(result.outcome)
            if not 1 < done <= len(EARLY_DELAYS_S) or counter.kind is not ProbeKind.READINESS:
                self._tell(pod, target, counter.kind, result)
            if counter.kind is ProbeKind.STARTUP and counter.verdict:
                probing.started.set()
            if changed:
                self._wake(probing.uid)
            if not counter.finished:
                await self._clock.sleep(next_delay_s(counter, done))

    async def _check(self, probe: core_v1.Probe, target: ProbeTarget) -> ProbeResult:
        """A fault of ours counts for nothing, and must not end the probing."""
        try:
            return await check(self._cri, probe, target)
        except Exception as error:
            log.exception("a probe of container %s failed", target.container.name)
            return ProbeResult(Outcome.UNKNOWN, str(error))

    def _tell(
        self, pod: core_v1.Pod, target: ProbeTarget, kind: ProbeKind, result: ProbeResult
    ) -> None:
        name, output = target.container.name or "", result.output[:OUTPUT_IN_EVENT_CHARS]
        if result.outcome is Outcome.FAILURE:
            text = f"{kind.value} probe failed: {output}"
            self._events.pod(pod, "Warning", "Unhealthy", text, name)
        elif result.outcome is Outcome.UNKNOWN:
            text = f"{kind.value} probe errored and resulted in unknown state: {output}"
            self._events.pod(pod, "Warning", "Unhealthy", text, name)
        elif result.outcome is Outcome.WARNING:
            text = f"{kind.value} probe warning: {output}"
            self._events.pod(pod, "Warning", "ProbeWarning", text, name)
