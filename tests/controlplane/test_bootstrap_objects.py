"""What exists after a first start, and that it lets each component do its work and no more."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from controlplane.auth.aggregation import aggregated_rules
from controlplane.auth.bootstrap import bootstrap_objects, pinnace_objects
from controlplane.auth.bootstrap.rule_text import parse_rule
from controlplane.auth.rbac import Authorizer
from controlplane.auth.user import ANONYMOUS, User, service_account_user
from kubeapi.types import rbac_v1


def test_every_kind_is_there_in_number_and_no_name_twice() -> None:
    objects = bootstrap_objects()
    assert Counter(obj["kind"] for obj in objects) == {
        "Namespace": 4,
        "PriorityClass": 2,
        "ClusterRole": 69,
        "ClusterRoleBinding": 50,
        "Role": 7,
        "RoleBinding": 7,
        "PriorityLevelConfiguration": 8,
        "FlowSchema": 11,
    }
    names = Counter(
        (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for obj in [*objects, *pinnace_objects()]
    )
    assert max(names.values()) == 1


def test_every_binding_names_a_role_that_exists() -> None:
    objects = [*bootstrap_objects(), *pinnace_objects()]
    roles = {
        (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        for obj in objects
        if obj["kind"] in ("Role", "ClusterRole")
    }
    for obj in objects:
        if "roleRef" in obj:
            ref = obj["roleRef"]
            namespace = obj["metadata"].get("namespace") if ref["kind"] == "Role" else None
            assert (ref["kind"], namespace, ref["name"]) in roles


def test_every_flow_schema_names_a_level_that_exists() -> None:
    objects = bootstrap_objects()
    levels = {o["metadata"]["name"] for o in objects if o["kind"] == "PriorityLevelConfiguration"}
    named = {
        o["spec"]["priorityLevelConfiguration"]["name"]
        for o in objects
        if o["kind"] == "FlowSchema"
    }
    assert named == levels


@pytest.fixture(scope="module")
def authorizer() -> Authorizer:
    objects = [*bootstrap_objects(), *pinnace_objects()]
    return Authorizer(
        msgspec.convert(obj, getattr(rbac_v1, obj["kind"]))
        for obj in objects
        if obj["apiVersion"] == "rbac.authorization.k8s.io/v1"
    )


SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
CONTROLLER_MANAGER = User("system:kube-controller-manager", ("system:authenticated",))
PROXY = User("system:kube-proxy", ("system:authenticated",))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


def controller(name: str) -> User:
    return service_account_user("kube-system", name)


@pytest.mark.parametrize(
    ("user", "asked", "allowed"),
    [
        (SCHEDULER, ("create", "", "pods", "binding"), True),
        (SCHEDULER, ("list", "", "secrets"), False),
        (PROXY, ("watch", "discovery.k8s.io", "endpointslices"), True),
        (PROXY, ("list", "", "pods"), False),
        (NODE, ("patch", "", "pods", "status"), True),
        (NODE, ("update", "coordination.k8s.io", "leases"), True),
        (NODE, ("create", "apps", "deployments"), False),
        (controller("replicaset-controller"), ("create", "", "pods"), True),
        (controller("replicaset-controller"), ("list", "", "secrets"), False),
        (controller("service-account-controller"), ("create", "", "serviceaccounts"), True),
        (controller("taint-eviction-controller"), ("delete", "", "pods"), True),
        (controller("taint-eviction-controller"), ("delete", "", "nodes"), False),
        (CONTROLLER_MANAGER, ("watch", "coordination.k8s.io", "leases"), True),
        (controller("generic-garbage-collector"), ("delete", "apps", "replicasets"), True),
        (User("alice", ("system:authenticated",)), ("list", "", "pods"), False),
    ],
)
def test_components_may_do_their_work(
    authorizer: Authorizer, user: User, asked: tuple[str, ...], allowed: bool
) -> None:
    assert authorizer.authorize(user, *asked, namespace="default").allowed is allowed


@pytest.mark.parametrize(
    ("user", "path", "allowed"),
    [
        (ANONYMOUS, "/version", True),
        (ANONYMOUS, "/readyz", True),
        (ANONYMOUS, "/api", False),
        (User("alice", ("system:authenticated",)), "/apis/apps/v1", True),
        (User("alice", ("system:authenticated",)), "/metrics", False),
        (User("m", ("system:monitoring",)), "/metrics", True),
    ],
)
def test_paths_anyone_may_read(
    authorizer: Authorizer, user: User, path: str, allowed: bool
) -> None:
    assert authorizer.authorize_nonresource(user, "get", path).allowed is allowed


def test_view_edit_and_admin_hold_each_other() -> None:
    rules = {
        obj["metadata"]["name"]: obj["rules"]
        for obj in bootstrap_objects()
        if obj["kind"] == "ClusterRole"
    }
    assert all(rule in rules["edit"] for rule in rules["view"])
    assert all(rule in rules["admin"] for rule in rules["edit"])
    assert not any("secrets" in rule["resources"] for rule in rules["view"])


def test_a_rule_as_text() -> None:
    assert parse_rule("get list: pods pods/log in core apps named a") == {
        "verbs": ["get", "list"],
        "apiGroups": ["", "apps"],
        "resources": ["pods", "pods/log"],
        "resourceNames": ["a"],
    }
    assert parse_rule("get: /healthz /api/*") == {
        "verbs": ["get"],
        "nonResourceURLs": ["/healthz", "/api/*"],
    }


def test_aggregation_takes_each_rule_once_and_by_any_selector() -> None:
    def role(name: str, label: str, *rules: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name, "labels": {"to": label}},
            "rules": [parse_rule(text) for text in rules],
        }

    target = role("target", "one")
    target["aggregationRule"] = {
        "clusterRoleSelectors": [
            {"matchLabels": {"to": "one"}},
            {"matchExpressions": [{"key": "to", "operator": "In", "values": ["two"]}]},
        ]
    }
    others = [
        role("b", "one", "get: pods in core"),
        role("a", "one", "get: nodes in core", "get: pods in core"),
        role("c", "two", "get: jobs in batch"),
        role("d", "three", "get: secrets in core"),
        target,
    ]
    assert aggregated_rules(target, others) == [
        parse_rule("get: nodes in core"),
        parse_rule("get: pods in core"),
        parse_rule("get: jobs in batch"),
    ]
