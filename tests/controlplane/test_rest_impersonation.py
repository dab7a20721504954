"""Acting as somebody else, and granting what one does not hold."""

from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from controlplane.auth.rbac import Authorizer
from controlplane.auth.user import AUTHENTICATED_GROUP, MASTERS_GROUP, User
from controlplane.registry.options import ListOptions
from controlplane.rest.impersonation import impersonated
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import meta_v1, rbac_v1
from tests.controlplane.inprocess import running_api

ADMIN = User("admin", (MASTERS_GROUP,))
ALICE = User("alice", (AUTHENTICATED_GROUP,))


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def test_without_headers_one_is_oneself() -> None:
    assert impersonated(ALICE, headers(), Authorizer()) is ALICE


def test_an_administrator_may_be_anybody() -> None:
    given = headers(
        ("Impersonate-User", "carol"),
        ("Impersonate-Group", "g"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-Acme.com%2Fproject", "p"),
    )
    assert impersonated(ADMIN, given, Authorizer()) == User(
        "carol", ("g", AUTHENTICATED_GROUP), "7", {"acme.com/project": ("p",)}
    )


def test_a_service_account_brings_its_groups() -> None:
    given = headers(("Impersonate-User", "system:serviceaccount:n:a"))
    assert "system:serviceaccounts:n" in impersonated(ADMIN, given, Authorizer()).groups


def test_who_may_not_is_refused_by_name() -> None:
    with pytest.raises(StatusError, match='cannot impersonate resource "users"') as caught:
        impersonated(ALICE, headers(("Impersonate-User", "admin")), Authorizer())
    assert caught.value.code == 403


def test_the_group_is_asked_for_by_itself() -> None:
    rule = rbac_v1.PolicyRule(apiGroups=[""], resources=["users"], verbs=["impersonate"])
    role = rbac_v1.ClusterRole(metadata=meta_v1.ObjectMeta(name="r"), rules=[rule])
    binding = rbac_v1.ClusterRoleBinding(
        metadata=meta_v1.ObjectMeta(name="b"),
        roleRef=rbac_v1.RoleRef(kind="ClusterRole", name="r"),
        subjects=[rbac_v1.Subject(kind="User", name="alice")],
    )
    authorizer = Authorizer([role, binding])
    assert impersonated(ALICE, headers(("Impersonate-User", "bob")), authorizer).name == "bob"
    both = headers(("Impersonate-User", "bob"), ("Impersonate-Group", MASTERS_GROUP))
    with pytest.raises(StatusError, match="groups"):
        impersonated(ALICE, both, authorizer)


def test_a_group_without_a_user_is_400() -> None:
    with pytest.raises(StatusError, match="without impersonating a user name"):
        impersonated(ADMIN, headers(("Impersonate-Group", "g")), Authorizer())


async def test_nobody_grants_what_he_does_not_hold(tmp_path: Path) -> None:
    async with running_api(tmp_path / "s") as api:
        may_write_roles = {
            "metadata": {"name": "writer"},
            "rules": [
                {
                    "apiGroups": ["rbac.authorization.k8s.io"],
                    "resources": ["roles", "rolebindings"],
                    "verbs": ["create"],
                },
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            ],
        }
        rbac = "rbac.authorization.k8s.io/v1/"
        await api.create(rbac + "clusterroles", may_write_roles)
        await api.create(
            rbac + "clusterrolebindings",
            {
                "metadata": {"name": "writer"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": "writer",
                },
                "subjects": [
                    {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
                ],
            },
        )  # fmt: skip
        alice: Client = api.client(ALICE)
        meta = meta_v1.ObjectMeta(name="mine", namespace="default")
        pods = rbac_v1.PolicyRule(apiGroups=[""], resources=["pods"], verbs=["get"])
        await alice.create(rbac_v1.Role(metadata=meta, rules=[pods]))
        secrets = rbac_v1.PolicyRule(apiGroups=[""], resources=["secrets"], verbs=["get"])
        other = meta_v1.ObjectMeta(name="more", namespace="default")
        with pytest.raises(StatusError, match="attempting to grant") as caught:
            await alice.create(rbac_v1.Role(metadata=other, rules=[secrets]))
        assert caught.value.code == 403
        binding = rbac_v1.RoleBinding(
            metadata=other,
            roleRef=rbac_v1.RoleRef(
                apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name="cluster-admin"
            ),
            subjects=[
                rbac_v1.Subject(kind="User", name="alice", apiGroup="rbac.authorization.k8s.io")
            ],
        )
        with pytest.raises(StatusError, match="attempting to grant"):
            await alice.create(binding)


async def test_a_list_of_one_name_is_authorized_as_of_that_object(tmp_path: Path) -> None:
    async with running_api(tmp_path / "s") as api:
        rule = {
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["x"],
            "verbs": ["list", "watch"],
        }  # fmt: skip
        rbac = "rbac.authorization.k8s.io/v1/"
        await api.create(rbac + "roles", {"metadata": {"name": "one"}, "rules": [rule]})
        await api.create(
            rbac + "rolebindings",
            {
                "metadata": {"name": "one"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"
                },
                "subjects": [
                    {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
                ],
            },
        )  # fmt: skip
        call = api.call("list", "v1/configmaps")
        call.user = ALICE
        await api.api.list(call, ListOptions(field_selector="metadata.name=x"))
        with pytest.raises(StatusError, match="cannot list"):
            await api.api.list(call, ListOptions(field_selector="metadata.name=y"))
        with pytest.raises(StatusError, match="cannot list"):
            await api.api.list(call, ListOptions())
