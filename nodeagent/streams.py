"""What the agent serves over its tunnel, and the little it must know of pods to do so.

`ContainerLookup` is the seam to the rest of the agent: names of containers become log files and
streaming addresses there, because the agent holds the pods and the CRI client.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from base.clock import Clock, parse_rfc3339
from kubeapi.errors import StatusError, internal
from kubeapi.streams.channels import (
    SPDY_PROTOCOLS,
    SUCCESS,
    Channel,
    ChannelFrame,
    StreamOptions,
    failure,
)
from kubeapi.streams.legs import ChannelLeg, ClientLeg, LegClosed, SpdyLeg, join
from kubeapi.streams.remotecommand import SpdyChannels
from kubeapi.streams.spdy import Role
from kubeapi.streams.upgrade import upgrade
from nodeagent.containerlogs import LogOptions, read_log
from pinnace_wire.node_pb2 import ExecRequest, LogsRequest, SessionRequest

logger = logging.getLogger("nodeagent.streams")

_RUNTIME_TIMEOUT_S: Final = 10.0
_STATUS_MAX_BYTES: Final = 64 * 1024
_OPENED: Final = ChannelFrame(Channel.STDIN)


@dataclass(frozen=True)
class ContainerRef:
    """A container of a pod, as the API names it. `pod_uid` tells a pod from its namesakes."""

    namespace: str
    pod_name: str
    pod_uid: str
    container: str


@dataclass(frozen=True)
class ContainerLog:
    """One run of a container, and the CRI log file that the runtime writes for it."""

    container_id: str
    path: Path


class ContainerLookup(Protocol):
    """Implemented by the agent over its pod cache and CRI client.

    Failures are `StatusError`s and reach the user word for word; `container_not_found` below is
    the one that Kubernetes gives for a container that is not there.
    """

    def container_log(self, ref: ContainerRef, *, previous: bool) -> ContainerLog:
        """The latest run of the container (running or ended), or the one before it."""
        ...

    def is_running(self, container_id: str) -> bool:
        """Whether this very run still goes on; followers of its log stop when it does not."""
        ...

    async def exec_url(
        self,
        ref: ContainerRef,
        command: list[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        """The address that the CRI's `Exec` answers for the running container."""
        ...


def container_not_found(container: str) -> StatusError:
    """As the kubelet says it of a container that does not run."""
    message = f'unable to upgrade connection: container not found ("{container}")'
    return StatusError(404, "NotFound", message)


@dataclass(frozen=True)
class SessionServer:
    """Answers what the control plane asks for over the tunnel, one call of `serve` each."""

    lookup: ContainerLookup
    clock: Clock

    async def serve(self, request: SessionRequest, tunnel: ClientLeg) -> None:
        """Serve one session to its end; failures go to the user, none is raised."""
        try:
            opener = self._opener(request)
            await opener(tunnel)
        except StatusError as error:
            await say_failure(tunnel, error)
        except LegClosed:
            return
        except Exception as error:
            logger.exception("a session failed")
            await say_failure(tunnel, internal(str(error)))

    def _opener(self, request: SessionRequest) -> Callable[[ClientLeg], Awaitable[None]]:
        match request.WhichOneof("what"):
            case "logs":
                return lambda tunnel: self._logs(request.logs, tunnel)
            case "exec":
                return lambda tunnel: self._exec(request.exec, tunnel)
        # A newer control plane may ask for what this agent does not know yet.
        raise StatusError(501, "NotImplemented", "the node's agent does not serve this request")

    async def _logs(self, request: LogsRequest, tunnel: ClientLeg) -> None:
        log = self.lookup.container_log(_ref(request), previous=request.previous)
        options = log_options(request, self.clock.now_s())
        if not log.path.exists():
            raise StatusError(404, "NotFound", f"the log of container {request.container} is gone")
        await tunnel.send(_OPENED)
        text = read_log(
            log.path, options, lambda: self.lookup.is_running(log.container_id), self.clock
        )
        async with contextlib.aclosing(text):
            await join(tunnel, _LogLeg(text), linger_s=None)

    async def _exec(self, request: ExecRequest, tunnel: ClientLeg) -> None:
        wanted = StreamOptions(request.stdin, request.stdout, request.stderr, request.tty)
        url = await self.lookup.exec_url(
            _ref(request),
            list(request.command),
            stdin=wanted.stdin,
            stdout=wanted.stdout,
            stderr=wanted.stderr and not wanted.tty,
            tty=wanted.tty,
        )
        protocol, stream = await upgrade(url, SPDY_PROTOCOLS[:1], _RUNTIME_TIMEOUT_S)
        try:
            runtime = SpdyLeg(SpdyChannels(Role.CLIENT, protocol, wanted), stream)
            await _open(runtime)
            await tunnel.send(_OPENED)
            await join(tunnel, _StatusLast(runtime, wanted), linger_s=None)
        finally:
            stream.close()


def log_options(request: LogsRequest, now_s: float) -> LogOptions:
    """The request's options in the agent's own terms."""
    since_ns = None
    if request.HasField("since_seconds"):
        since_ns = int((now_s - request.since_seconds) * 1e9)
    elif request.since_time:
        since_ns = int(parse_rfc3339(request.since_time)) * 1_000_000_000
    return LogOptions(
        follow=request.follow,
        timestamps=request.timestamps,
        tail_lines=request.tail_lines if request.HasField("tail_lines") else None,
        limit_bytes=request.limit_bytes if request.HasField("limit_bytes") else None,
        since_ns=since_ns,
    )


def _ref(request: LogsRequest | ExecRequest) -> ContainerRef:
    return ContainerRef(request.pod_namespace, request.pod_name, request.pod_uid, request.container)


async def _open(runtime: SpdyLeg) -> None:
    try:
        await runtime.open(_RUNTIME_TIMEOUT_S)
    except LegClosed as error:
        raise internal(f"the container runtime did not open the streams: {error}") from error


async def say_failure(tunnel: ClientLeg, error: StatusError) -> None:
    """Make `error` the session's last word, and wait until it has been heard."""
    try:
        await tunnel.send(ChannelFrame(Channel.ERROR, failure(error), close=True))
        await tunnel.finish()
        while await tunnel.receive() is not None:
            continue
    except LegClosed:
        return


class _LogLeg:
    """A log as the node's leg: its text on STDOUT, then one Status."""

    def __init__(self, text: AsyncIterator[bytes]) -> None:
        self._text = text
        self._is_done = False

    async def receive(self) -> ChannelFrame | None:
        if self._is_done:
            return None
        try:
            async for text in self._text:
                return ChannelFrame(Channel.STDOUT, text)
            status = SUCCESS
        except OSError as error:
            status = failure(internal(f"reading the log: {error}"))
        self._is_done = True
        return ChannelFrame(Channel.ERROR, status, close=True)

    async def send(self, frame: ChannelFrame) -> None:
        """Nobody writes to a log; what comes is dropped."""


class _StatusLast:
    """The runtime's leg, with its Status whole and as the last frame, and always with one."""

    def __init__(self, runtime: ChannelLeg, wanted: StreamOptions) -> None:
        self._runtime = runtime
        self._open = {*wanted.channels()} - {Channel.STDIN, Channel.RESIZE}
        self._status = b""
        self._is_done = False

    async def receive(self) -> ChannelFrame | None:
        # A runtime may wait for us to close, once it has ended all that it says.
        while self._open and (frame := await self._runtime.receive()) is not None:
            if frame.close:
                self._open.discard(frame.channel)
            if frame.channel in (Channel.STDOUT, Channel.STDERR):
                return frame
            if frame.channel is Channel.ERROR:
                self._status = (self._status + frame.data)[:_STATUS_MAX_BYTES]
        if self._is_done:
            return None
        self._is_done = True
        lost = internal("the container runtime closed the stream without saying how it ended")
        return ChannelFrame(Channel.ERROR, self._status or failure(lost), close=True)

    async def send(self, frame: ChannelFrame) -> None:
        await self._runtime.send(frame)
