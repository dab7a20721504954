"""YAML as Kubernetes reads it."""

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi import codec, yaml
from kubeapi.errors import StatusError
from kubeapi.types import core_v1


def load(text: str) -> Any:
    return yaml.load(text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("off", False), ("y", True), ("Null", None), ("~", None), ("", None),
        ("'yes'", "yes"), ("!!str yes", "yes"), ("yEs", "yEs"), ("1", 1), ("-1", -1),
        ("0644", 420), ("0x1F", 31), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("08", 8),
        ("1:30", "1:30"), ("2020-01-01", "2020-01-01"), ("1e3", 1000), ("1.5", 1.5), (".5", 0.5),
        ("1.0", 1), ("1.2.3", "1.2.3"), ("9223372036854775808", 2**63), ("-", [None]),
        ("=", "="), ("a: b: c", None), ("!!binary aGk=", "hi"), ("!custom x", "x"), ("+", "+"),
        ("9" * 5000, "9" * 5000), ("0b" + "1" * 250, float(2**250 - 1)),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    if text == "a: b: c":
        with pytest.raises(yaml.YamlError, match="line 1: mapping values are not allowed"):
            load(text)
    else:
        found = load(text)
        assert (found, type(found)) == (value, type(value))


def test_structures() -> None:
    text = """
base: &base {a: 1, b: [x, &two 2]}
merged: {<<: *base, b: own}
both: {<<: [{a: 5}, *base], c: *two}
1: int key
true: bool key
null: null key
1.5: float key
"""
    assert load(text) == {
        "base": {"a": 1, "b": ["x", 2]},
        "merged": {"a": 1, "b": "own"},
        "both": {"a": 5, "b": ["x", 2], "c": 2},
        "1": "int key",
        "true": "bool key",
        "null": "null key",
        "1.5": "float key",
    }


def test_the_first_document_counts() -> None:
    assert load("a: 1\n---\nb: 2\n") == {"a": 1}


def test_a_key_set_twice_is_told_and_the_last_one_counts() -> None:
    value, problems = yaml.read(b"kind: x\ndata: {a: b, a: c}\nkind: z\n")
    assert value == {"kind": "z", "data": {"a": "c"}}
    assert problems == [
        'line 2: key "a" already set in map',
        'line 3: key "kind" already set in map',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n\tb: 2", "yaml: line 2: found a tab character that violates indentation"),
        ("a: *nope", "yaml: unknown anchor 'nope' referenced"),
        ("{[a]: 1}", "yaml: line 1: invalid map key"),
        ("a: .inf", "yaml: json: unsupported value: .inf"),
        ("<<: 5", "yaml: map merge requires map or sequence of maps as the value"),
        ("[" * 20_000, "yaml: exceeded max depth"),
        ("a: &a [" + "x," * 999 + "x]\nb: &b [" + "*a," * 999 + "*a]", "excessive aliasing"),
        ("a: &a [*a]", "yaml: unknown anchor 'a' referenced"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(yaml.YamlError) as caught:
        load(text)
    assert problem in str(caught.value)


def test_a_body_that_is_no_yaml() -> None:
    with pytest.raises(StatusError) as caught:
        yaml.to_json(b"kind: ConfigMap\n\tapiVersion: v1", core_v1.ConfigMap)
    assert caught.value.message == (
        "the object provided is unrecognized (must be of type ConfigMap): yaml: line 2: found a "
        "tab character that violates indentation "
        "(6b696e643a20436f6e6669674d61700a0961706956657273696f6e3a2076 ...)"
    )


def test_strict_yaml() -> None:
    data, problems = yaml.to_json(b"data: {a: x, a: y}\nnope: 1", core_v1.ConfigMap)
    with pytest.raises(StatusError) as caught:
        codec.refuse_strictly(
            codec.strict_problems(data, core_v1.ConfigMap), core_v1.ConfigMap, problems
        )
    assert caught.value.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: '
        'unmarshal errors:\n  line 1: key "a" already set in map, unknown field "nope"'
    )


def test_a_number_stays_a_number() -> None:
    data, _ = yaml.to_json(b"data: {a: 1}", core_v1.ConfigMap)
    with pytest.raises(StatusError, match=r"number into Go struct field ConfigMap\.data of type"):
        codec.decode(data, core_v1.ConfigMap)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8)
    | st.sampled_from(["y", "no", "1e3", "0644", "1:30", "2020-01-01", "~", "<<", "=", "0x1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(VALUES)
def test_what_is_dumped_reads_back(value: Any) -> None:
    try:
        dumped = yaml.dump(value)
    except pyyaml.YAMLError:
        return
    assert yaml.load(dumped) == value
