"""Acting as somebody else: the `Impersonate-*` headers, allowed by the verb `impersonate`.

Source: Kubernetes "Authentication", section "User impersonation". Each thing that is taken on
(user, group, uid, extra) is asked for by itself.
"""

from typing import Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from controlplane.auth.forbidden import forbidden_error
from controlplane.auth.rbac import Authorizer
from controlplane.auth.user import (
    ANONYMOUS_NAME,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    User,
    service_account_user,
)
from kubeapi import errors

USER: Final = "Impersonate-User"
GROUP: Final = "Impersonate-Group"
UID: Final = "Impersonate-Uid"
EXTRA: Final = "impersonate-extra-"
AUTHENTICATION: Final = "authentication.k8s.io"


def impersonated(user: User, headers: CIMultiDictProxy[str], authorizer: Authorizer) -> User:
    """Who the request is to be done as; `user` himself where no header asks for another."""
    name = headers.get(USER, "")
    groups = tuple(headers.getall(GROUP, ()))
    uid = headers.get(UID, "")
    extra = _extra(headers)
    if not name:
        if groups or uid or extra:
            raise errors.bad_request(
                "requested groups, uid or extra without impersonating a user name"
            )
        return user
    _allow(user, authorizer, name, groups, uid, extra)
    return _taken_on(name, groups, uid, extra)


def _extra(headers: CIMultiDictProxy[str]) -> dict[str, tuple[str, ...]]:
    keys = {key for key in headers if key.lower().startswith(EXTRA)}
    return {unquote(key[len(EXTRA) :]).lower(): tuple(headers.getall(key)) for key in sorted(keys)}


def _allow(
    user: User,
    authorizer: Authorizer,
    name: str,
    groups: tuple[str, ...],
    uid: str,
    extra: dict[str, tuple[str, ...]],
) -> None:
    account = User(name).service_account
    asked = [("", "users", "", name, "")]
    if account is not None:
        asked = [("", "serviceaccounts", "", account[1], account[0])]
    asked += [("", "groups", "", group, "") for group in groups]
    asked += [(AUTHENTICATION, "uids", "", uid, "")] if uid else []
    asked += [
        (AUTHENTICATION, "userextras", key, value, "")
        for key, values in extra.items()
        for value in values
    ]
    for what in asked:
        if not authorizer.authorize(user, "impersonate", *what).allowed:
            raise forbidden_error(user, "impersonate", *what)


def _taken_on(
    name: str, groups: tuple[str, ...], uid: str, extra: dict[str, tuple[str, ...]]
) -> User:
    account = User(name).service_account
    if account is not None and not groups:
        return service_account_user(*account, uid)
    implied = UNAUTHENTICATED_GROUP if name == ANONYMOUS_NAME else AUTHENTICATED_GROUP
    if implied not in groups:
        groups = (*groups, implied)
    return User(name, groups, uid, extra)
