"""Discovery: what clients learn about groups, versions and resources."""

from typing import Any

import msgspec
import pytest

from controlplane.rest.discovery import (
    AGGREGATED,
    Discovery,
    accepts_aggregated,
    etag_of,
    storage_version_hash,
    version_info,
)
from kubeapi.resources import RESOURCES


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    return Discovery()


def row(discovery: Discovery, group: str, version: str, name: str) -> dict[str, Any]:
    found = discovery.resource_list(group, version)
    assert found is not None
    return next(resource for resource in found["resources"] if resource["name"] == name)


def test_a_resource_has_names_scope_verbs_and_hash(discovery: Discovery) -> None:
    assert row(discovery, "apps", "v1", "deployments") == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "kind": "Deployment",
        "verbs": (
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ),
        "shortNames": ("deploy",),
        "categories": ("all",),
        "storageVersionHash": "8aSe+NMegvE=",
    }


def test_a_subresource_names_the_kind_it_takes(discovery: Discovery) -> None:
    assert row(discovery, "apps", "v1", "deployments/scale") == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ("get", "patch", "update"),
    }
    assert row(discovery, "", "v1", "pods/exec")["kind"] == "PodExecOptions"
    assert row(discovery, "", "v1", "pods/log")["kind"] == "Pod"


def test_what_is_not_stored_has_no_hash(discovery: Discovery) -> None:
    assert "storageVersionHash" not in row(discovery, "authorization.k8s.io", "v1", REVIEW)
    assert "storageVersionHash" not in row(discovery, "", "v1", "componentstatuses")


REVIEW = "selfsubjectaccessreviews"


def test_the_hash_tells_where_objects_are_stored(discovery: Discovery) -> None:
    core = row(discovery, "", "v1", "events")["storageVersionHash"]
    assert core == storage_version_hash("", "v1", "Event")
    assert row(discovery, "events.k8s.io", "v1", "events")["storageVersionHash"] == core


def test_the_first_version_of_a_group_is_preferred(discovery: Discovery) -> None:
    group = discovery.group("autoscaling")
    assert group is not None
    assert [version["version"] for version in group["versions"]] == ["v2", "v1"]
    assert group["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}


def test_both_forms_name_the_same_resources(discovery: Discovery) -> None:
    aggregated = {
        (item["metadata"].get("name", ""), version["version"], resource["resource"])
        for core in (True, False)
        for item in msgspec.json.decode(discovery.aggregated(core=core).body)["items"]
        for version in item["versions"]
        for resource in version["resources"]
    }
    assert aggregated == {(info.group, info.version, info.resource) for info in RESOURCES}
    classic = {
        (group, version, resource["name"])
        for group, version in discovery.group_versions()
        for resource in (discovery.resource_list(group, version) or {})["resources"]
        if "/" not in resource["name"]
    }
    assert classic == aggregated


def test_aggregated_subresources(discovery: Discovery) -> None:
    items = msgspec.json.decode(discovery.aggregated(core=False).body)["items"]
    apps = next(item for item in items if item["metadata"]["name"] == "apps")
    resources = apps["versions"][0]["resources"]
    deployments = next(found for found in resources if found["resource"] == "deployments")
    assert deployments["subresources"] == [
        {
            "subresource": "scale",
            "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            "verbs": ["get", "patch", "update"],
        },
        {
            "subresource": "status",
            "responseKind": {"group": "", "version": "", "kind": "Deployment"},
            "verbs": ["get", "patch", "update"],
        },
    ]


def test_an_aggregated_document_can_be_cached_by_its_etag(discovery: Discovery) -> None:
    document = discovery.aggregated(core=True)
    assert document is discovery.aggregated(core=True)
    assert document.content_type == AGGREGATED
    assert document.etag == etag_of(document.body)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis", "APIGroupList"),
        ("/apis/", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
        ("/api/v1", "APIResourceList"),
        ("/api/v2", None),
        ("/apis/nope", None),
        ("/apis//v1", None),
        ("/apis/apps/v1/deployments", None),
        ("/", None),
    ],
)
def test_documents_by_path(discovery: Discovery, path: str, kind: str | None) -> None:
    document = discovery.document(path)
    assert (document and msgspec.json.decode(document.body)["kind"]) == kind


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (AGGREGATED, True),
        (f"{AGGREGATED},application/json", True),
        (f"application/json;q=0.9,{AGGREGATED}", True),
        (f"application/json,{AGGREGATED};q=0.5", False),
        (AGGREGATED.replace("v=v2", "v=v2beta1"), None),
        (AGGREGATED.replace("v=v2", "v=v2beta1") + ",application/json", False),
        ("text/html", None),
    ],
)
def test_which_form_a_client_accepts(accept: str, form: bool | None) -> None:
    assert accepts_aggregated(accept) is form


def test_root_paths_are_sorted_and_name_groups_and_versions(discovery: Discovery) -> None:
    paths = discovery.root_paths(["/healthz/etcd"])["paths"]
    assert paths == sorted(paths)
    expected = {"/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz/etcd", "/version"}
    assert expected <= set(paths)


def test_api_versions_tell_where_the_server_is(discovery: Discovery) -> None:
    found = discovery.api_versions("10.0.0.1:6443")
    assert found["versions"] == ["v1"]
    assert found["serverAddressByClientCIDRs"][0]["serverAddress"] == "10.0.0.1:6443"


def test_version() -> None:
    info = version_info("v1.36.2+pinnace.0.1.0", "2026-01-01T00:00:00Z")
    assert (info["major"], info["minor"]) == ("1", "36")
    assert info["minCompatibilityMinor"] == "35"
    assert info["gitVersion"] == "v1.36.2+pinnace.0.1.0"
