"""Label selectors: grammar, wording, meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import selectors
from picluster.api.errors import ApiError
from picluster.api.selectors import EVERYTHING, NOTHING, LabelSelector, Requirement

KEYS = st.sampled_from(["a", "b", "example.com/c"])
VALUES = st.sampled_from(["", "x", "y", "1", "5", "03"])
NUMBERS = st.sampled_from(["0", "3"])
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(lambda k, v: Requirement(k, "in", tuple(sorted(v))), KEYS, st.sets(VALUES, min_size=1)),
    st.builds(lambda k, v: Requirement(k, "notin", tuple(sorted(v))), KEYS, st.sets(VALUES, min_size=1)),
    st.builds(lambda k, o, v: Requirement(k, o, (v,)), KEYS, st.sampled_from(["=", "==", "!="]), VALUES),
    st.builds(lambda k, o: Requirement(k, o), KEYS, st.sampled_from(["exists", "!"])),
    st.builds(
        lambda k, o, v: Requirement(k, o, (v,)), KEYS, st.sampled_from(["gt", "lt"]), st.sampled_from(["0", "3"])
    ),
)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=x", {"a": "x"}, True),
        ("a=x", {}, False),
        ("a==x,b!=y", {"a": "x", "b": "x"}, True),
        ("a!=x", {}, True),
        ("a!=x", {"a": "x"}, False),
        ("a in (x,y)", {"a": "y"}, True),
        ("a in (x,y)", {"a": "z"}, False),
        ("a notin (x,y)", {}, True),
        ("a notin (x)", {"a": "x"}, False),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a=", {"a": ""}, True),
        ("a=,b=x", {"a": "", "b": "x"}, True),
        ("a in (,x)", {"a": ""}, True),
        ("a>1", {"a": "2"}, True),
        ("a>1", {"a": "1"}, False),
        ("a<1", {"a": "zero"}, False),
        ("a<1", {}, False),
        (" a  in ( x , y ) , b ", {"a": "x", "b": ""}, True),
        ("in in (in)", {"in": "in"}, True),
        ("example.com/role", {"example.com/role": ""}, True),
    ],
)
def test_matches(text: str, labels: dict[str, str], matches: bool) -> None:
    assert selectors.parse_labels(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt, exists, !"),
        ("a=x,", "found '', expected: identifier after ','"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("!(", "unable to parse requirement: found '(', expected: identifier"),
        ("a=x b", "found 'b', expected: ',' or 'end of string'"),
        (
            "a in ()",
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be"
            " empty",
        ),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be"
            " an integer",
        ),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.parse_labels(text)
    assert (caught.value.code, caught.value.message) == (400, message)


@pytest.mark.parametrize(("text", "path"), [("-a=x", "key"), ("a=x_", "values[0][a]"), ("a/b/c", "key")])
def test_keys_and_values_are_checked(text: str, path: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.parse_labels(text)
    assert caught.value.message.startswith(f"unable to parse requirement: {path}: Invalid value: ")


@given(st.lists(REQUIREMENTS, max_size=4), LABELS)
def test_the_compiled_selector_agrees_with_the_definition(
    requirements: list[Requirement], labels: dict[str, str]
) -> None:
    selector = LabelSelector(requirements)
    assert selector.matches(labels) is all(_holds(requirement, labels) for requirement in requirements)


@given(st.lists(REQUIREMENTS, max_size=4), LABELS)
def test_a_selector_survives_its_text(requirements: list[Requirement], labels: dict[str, str]) -> None:
    selector = LabelSelector(requirements)
    again = selectors.parse_labels(str(selector))
    assert str(again) == str(selector)
    assert again.matches(labels) is selector.matches(labels)


@given(st.text(alphabet="ab=!<>(), \tinot/", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selectors.parse_labels(text).matches({"a": "b"})
    except ApiError as error:
        assert error.code == 400


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "y", "a": "x"}}, "a=x,b=y"),
        (
            {
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["y", "x"]},
                    {"key": "b", "operator": "Exists"},
                ]
            },
            "a in (x,y),b",
        ),
        (
            {
                "matchExpressions": [
                    {"key": "a", "operator": "NotIn", "values": ["x"]},
                    {"key": "b", "operator": "DoesNotExist"},
                ]
            },
            "a notin (x),!b",
        ),
    ],
)
def test_label_selector_objects(selector: dict[str, object], text: str) -> None:
    assert str(selectors.from_object(selector)) == text


def test_an_unknown_operator_in_an_object() -> None:
    with pytest.raises(ApiError, match='"Gt" is not a valid label selector operator'):
        selectors.from_object({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]})


def test_nothing_and_everything() -> None:
    assert selectors.from_object(None) is NOTHING
    assert selectors.from_object({}) == EVERYTHING
    assert selectors.from_map({}) is NOTHING
    assert selectors.from_map(None) is NOTHING
    assert EVERYTHING.empty and not NOTHING.empty
    assert EVERYTHING.matches(None) and not NOTHING.matches({})
    assert selectors.from_map({"a": "x"}).matches_object({"metadata": {"labels": {"a": "x", "b": "y"}}})
    assert not selectors.from_map({"a": "x"}).matches_object({"metadata": {}})


def _holds(requirement: Requirement, labels: dict[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "in" | "=" | "==":
            return value is not None and value in requirement.values
        case "notin" | "!=":
            return value is None or value not in requirement.values
        case "exists":
            return value is not None
        case "!":
            return value is None
    if value not in ("1", "5", "03"):
        return False
    limit = int(requirement.values[0])
    return int(value) > limit if requirement.operator == "gt" else int(value) < limit
