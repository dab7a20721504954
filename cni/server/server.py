"""The CNI server: answers each request of the shim, one after the other per container."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from base.clock import Clock
from cni.install import tombstone_dir
from cni.server import firewall, podnetwork, protocol
from cni.server.addresses import Addresses, Lease, parse_pod_cidr
from cni.server.errors import NetworkFailure
from cni.server.keylocks import KeyLocks
from cni.server.protocol import Attachment, CniError, ErrorCode, Request
from cni.server.unixsocket import listen, read_all

logger = logging.getLogger("cni")
T = TypeVar("T")

# The kernel serialises most of what they do, but waits long in deleting a link.
WORKERS = 4
REQUESTS_AT_ONCE = 64
READ_TIMEOUT_S = 5.0
POD_CIDR_WAIT_S = 10.0
STOP_GRACE_S = 2.0
UPKEEP_EVERY_S = 30.0
# A sandbox is not in the CRI's list until it runs. Its lease is not stale before it is this old.
SANDBOX_START_S = 120.0


Command = Callable[["CniServer", Request], Awaitable[dict[str, Any] | None]]


class CniServer:
    """Owns the node's bridge, its pods' links and addresses, and the socket the shim asks on."""

    def __init__(
        self,
        socket_path: Path,
        state_dir: Path,
        clock: Clock,
        *,
        cluster_cidr: str = "10.244.0.0/16",
    ) -> None:
        self._socket_path = socket_path
        self._tombstones = tombstone_dir(state_dir)
        self._addresses = Addresses(state_dir / "addresses")
        self._clock = clock
        self._cluster_cidr = str(parse_pod_cidr(cluster_cidr))
        self._bridge: podnetwork.Bridge | None = None
        self._ready = asyncio.Event()
        self._network_lock = asyncio.Lock()
        self._containers = KeyLocks()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._workers: ThreadPoolExecutor | None = None
        self._listener: asyncio.Server | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, take down what was deleted while nobody listened, then serve.

        Raises OSError where the socket or the state directory cannot be had.
        """
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="cni")
        self._addresses.load()
        listening = listen(self._socket_path)
        await self._honour_tombstones()
        self._listener = await asyncio.start_unix_server(self._connected, sock=listening)
        self._upkeep = asyncio.create_task(self._keep_up(), name="cni upkeep")

    async def stop(self) -> None:
        """Finish what has begun and leave the pods' network as it is."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._socket_path.unlink(missing_ok=True)
        if self._handlers:
            # Who still waits for a podCIDR asks the next agent: the shim sees the cut.
            _, waiting = await asyncio.wait(self._handlers, timeout=STOP_GRACE_S)
            for handler in waiting:
                handler.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if self._workers is not None:
            self._workers.shutdown()

    async def set_pod_cidr(self, pod_cidr: str) -> None:
        """Give out addresses of `pod_cidr` from now on; without change this is a repair.

        Raises ValueError for a network that cannot be served (IPv6), and NetworkFailure, which is
        retried in the background too.
        """
        self._addresses.set_network(parse_pod_cidr(pod_cidr))
        await self._set_up_node()

    async def reconcile(self, live_sandbox_ids: Collection[str]) -> list[str]:
        """Free what belongs to no live sandbox; says which containers that were.

        For the agent's start and any time later. What is young and whose namespace is there stays:
        the CRI does not list a sandbox that is still being made.
        """
        now_s = self._clock.now_s()
        live = set(live_sandbox_ids)
        stale = [
            lease
            for lease in self._addresses.leases()
            if lease.container_id not in live
            and (now_s - lease.since_s > SANDBOX_START_S or not _exists(lease.netns))
        ]
        await self._free(stale)
        await self._remove_orphans()
        return sorted(lease.container_id for lease in stale)

    # -- the node's part

    async def _keep_up(self) -> None:
        """Repair the bridge and the rules when somebody took them away; take up a DEL whose shim
        found our queue full."""
        while True:
            await self._clock.sleep(UPKEEP_EVERY_S)
            try:
                await self._honour_tombstones()
                await self._set_up_node()
            except (NetworkFailure, OSError) as failure:
                logger.error("the pod network is not whole: %s", failure)

    async def _set_up_node(self) -> None:
        network = self._addresses.network
        if network is None:
            return
        async with self._network_lock:
            try:
                self._bridge = await self._in_thread(podnetwork.set_up_bridge, network)
                await firewall.ensure(str(network), self._cluster_cidr)
            except BaseException:
                self._ready.clear()
                raise
            self._ready.set()

    async def _present_bridge(self) -> podnetwork.Bridge:
        try:
            async with asyncio.timeout(POD_CIDR_WAIT_S):
                await self._ready.wait()
        except TimeoutError:
            raise CniError(ErrorCode.TRY_AGAIN_LATER, self._why_not_ready()) from None
        assert self._bridge is not None
        return self._bridge

    def _why_not_ready(self) -> str:
        if self._addresses.network is None:
            return "the node has no podCIDR yet"
        return "the node's pod network could not be set up; the agent's log says why"

    # -- requests

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._handle(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._slots:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    data = await read_all(reader)
                writer.write(await self.answer(data))
                await writer.drain()
        except (OSError, TimeoutError) as error:
            logger.warning("a CNI request was cut off: %s", error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def answer(self, data: bytes) -> bytes:
        """The bytes that answer a request's bytes; never raises for what the request holds."""
        version = "1.0.0"
        try:
            request = protocol.parse(data)
            version = request.version
            if request.command == "VERSION":
                return protocol.encode_answer(0, protocol.version_answer(request))
            # The shim asks again when an agent died on it: one request per container at a time.
            async with self._containers.of(request.attachment.container_id):
                body = await self._commands[request.command](self, request)
            return protocol.encode_answer(0, body)
        except CniError as error:
            failure = error
        except (NetworkFailure, OSError) as error:
            failure = CniError(ErrorCode.NETWORK_FAILURE, "pod network set-up failed", str(error))
        logger.warning("answered with CNI error %d: %s", failure.code, failure)
        return protocol.encode_answer(1, protocol.error_answer(failure, version))

    async def _add(self, request: Request) -> dict[str, Any]:
        if request.plugin == "loopback":
            await self._in_thread(podnetwork.raise_loopback, request.netns)
            return protocol.loopback_answer(request.version, request.netns)
        if request.previous is not None:
            raise CniError(
                ErrorCode.INVALID_CONFIG, "prevResult in ADD: pinnace must be the first plugin"
            )
        bridge = await self._present_bridge()
        now_s = self._clock.now_s()
        lease = self._addresses.acquire(request.attachment, request.netns, now_s)
        try:
            wiring = await self._attach(bridge, lease)
        except NetworkFailure:
            await self._drop(lease.attachment)
            raise
        return protocol.add_answer(request.version, wiring)

    async def _attach(self, bridge: podnetwork.Bridge, lease: Lease) -> protocol.Wiring:
        try:
            return await self._in_thread(podnetwork.attach, bridge, lease)
        except NetworkFailure as failure:
            # Perhaps somebody took the bridge away since upkeep last looked.
            logger.warning("wiring %s again: %s", lease.container_id, failure)
            await self._set_up_node()
            return await self._in_thread(podnetwork.attach, await self._present_bridge(), lease)

    async def _delete(self, request: Request) -> None:
        if request.plugin != "loopback":
            await self._drop(request.attachment)

    async def _check(self, request: Request) -> None:
        if request.plugin == "loopback":
            found = await self._in_thread(podnetwork.loopback_faults, request.netns)
        else:
            found = await self._pod_faults(request)
        if found:
            raise CniError(ErrorCode.CHECK_FAILED, "; ".join(found))

    async def _pod_faults(self, request: Request) -> list[str]:
        lease = self._addresses.find(request.attachment)
        if lease is None:
            raise CniError(ErrorCode.UNKNOWN_CONTAINER, f"unknown: {request.attachment}")
        if request.previous is None:
            raise CniError(ErrorCode.INVALID_CONFIG, "CHECK needs prevResult")
        bridge = await self._present_bridge()
        found = podnetwork.disagreements(request.previous, lease)
        return found + await self._in_thread(podnetwork.faults, bridge, lease, request.netns)

    async def _status(self, request: Request) -> None:
        if not self._ready.is_set():
            raise CniError(ErrorCode.NOT_AVAILABLE, self._why_not_ready())

    async def _collect_garbage(self, request: Request) -> None:
        if request.plugin != "loopback":
            leases = self._addresses.leases()
            await self._free([lease for lease in leases if lease.attachment not in request.valid])
            await self._remove_orphans()

    _commands: ClassVar[dict[str, Command]] = {
        "ADD": _add,
        "DEL": _delete,
        "CHECK": _check,
        "STATUS": _status,
        "GC": _collect_garbage,
    }

    # -- helpers

    async def _drop(self, attachment: Attachment) -> None:
        """The link goes first: a crash in between leaves an address, which reconcile frees."""
        await self._in_thread(podnetwork.detach, attachment)
        self._addresses.release(attachment)

    async def _free(self, leases: Collection[Lease]) -> None:
        for lease in leases:
            await self._drop(lease.attachment)

    async def _remove_orphans(self) -> None:
        """Ports of the bridge that no lease accounts for."""
        present = await self._in_thread(podnetwork.ports)
        known = {podnetwork.port_name(lease.attachment) for lease in self._addresses.leases()}
        if present - known:
            await self._in_thread(podnetwork.remove_ports, present - known)

    async def _honour_tombstones(self) -> None:
        self._tombstones.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._tombstones.iterdir()):
            if path.name.startswith("."):
                continue  # a shim is writing it, or died over it
            answer = await self.answer(path.read_bytes())
            logger.info("honoured the DEL of %s: %s", path.name, answer.decode().strip())
            path.unlink(missing_ok=True)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, function, *arguments)


def _exists(netns: str) -> bool:
    """One stat of a path in /run or /proc: memory, never a disk."""
    return Path(netns).exists()
