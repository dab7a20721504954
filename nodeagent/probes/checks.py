"""One probe, performed: http, tcp, exec or grpc, as a result and the text that events show.

Source: the kubelet's `prober` and Kubernetes' "Configure Probes".
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

import grpc
import grpc.aio

from kubeapi.types import core_v1
from nodeagent.cri import CriClient, RuntimeServiceError, code_name
from nodeagent.pods.spec import Container
from nodeagent.probes.http import HttpProblem, HttpTarget, http_get
from pinnace_wire import grpc_health_pb2 as health_pb

OUTPUT_MAX_BYTES = 10 * 1024


class Outcome(Enum):
    """`UNKNOWN`: the probe itself could not be performed; it counts for nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    WARNING = "warning"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProbeResult:
    outcome: Outcome
    output: str = ""


@dataclass(frozen=True)
class ProbeTarget:
    """The container that is probed."""

    container: Container
    container_id: str
    pod_ip: str


class BadProbe(ValueError):
    """The probe names a port that the container does not have."""


async def check(cri: CriClient, probe: core_v1.Probe, target: ProbeTarget) -> ProbeResult:
    """Perform `probe` once."""
    timeout_s = float(probe.timeoutSeconds or 1)
    performers: tuple[tuple[object, Callable[[], Awaitable[ProbeResult]]], ...] = (
        (probe.exec, lambda: _exec(cri, probe, target, timeout_s)),
        (probe.httpGet, lambda: _http(probe, target, timeout_s)),
        (probe.tcpSocket, lambda: _tcp(probe, target, timeout_s)),
        (probe.grpc, lambda: _grpc(probe, target, timeout_s)),
    )
    for action, perform in performers:
        if action is not None:
            try:
                return await perform()
            except BadProbe as error:
                return ProbeResult(Outcome.UNKNOWN, str(error))
    return ProbeResult(Outcome.UNKNOWN, "missing probe handler")


def resolve_port(port: int | str | None, container: Container) -> int:
    """A port number, or the number of the container's port of that name."""
    if isinstance(port, int):
        number = port
    elif port and port.isdigit():
        number = int(port)
    else:
        named = next((p for p in container.ports or () if p.name == port), None)
        if named is None or named.containerPort is None:
            raise BadProbe(f"couldn't find port: {port!r} in container {container.name}")
        number = named.containerPort
    if not 0 < number < 65536:
        raise BadProbe(f"invalid port number: {number}")
    return number


def http_target(action: core_v1.HTTPGetAction, container: Container, pod_ip: str) -> HttpTarget:
    path = action.path or "/"
    return HttpTarget(
        (action.scheme or "HTTP").lower(),
        action.host or pod_ip,
        resolve_port(action.port, container),
        path if path.startswith("/") else f"/{path}",
        tuple((h.name or "", h.value or "") for h in action.httpHeaders or ()),
    )


async def _http(probe: core_v1.Probe, target: ProbeTarget, timeout_s: float) -> ProbeResult:
    action = probe.httpGet or core_v1.HTTPGetAction()
    try:
        answer = await http_get(http_target(action, target.container, target.pod_ip), timeout_s)
    except HttpProblem as problem:
        return ProbeResult(Outcome.FAILURE, str(problem))
    if answer.left_host:
        text = f"Probe terminated redirects, Response body: {answer.body}"
        return ProbeResult(Outcome.WARNING, text)
    if 200 <= answer.status < 400:
        return ProbeResult(Outcome.SUCCESS, answer.body)
    return ProbeResult(Outcome.FAILURE, f"HTTP probe failed with statuscode: {answer.status}")


async def _tcp(probe: core_v1.Probe, target: ProbeTarget, timeout_s: float) -> ProbeResult:
    action = probe.tcpSocket or core_v1.TCPSocketAction()
    host, port = action.host or target.pod_ip, resolve_port(action.port, target.container)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
    except TimeoutError:
        return ProbeResult(Outcome.FAILURE, f"dial tcp {host}:{port}: i/o timeout")
    except ConnectionRefusedError:
        return ProbeResult(Outcome.FAILURE, f"dial tcp {host}:{port}: connect: connection refused")
    except OSError as error:
        return ProbeResult(Outcome.FAILURE, f"dial tcp {host}:{port}: {error.strerror or error}")
    return ProbeResult(Outcome.SUCCESS)


async def _exec(
    cri: CriClient, probe: core_v1.Probe, target: ProbeTarget, timeout_s: float
) -> ProbeResult:
    command = list((probe.exec.command if probe.exec else None) or ())
    try:
        answer = await cri.exec_sync(target.container_id, command, timeout_s)
    except RuntimeServiceError as error:
        if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            text = f'command timed out: "{" ".join(command)}" timed out after {timeout_s:g}s'
            return ProbeResult(Outcome.FAILURE, text)
        return ProbeResult(Outcome.UNKNOWN, str(error))
    output = (answer.stdout + answer.stderr)[:OUTPUT_MAX_BYTES].decode(errors="replace")
    return ProbeResult(Outcome.SUCCESS if answer.exit_code == 0 else Outcome.FAILURE, output)


async def _grpc(probe: core_v1.Probe, target: ProbeTarget, timeout_s: float) -> ProbeResult:
    """The standard health check (grpc.health.v1), without TLS."""
    action = probe.grpc or core_v1.GRPCAction()
    address = f"{target.pod_ip}:{resolve_port(action.port, target.container)}"
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb.HealthCheckResponse.FromString,
        )
        request = health_pb.HealthCheckRequest(service=action.service or "")
        try:
            answer = await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return ProbeResult(Outcome.FAILURE, _grpc_text(address, timeout_s, error))
    if answer.status == health_pb.HealthCheckResponse.SERVING:
        return ProbeResult(Outcome.SUCCESS, "service healthy")
    name = health_pb.HealthCheckResponse.ServingStatus.Name(answer.status)
    return ProbeResult(Outcome.FAILURE, f'service unhealthy (responded with "{name}")')


def _grpc_text(address: str, timeout_s: float, error: grpc.aio.AioRpcError) -> str:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"error: this server does not implement the grpc health protocol: {error.details()}"
    if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
        return f'timeout: failed to connect service "{address}" within {timeout_s:g}s'
    return f"error: health rpc probe failed: {code_name(error.code())} {error.details()}"
