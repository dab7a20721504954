"""gRPC's health check: whether this member answers at all."""

from typing import TYPE_CHECKING

from pinnace_wire import grpc_health_pb2 as healthpb
from raftstore.server.errors import UnknownService

if TYPE_CHECKING:
    from raftstore.node import Node


class HealthService:
    def __init__(self, node: "Node") -> None:
        self._node = node

    async def check(self, request: bytes) -> bytes:
        """Of the server as a whole: etcd knows no other name either."""
        if healthpb.HealthCheckRequest.FromString(request).service:
            raise UnknownService
        running = self._node.failure is None and not self._node.stopped.is_set()
        statuses = healthpb.HealthCheckResponse
        status = statuses.SERVING if running else statuses.NOT_SERVING
        return healthpb.HealthCheckResponse(status=status).SerializeToString()
