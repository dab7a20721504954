"""Protobuf bodies: what typed clients send becomes the JSON that others would have sent."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeapi import protobuf
from kubeapi.errors import StatusError
from kubeapi.protobuf.numbers import EMBEDDED, NUMBERS
from kubeapi.resources import RESOURCES
from kubeapi.schema import fields_of


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, *message: bytes) -> bytes:
    meta = field(1, api_version) + field(2, kind)
    return b"k8s\0" + field(1, meta) + field(2, b"".join(message)) + field(3, "") + field(4, "")


def decoded(data: bytes) -> Any:
    return msgspec.json.decode(protobuf.to_json(data))


def test_a_config_map_with_the_empty_fields_that_go_always_writes() -> None:
    meta = field(1, "x") + field(2, "") + field(3, "n") + field(7, 0) + field(8, b"")
    meta += field(11, field(1, "app") + field(2, "a"))
    data = field(2, field(1, "k") + field(2, "v")) + field(2, field(1, "empty"))
    binary = field(3, field(1, "b") + field(2, b"\0\1"))
    assert decoded(body("v1", "ConfigMap", field(1, meta), data, binary)) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "x", "namespace": "n", "labels": {"app": "a"}},
        "data": {"k": "v", "empty": ""},
        "binaryData": {"b": "AAE="},
    }


def test_a_zero_counts_where_go_has_a_pointer() -> None:
    spec = field(1, 0) + field(5, 0) + field(7, 0)  # replicas, minReadySeconds, paused
    assert decoded(body("apps/v1", "Deployment", field(2, spec)))["spec"] == {"replicas": 0}


def test_times_quantities_int_or_strings_and_negative_numbers() -> None:
    meta = field(8, field(1, 1_600_000_000))
    port = field(1, "") + field(3, 80) + field(4, field(1, 1) + field(2, 0) + field(3, "web"))
    other = field(3, 81) + field(4, field(1, 0) + field(2, 8081) + field(3, ""))
    service = decoded(
        body("v1", "Service", field(1, meta), field(2, field(1, port) + field(1, other)))
    )
    assert service["metadata"]["creationTimestamp"] == "2020-09-13T12:26:40Z"
    assert service["spec"]["ports"] == [
        {"port": 80, "targetPort": "web"},
        {"port": 81, "targetPort": 8081},
    ]
    quota = field(2, field(1, field(1, "cpu") + field(2, field(1, "500m"))))
    assert decoded(body("v1", "ResourceQuota", quota))["spec"] == {"hard": {"cpu": "500m"}}
    priority = body("scheduling.k8s.io/v1", "PriorityClass", field(2, -5))
    assert decoded(priority)["value"] == -5


def test_what_go_embeds_is_one_level_up_in_json() -> None:
    source = field(2, field(19, field(1, field(1, "cm"))))
    pod = field(2, field(1, field(1, "vol") + source))
    assert decoded(body("v1", "Pod", pod))["spec"]["volumes"] == [
        {"name": "vol", "configMap": {"name": "cm"}}
    ]


def test_an_empty_structure_is_kept() -> None:
    pod = field(2, field(1, field(1, "vol") + field(2, field(2, b""))))
    assert decoded(body("v1", "Pod", pod))["spec"]["volumes"] == [{"name": "vol", "emptyDir": {}}]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "prefix"),
        (b'{"kind":"Pod"}', "prefix"),
        (b"k8s\0", "kind"),
        (b"k8s\0\x0a", "within a number"),
        (b"k8s\0\x0a\x50ab", "within a field"),
        (body("v1", "Nothing"), 'no kind "Nothing"'),
        (body("v1", "ConfigMap", b"\x0b"), "wire type 3"),
        (body("v1", "ConfigMap", field(1, field(1, b"\xff"))), "UTF-8"),
    ],
)
def test_what_is_no_object_is_400(data: bytes, text: str) -> None:
    with pytest.raises(StatusError, match=text) as caught:
        protobuf.to_json(data)
    assert caught.value.code == 400


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_400(noise: bytes) -> None:
    for kind in ("Pod", "Service"):
        with contextlib.suppress(StatusError):  # any other exception fails the test
            protobuf.to_json(body("v1", kind, noise))


def number(name: str, field_name: str) -> int:
    pairs = dict(pair.split(":") for pair in NUMBERS[name].split())
    return int(pairs[field_name])


def test_deep_nesting_is_refused() -> None:
    prefix = "apiextensions_v1."
    schema = b""
    for _ in range(200):
        schema = field(number(prefix + "JSONSchemaProps", "not"), schema)
    schema = field(number(prefix + "CustomResourceValidation", "openAPIV3Schema"), schema)
    version = field(number(prefix + "CustomResourceDefinitionVersion", "schema"), schema)
    spec = field(number(prefix + "CustomResourceDefinitionSpec", "versions"), version)
    with pytest.raises(StatusError, match="deep"):
        protobuf.to_json(
            body("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, spec))
        )


def test_every_field_of_the_workload_kinds_has_a_number() -> None:
    names = {"core_v1", "apps_v1", "batch_v1"}
    for info in RESOURCES:
        key = f"{info.type.__module__.rpartition('.')[2]}.{info.kind}"
        if key.partition(".")[0] not in names:
            continue
        numbered = {pair.partition(":")[0] for pair in NUMBERS[key].split()}
        numbered |= {pair.partition(":")[0] for pair in EMBEDDED.get(key, (0, ""))[1].split()}
        assert set(fields_of(info.type)) - numbered <= {"kind", "apiVersion"}, key
