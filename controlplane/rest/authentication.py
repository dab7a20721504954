"""Who is calling: the client certificate's subject, or nobody.

Whoever shows no certificate is `system:anonymous`, and RBAC says what that may. A bearer token
that nothing here can verify is 401, never anonymous.
"""

import ssl
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from controlplane.auth.user import ANONYMOUS, AUTHENTICATED_GROUP, User
from kubeapi import errors


class Authenticator:
    """Reads a connection's certificate once; a connection asks many times."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, User] = WeakKeyDictionary()

    def user_of(self, request: web.BaseRequest) -> User:
        """Raises StatusError 401 for credentials that are no good."""
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        user = ANONYMOUS if tls is None else self._known.get(tls) or self._read(tls)
        if user is ANONYMOUS and _bears_token(request.headers.get("Authorization", "")):
            raise errors.StatusError(401, "Unauthorized", "Unauthorized")
        return user

    def _read(self, tls: ssl.SSLObject) -> User:
        user = self._known[tls] = _certified(tls)
        return user


def _bears_token(authorization: str) -> bool:
    """Other schemes, and a scheme without a token, are no credentials (bearertoken.go)."""
    scheme, _, token = authorization.strip().partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def _certified(tls: ssl.SSLObject) -> User:
    certificate = tls.getpeercert()
    if not certificate:
        return ANONYMOUS
    name = ""
    groups: list[str] = []
    subject: Any = certificate.get("subject") or ()
    for attributes in subject:
        for field, value in attributes:
            if field == "commonName":
                name = value
            elif field == "organizationName":
                groups.append(value)
    if not name:
        raise errors.StatusError(401, "Unauthorized", "Unauthorized")
    return User(name, (*groups, AUTHENTICATED_GROUP))
