"""The RBAC authorizer: who may do what, by the roles and bindings that exist right now.

Pure state: a watch feeds `set_object` and `delete_object`, requests ask `authorize`. Bindings
are indexed by subject, roles are compiled when they arrive, so a question costs a few dictionary
look-ups. A binding may come before its role; it grants nothing until then.

Semantics: plugin/pkg/auth/authorizer/rbac of Kubernetes. Rights only add up; cluster role
bindings count everywhere, role bindings in their namespace; members of system:masters may
everything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from controlplane.auth.rules import CompiledRole
from controlplane.auth.user import MASTERS_GROUP, SERVICE_ACCOUNT_PREFIX, User
from kubeapi.types import rbac_v1

RBAC_GROUP: Final = "rbac.authorization.k8s.io"

RbacObject = rbac_v1.Role | rbac_v1.ClusterRole | rbac_v1.RoleBinding | rbac_v1.ClusterRoleBinding
Key = tuple[str, str]  # (namespace, "" for what is cluster-scoped, and name)


class Decision(NamedTuple):
    """`reason` says which binding allowed it, or which roles could not be found."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Grant:
    """One subject of one binding."""

    binding: Key
    role: Key
    subject: str

    def reason(self) -> str:
        namespace, name = self.binding
        binding = (
            f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        )
        role_kind = "Role" if self.role[0] else "ClusterRole"
        return f'RBAC: allowed by {binding} of {role_kind} "{self.role[1]}" to {self.subject}'

    def missing_role(self) -> str:
        kind = "role" if self.role[0] else "clusterrole"
        return f'{kind}.{RBAC_GROUP} "{self.role[1]}" not found'


# One scope's grants: (is a group, name) of the subject -> grants in the order they came.
_Index = dict[tuple[bool, str], dict[_Grant, None]]


class Authorizer:
    """Answers from the objects it was given; it never waits and never fails."""

    def __init__(self, objects: Iterable[RbacObject] = ()) -> None:
        self._roles: dict[Key, CompiledRole] = {}
        self._grants: dict[str, _Index] = {"": {}}
        self._of_binding: dict[Key, list[tuple[tuple[bool, str], _Grant]]] = {}
        for obj in objects:
            self.set_object(obj)

    def set_object(self, obj: RbacObject) -> None:
        """Take in a new or changed role or binding."""
        key = _key(obj)
        if isinstance(obj, rbac_v1.Role | rbac_v1.ClusterRole):
            self._roles[key] = CompiledRole(obj.rules or ())
            return
        self._remove_binding(key)
        grants = list(_grants_of(obj, key))
        self._of_binding[key] = grants
        index = self._grants.setdefault(key[0], {})
        for subject, grant in grants:
            index.setdefault(subject, {})[grant] = None

    def delete_object(self, obj: RbacObject) -> None:
        """Forget a role or binding; one that is not known is no error."""
        if isinstance(obj, rbac_v1.Role | rbac_v1.ClusterRole):
            self._roles.pop(_key(obj), None)
        else:
            self._remove_binding(_key(obj))

    def authorize(
        self,
        user: User,
        verb: str,
        group: str,
        resource: str,
        subresource: str = "",
        name: str = "",
        namespace: str = "",
    ) -> Decision:
        """Whether `user` may.

        A list or watch narrowed to one object by `metadata.name` is asked with that `name`.
        """
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        missing: list[str] = []
        for grant in self._grants_for(user, namespace):
            role = self._roles.get(grant.role)
            if role is None:
                missing.append(grant.missing_role())
            elif role.allows(verb, group, resource, subresource, name):
                return Decision(True, grant.reason())
        return _refused(missing)

    def authorize_nonresource(self, user: User, verb: str, path: str) -> Decision:
        """Whether `user` may reach a path that is no resource, such as /metrics."""
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        missing: list[str] = []
        for grant in self._grants_for(user, ""):
            role = self._roles.get(grant.role)
            if role is None:
                missing.append(grant.missing_role())
            elif role.allows_path(verb, path):
                return Decision(True, grant.reason())
        return _refused(missing)

    def rules_for(self, user: User, namespace: str) -> list[rbac_v1.PolicyRule]:
        """Every rule that holds for `user` in `namespace`, cluster-wide ones first."""
        roles: dict[tuple[Key, Key], CompiledRole] = {}
        for grant in self._grants_for(user, namespace):
            if grant.role in self._roles:
                roles[grant.binding, grant.role] = self._roles[grant.role]
        return [rule for _, role in sorted(roles.items()) for rule in role.rules]

    def role_rules(self, namespace: str, name: str) -> list[rbac_v1.PolicyRule] | None:
        """The rules of a Role (of a ClusterRole where `namespace` is ""); None if it is unknown."""
        role = self._roles.get((namespace, name))
        return None if role is None else list(role.rules)

    def _grants_for(self, user: User, namespace: str) -> Iterator[_Grant]:
        for scope in ("", namespace) if namespace else ("",):
            index = self._grants.get(scope)
            if not index:
                continue
            yield from index.get((False, user.name), ())
            for group in user.groups:
                yield from index.get((True, group), ())

    def _remove_binding(self, key: Key) -> None:
        for subject, grant in self._of_binding.pop(key, ()):
            index = self._grants[key[0]]
            index[subject].pop(grant, None)
            if not index[subject]:
                del index[subject]
            if not index and key[0]:
                del self._grants[key[0]]


def _refused(missing: list[str]) -> Decision:
    if not missing:
        return Decision(False)
    distinct = list(dict.fromkeys(missing))
    text = distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
    return Decision(False, f"RBAC: {text}")


def _key(obj: RbacObject) -> Key:
    metadata = obj.metadata
    assert metadata is not None, "an object without a name cannot have been stored"
    return (metadata.namespace or "", metadata.name or "")


def _role_of(ref: rbac_v1.RoleRef | None, namespace: str) -> Key | None:
    if ref is None or not ref.name:
        return None
    if ref.kind == "ClusterRole":
        return ("", ref.name)
    # A cluster role binding cannot name a Role: there is no namespace to find it in.
    return (namespace, ref.name) if ref.kind == "Role" and namespace else None


def _grants_of(
    binding: rbac_v1.RoleBinding | rbac_v1.ClusterRoleBinding, key: Key
) -> Iterator[tuple[tuple[bool, str], _Grant]]:
    role = _role_of(binding.roleRef, key[0])
    if role is None:
        return
    for subject in binding.subjects or ():
        name = subject.name or ""
        if subject.kind == "ServiceAccount":
            namespace = subject.namespace or key[0]
            if namespace:
                described = f'ServiceAccount "{name}/{namespace}"'
                user = f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"
                yield (False, user), _Grant(key, role, described)
        elif subject.kind in ("User", "Group"):
            described = f'{subject.kind} "{name}"'
            yield (subject.kind == "Group", name), _Grant(key, role, described)
