"""The Auth service of a store without users: identity is the client's certificate."""

from typing import TYPE_CHECKING, Final

from pinnace_wire import etcd_rpc_pb2 as rpc
from raftstore.server.errors import AuthNotEnabled
from raftstore.server.wire import Headers

if TYPE_CHECKING:
    from raftstore.node import Node

# etcd's before anything was changed.
_AUTH_REVISION: Final = 1

REFUSED_METHODS: Final = (
    "AuthEnable",
    "Authenticate",
    "UserAdd",
    "UserGet",
    "UserList",
    "UserDelete",
    "UserChangePassword",
    "UserGrantRole",
    "UserRevokeRole",
    "RoleAdd",
    "RoleGet",
    "RoleList",
    "RoleDelete",
    "RoleGrantPermission",
    "RoleRevokePermission",
)


class AuthService:
    def __init__(self, node: "Node", headers: Headers) -> None:
        self._node = node
        self._headers = headers

    async def status(self, request: bytes) -> bytes:
        rpc.AuthStatusRequest.FromString(request)
        answer = rpc.AuthStatusResponse(enabled=False, authRevision=_AUTH_REVISION)
        return self._now() + answer.SerializeToString()

    async def disable(self, request: bytes) -> bytes:
        """It already is."""
        rpc.AuthDisableRequest.FromString(request)
        return self._now()

    async def refuse(self, request: bytes) -> bytes:
        raise AuthNotEnabled

    def _now(self) -> bytes:
        return self._headers.field(self._node.state.keyspace.revision)
