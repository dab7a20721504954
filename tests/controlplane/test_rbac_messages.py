"""How refusals read, and the check that nobody grants what they do not hold."""

import pytest

from controlplane.auth.escalation import covers, escalation_message, uncovered
from controlplane.auth.forbidden import forbidden_error, forbidden_message, forbidden_path_error
from controlplane.auth.user import User
from kubeapi.types.rbac_v1 import PolicyRule

EVE = User("eve", ("g", "system:authenticated"))


def test_a_refused_list_names_user_resource_group_and_namespace() -> None:
    assert forbidden_message(EVE, "list", "", "pods", namespace="dev") == (
        'pods is forbidden: User "eve" cannot list resource "pods" in API group "" '
        'in the namespace "dev"'
    )


def test_a_refused_subresource_names_object_and_subresource() -> None:
    error = forbidden_error(EVE, "update", "apps", "deployments", "scale", "web", "", "why")
    assert error.message == (
        'deployments.apps "web" is forbidden: User "eve" cannot update resource '
        '"deployments/scale" in API group "apps" at the cluster scope: why'
    )
    assert (error.code, error.reason, error.name, error.group) == (403, "Forbidden", "web", "apps")


def test_a_refused_path() -> None:
    error = forbidden_path_error(EVE, "get", "/metrics")
    assert error.message == 'forbidden: User "eve" cannot get path "/metrics"'


def held(verbs: str, resources: str, names: str = "") -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=[""],
        resources=resources.split(),
        resourceNames=names.split() or None,
    )


@pytest.mark.parametrize(
    ("owner", "wanted", "covered"),
    [
        ([held("get list", "pods")], held("get", "pods"), True),
        ([held("get", "pods"), held("list", "pods")], held("get list", "pods"), True),
        ([held("get", "pods")], held("get", "pods secrets"), False),
        ([held("*", "*")], held("delete", "secrets"), True),
        ([held("get", "*/log")], held("get", "pods/log"), True),
        ([held("get", "pods", "a b")], held("get", "pods", "a"), True),
        ([held("get", "pods", "a")], held("get", "pods"), False),
        ([held("get", "pods")], held("*", "pods"), False),
        ([], PolicyRule(verbs=["get"], nonResourceURLs=["/x"]), False),
        (
            [PolicyRule(verbs=["get"], nonResourceURLs=["/api/*"])],
            PolicyRule(verbs=["get"], nonResourceURLs=["/api/v1"]),
            True,
        ),
    ],
)
def test_covers(owner: list[PolicyRule], wanted: PolicyRule, covered: bool) -> None:
    assert covers(owner, [wanted]) is covered


def test_the_message_lists_missing_rights_sorted_with_their_verbs_together() -> None:
    wanted = [held("get delete", "secrets"), held("get", "pods", "a")]
    missing = uncovered([held("get", "configmaps")], wanted)
    assert escalation_message(EVE, missing) == (
        'user "eve" (groups=["g" "system:authenticated"]) is attempting to grant RBAC '
        "permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}'
    )
