"""OpenAPI as clients read it: schemas, operations, and version 2's protobuf form."""

from typing import Any

import msgspec
import pytest

from controlplane.rest.openapi import OpenApi
from controlplane.rest.openapi.docs import Docs, unwrap
from controlplane.rest.openapi.paths import paths_of
from kubeapi.resources import RESOURCES, find
from pinnace_wire import openapi_v2_pb2 as pb

PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
POD = "io.k8s.api.core.v1.Pod"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    return OpenApi()


def content(openapi: OpenApi, path: str) -> dict[str, Any]:
    document = openapi.document(path)
    assert document is not None
    found: dict[str, Any] = msgspec.json.decode(document.body)
    return found


@pytest.fixture(scope="module")
def core(openapi: OpenApi) -> dict[str, Any]:
    return content(openapi, "/openapi/v3/api/v1")


@pytest.fixture(scope="module")
def everything(openapi: OpenApi) -> dict[str, Any]:
    return content(openapi, "/openapi/v2")


@pytest.fixture(scope="module")
def gnostic(openapi: OpenApi) -> pb.Document:
    document = openapi.document("/openapi/v2", PROTOBUF_ASKED)
    assert document is not None
    return pb.Document.FromString(document.body)


def test_the_index_names_every_group_version_with_a_hash(openapi: OpenApi) -> None:
    paths = content(openapi, "/openapi/v3")["paths"]
    bases = {
        f"apis/{info.api_version}" if info.group else f"api/{info.version}" for info in RESOURCES
    }
    assert set(paths) == bases
    url = paths["apis/apps/v1"]["serverRelativeURL"]
    document = openapi.document("/openapi/v3/apis/apps/v1")
    assert document is not None
    assert url == f"/openapi/v3/apis/apps/v1?hash={document.etag.strip(chr(34))}"


def test_paths_that_there_are_not(openapi: OpenApi) -> None:
    for path in ("/openapi", "/openapi/v3/apis/nope/v1", "/openapi/v4", "/openapi/v3/api"):
        assert openapi.document(path) is None


def test_a_document_is_made_once_and_answers_alike(openapi: OpenApi) -> None:
    first, second = (openapi.document("/openapi/v3/apis/batch/v1/") for _ in range(2))
    assert first == second


def test_a_schema_says_what_a_kind_is_and_means(core: dict[str, Any]) -> None:
    pod = core["components"]["schemas"][POD]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Pod", "version": "v1"}]
    assert pod["description"].startswith("Pod is a collection of containers")
    spec = pod["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": f"#/components/schemas/{POD_SPEC}"}]
    assert spec["description"].startswith("Specification of the desired behavior of the pod.")


def test_lists_say_how_they_merge(core: dict[str, Any]) -> None:
    spec = core["components"]["schemas"][POD_SPEC]
    assert spec["required"] == ["containers"]
    containers = spec["properties"]["containers"]
    del containers["description"]
    assert containers == {
        "type": "array",
        "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}]},
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }


@pytest.mark.parametrize(
    ("kind", "field", "expected"),
    [
        ("core.v1.PodSpec", "priority", {"type": "integer", "format": "int32"}),
        ("core.v1.PodSpec", "hostNetwork", {"type": "boolean"}),
        (
            "core.v1.Secret",
            "data",
            {
                "type": "object",
                "additionalProperties": {"type": "string", "format": "byte"},
            },
        ),
        (
            "core.v1.ServicePort",
            "targetPort",
            {
                "allOf": [
                    {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString"}
                ]
            },
        ),
    ],
)
def test_types_of_fields(
    core: dict[str, Any], kind: str, field: str, expected: dict[str, Any]
) -> None:
    found = core["components"]["schemas"][f"io.k8s.api.{kind}"]["properties"][field]
    assert {key: value for key, value in found.items() if key != "description"} == expected


def test_every_reference_leads_somewhere(core: dict[str, Any], everything: dict[str, Any]) -> None:
    for document, prefix, schemas in (
        (core, "#/components/schemas/", core["components"]["schemas"]),
        (everything, "#/definitions/", everything["definitions"]),
    ):
        found = set(references(document))
        assert found
        assert {name.removeprefix(prefix) for name in found} <= set(schemas)


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for each in value.values() for found in references(each)]
    return []


def test_operations_tell_their_action_kind_and_parameters(core: dict[str, Any]) -> None:
    collection = core["paths"]["/api/v1/namespaces/{namespace}/pods"]
    actions = {
        method: operation["x-kubernetes-action"]
        for method, operation in collection.items()
        if method != "parameters"
    }
    assert actions == {"get": "list", "post": "post", "delete": "deletecollection"}
    patch = core["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert patch["operationId"] == "patchCoreV1NamespacedPod"
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    names = {parameter["name"] for parameter in patch["parameters"]}
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} == names
    answer = patch["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": f"#/components/schemas/{POD}"}


def test_a_subresource_takes_its_own_kind(core: dict[str, Any]) -> None:
    base = "/api/v1/namespaces/{namespace}/pods/{name}"
    eviction = core["paths"][f"{base}/eviction"]["post"]
    assert eviction["x-kubernetes-group-version-kind"]["kind"] == "Eviction"
    execute = core["paths"][f"{base}/exec"]["post"]
    assert execute["x-kubernetes-action"] == "connect"
    assert "requestBody" not in execute


def test_cluster_scoped_resources_have_no_namespace_in_their_paths() -> None:
    info = find("", "v1", "nodes")
    assert info is not None
    paths = [path.path for path in paths_of(info)]
    assert paths == [
        "/api/v1/nodes",
        "/api/v1/nodes/{name}",
        "/api/v1/nodes/{name}/proxy",
        "/api/v1/nodes/{name}/status",
    ]


def test_operation_ids_are_unique(everything: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for path in everything["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids))


def test_version_2_has_no_one_of(everything: dict[str, Any]) -> None:
    quantity = everything["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert quantity["type"] == "string"
    assert "oneOf" not in quantity
    metadata = everything["definitions"][POD]["properties"]["metadata"]
    assert metadata["$ref"].endswith("meta.v1.ObjectMeta")


def test_the_protobuf_form_says_the_same(gnostic: pb.Document, everything: dict[str, Any]) -> None:
    assert gnostic.swagger == "2.0"
    definitions = {each.name: each.value for each in gnostic.definitions.additional_properties}
    assert set(definitions) == set(everything["definitions"])
    pod_spec = definitions[POD_SPEC]
    properties = {each.name: each.value for each in pod_spec.properties.additional_properties}
    containers = properties["containers"]
    assert list(containers.type.value) == ["array"]
    assert containers.items.schema[0]._ref == "#/definitions/io.k8s.api.core.v1.Container"
    assert list(pod_spec.required) == ["containers"]
    extensions = {each.name: each.value.yaml for each in containers.vendor_extension}
    assert extensions["x-kubernetes-patch-merge-key"] == '"name"\n'


def test_the_protobuf_form_of_an_operation(gnostic: pb.Document) -> None:
    paths = {each.name: each.value for each in gnostic.paths.path}
    patch = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].patch
    queries = {
        each.parameter.non_body_parameter.query_parameter_sub_schema.name
        for each in patch.parameters
        if each.parameter.HasField("non_body_parameter")
    }
    assert "dryRun" in queries
    body = next(
        each.parameter.body_parameter
        for each in patch.parameters
        if each.parameter.HasField("body_parameter")
    )
    assert body.required
    extensions = {each.name: each.value.yaml for each in patch.vendor_extension}
    named = msgspec.json.decode(extensions["x-kubernetes-group-version-kind"])
    assert named == {"group": "apps", "version": "v1", "kind": "Deployment"}


def test_clients_cannot_parse_the_name_they_ask_the_protobuf_form_by(openapi: OpenApi) -> None:
    document = openapi.document("/openapi/v2", PROTOBUF_ASKED)
    assert document is not None
    assert "@" not in document.content_type


def test_docs_of_classes_and_fields() -> None:
    docs = Docs()
    assert docs.of("core_v1", "Pod").fields["spec"].startswith("Specification of the desired")
    assert docs.of("core_v1", "Nope").text == ""
    assert docs.of("nope_v1", "Pod").fields == {}


def test_wrapped_text_is_unwrapped_but_for_lists_and_paragraphs() -> None:
    wrapped = "One two\n        three.\n\n        Second:\n        - a\n        - b\n          c"
    assert unwrap(wrapped, indent=8) == "One two three.\n\nSecond:\n- a\n- b\n  c"
