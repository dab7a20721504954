"""Names, label values and keys, with Kubernetes' messages."""

import pytest

from kubeapi import names

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("name", "group", "resource", "problems"),
    [
        ("a.b-c", "", "configmaps", []),
        ("a-", "", "configmaps", [SUBDOMAIN]),
        ("é", "", "configmaps", [SUBDOMAIN]),
        ("a\n", "", "configmaps", [SUBDOMAIN]),
        ("a" * 254, "", "configmaps", ["must be no more than 253 characters"]),
        ("a.b", "", "namespaces", ["must not contain dots"]),
        ("A", "", "namespaces", [LABEL]),
        ("a" * 64, "", "services", ["must be no more than 63 characters"]),
        ("1a", "", "services", []),
        ("A:b", "rbac.authorization.k8s.io", "roles", []),
        ("..", "rbac.authorization.k8s.io", "roles", ["may not be '..'"]),
        (
            "a/%", "rbac.authorization.k8s.io", "roles",
            ["may not contain '/'", "may not contain '%'"],
        ),
        ("10.0.0.1", "networking.k8s.io", "ipaddresses", []),
        ("010.1.1.1", "networking.k8s.io", "ipaddresses", ["must not have leading 0s"]),
        (
            "10.1.1", "networking.k8s.io", "ipaddresses",
            ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
        ),
    ],
)  # fmt: skip
def test_object_names(name: str, group: str, resource: str, problems: list[str]) -> None:
    assert names.object_name_problems(name, group, resource) == problems


def test_a_generated_name_may_end_in_a_dash() -> None:
    assert names.generate_name_problems("web-", "", "pods") == []
    assert names.generate_name_problems("-", "", "pods") == [SUBDOMAIN]
    assert names.generate_name_problems("UPPER-", "", "pods") == [SUBDOMAIN]


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        ("a", []),
        ("example.com/My_Name", []),
        ("x/", ["name part must be non-empty", f"name part {QUALIFIED}"]),
        ("/x", ["prefix part must be non-empty"]),
        ("", ["name part must be non-empty", f"name part {QUALIFIED}"]),
        ("A.com/x", [f"prefix part {SUBDOMAIN}"]),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        (
            "a/b/c",
            [
                f"a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"
            ],
        ),
    ],
)
def test_keys(key: str, problems: list[str]) -> None:
    assert names.qualified_name_problems(key) == problems


def test_label_values() -> None:
    assert names.label_value_problems("") == []
    assert names.label_value_problems("a_B.9") == []
    assert names.label_value_problems("a" * 64) == ["must be no more than 63 bytes"]
    assert "a valid label must be an empty string" in names.label_value_problems("_x")[0]


@pytest.mark.parametrize(
    ("name", "count"),
    [("http", 0), ("a" * 16, 1), ("80", 1), ("A", 2), ("a--b", 1), ("-a", 1), ("", 2)],
)
def test_port_names(name: str, count: int) -> None:
    assert len(names.port_name_problems(name)) == count


def test_other_names() -> None:
    assert names.config_key_problems("tls.crt") == []
    assert names.config_key_problems("..") == ["must not be '..'"]
    assert names.config_key_problems("..a") == ["must not start with '..'"]
    assert len(names.config_key_problems("a b")) == 1
    assert names.env_name_problems("a.b-C") == []
    assert len(names.env_name_problems("a=b")) == 1
    assert names.http_header_problems("X-A") == []
    assert len(names.http_header_problems("a b")) == 1
    assert names.dns1035_label_problems("a-1") == []
    assert len(names.dns1035_label_problems("1a")) == 1
    assert names.port_number_problems(65536) == ["must be between 1 and 65535, inclusive"]


def test_causes_have_paths() -> None:
    labels = names.label_causes({"a b": "ok", "c": "_"}, "metadata.labels")
    assert [cause.field for cause in labels] == ["metadata.labels"] * 2
    assert labels[0].message == f'Invalid value: "a b": name part {QUALIFIED}'
    assert names.label_causes(None, "metadata.labels") == []
    assert names.annotation_causes({"Example.COM/x": "any\nthing"}, "p") == []
    (too_long,) = names.annotation_causes({"a": "v" * 262144}, "metadata.annotations")
    assert too_long.message == "Too long: may not be more than 262144 bytes"
    assert names.finalizer_causes(["example.com/a", "kubernetes"], "metadata.finalizers") == []
    (standard,) = names.finalizer_causes(["short"], "metadata.finalizers")
    assert standard.field == "metadata.finalizers[0]"
    (both,) = names.finalizer_causes(["orphan", "foregroundDeletion"], "metadata.finalizers")
    assert "cannot be both set" in both.message
