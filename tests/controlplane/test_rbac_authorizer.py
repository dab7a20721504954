"""Who may do what: RBAC's rules told as short tables."""

import pytest

from controlplane.auth.rbac import Authorizer, Decision
from controlplane.auth.user import User, service_account_user
from kubeapi.types import meta_v1, rbac_v1

ALICE = User("alice", ("developers", "system:authenticated"))


def meta(name: str, namespace: str = "") -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace=namespace or None)


def rule(verbs: str, groups: str, resources: str, names: str = "") -> rbac_v1.PolicyRule:
    return rbac_v1.PolicyRule(
        verbs=verbs.split(),
        apiGroups=["" if g == "core" else g for g in groups.split()],
        resources=resources.split(),
        resourceNames=names.split() or None,
    )


def cluster_role(name: str, *rules: rbac_v1.PolicyRule) -> rbac_v1.ClusterRole:
    return rbac_v1.ClusterRole(metadata=meta(name), rules=list(rules))


def subject(kind: str, name: str, namespace: str | None = None) -> rbac_v1.Subject:
    return rbac_v1.Subject(kind=kind, name=name, namespace=namespace)


def bind(role: str, *subjects: rbac_v1.Subject) -> rbac_v1.ClusterRoleBinding:
    ref = rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=role)
    return rbac_v1.ClusterRoleBinding(
        metadata=meta(f"bind-{role}"), roleRef=ref, subjects=list(subjects)
    )


def bind_in(
    namespace: str, role: str, *subjects: rbac_v1.Subject, kind: str = "ClusterRole"
) -> rbac_v1.RoleBinding:
    ref = rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind=kind, name=role)
    return rbac_v1.RoleBinding(
        metadata=meta(f"bind-{role}", namespace), roleRef=ref, subjects=list(subjects)
    )


@pytest.mark.parametrize(
    ("given", "asked", "allowed"),
    [
        (rule("get", "core", "pods"), ("get", "", "pods", ""), True),
        (rule("get", "core", "pods"), ("list", "", "pods", ""), False),
        (rule("get", "core", "pods"), ("get", "apps", "pods", ""), False),
        (rule("get", "core", "pods"), ("get", "", "pods", "log"), False),
        (rule("get", "core", "pods/log"), ("get", "", "pods", "log"), True),
        (rule("get", "core", "pods/log"), ("get", "", "pods", ""), False),
        (rule("get", "core", "pods/*"), ("get", "", "pods", "log"), False),
        (rule("update", "apps", "*/scale"), ("update", "apps", "deployments", "scale"), True),
        (rule("update", "apps", "*/scale"), ("update", "apps", "deployments", "status"), False),
        (rule("*", "*", "*"), ("delete", "batch", "jobs", "status"), True),
        (rule("*", "core", "*"), ("delete", "batch", "jobs", ""), False),
        (rule("get", "", "pods"), ("get", "", "pods", ""), False),
    ],
)
def test_a_rule_allows(
    given: rbac_v1.PolicyRule, asked: tuple[str, str, str, str], allowed: bool
) -> None:
    authorizer = Authorizer([cluster_role("r", given), bind("r", subject("User", "alice"))])
    assert authorizer.authorize(ALICE, *asked).allowed is allowed


def test_resource_names_limit_to_named_requests() -> None:
    authorizer = Authorizer(
        [
            cluster_role("r", rule("get list", "core", "configmaps", "x")),
            bind("r", subject("User", "alice")),
        ]
    )
    asked = ("get", "", "configmaps", "")
    assert authorizer.authorize(ALICE, *asked, name="x").allowed
    assert not authorizer.authorize(ALICE, *asked, name="y").allowed
    assert not authorizer.authorize(ALICE, *asked).allowed


@pytest.mark.parametrize(
    ("url", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/etcd", False),
        ("/apis/*", "/apis/apps/v1", True),
        ("/apis/*", "/apis", False),
        ("*", "/anything", True),
    ],
)
def test_paths_match_exactly_or_by_a_trailing_star(url: str, path: str, allowed: bool) -> None:
    paths = rbac_v1.PolicyRule(verbs=["get"], nonResourceURLs=[url])
    authorizer = Authorizer([cluster_role("r", paths), bind("r", subject("Group", "developers"))])
    assert authorizer.authorize_nonresource(ALICE, "get", path).allowed is allowed
    assert not authorizer.authorize_nonresource(ALICE, "post", path).allowed


@pytest.mark.parametrize(
    ("who", "user", "allowed"),
    [
        (subject("User", "alice"), ALICE, True),
        (subject("Group", "developers"), ALICE, True),
        (subject("User", "developers"), ALICE, False),
        (subject("Group", "alice"), ALICE, False),
        (subject("ServiceAccount", "builder", "ci"), service_account_user("ci", "builder"), True),
        (subject("ServiceAccount", "builder", "ci"), service_account_user("b", "builder"), False),
        (subject("ServiceAccount", "builder"), service_account_user("ci", "builder"), False),
        (subject("Group", "system:serviceaccounts:ci"), service_account_user("ci", "any"), True),
    ],
)
def test_subjects(who: rbac_v1.Subject, user: User, allowed: bool) -> None:
    authorizer = Authorizer([cluster_role("r", rule("get", "core", "pods")), bind("r", who)])
    assert authorizer.authorize(user, "get", "", "pods").allowed is allowed


def test_an_account_without_namespace_is_that_of_the_role_binding() -> None:
    authorizer = Authorizer(
        [
            cluster_role("r", rule("get", "core", "pods")),
            bind_in("ci", "r", subject("ServiceAccount", "builder")),
        ]
    )
    builder = service_account_user("ci", "builder")
    assert authorizer.authorize(builder, "get", "", "pods", namespace="ci").allowed


def test_a_role_binding_counts_in_its_namespace_only() -> None:
    role = rbac_v1.Role(metadata=meta("r", "dev"), rules=[rule("get", "core", "pods")])
    authorizer = Authorizer([role, bind_in("dev", "r", subject("User", "alice"), kind="Role")])
    assert authorizer.authorize(ALICE, "get", "", "pods", namespace="dev") == Decision(
        True, 'RBAC: allowed by RoleBinding "bind-r/dev" of Role "r" to User "alice"'
    )
    assert not authorizer.authorize(ALICE, "get", "", "pods", namespace="prod").allowed
    assert not authorizer.authorize(ALICE, "get", "", "pods").allowed


def test_a_cluster_role_binding_never_grants_a_role() -> None:
    binding = bind("r", subject("User", "alice"))
    assert binding.roleRef is not None
    ref = rbac_v1.RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name="r")
    wrong = rbac_v1.ClusterRoleBinding(
        metadata=meta("wrong"), roleRef=ref, subjects=binding.subjects
    )
    authorizer = Authorizer([cluster_role("r", rule("*", "*", "*")), wrong])
    assert not authorizer.authorize(ALICE, "get", "", "pods").allowed


def test_masters_may_everything_without_any_role() -> None:
    admin = User("root", ("system:masters",))
    assert Authorizer().authorize(admin, "delete", "", "nodes", name="n").allowed
    assert Authorizer().authorize_nonresource(admin, "get", "/metrics").allowed


def test_a_binding_whose_role_is_missing_says_so_and_works_once_it_comes() -> None:
    authorizer = Authorizer([bind("r", subject("User", "alice"))])
    refused = authorizer.authorize(ALICE, "get", "", "pods")
    missing = 'RBAC: clusterrole.rbac.authorization.k8s.io "r" not found'
    assert refused == Decision(False, missing)
    authorizer.set_object(cluster_role("r", rule("get", "core", "pods")))
    assert authorizer.authorize(ALICE, "get", "", "pods").allowed


def test_changed_and_deleted_objects_count_at_once() -> None:
    role, binding = (
        cluster_role("r", rule("get", "core", "pods")),
        bind("r", subject("User", "bob")),
    )
    authorizer = Authorizer([role, binding])
    authorizer.set_object(bind("r", subject("User", "alice")))
    assert not authorizer.authorize(User("bob"), "get", "", "pods").allowed
    assert authorizer.authorize(ALICE, "get", "", "pods").allowed
    authorizer.set_object(cluster_role("r", rule("list", "core", "pods")))
    assert not authorizer.authorize(ALICE, "get", "", "pods").allowed
    authorizer.delete_object(bind("r"))
    assert not authorizer.authorize(ALICE, "list", "", "pods").allowed


def test_rules_for_lists_cluster_wide_rules_first() -> None:
    everywhere, here = rule("get", "core", "nodes"), rule("get", "core", "pods")
    authorizer = Authorizer(
        [
            cluster_role("here", here),
            bind_in("dev", "here", subject("User", "alice"), subject("Group", "developers")),
            cluster_role("everywhere", everywhere),
            bind("everywhere", subject("User", "alice")),
        ]
    )
    assert authorizer.rules_for(ALICE, "dev") == [everywhere, here]
    assert authorizer.rules_for(ALICE, "prod") == [everywhere]
