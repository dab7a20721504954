"""Patches: outcomes and refusals by table."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi import patch
from kubeapi.client import PatchType
from kubeapi.errors import StatusError
from kubeapi.patch import json_patch, merge_diff, merge_patch, strategic_merge_patch
from kubeapi.types import apps_v1, core_v1

DOCUMENT: dict[str, Any] = {
    "a": "1", "b": {"c": [1, 2, 3], "x/y": 1, "m~n": 2}, "list": [{"k": "v"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([], {}),
        ([{"op": "add", "path": "/d", "value": None}], {"d": None}),
        ([{"op": "add", "path": "/list/0", "value": 0}], {"list": [0, {"k": "v"}]}),
        ([{"op": "add", "path": "/list/-", "value": 0}], {"list": [{"k": "v"}, 0]}),
        ([{"op": "add", "path": "/list/-1", "value": 0}], {"list": [{"k": "v"}, 0]}),
        ([{"op": "add", "path": "/list/0/n", "value": 1}], {"list": [{"k": "v", "n": 1}]}),
        ([{"op": "add", "path": "any/d", "value": 1}], {"d": 1}),
        ([{"op": "replace", "path": "/a", "value": {}}], {"a": {}}),
        ([{"op": "replace", "path": "/list/-1", "value": 5}], {"list": [5]}),
        ([{"op": "replace", "path": "/absent", "value": 5}], {"absent": 5}),
        ([{"op": "remove", "path": "/list/0"}], {"list": []}),
        ([{"op": "move", "from": "/a", "path": "/list/0/a"}, {"op": "add", "path": "/a",
          "value": 2}], {"a": 2, "list": [{"k": "v", "a": "1"}]}),
        ([{"op": "copy", "from": "/absent", "path": "/d"}], {"d": None}),
        ([{"op": "copy", "from": "/b/x~1y", "path": "/d"}], {"d": 1}),
        ([{"op": "test", "path": "/b/m~0n", "value": 2}], {}),
        ([{"op": "test", "path": "/absent", "value": None}], {}),
        ([{"op": "test", "path": "/b/c", "value": [1, 2, 3]}], {}),
    ],
)  # fmt: skip
def test_json_patch(operations: list[Any], changed: dict[str, Any]) -> None:
    before = deepcopy(DOCUMENT)
    assert json_patch(DOCUMENT, operations) == before | changed
    assert before == DOCUMENT


def test_json_patch_of_the_whole_document() -> None:
    assert json_patch({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}]) == {"b": 2}
    assert json_patch({"a": 1}, [{"op": "remove", "path": "/a"}]) == {}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "bad", "path": "/a"},
        {"path": "/a"},
        {"op": "remove", "path": ""},
        {"op": "remove", "path": "/absent"},
        {"op": "remove", "path": "/list/1"},
        {"op": "add", "path": "/absent/x", "value": 1},
        {"op": "add", "path": "/list/2", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "add", "path": "/d"},
        {"op": "add", "path": 5, "value": 1},
        {"op": "replace", "path": "/list/9", "value": 1},
        {"op": "move", "from": "/absent", "path": "/d"},
        {"op": "copy", "path": "/d"},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "test", "path": "/b/x~1y", "value": True},
        {"op": "test", "path": "/b/c", "value": [1, 2]},
        "text",
    ],
)
def test_operations_that_can_not_be_done(operation: Any) -> None:
    with pytest.raises(StatusError) as caught:
        json_patch(DOCUMENT, [operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == "the server rejected our request due to an error in our request"


def test_copies_can_not_grow_without_end() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(40)]
    with pytest.raises(StatusError):
        json_patch({"a": "x" * 1000}, doubling)


# RFC 7386, appendix A.
@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(before: Any, change: Any, after: Any) -> None:
    untouched = deepcopy(before)
    assert merge_patch(before, change) == after
    assert before == untouched


TREES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text("ab", max_size=1) | st.lists(st.integers(0, 1)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@settings(deadline=None)
@given(MAPS, MAPS)
def test_a_diff_makes_the_one_of_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge_patch(old, merge_diff(old, new)) == new
    assert merge_diff(new, new) == {}


def pod_spec(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


PRESENT = pod_spec(
    containers=[
        {
            "name": "a", "image": "a:1", "args": ["x", "y"],
            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53}],
            "env": [{"name": "E", "value": "1"}, {"name": "G", "valueFrom": {"fieldRef": {}}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        },
        {"name": "b", "image": "b:1"},
        {"name": "c", "image": "c:1"},
    ],
    volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "cm"}}],
    nodeSelector={"a": "b"},
    tolerations=[{"key": "k1"}],
)  # fmt: skip


def patched(**change: Any) -> dict[str, Any]:
    before = deepcopy(PRESENT)
    given_patch = pod_spec(**change)
    untouched = deepcopy(given_patch)
    made = strategic_merge_patch(PRESENT, given_patch, apps_v1.Deployment)
    assert (before, untouched) == (PRESENT, given_patch)
    found: dict[str, Any] = made["spec"]["template"]["spec"]
    return found


def names_of(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_items_merge_by_key() -> None:
    first = patched(containers=[{"name": "a", "image": "a:2"}])["containers"][0]
    assert (first["image"], first["args"]) == ("a:2", ["x", "y"])


def test_a_new_item_comes_first_because_the_patch_comes_first() -> None:
    made = patched(containers=[{"name": "new", "image": "n"}])
    assert names_of(made["containers"]) == ["new", "a", "b", "c"]


def test_items_are_deleted_and_replaced() -> None:
    made = patched(containers=[{"name": "b", "$patch": "delete"}])
    assert names_of(made["containers"]) == ["a", "c"]
    made = patched(containers=[{"$patch": "replace"}, {"name": "only"}])
    assert made["containers"] == [{"name": "only"}]
    made = patched(containers=[{"name": "a", "env": [{"name": "E", "$patch": "delete"}]}])
    assert names_of(made["containers"][0]["env"]) == ["G"]


def test_null_removes_and_is_nothing_in_what_is_new() -> None:
    made = patched(
        nodeSelector=None,
        containers=[
            {"name": "a", "env": [{"name": "G", "valueFrom": None, "value": "plain"}]},
            {"name": "n", "args": None, "resources": {"limits": None}},
        ],
    )
    assert "nodeSelector" not in made
    by_name = {c["name"]: c for c in made["containers"]}
    assert by_name["a"]["env"][1] == {"name": "G", "value": "plain"}
    assert by_name["n"] == {"name": "n", "resources": {}}


def test_maps_are_replaced_and_deleted() -> None:
    assert patched(nodeSelector={"$patch": "replace", "q": "r"})["nodeSelector"] == {"q": "r"}
    assert patched(nodeSelector={"$patch": "delete"})["nodeSelector"] == {}
    assert patched(nodeSelector={"q": "r"})["nodeSelector"] == {"a": "b", "q": "r"}


def test_lists_without_a_rule_are_replaced() -> None:
    assert patched(tolerations=[{"key": "k3"}])["tolerations"] == [{"key": "k3"}]
    assert patched(containers=[{"name": "a", "args": ["z"]}])["containers"][0]["args"] == ["z"]


def test_the_order_that_is_asked_for() -> None:
    order = {"$setElementOrder/containers": [{"name": "c"}, {"name": "n"}, {"name": "a"}]}
    made = patched(**order, containers=[{"name": "n", "image": "n"}])
    # b is not named, and was before c.
    assert names_of(made["containers"]) == ["b", "c", "n", "a"]
    made = patched(**{"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]})
    assert names_of(made["containers"]) == ["b", "a", "c"]
    made = patched(**{"$setElementOrder/initContainers": [{"name": "c"}]})
    assert "initContainers" not in made


def test_keys_that_are_retained() -> None:
    made = patched(
        volumes=[{"name": "w", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]
    )
    assert made["volumes"] == [
        {"name": "v", "emptyDir": {}},
        {"name": "w", "secret": {"secretName": "s"}},
    ]


def test_plain_values() -> None:
    meta = {"metadata": {"finalizers": ["a", "b"]}}

    def finalizers(**change: Any) -> Any:
        made = strategic_merge_patch(meta, {"metadata": change}, core_v1.ConfigMap)
        return made["metadata"].get("finalizers")

    assert finalizers(finalizers=["b", "z"]) == ["a", "b", "z"]
    assert finalizers(**{"$deleteFromPrimitiveList/finalizers": ["a", "nope"]}) == ["b"]
    assert finalizers(
        **{
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "finalizers": ["n"],
            "$setElementOrder/finalizers": ["n", "b"],
        }
    ) == ["n", "b"]
    absent = strategic_merge_patch(
        {}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, core_v1.ConfigMap
    )
    assert absent == {"metadata": {}}


def test_directives_in_what_is_new_are_dropped() -> None:
    made = strategic_merge_patch(
        {},
        {
            "spec": {
                "$retainKeys": ["x"],
                "volumes": [{"name": "v", "$patch": "delete"}, {"name": "w"}],
                "nodeSelector": {"$patch": "replace", "a": "b"},
            }
        },
        core_v1.Pod,
    )
    assert made == {"spec": {"volumes": [{"name": "w"}], "nodeSelector": {"a": "b"}}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"$patch": "bad"}, "unknown patch type: bad in map: map[$patch:bad]"),
        (
            {"nodeSelector": {"$patch": "merge", "z": "1"}},
            "unknown patch type: merge in map: map[$patch:merge z:1]",
        ),
        (
            {"containers": [{"image": "x"}]},
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            {"containers": [{"$patch": "nope", "name": "c"}]},
            "unknown patch type: nope in map: map[$patch:nope name:c]",
        ),
        (
            {"containers": [{"$patch": "merge", "name": "c"}]},
            "merging lists cannot yet be specified in the patch",
        ),
        (
            {"$setElementOrder/containers": [{"name": "x"}], "containers": [{"name": "c"}]},
            "The order in patch list:\n[map[name:c]]\n doesn't match $setElementOrder list:\n"
            "[map[name:x]]\n",
        ),
        (
            {"$setElementOrder/containers": "x"},
            "expected a []interface {}, but received a string",
        ),
        ({"$setElementOrder/containers": [5]}, "value for key 0 is not a map."),
        (
            {"volumes": [{"name": "w", "$retainKeys": ["name"], "secret": {}}]},
            "invalid patch format of retainKeys",
        ),
        ({"containers": [[]]}, "lists of lists are not supported"),
    ],
)
def test_patches_that_make_no_sense(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(StatusError) as caught:
        patched(**change)
    assert (caught.value.code, caught.value.message) == (500, problem)


def test_items_of_different_types() -> None:
    with pytest.raises(StatusError, match=r"not identical: \[\[map\[name:a\]\] \[5\]\]"):
        strategic_merge_patch(
            {"spec": {"volumes": [{"name": "a"}]}}, {"spec": {"volumes": [5]}}, core_v1.Pod
        )


@pytest.mark.parametrize(
    ("patch_type", "body", "problem"),
    [
        (PatchType.JSON, b"x", "error decoding patch: invalid character 'x' looking for beginning "
         "of value"),
        (PatchType.JSON, b"{}", "error decoding patch: json: cannot unmarshal object into Go value "
         "of type jsonpatch.Patch"),
        (PatchType.MERGE, b"", "error decoding patch: unexpected end of JSON input"),
        (PatchType.MERGE, b'"x"', "error decoding patch: json: cannot unmarshal string into Go "
         "value of type map[string]interface {}"),
        (PatchType.MERGE, b"null", "Invalid JSON Patch"),
        (PatchType.STRATEGIC, b"[]", "json: cannot unmarshal array into Go value of type "
         "map[string]interface {}"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_patch(patch_type: PatchType, body: bytes, problem: str) -> None:
    with pytest.raises(StatusError) as caught:
        patch.parse(patch_type, body)
    assert (caught.value.code, caught.value.message) == (400, problem)


def test_a_body_with_too_many_operations() -> None:
    body = msgspec.json.encode([{"op": "remove", "path": "/a"}] * 10_001)
    with pytest.raises(StatusError, match="10000, got 10001") as caught:
        patch.parse(PatchType.JSON, body)
    assert caught.value.code == 413


def test_null_is_an_empty_patch() -> None:
    assert patch.parse(PatchType.STRATEGIC, b"null") == ({}, [])
    assert patch.parse(PatchType.JSON, b"null") == ([], [])


def test_deep_patches_are_refused() -> None:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    with pytest.raises(StatusError, match="exceeded max depth"):
        patch.parse(PatchType.MERGE, deep)
    inner: Any = 1
    for _ in range(2_000):
        inner = {"a": inner}
    with pytest.raises(StatusError, match="exceeded max depth"):
        patch.apply(PatchType.MERGE, {}, inner, core_v1.ConfigMap)


def test_a_patch_tells_what_it_sets_twice() -> None:
    value, twice = patch.parse(PatchType.MERGE, b'{"data":{"a":"b","a":"c"}}')
    assert value == {"data": {"a": "c"}}
    assert twice == ['duplicate field "data.a"']
    assert patch.apply(PatchType.MERGE, {"data": {"k": "v"}}, value, core_v1.ConfigMap) == {
        "data": {"k": "v", "a": "c"}
    }


def test_an_outcome_that_is_no_object() -> None:
    shown = patch.refusal(PatchType.MERGE, {}, {"data": {"a": 1}}, "why")
    assert shown.code == 422
    assert shown.message == ' "" is invalid: patch: Invalid value: "{\\"data\\":{\\"a\\":1}}": why'
    assert shown.causes[0].field == "patch"
    strategic = patch.refusal(PatchType.STRATEGIC, {"a": {"b": None, "c": [True, "x"]}}, {}, "why")
    assert 'Invalid value: "map[a:map[b:<nil> c:[true x]]]": why' in strategic.message
