"""Go's messages for text that is no JSON, and that they come exactly for such text."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi.gojson import DEPTH_MAX, syntax_problem

END = "unexpected end of JSON input"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": [1, -2.5e+3, true, false, null, "x\\u00e9\\n"], "b": {}}', None),
        ("", END),
        ("{", END),
        ('{"a', END),
        ("[1", END),
        ("tru", END),
        ("-", END),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("'a'", r"invalid character '\'' looking for beginning of value"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{'a'", r"invalid character '\'' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{}{}", "invalid character '{' after top-level value"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("nUll", "invalid character 'U' in literal null (expecting 'u')"),
        ('"a\nb"', r"invalid character '\n' in string literal"),
        ('"\x01"', r"invalid character '\x01' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', r"invalid character 'g' in \u hexadecimal character escape"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+", END),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("\ufeff{}", r"invalid character '\ufeff' looking for beginning of value"),
        ("[" * (DEPTH_MAX + 1), "exceeded max depth"),
    ],
)
def test_messages(text: str, problem: str | None) -> None:
    assert syntax_problem(text.encode()) == problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON, st.data())
def test_exactly_what_is_no_json_has_a_problem(value: object, data: st.DataObject) -> None:
    text = msgspec.json.encode(value).decode()
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    put = data.draw(st.text(alphabet='{}[]",:0e.-x\\ ', max_size=2))
    mutated = (text[:at] + put + text[at + cut :]).encode()
    try:
        msgspec.json.decode(mutated)
        decodes = True
    except msgspec.DecodeError as error:
        # A number that no float can hold is JSON to Go's scanner too.
        decodes = "out of range" in str(error)
    assert (syntax_problem(mutated) is None) is decodes
