"""URLs taken apart, Accept headers weighed, query parameters checked."""

import pytest

from controlplane import flags
from controlplane.rest.negotiation import Form, form_of
from controlplane.rest.queries import Query
from controlplane.rest.router import Target, is_watch_path, target_of, verb_of
from kubeapi.errors import StatusError


def parts(path: str) -> tuple[str, ...] | None:
    target = target_of(path)
    if target is None:
        return None
    return (
        target.group, target.version, target.resource, target.namespace, target.name,
        target.subresource, target.rest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("", "v1", "pods", "", "", "", "")),
        ("/api/v1/namespaces", ("", "v1", "namespaces", "", "", "", "")),
        ("/api/v1/namespaces/a", ("", "v1", "namespaces", "a", "a", "", "")),
        ("/api/v1/namespaces/a/status", ("", "v1", "namespaces", "a", "a", "status", "")),
        ("/api/v1/namespaces/a/finalize", ("", "v1", "namespaces", "a", "a", "finalize", "")),
        ("/api/v1/namespaces/a/pods", ("", "v1", "pods", "a", "", "", "")),
        ("/api/v1/namespaces/a/pods/", ("", "v1", "pods", "a", "", "", "")),
        ("/api/v1/namespaces/a/pods/p", ("", "v1", "pods", "a", "p", "", "")),
        ("/api/v1/namespaces/a/pods/p/log", ("", "v1", "pods", "a", "p", "log", "")),
        ("/api/v1/nodes/n/proxy/x/y", ("", "v1", "nodes", "", "n", "proxy", "x/y")),
        ("/apis/apps/v1/deployments", ("apps", "v1", "deployments", "", "", "", "")),
        ("/apis/apps/v1/watch/deployments", ("apps", "v1", "deployments", "", "", "", "")),
        (
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            ("apps", "v1", "deployments", "a", "d", "scale", ""),
        ),
        ("/apis/apps/v1", None),
        ("/api/v1", None),
        ("/healthz", None),
        ("/", None),
    ],
)
def test_paths(path: str, expected: tuple[str, ...] | None) -> None:
    assert parts(path) == expected


def test_a_resource_that_is_not_served_has_no_info() -> None:
    target = target_of("/apis/example.com/v1/things/x")
    assert target is not None
    assert target.info is None
    assert (target.group, target.resource, target.name) == ("example.com", "things", "x")


@pytest.mark.parametrize(
    ("method", "path", "watch", "verb"),
    [
        ("GET", "/api/v1/pods", False, "list"),
        ("GET", "/api/v1/pods", True, "watch"),
        ("GET", "/api/v1/namespaces/a/pods/p", False, "get"),
        ("GET", "/api/v1/namespaces/a/pods/p", True, "watch"),
        ("HEAD", "/api/v1/namespaces/a/pods/p", False, "get"),
        ("POST", "/api/v1/namespaces/a/pods", False, "create"),
        ("PUT", "/api/v1/namespaces/a/pods/p", False, "update"),
        ("PATCH", "/api/v1/namespaces/a/pods/p", False, "patch"),
        ("DELETE", "/api/v1/namespaces/a/pods/p", False, "delete"),
        ("DELETE", "/api/v1/namespaces/a/pods", False, "deletecollection"),
        ("BREW", "/api/v1/namespaces/a/pods", False, ""),
    ],
)
def test_verbs(method: str, path: str, watch: bool, verb: str) -> None:
    target = target_of(path)
    assert isinstance(target, Target)
    assert verb_of(method, target, watch) == verb


def test_the_old_watch_paths_are_known() -> None:
    assert is_watch_path("/api/v1/watch/pods")
    assert is_watch_path("/apis/apps/v1/watch/deployments")
    assert not is_watch_path("/api/v1/namespaces/watch/pods")


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("application/json", Form()),
        ("application/vnd.kubernetes.protobuf, */*", Form()),
        (f"{TABLE},application/json", Form("Table")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form()),
        ("application/yaml", Form(yaml=True)),
        ("application/json;q=0.5,application/yaml", Form(yaml=True)),
        ("image/png, application/json", Form()),
    ],
)
def test_the_first_form_that_is_served_wins(accept: str, form: Form) -> None:
    assert form_of(accept) == form


@pytest.mark.parametrize("accept", ["text/plain", "application/cbor", f"{TABLE}x"])
def test_nothing_that_fits_is_406(accept: str) -> None:
    with pytest.raises(StatusError) as caught:
        form_of(accept)
    assert (caught.value.code, caught.value.reason) == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"limit": "x"}, 400, 'parsing "x": invalid syntax'),
        ({"limit": "9" * 20}, 400, "value out of range"),
        ({"resourceVersionMatch": "NotOlderThan"}, 422, "unless resourceVersion is provided"),
        (
            {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            422,
            'forbidden for resourceVersion "0"',
        ),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
    ],
)
def test_bad_list_options(given: dict[str, str], code: int, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        Query(given).list_options()
    assert caught.value.code == code
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, False),
        ({"watch": ""}, True),
        ({"watch": "0"}, False),
        ({"watch": "False"}, False),
        ({"watch": "1"}, True),
        ({"watch": "anything"}, True),
    ],
)
def test_flags_are_read_as_kubernetes_reads_them(given: dict[str, str], expected: bool) -> None:
    assert Query(given).flag("watch") is expected


def test_unknown_field_validation_is_refused() -> None:
    with pytest.raises(StatusError, match="supported values"):
        Query({"fieldValidation": "strict"}).field_validation("create")
    assert Query({}).field_validation("create") == "Warn"


@pytest.mark.parametrize(
    "argv",
    [
        ["--secure-port", "99999"],
        ["--grpc-port", "0"],
        ["--advertise-address", "nowhere"],
        ["--event-ttl", "-1"],
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_starts(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        flags.parse(argv)
    assert refused.value.code == 2
