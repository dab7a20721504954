"""Label and field selectors: what they match, and what Kubernetes says of wrong ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeapi import selectors
from kubeapi.errors import StatusError
from kubeapi.types import meta_v1

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app = web , tier=front", True),
        ("app=db", False), ("app!=web", False), ("missing!=x", True), ("app", True),
        ("missing", False), ("!missing", True), ("!app", False), ("app in (db, web)", True),
        ("app in ()", False), ("empty in ()", True), ("empty=", True), ("app notin (web)", False),
        ("missing notin (a)", True), ("n>4", True), ("n>5", False), ("n<6", True),
        ("app>1", False), ("missing>1", False), ("empty in (,x)", True), ("app=web,tier=x", False),
        ("in in (x)", False), ("app notin (x,,y)", True),
    ],
)  # fmt: skip
def test_labels(text: str, matches: bool) -> None:
    assert selectors.parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("((", "found '(', expected: !, identifier, or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("a!b", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("!=b", "found '!=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a==(", "unable to parse requirement: found '(', expected: identifier"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' "
            "operators, the value must be an integer",
        ),
        (
            f"a={'v' * 64}",
            f'unable to parse requirement: values[0][a]: Invalid value: "{"v" * 64}": must be no '
            "more than 63 bytes",
        ),
    ],
)
def test_wrong_label_selectors(text: str, problem: str) -> None:
    with pytest.raises(StatusError) as caught:
        selectors.parse_labels(text)
    assert (caught.value.code, caught.value.message) == (400, problem)


def test_a_wrong_key_is_told() -> None:
    with pytest.raises(StatusError, match=r'requirement: <nil>: Invalid value: "-a": name part'):
        selectors.parse_labels("-a")


@settings(deadline=None)
@given(st.text(alphabet="ab =!(),<>in\t", max_size=20))
def test_any_text_parses_or_is_refused_and_printing_keeps_the_meaning(text: str) -> None:
    try:
        matcher = selectors.parse_labels(text)
    except StatusError:
        return
    again = selectors.parse_labels(str(matcher))
    for labels in ({}, {"a": "b"}, {"a": "", "b": "a"}, {"in": "a", "ab": "b"}):
        assert again.matches(labels) == matcher.matches(labels)


def test_selector_objects() -> None:
    expression = meta_v1.LabelSelectorRequirement
    selector = meta_v1.LabelSelector(
        matchLabels={"app": "web"},
        matchExpressions=[
            expression(key="tier", operator="In", values=["front", "back"]),
            expression(key="n", operator="NotIn", values=["6"]),
            expression(key="empty", operator="Exists"),
            expression(key="missing", operator="DoesNotExist"),
        ],
    )
    assert selectors.of_selector(selector).matches(LABELS)
    assert not selectors.of_selector(selector).matches(LABELS | {"missing": ""})
    assert not selectors.of_selector(None).matches(LABELS)
    assert selectors.of_selector(meta_v1.LabelSelector()).matches(None)
    with pytest.raises(ValueError, match='"Gt" is not a valid label selector operator'):
        selectors.of_selector(
            meta_v1.LabelSelector(matchExpressions=[expression(key="n", operator="Gt")])
        )


def test_sets() -> None:
    assert selectors.of_set({"app": "web"}).matches(LABELS)
    assert not selectors.of_set({"app": "db"}).matches(LABELS)
    assert selectors.of_set(None).is_everything


def test_fields() -> None:
    terms = selectors.parse_fields(r"spec.nodeName=n\,1,metadata.name!=a,,status.phase==Running")
    assert terms == (
        selectors.FieldTerm("metadata.name", "a", False),
        selectors.FieldTerm("spec.nodeName", "n,1", True),
        selectors.FieldTerm("status.phase", "Running", True),
    )
    assert terms[0].matches("b")
    assert not terms[2].matches("Pending")
    assert selectors.parse_fields("") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        (r"a=b\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_wrong_field_selectors(text: str, problem: str) -> None:
    with pytest.raises(StatusError) as caught:
        selectors.parse_fields(text)
    assert caught.value.message == problem
