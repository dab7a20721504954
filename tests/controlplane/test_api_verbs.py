"""The verbs of the API over real kinds, in process: what is stored, refused and left alone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from controlplane.auth.user import User
from controlplane.registry.options import ListOptions
from kubeapi.errors import StatusError
from tests.controlplane.inprocess import InProcess, running_api

Opener = Callable[[], AbstractAsyncContextManager[InProcess]]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    return lambda: running_api(tmp_path / "store")


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]} | spec,
    }


async def refused(doing: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await doing
    return caught.value


async def test_create_then_get_gives_the_same_object(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/configmaps", configmap("x", a="1"))
        assert made == await api.get("v1/configmaps", "x")
        assert made["metadata"]["resourceVersion"] == str(api.api.registry.revision)
        assert made["metadata"]["uid"]
        error = await refused(api.create("v1/configmaps", configmap("x")))
        assert (error.code, error.reason) == (409, "AlreadyExists")


async def test_everything_is_there_after_a_restart(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/configmaps", configmap("x", a="1"))
        revision = api.api.registry.revision
    async with opened() as api:
        assert await api.get("v1/configmaps", "x") == made
        assert api.api.registry.revision == revision  # a start that changes nothing writes nothing


async def test_generate_name_appends_five_letters(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/configmaps", {"metadata": {"generateName": "x-"}})
        name = made["metadata"]["name"]
        assert name.startswith("x-")
        assert len(name) == len("x-") + 5


async def test_an_update_of_an_old_version_is_409_and_stores_nothing(opened: Opener) -> None:
    async with opened() as api:
        first = await api.create("v1/configmaps", configmap("x", a="1"))
        second = await api.update("v1/configmaps", first | {"data": {"a": "2"}})
        error = await refused(api.update("v1/configmaps", first | {"data": {"a": "3"}}))
        assert (error.code, error.reason) == (409, "Conflict")
        assert "please apply your changes to the latest version" in error.message
        assert await api.get("v1/configmaps", "x") == second


async def test_an_update_that_changes_nothing_writes_nothing(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/configmaps", configmap("x", a="1"))
        assert await api.update("v1/configmaps", made) == made
        assert await api.patch("v1/configmaps", "x", {"data": {"a": "1"}}) == made


async def test_generation_counts_changes_of_the_spec_alone(opened: Opener) -> None:
    async with opened() as api:
        await api.create("v1/pods", pod("p"))
        labelled = await api.patch("v1/pods", "p", {"metadata": {"labels": {"a": "b"}}})
        assert labelled["metadata"]["generation"] == 1
        changed = await api.patch("v1/pods", "p", {"spec": {"activeDeadlineSeconds": 5}})
        assert changed["metadata"]["generation"] == 2


async def test_status_is_written_through_its_subresource_alone(opened: Opener) -> None:
    async with opened() as api:
        await api.create("v1/pods", pod("p"))
        through_main = await api.patch("v1/pods", "p", {"status": {"phase": "Failed"}})
        assert through_main["status"]["phase"] == "Pending"
        through_status = await api.patch(
            "v1/pods",
            "p",
            {"status": {"phase": "Running"}, "spec": {"activeDeadlineSeconds": 1}},
            subresource="status",
        )
        assert through_status["status"]["phase"] == "Running"
        assert "activeDeadlineSeconds" not in through_status["spec"]


async def test_a_namespace_must_exist_and_not_be_going(opened: Opener) -> None:
    async with opened() as api:
        error = await refused(api.create("v1/configmaps", configmap("x"), namespace="nope"))
        assert (error.code, error.message) == (404, 'namespaces "nope" not found')
        await api.create("v1/namespaces", {"metadata": {"name": "going"}})
        going, gone = await api.delete("v1/namespaces", "going")
        assert (going["status"]["phase"], gone) == ("Terminating", False)
        error = await refused(api.create("v1/configmaps", configmap("x"), namespace="going"))
        assert error.code == 403
        assert "because it is being terminated" in error.message
        error = await refused(api.delete("v1/namespaces", "default"))
        assert (error.code, error.reason) == (403, "Forbidden")


async def test_a_namespace_goes_with_its_last_finalizer(opened: Opener) -> None:
    async with opened() as api:
        await api.create("v1/namespaces", {"metadata": {"name": "going"}})
        going, _ = await api.delete("v1/namespaces", "going")
        going["spec"] = {}
        await api.update("v1/namespaces", going, subresource="finalize")
        assert (await refused(api.get("v1/namespaces", "going"))).code == 404


async def test_a_finalizer_holds_the_object_until_it_is_taken_away(opened: Opener) -> None:
    async with opened() as api:
        held = configmap("x") | {"metadata": {"name": "x", "finalizers": ["example.com/f"]}}
        await api.create("v1/configmaps", held)
        waiting, gone = await api.delete("v1/configmaps", "x")
        assert not gone
        assert waiting["metadata"]["deletionTimestamp"]
        assert waiting["metadata"]["deletionGracePeriodSeconds"] == 0
        again, _ = await api.delete("v1/configmaps", "x")
        assert again == waiting
        await api.patch("v1/configmaps", "x", {"metadata": {"finalizers": None}})
        assert (await refused(api.get("v1/configmaps", "x"))).code == 404


async def test_propagation_policies_leave_their_finalizers(opened: Opener) -> None:
    async with opened() as api:
        for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
            await api.create("v1/configmaps", configmap("x"))
            waiting, _ = await api.delete("v1/configmaps", "x", propagation_policy=policy)
            assert waiting["metadata"]["finalizers"] == [finalizer]
            await api.patch("v1/configmaps", "x", {"metadata": {"finalizers": None}})


async def test_a_bound_pod_is_given_its_grace_and_an_unbound_one_goes_at_once(
    opened: Opener,
) -> None:
    async with opened() as api:
        await api.create("v1/pods", pod("p"))
        last, gone = await api.delete("v1/pods", "p")
        assert gone
        assert last["metadata"]["deletionGracePeriodSeconds"] == 0
        await api.create("v1/pods", pod("q", nodeName="n"))
        waiting, gone = await api.delete("v1/pods", "q")
        assert not gone
        assert waiting["metadata"]["deletionGracePeriodSeconds"] == 30
        shorter, _ = await api.delete("v1/pods", "q", grace_period_s=5)
        assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
        longer, _ = await api.delete("v1/pods", "q", grace_period_s=60)
        assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
        assert (await api.delete("v1/pods", "q", grace_period_s=0))[1]


async def test_preconditions_of_a_deletion(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/configmaps", configmap("x"))
        assert (await refused(api.delete("v1/configmaps", "x", uid="other"))).code == 409
        error = await refused(api.delete("v1/configmaps", "x", resource_version="1"))
        assert error.code == 409
        assert (await api.delete("v1/configmaps", "x", uid=made["metadata"]["uid"]))[1]


async def test_binding_gives_a_pod_to_one_node_once(opened: Opener) -> None:
    async with opened() as api:
        await api.create("v1/pods", pod("p"))
        binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        await api.create("v1/pods", binding, name="p", subresource="binding")
        bound = await api.get("v1/pods", "p")
        assert bound["spec"]["nodeName"] == "n1"
        assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
        error = await refused(api.create("v1/pods", binding, name="p", subresource="binding"))
        assert (error.code, error.reason) == (409, "Conflict")


async def test_scale_is_another_view_of_the_same_object(opened: Opener) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    async with opened() as api:
        await api.create("apps/v1/deployments", deployment)
        scale = await api.get("apps/v1/deployments", "d", subresource="scale")
        assert scale["kind"] == "Scale"
        assert scale["spec"] == {"replicas": 2}
        assert scale["status"]["selector"] == "a=b"
        await api.patch("apps/v1/deployments", "d", {"spec": {"replicas": 5}}, subresource="scale")
        changed = await api.get("apps/v1/deployments", "d")
        assert changed["spec"]["replicas"] == 5
        assert changed["metadata"]["generation"] == 2


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]} | spec}


async def test_service_addresses_are_taken_and_given_back(opened: Opener) -> None:
    async with opened() as api:
        made = await api.create("v1/services", service("a", type="NodePort"))
        ip, port = made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]
        assert ip.startswith("10.96.")
        held = await api.get("networking.k8s.io/v1/ipaddresses", ip)
        assert held["spec"]["parentRef"]["name"] == "a"
        error = await refused(api.create("v1/services", service("b", clusterIP=ip)))
        assert (error.code, error.reason) == (422, "Invalid")
        assert "provided IP is already allocated" in error.message
        taken = service("b", type="NodePort", ports=[{"port": 80, "nodePort": port}])
        error = await refused(api.create("v1/services", taken))
        assert "provided port is already allocated" in error.message
        await api.delete("v1/services", "a")
        taken["spec"]["clusterIP"] = ip
        again = await api.create("v1/services", taken)
        assert again["spec"]["clusterIP"] == ip


async def test_a_service_keeps_its_addresses_when_a_client_leaves_them_out(
    opened: Opener,
) -> None:
    async with opened() as api:
        made = await api.create("v1/services", service("a", type="NodePort"))
        kept = await api.update("v1/services", service("a", type="NodePort"))
        assert kept["spec"]["clusterIP"] == made["spec"]["clusterIP"]
        assert kept["spec"]["ports"] == made["spec"]["ports"]
        plain = await api.update("v1/services", service("a", type="ClusterIP"))
        assert "nodePort" not in plain["spec"]["ports"][0]


async def test_lists_come_in_pages_of_one_revision(opened: Opener) -> None:
    async with opened() as api:
        for index in range(5):
            await api.create("v1/configmaps", configmap(f"x{index}"))
        call = api.call("list", "v1/configmaps")
        page = await api.api.list(call, ListOptions(limit=2))
        assert [s.key for s in page.items] == ["default/x0", "default/x1"]
        assert page.remaining == 3
        await api.create("v1/configmaps", configmap("x11"))
        await api.delete("v1/configmaps", "x3")
        rest = await api.api.list(call, ListOptions(continue_token=page.continue_token))
        assert [s.key for s in rest.items] == ["default/x2", "default/x3", "default/x4"]
        assert rest.revision == page.revision


async def test_selectors_choose_by_labels_and_by_the_fields_that_kubernetes_allows(
    opened: Opener,
) -> None:
    async with opened() as api:
        await api.create("v1/pods", pod("p", nodeName="n"))
        await api.create("v1/pods", pod("q"))
        on_node = await api.list("v1/pods", field_selector="spec.nodeName=n")
        assert [p["metadata"]["name"] for p in on_node] == ["p"]
        error = await refused(api.list("v1/pods", field_selector="spec.nope=n"))
        assert (error.code, error.message) == (400, "field label not supported: spec.nope")
        error = await refused(api.list("v1/configmaps", field_selector="x=y"))
        assert "is not a known field selector" in error.message


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("x", 400, 'strconv.ParseUint: parsing "x": invalid syntax'),
        ("99999999", 504, "Too large resource version"),
    ],
)
async def test_bad_resource_versions(opened: Opener, text: str, code: int, message: str) -> None:
    async with opened() as api:
        error = await refused(api.list("v1/configmaps", resource_version=text))
        assert error.code == code
        assert message in error.message


async def test_reviews_are_answered_and_never_stored(opened: Opener) -> None:
    async with opened() as api:
        asked = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        mine = await api.create("authorization.k8s.io/v1/selfsubjectaccessreviews", asked)
        assert mine["status"] == {"allowed": True}
        assert "resourceVersion" not in mine["metadata"]
        asked["spec"]["user"] = "somebody"  # type: ignore[index]
        theirs = await api.create("authorization.k8s.io/v1/subjectaccessreviews", asked)
        assert theirs["status"]["allowed"] is False
        who = await api.create("authentication.k8s.io/v1/selfsubjectreviews", {})
        assert who["status"]["userInfo"]["username"] == "kubernetes-admin"
        assert await api.list("v1/componentstatuses") == []


async def test_a_patch_may_not_rename(opened: Opener) -> None:
    async with opened() as api:
        await api.create("v1/configmaps", configmap("x"))
        error = await refused(api.patch("v1/configmaps", "x", {"metadata": {"name": "y"}}))
        assert (error.code, error.reason) == (400, "BadRequest")
        assert "does not match the name on the URL" in error.message


async def test_a_right_in_a_namespace_is_none_to_what_lies_outside_it(opened: Opener) -> None:
    async with opened() as api:
        rbac = "rbac.authorization.k8s.io/v1/"
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        await api.create(rbac + "roles", {"metadata": {"name": "r"}, "rules": [everything]})
        subject = {"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]}
        await api.create(rbac + "rolebindings", binding)
        bob = User("bob")
        inside = api.call("list", "v1/pods")
        inside.user = bob
        await api.api.list(inside, ListOptions())
        outside = api.call("list", "v1/nodes")
        outside.user, outside.namespace = bob, "default"
        error = await refused(api.api.list(outside, ListOptions()))
        assert (error.code, error.reason) == (403, "Forbidden")
