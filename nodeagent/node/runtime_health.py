"""Whether the container runtime and its network are ready, asked often and told on change."""

import asyncio
import logging
from collections.abc import Callable

from base.clock import Clock
from nodeagent.cri import CriClient, RuntimeServiceError

log = logging.getLogger(__name__)

PERIOD_S = 5.0
# Until the network is there, somebody is waiting for it.
EAGER_PERIOD_S = 0.1
EAGER_FOR_S = 60.0


class RuntimeHealth:
    """Polls the CRI's Status; `changed()` is called when a problem comes or goes."""

    def __init__(self, cri: CriClient, clock: Clock, changed: Callable[[], None]) -> None:
        self._cri = cri
        self._clock = clock
        self._changed = changed
        self._began_s = clock.monotonic_s()
        self.runtime_problem = "container runtime status check may not have completed yet"
        self.network_problem = self.runtime_problem

    @property
    def problems(self) -> tuple[str, ...]:
        """For the node's Ready condition."""
        return tuple(p for p in (self.runtime_problem, self.network_problem) if p)

    async def run(self) -> None:
        while True:
            before = self.problems
            await self.look()
            if self.problems != before:
                log.info("runtime: %s", "; ".join(self.problems) or "ready")
                self._changed()
            await self._clock.sleep(self._period_s())

    async def look(self) -> None:
        try:
            status = await self._cri.status()
        except RuntimeServiceError as error:
            self.runtime_problem = f"container runtime is down: {error}"
            self.network_problem = ""
            return
        found = {c.type: c for c in status.conditions}
        runtime, network = found.get("RuntimeReady"), found.get("NetworkReady")
        self.runtime_problem = self.network_problem = ""
        if runtime is None or not runtime.status:
            said = f"{runtime.reason} {runtime.message}" if runtime else "no condition"
            self.runtime_problem = f"container runtime not ready: RuntimeReady=false {said}"
        if network is None or not network.status:
            said = f"reason:{network.reason} message:{network.message}" if network else "unknown"
            self.network_problem = f"container runtime network not ready: NetworkReady=false {said}"

    def _period_s(self) -> float:
        young = self._clock.monotonic_s() - self._began_s < EAGER_FOR_S
        return EAGER_PERIOD_S if self.problems and young else PERIOD_S


async def wait_for_runtime(cri: CriClient, clock: Clock, limit_s: float) -> str:
    """The runtime's name and version as NodeInfo writes it. Raises RuntimeServiceError."""
    until_s = clock.monotonic_s() + limit_s
    while True:
        try:
            version = await cri.version()
        except RuntimeServiceError:
            if clock.monotonic_s() >= until_s:
                raise
        else:
            return f"{version.runtime_name}://{version.runtime_version}"
        await asyncio.sleep(0.1)
