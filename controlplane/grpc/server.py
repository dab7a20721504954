"""The gRPC server: mutual TLS, its limits, its start and stop."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

from controlplane.grpc.resources import ResourcesService
from controlplane.grpc.tunnel import NodeTunnels, NodeTunnelService
from pinnace_wire.node_pb2_grpc import add_NodeTunnelServicer_to_server
from pinnace_wire.resources_pb2_grpc import add_ResourcesServicer_to_server

if TYPE_CHECKING:
    from controlplane.registry.operations import Operations

# Kubernetes takes request bodies of at most 3 MiB; a message has a little more around it.
_REQUEST_MAX_BYTES: Final = 4 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _REQUEST_MAX_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 256 * 1024),
    ("grpc.absolute_max_metadata_size", 256 * 1024),
    # A machine that vanished without a word is noticed after 15 s, and its tunnel given up.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # With SO_REUSEPORT a second server on the port would start, and get half the calls.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True)
class GrpcServer:
    port: int
    _server: grpc.aio.Server
    _tunnels: NodeTunnels

    async def stop(self, grace_s: float = 1.0) -> None:
        """End sessions and tunnels, give calls `grace_s` to finish, then cut them off."""
        self._tunnels.close()
        await self._server.stop(grace_s)


def _credentials(cert: Path, key: Path, client_ca: Path) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), cert.read_bytes())],
        root_certificates=client_ca.read_bytes(),
        require_client_auth=True,
    )


async def start(
    address: str, cert: Path, key: Path, client_ca: Path, operations: "Operations",
    tunnels: NodeTunnels,
) -> GrpcServer:  # fmt: skip
    """Listen on `address` ("0.0.0.0:6444"). Raises OSError where that is not possible."""
    server = grpc.aio.server(options=_OPTIONS)
    add_ResourcesServicer_to_server(ResourcesService(operations), server)  # type: ignore[no-untyped-call]
    add_NodeTunnelServicer_to_server(NodeTunnelService(tunnels), server)  # type: ignore[no-untyped-call]
    credentials = _credentials(cert, key, client_ca)
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(
            f"cannot listen on {address} for gRPC: is the port taken? ({error})"
        ) from None
    await server.start()
    return GrpcServer(port, server, tunnels)
