"""Who calls: the subject of the client certificate that TLS has verified."""

from functools import lru_cache
from typing import Any, Final

import grpc.aio
from cryptography import x509

from base import tls
from controlplane.auth.user import AUTHENTICATED_GROUP, User

NODES_GROUP: Final = "system:nodes"
NODE_USER_PREFIX: Final = "system:node:"

Context = grpc.aio.ServicerContext[Any, Any]


def caller(context: Context) -> User:
    """The user behind this call. The server requires a certificate, so there always is one."""
    (pem,) = context.auth_context()["x509_pem_cert"]
    return _user(pem)


# Parsing takes longer than many a request; a cluster has few certificates.
@lru_cache(maxsize=4096)
def _user(pem: bytes) -> User:
    name, groups = tls.identity(x509.load_pem_x509_certificate(pem))
    return User(name, (*groups, AUTHENTICATED_GROUP))


def node_name(user: User) -> str:
    """The node whose agent this is; "" for anybody else."""
    if NODES_GROUP not in user.groups or not user.name.startswith(NODE_USER_PREFIX):
        return ""
    return user.name.removeprefix(NODE_USER_PREFIX)
