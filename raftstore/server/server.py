"""The gRPC server: which method is served by what, its limits, its start and stop."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from raftstore.errors import Stopped
from raftstore.mvcc.check import REQUEST_SIZE_MAX_BYTES, TXN_OPS_MAX
from raftstore.server.auth import REFUSED_METHODS, AuthService
from raftstore.server.calls import Calls, Streams
from raftstore.server.cluster import ClusterService
from raftstore.server.election import ElectionService
from raftstore.server.health import HealthService
from raftstore.server.kv import KvService
from raftstore.server.lease import LeaseService
from raftstore.server.lock import LockService
from raftstore.server.maintenance import MaintenanceService
from raftstore.server.watch import WatchService
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# etcd's: a request a little too large is still read, to be told so in etcd's words.
_OVERHEAD_BYTES: Final = 512 * 1024
_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    # etcd's --grpc-keepalive-*: clients may ping every 5 s; one that vanished is noticed.
    ("grpc.keepalive_time_ms", 7_200_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Calls that wait to be looked at; grpc would drop some from a thousand on.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 12_000),
    # With SO_REUSEPORT a second server on the port would start, and get half the calls.
    ("grpc.so_reuseport", 0),
)

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


@dataclass(frozen=True)
class ServerOptions:
    """etcd's --watch-progress-notify-interval, --election-timeout, --max-request-bytes and
    --max-txn-ops."""

    progress_interval_s: float = 600.0
    election_timeout_s: float = 1.0
    request_size_max_bytes: int = REQUEST_SIZE_MAX_BYTES
    txn_ops_max: int = TXN_OPS_MAX


class Server:
    """`ports` are those listened on, in the order of `listen`."""

    def __init__(
        self, server: grpc.aio.Server, streams: Streams, ports: Sequence[int], node: "Node"
    ) -> None:
        self.ports = tuple(ports)
        self._server = server
        self._streams = streams
        self._watching = asyncio.ensure_future(self._end_with(node))

    async def stop(self, grace_s: float = 1.0) -> None:
        """End the long streams, give calls `grace_s` to finish, then cut them off."""
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching
        self._streams.end(Stopped())
        await self._server.stop(grace_s)

    async def _end_with(self, node: "Node") -> None:
        """A member that has stopped has nothing more to tell."""
        await node.stopped.wait()
        self._streams.end(Stopped())


async def serve(
    node: "Node",
    listen: Sequence[str],
    credentials: grpc.ServerCredentials | None,
    options: ServerOptions | None = None,
) -> Server:
    """Serve on every address of `listen` ("127.0.0.1:2379"; port 0 takes a free one), without
    TLS where there are no credentials. Raises OSError where that is not possible."""
    options = options or ServerOptions()
    streams = Streams(node, options.election_timeout_s)
    message_size_max = options.request_size_max_bytes + _OVERHEAD_BYTES
    server = grpc.aio.server(
        options=(*_OPTIONS, ("grpc.max_receive_message_length", message_size_max))
    )
    for service, handlers in _services(node, streams, options).items():
        generic = grpc.method_handlers_generic_handler(service, dict(handlers))
        server.add_generic_rpc_handlers((generic,))
    ports = [_listen(server, address, credentials) for address in listen]
    await server.start()
    return Server(server, streams, ports, node)


def _listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: is the port taken? ({error})") from None


def _services(node: "Node", streams: Streams, options: ServerOptions) -> Mapping[str, Handlers]:
    headers, calls = Headers(node), Calls(node)
    return {
        "etcdserverpb.KV": _kv(KvService(node, headers, options.txn_ops_max), calls),
        "etcdserverpb.Watch": {
            "Watch": grpc.stream_stream_rpc_method_handler(
                WatchService(node, headers, calls, streams, options.progress_interval_s).watch
            )
        },
        "etcdserverpb.Lease": _lease(LeaseService(node, headers, calls, streams), calls),
        "etcdserverpb.Cluster": _cluster(ClusterService(node, headers), calls),
        "etcdserverpb.Maintenance": _maintenance(MaintenanceService(node, headers), calls),
        "etcdserverpb.Auth": _auth(AuthService(node, headers), calls),
        "v3lockpb.Lock": _lock(LockService(node, headers), calls),
        "v3electionpb.Election": _election(ElectionService(node, headers), calls),
        "grpc.health.v1.Health": {
            "Check": calls.unary(HealthService(node).check, learner=True),
        },
    }


def _kv(service: KvService, calls: Calls) -> Handlers:
    return {
        # A learner answers what asks for no more than it has.
        "Range": calls.unary(service.range, learner=True),
        "RangeStream": calls.unary_stream(service.range_stream, learner=True),
        "Put": calls.unary(service.put),
        "DeleteRange": calls.unary(service.delete_range),
        "Txn": calls.unary(service.txn),
        "Compact": calls.unary(service.compact),
    }


def _lease(service: LeaseService, calls: Calls) -> Handlers:
    return {
        "LeaseGrant": calls.unary(service.grant),
        "LeaseRevoke": calls.unary(service.revoke),
        "LeaseKeepAlive": grpc.stream_stream_rpc_method_handler(service.keep_alive),
        "LeaseTimeToLive": calls.unary(service.time_to_live),
        "LeaseLeases": calls.unary(service.leases),
    }


def _cluster(service: ClusterService, calls: Calls) -> Handlers:
    return {
        "MemberList": calls.unary(service.member_list),
        "MemberAdd": calls.unary(service.member_add),
        "MemberRemove": calls.unary(service.member_remove),
        "MemberUpdate": calls.unary(service.member_update),
        "MemberPromote": calls.unary(service.member_promote),
    }


def _maintenance(service: MaintenanceService, calls: Calls) -> Handlers:
    return {
        "Status": calls.unary(service.status, learner=True),
        "Alarm": calls.unary(service.alarm),
        "Hash": calls.unary(service.hash),
        "HashKV": calls.unary(service.hash_kv),
        "Snapshot": calls.unary_stream(service.snapshot, learner=True),
        "Defragment": calls.unary(service.defragment),
        "MoveLeader": calls.unary(service.move_leader),
        "Downgrade": calls.unary(service.downgrade),
    }


def _auth(service: AuthService, calls: Calls) -> Handlers:
    return {
        "AuthStatus": calls.unary(service.status),
        "AuthDisable": calls.unary(service.disable),
        **{method: calls.unary(service.refuse) for method in REFUSED_METHODS},
    }


def _lock(service: LockService, calls: Calls) -> Handlers:
    return {"Lock": calls.unary(service.lock), "Unlock": calls.unary(service.unlock)}


def _election(service: ElectionService, calls: Calls) -> Handlers:
    return {
        "Campaign": calls.unary(service.campaign),
        "Proclaim": calls.unary(service.proclaim),
        "Leader": calls.unary(service.leader),
        "Observe": calls.unary_stream(service.observe),
        "Resign": calls.unary(service.resign),
    }
