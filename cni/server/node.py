"""The node's share of the pod network: the bridge, the rules, and who has which address.

Asyncio around `podnetwork` (in worker threads) and `firewall` (in processes). Knows nothing of
how a request comes in.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from base.clock import Clock
from cni.server import firewall, podnetwork
from cni.server.addresses import Addresses, Lease, parse_pod_cidr
from cni.server.errors import NetworkFailure
from cni.server.protocol import Attachment, CniError, ErrorCode, Wiring

logger = logging.getLogger("cni")
T = TypeVar("T")

# The kernel serialises most of what they do, but waits long in deleting a link.
WORKERS = 4
READY_WAIT_S = 10.0
# A sandbox is not in the CRI's list until it runs. Its lease is not stale before it is this old.
SANDBOX_START_S = 120.0


class NodeNetwork:
    """Brings the node to what was asked, any number of times."""

    def __init__(self, directory: Path, clock: Clock, cluster_cidr: str) -> None:
        self.addresses = Addresses(directory)
        self._clock = clock
        self._cluster_cidr = str(parse_pod_cidr(cluster_cidr))
        self._bridge: podnetwork.Bridge | None = None
        self._ready = asyncio.Event()
        self._lock = asyncio.Lock()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="cni")

    def close(self) -> None:
        self._workers.shutdown()

    async def set_up(self) -> None:
        """Make bridge and rules so, where there is a podCIDR. Raises NetworkFailure."""
        network = self.addresses.network
        if network is None:
            return
        async with self._lock:
            try:
                self._bridge = await self.in_thread(podnetwork.set_up_bridge, network)
                await firewall.ensure(str(network), self._cluster_cidr)
            except BaseException:
                self._ready.clear()
                raise
            self._ready.set()

    def why_not_ready(self) -> str:
        """Empty when pods can be attached."""
        if self._ready.is_set():
            return ""
        if self.addresses.network is None:
            return "the node has no podCIDR yet"
        return "the node's pod network could not be set up; the agent's log says why"

    async def bridge(self) -> podnetwork.Bridge:
        """The bridge, waited for as long as a container runtime waits. Raises CniError."""
        try:
            async with asyncio.timeout(READY_WAIT_S):
                await self._ready.wait()
        except TimeoutError:
            raise CniError(ErrorCode.TRY_AGAIN_LATER, self.why_not_ready()) from None
        assert self._bridge is not None
        return self._bridge

    async def attach(self, attachment: Attachment, netns: str) -> Wiring:
        """Give the attachment its address and wire it; on failure it has neither."""
        await self.bridge()
        lease = self.addresses.acquire(attachment, netns, self._clock.now_s())
        try:
            return await self._attach(lease)
        except NetworkFailure:
            await self.detach(attachment)
            raise

    async def _attach(self, lease: Lease) -> Wiring:
        try:
            return await self.in_thread(podnetwork.attach, await self.bridge(), lease)
        except NetworkFailure as failure:
            # Perhaps somebody took the bridge away since it was last looked at.
            logger.warning("wiring %s again: %s", lease.container_id, failure)
            await self.set_up()
            return await self.in_thread(podnetwork.attach, await self.bridge(), lease)

    async def detach(self, attachment: Attachment) -> None:
        """The link goes first: a crash in between leaves an address, which reconcile frees."""
        await self.in_thread(podnetwork.detach, attachment)
        self.addresses.release(attachment)

    async def faults(self, lease: Lease, netns: str) -> list[str]:
        return await self.in_thread(podnetwork.faults, await self.bridge(), lease, netns)

    async def keep_only(self, valid: Collection[Attachment]) -> None:
        """Free every attachment that is not `valid`."""
        leases = self.addresses.leases()
        await self._free([lease for lease in leases if lease.attachment not in valid])

    async def reconcile(self, live_sandbox_ids: Collection[str]) -> list[str]:
        """Free what belongs to no live sandbox; says which containers that were.

        What is young and whose namespace is there stays: the CRI does not list a sandbox that is
        still being made.
        """
        now_s = self._clock.now_s()
        live = set(live_sandbox_ids)
        stale = [
            lease
            for lease in self.addresses.leases()
            if lease.container_id not in live
            and (now_s - lease.since_s > SANDBOX_START_S or not _exists(lease.netns))
        ]
        await self._free(stale)
        return sorted(lease.container_id for lease in stale)

    async def _free(self, leases: Collection[Lease]) -> None:
        for lease in leases:
            await self.detach(lease.attachment)
        # Then ports of the bridge that no lease accounts for. A lease is there before its port.
        present = await self.in_thread(podnetwork.ports)
        known = {podnetwork.port_name(lease.attachment) for lease in self.addresses.leases()}
        if present - known:
            await self.in_thread(podnetwork.remove_ports, present - known)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, function, *arguments)


def _exists(netns: str) -> bool:
    """One stat of a path in /run or /proc: memory, never a disk."""
    return Path(netns).exists()
