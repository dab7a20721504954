"""Bodies into objects: what is taken, made canonical, refused and warned of."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi import codec, reading
from kubeapi.canonical import canonical
from kubeapi.errors import StatusError
from kubeapi.types import (
    apps_v1,
    autoscaling_v1,
    autoscaling_v2,
    coordination_v1,
    core_v1,
    meta_v1,
    policy_v1,
)


def body(kind: str, api_version: str = "v1", **rest: Any) -> bytes:
    return msgspec.json.encode({"kind": kind, "apiVersion": api_version} | rest)


def refusal(data: bytes, kind: type[Any]) -> str:
    with pytest.raises(StatusError) as caught:
        codec.decode(data, kind)
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    return caught.value.message


def pod(**container: Any) -> bytes:
    return body("Pod", spec={"containers": [{"name": "c"} | container]})


def only_container(data: bytes) -> core_v1.Container:
    found = codec.decode(data, core_v1.Pod)
    assert found.spec is not None
    assert found.spec.containers is not None
    return found.spec.containers[0]


def test_what_is_encoded_says_what_it_is() -> None:
    made = apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name="web"))
    encoded = codec.encode(made)
    assert encoded.startswith(b'{"kind":"Deployment","apiVersion":"apps/v1",')
    assert codec.decode(encoded, apps_v1.Deployment).metadata == made.metadata
    assert codec.to_dict(made)["apiVersion"] == "apps/v1"
    assert codec.from_dict({"metadata": {"name": "web"}}, apps_v1.Deployment).kind == "Deployment"


def test_what_is_left_out_is_filled_in() -> None:
    found = codec.decode(b'{"metadata":{"name":"x"}}', core_v1.ConfigMap)
    assert (found.kind, found.apiVersion) == ("ConfigMap", "v1")


def test_texts_become_canonical() -> None:
    container = only_container(
        pod(resources={"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": "1"}})
    )
    assert container.resources is not None
    assert container.resources.requests == {"cpu": "500m", "memory": "1Gi"}
    lease = codec.decode(
        body(
            "Lease",
            "coordination.k8s.io/v1",
            metadata={"creationTimestamp": "2020-01-01T01:00:00.5+01:00"},
            spec={"renewTime": "2020-01-01T01:00:00.123456+01:00"},
        ),
        coordination_v1.Lease,
    )
    assert lease.metadata is not None
    assert lease.metadata.creationTimestamp == "2020-01-01T00:00:00Z"
    assert lease.spec is not None
    assert lease.spec.renewTime == "2020-01-01T00:00:00.123456Z"
    secret = codec.decode(body("Secret", data={"a": "YWJj\nZGVm", "b": ""}), core_v1.Secret)
    assert secret.data == {"a": "YWJjZGVm", "b": ""}


def test_what_is_canonical_already_is_not_copied() -> None:
    stored = codec.decode_stored(
        pod(resources={"limits": {"cpu": "500m", "memory": "1Gi"}}), core_v1.Pod
    )
    assert canonical(stored) is stored


@pytest.mark.parametrize(
    ("number", "kept"), [("1", "1"), ("0.5", "500m"), ("1e3", "1e3"), ("1.50", "1500m")]
)
def test_a_quantity_may_be_a_number(number: str, kept: str) -> None:
    container = only_container(pod(resources={"limits": {"cpu": msgspec.Raw(number.encode())}}))
    assert container.resources is not None
    assert container.resources.limits == {"cpu": kept}


def test_null_is_absent_and_a_zero_value_inside_containers() -> None:
    found = codec.decode(
        body(
            "Pod",
            metadata={"creationTimestamp": None, "labels": {"a": None}},
            spec={"containers": [{"args": ["x", None]}, None], "nodeSelector": None},
        ),
        core_v1.Pod,
    )
    assert found.metadata is not None
    assert found.metadata.creationTimestamp is None
    assert found.metadata.labels == {"a": ""}
    assert found.spec is not None
    assert found.spec.nodeSelector is None
    assert found.spec.containers == [core_v1.Container(args=["x", ""]), core_v1.Container()]


def test_unknown_fields_are_dropped() -> None:
    assert codec.decode(b'{"nope":{"a":[1]}}', core_v1.ConfigMap).data is None


def test_field_sets_stay_bytes() -> None:
    data = body("ConfigMap", metadata={"managedFields": [{"fieldsV1": {"f:data": {}}}, {}]})
    found = codec.decode(data, core_v1.ConfigMap)
    assert found.metadata is not None
    assert found.metadata.managedFields is not None
    first, second = found.metadata.managedFields
    assert bytes(first.fieldsV1 or b"") == b'{"f:data":{}}'
    assert second.fieldsV1 is None
    assert b'"fieldsV1":{"f:data":{}}' in codec.encode(found)


POD = 'Pod in version "v1" cannot be handled as a Pod: '
CONFIG_MAP = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
QUANTITY = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (pod(image=5), "json: cannot unmarshal number into Go struct field "
         "Container.spec.containers.image of type string"),
        (pod(command="sh"), "json: cannot unmarshal string into Go struct field "
         "Container.spec.containers.command of type []string"),
        (pod(ports=[{"containerPort": "80"}]), "json: cannot unmarshal string into Go struct field "
         "ContainerPort.spec.containers.ports.containerPort of type int32"),
        (pod(ports=[{"containerPort": 2**31}]), "json: cannot unmarshal number 2147483648 into Go "
         "struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (pod(resources=[]), "json: cannot unmarshal array into Go struct field "
         "Container.spec.containers.resources of type v1.ResourceRequirements"),
        (pod(resources={"limits": {"cpu": "x"}}), QUANTITY),
        (pod(resources={"limits": {"cpu": True}}), QUANTITY),
        (body("Pod", spec=[]), "json: cannot unmarshal array into Go struct field Pod.spec of type "
         "v1.PodSpec"),
        (body("Pod", spec={"containers": {}}), "json: cannot unmarshal object into Go struct field "
         "PodSpec.spec.containers of type []v1.Container"),
        (body("Pod", spec={"restartPolicy": 5}), "json: cannot unmarshal number into Go struct "
         "field PodSpec.spec.restartPolicy of type v1.RestartPolicy"),
        (body("Pod", spec={"terminationGracePeriodSeconds": 1.5}), "json: cannot unmarshal number "
         "1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64"),
        (body("Pod", spec={"hostNetwork": "x"}), "json: cannot unmarshal string into Go struct "
         "field PodSpec.spec.hostNetwork of type bool"),
        (body("Pod", metadata={"labels": {"a": 1}}), "json: cannot unmarshal number into Go struct "
         "field ObjectMeta.metadata.labels of type string"),
        (body("Pod", metadata={"labels": []}), "json: cannot unmarshal array into Go struct field "
         "ObjectMeta.metadata.labels of type map[string]string"),
        (body("Pod", metadata={"uid": 1}), "json: cannot unmarshal number into Go struct field "
         "ObjectMeta.metadata.uid of type types.UID"),
        (body("Pod", metadata={"creationTimestamp": "2020-01-01"}), 'parsing time "2020-01-01" as '
         '"2006-01-02T15:04:05Z07:00": cannot parse "" as "T"'),
        (body("Pod", metadata={"creationTimestamp": 5}), "json: cannot unmarshal number into Go "
         "struct field ObjectMeta.metadata.creationTimestamp of type string"),
        # The first of two wrong types is told; a wrong text ends the reading at once.
        (body("Pod", metadata={"name": 1, "uid": 2}), "json: cannot unmarshal number into Go "
         "struct field ObjectMeta.metadata.name of type string"),
        (body("Pod", metadata={"name": 1, "creationTimestamp": "x"}), 'parsing time "x" as '
         '"2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
    ],
)  # fmt: skip
def test_wrong_types(data: bytes, problem: str) -> None:
    assert refusal(data, core_v1.Pod) == POD + problem


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("not base64!", 3),
        ("dg", 0),
        ("dGVz!A==", 4),
        ("dGVzdA=", 7),
        ("!", 0),
        ("dg==x", 4),
        ("=", 0),
        ("dg=x", 2),
        ("dGV=x", 4),
    ],
)
def test_wrong_base64(value: str, where: int) -> None:
    message = refusal(body("Secret", data={"a": value}), core_v1.Secret)
    wanted = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input'
    assert message == f"{wanted} byte {where}"


def test_int_or_string() -> None:
    def deployment(value: Any) -> bytes:
        strategy = {"rollingUpdate": {"maxSurge": value}}
        return body("Deployment", "apps/v1", spec={"strategy": strategy})

    for good in (1, "25%"):
        found = codec.decode(deployment(good), apps_v1.Deployment)
        assert found.spec is not None
        assert found.spec.strategy is not None
        assert found.spec.strategy.rollingUpdate is not None
        assert found.spec.strategy.rollingUpdate.maxSurge == good
    for bad, shown in ((1.5, "number 1.5"), (True, "bool"), (2**31, "number 2147483648")):
        assert refusal(deployment(bad), apps_v1.Deployment).endswith(
            f"json: cannot unmarshal {shown} into Go struct field "
            "RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32"
        )


def values() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(2**33), 2**33) | st.text("a1Mi:=", max_size=3)
        | st.sampled_from(["1Gi", "0.5", "2020-01-01T00:00:00Z", "50%"]),
        lambda inner: st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "cpu", "env"]), inner, max_size=2),
        max_leaves=4,
    )  # fmt: skip


PLACES = st.sampled_from([
    ("metadata", "labels"), ("metadata", "creationTimestamp"), ("metadata", "ownerReferences"),
    ("spec", "containers"), ("spec", "overhead"), ("spec", "replicas"), ("spec", "hostNetwork"),
    ("status", "startTime"), ("spec", "volumes"), ("spec", "activeDeadlineSeconds"),
])  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(PLACES, values(), max_size=3))
def test_the_slow_reader_agrees_with_the_quick_one(values: dict[tuple[str, str], Any]) -> None:
    tree: dict[str, Any] = {}
    for (outer, inner), value in values.items():
        tree.setdefault(outer, {})[inner] = value
    data = msgspec.json.encode(tree)
    try:
        quick = canonical(msgspec.json.decode(data, type=core_v1.Pod))
    except ValueError:
        # The slow reader takes a little more, but what it makes the quick one takes as it is.
        try:
            made = msgspec.json.encode(reading.read(data, core_v1.Pod))
        except reading.ReadError:
            return
        canonical(msgspec.json.decode(made, type=core_v1.Pod))
    else:
        slow = msgspec.json.encode(reading.read(data, core_v1.Pod))
        assert canonical(msgspec.json.decode(slow, type=core_v1.Pod)) == quick


UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "
NO_KIND = UNRECOGNIZED + "couldn't get version/kind; json parse error: "


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", NO_KIND + "unexpected end of JSON input (<empty>)"),
        (b"{", NO_KIND + "unexpected end of JSON input ({)"),
        (b"[]", NO_KIND + "json: cannot unmarshal array into Go value of type struct { "
         'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
         '"json:\\"kind,omitempty\\"" } (5b5d)'),
        (b'{"kind": 3}', NO_KIND + "json: cannot unmarshal number into Go struct field .kind of "
         'type string ({"kind": 3})'),
        (b'{"kind":"ConfigMap","apiVersion":"v1",}', NO_KIND + "invalid character '}' looking for "
         'beginning of object key string ({"kind":"ConfigMap","apiVersio ...)'),
        (b'{"kind":"Pod","apiVersion":"v1"}', 'Pod in version "v1" cannot be handled as a '
         "ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion"),
        (b'{"kind":"Status","apiVersion":"v1"}', 'Status in version "v1" cannot be handled as a '
         "ConfigMap: converting (v1.Status) to (core.ConfigMap): unknown conversion"),
        (b'{"kind":"Secret","apiVersion":"v1","data":{"a":"!"}}', 'Secret in version "v1" cannot '
         "be handled as a ConfigMap: illegal base64 data at input byte 0"),
        (b'{"kind":"ConfigMap","apiVersion":"apps/v1"}', CONFIG_MAP + 'no kind "ConfigMap" is '
         'registered for version "apps/v1" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
    ],
)  # fmt: skip
def test_bodies_that_are_something_else(data: bytes, problem: str) -> None:
    assert refusal(data, core_v1.ConfigMap) == problem


def test_a_body_of_another_version() -> None:
    data = codec.encode(autoscaling_v1.HorizontalPodAutoscaler())
    assert refusal(data, autoscaling_v2.HorizontalPodAutoscaler) == (
        "the API version in the data (autoscaling/v1) does not match the expected API version "
        "(autoscaling/v2)"
    )
    evict = codec.decode(b'{"kind":"Eviction","apiVersion":"policy/v1beta1"}', policy_v1.Eviction)
    assert evict.apiVersion == "policy/v1"


def test_options_have_no_kind_of_their_own() -> None:
    found = codec.decode(b'{"gracePeriodSeconds":0}', meta_v1.DeleteOptions)
    assert found.gracePeriodSeconds == 0
    assert refusal(b'{"preconditions":{"uid":1}}', meta_v1.DeleteOptions) == (
        "json: cannot unmarshal number into Go struct field Preconditions.preconditions.uid of "
        "type types.UID"
    )


@pytest.mark.parametrize("depth", [900, 5_000, 200_000])
def test_deep_bodies_are_taken_or_refused(depth: int) -> None:
    data = b'{"metadata":{"managedFields":[{"fieldsV1":' + b"[" * depth + b"]" * depth + b"}]}}"
    if depth < 1_000:
        assert codec.decode(data, core_v1.ConfigMap).metadata
    else:
        assert "exceeded max depth" in refusal(data, core_v1.ConfigMap)


STRICT = (
    b'{"kind":"Pod","metadata":{"name":"x","name":"y","labels":{"a":"1","a":"2"}},'
    b'"spec":{"containers":[{"name":"c","imagePulPolicy":"x","ports":[{"portt":2}]}],"bogus":1},'
    b'"extra":1,"extra":2}'
)


def test_strict_problems() -> None:
    problems = codec.strict_problems(STRICT, core_v1.Pod)
    assert problems == [
        'duplicate field "metadata.name"',
        'duplicate field "metadata.labels.a"',
        'unknown field "spec.containers[0].imagePulPolicy"',
        'unknown field "spec.containers[0].ports[0].portt"',
        'unknown field "spec.bogus"',
        'unknown field "extra"',
    ]
    with pytest.raises(StatusError) as caught:
        codec.refuse_strictly(problems[:2], core_v1.Pod)
    assert caught.value.message == (
        POD + 'strict decoding error: duplicate field "metadata.name", '
        'duplicate field "metadata.labels.a"'
    )
    codec.refuse_strictly([], core_v1.Pod)


def test_strict_problems_of_numbers_without_end() -> None:
    data = b'{"data":{},"nope":' + b"1" * 5_000 + b"}"
    assert codec.strict_problems(data, core_v1.ConfigMap) == ['unknown field "nope"']


def test_embedded_json_is_not_looked_into() -> None:
    data = b'{"data":{"anything":1,"anything":2},"revision":1}'
    assert codec.strict_problems(data, apps_v1.ControllerRevision) == []
