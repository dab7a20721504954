"""The CNI server: answers each request of the shim, one after the other per container."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, ClassVar

from base.clock import Clock
from cni.install import tombstone_dir
from cni.server import podnetwork, protocol
from cni.server.addresses import parse_pod_cidr
from cni.server.errors import NetworkFailure
from cni.server.keylocks import KeyLocks
from cni.server.node import NodeNetwork
from cni.server.protocol import CniError, ErrorCode, Request
from cni.server.unixsocket import listen, read_all

logger = logging.getLogger("cni")

REQUESTS_AT_ONCE = 64
READ_TIMEOUT_S = 5.0
STOP_GRACE_S = 2.0
UPKEEP_EVERY_S = 30.0

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
        self._clock = clock
        self._node = NodeNetwork(state_dir / "addresses", clock, cluster_cidr)
        self._containers = KeyLocks()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._listener: asyncio.Server | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, take down what was deleted while nobody listened, then serve.

        Raises OSError where the socket or the state directory cannot be had.
        """
        self._node.addresses.load()
        listening = listen(self._socket_path)
        try:
            await self._honour_tombstones()
        except BaseException:
            listening.close()
            raise
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
        self._node.close()

    async def set_pod_cidr(self, pod_cidr: str) -> None:
        """Give out addresses of `pod_cidr` from now on; without change this is a repair.

        Raises ValueError for a network that cannot be served (IPv6), and NetworkFailure, which is
        retried in the background too.
        """
        self._node.addresses.set_network(parse_pod_cidr(pod_cidr))
        await self._node.set_up()

    async def reconcile(self, live_sandbox_ids: Collection[str]) -> list[str]:
        """Free what belongs to no live sandbox of the CRI; says which containers that were.

        For the agent's start and any time later.
        """
        return await self._node.reconcile(live_sandbox_ids)

    async def _keep_up(self) -> None:
        """Repair the bridge and the rules when somebody took them away; take up a DEL whose shim
        found our queue full."""
        while True:
            await self._clock.sleep(UPKEEP_EVERY_S)
            try:
                await self._honour_tombstones()
                await self._node.set_up()
            except (NetworkFailure, OSError) as failure:
                logger.error("the pod network is not whole: %s", failure)

    async def _honour_tombstones(self) -> None:
        self._tombstones.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._tombstones.iterdir()):
            if path.name.startswith("."):
                continue  # a shim is writing it, or died over it
            answer = await self.answer(path.read_bytes())
            logger.info("honoured the DEL of %s: %s", path.name, answer.decode().strip())
            path.unlink(missing_ok=True)

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
        except Exception as error:
            logger.exception("a CNI request met a fault of ours")
            failure = CniError(ErrorCode.INTERNAL, "a fault of Pinnace's agent", repr(error))
        logger.warning("answered with CNI error %d: %s", failure.code, failure)
        return protocol.encode_answer(1, protocol.error_answer(failure, version))

    async def _add(self, request: Request) -> dict[str, Any]:
        if request.plugin == "loopback":
            await self._node.in_thread(podnetwork.raise_loopback, request.netns)
            return protocol.loopback_answer(request.version, request.netns)
        if request.previous is not None:
            raise CniError(
                ErrorCode.INVALID_CONFIG, "prevResult in ADD: pinnace must be the first plugin"
            )
        wiring = await self._node.attach(request.attachment, request.netns)
        return protocol.add_answer(request.version, wiring)

    async def _delete(self, request: Request) -> None:
        if request.plugin != "loopback":
            await self._node.detach(request.attachment)

    async def _check(self, request: Request) -> None:
        if request.plugin == "loopback":
            found = await self._node.in_thread(podnetwork.loopback_faults, request.netns)
        else:
            found = await self._pod_faults(request)
        if found:
            raise CniError(ErrorCode.CHECK_FAILED, "; ".join(found))

    async def _pod_faults(self, request: Request) -> list[str]:
        lease = self._node.addresses.find(request.attachment)
        if lease is None:
            raise CniError(ErrorCode.UNKNOWN_CONTAINER, f"unknown: {request.attachment}")
        if request.previous is None:
            raise CniError(ErrorCode.INVALID_CONFIG, "CHECK needs prevResult")
        found = podnetwork.disagreements(request.previous, lease)
        return found + await self._node.faults(lease, request.netns)

    async def _status(self, request: Request) -> None:
        if why := self._node.why_not_ready():
            raise CniError(ErrorCode.NOT_AVAILABLE, why)

    async def _collect_garbage(self, request: Request) -> None:
        if request.plugin != "loopback":
            await self._node.keep_only(request.valid)

    _commands: ClassVar[dict[str, Command]] = {
        "ADD": _add,
        "DEL": _delete,
        "CHECK": _check,
        "STATUS": _status,
        "GC": _collect_garbage,
    }
