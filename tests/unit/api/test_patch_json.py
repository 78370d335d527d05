"""JSON Patch: the examples of RFC 6902, and what a patch must not do."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.errors import ApiError
from picluster.api.patch import json


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/1", "value": 3}], {"a": [1, 3, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": [2]}], {"a": [1, [2]]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": [1, 2]}, [{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
        ({"a": {"x": 1}, "b": {}}, [{"op": "move", "from": "/a/x", "path": "/b/y"}], {"a": {}, "b": {"y": 1}}),
        ({"a": ["a", "b", "c"]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": ["b", "c", "a"]}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": 1}, "b": {"x": 1}}),
        ({"a": [1, {"b": True}]}, [{"op": "test", "path": "/a", "value": [1, {"b": True}]}], {"a": [1, {"b": True}]}),
        ({"a": 1}, [{"op": "test", "path": "/missing", "value": None}], {"a": 1}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a/b": 1}, [{"op": "replace", "path": "/a~1b", "value": 2}], {"a/b": 2}),
        ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({"a": 1}, [], {"a": 1}),
        (
            {"a": {}},
            [{"op": "add", "path": "/a/b", "value": {}}, {"op": "add", "path": "/a/b/c", "value": 1}],
            {"a": {"b": {"c": 1}}},
        ),
    ],
)
def test_applies(document: Any, operations: list[Any], result: Any) -> None:
    before, patch = deepcopy(document), deepcopy(operations)
    assert json.apply(document, operations) == result
    assert document == before
    assert operations == patch


@pytest.mark.parametrize(
    ("document", "operation", "why"),
    [
        ({"a": 1}, {"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}, "testing value /a failed: test failed"),
        (
            {"a": 1},
            {"op": "remove", "path": "/b"},
            "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
        ),
        (
            {"a": 1},
            {"op": "replace", "path": "/b", "value": 1},
            "replace operation does not apply: doc is missing key: /b: missing value",
        ),
        (
            {"a": 1},
            {"op": "add", "path": "/b/c", "value": 1},
            'add operation does not apply: doc is missing path: "/b/c": missing value',
        ),
        (
            {"a": []},
            {"op": "add", "path": "/a/2", "value": 1},
            "error in add for path: '/a/2': Unable to access invalid index: 2: invalid index referenced",
        ),
        (
            {"a": []},
            {"op": "add", "path": "/a/x", "value": 1},
            "error in add for path: '/a/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\":"
            " invalid syntax",
        ),
        (
            {"a": [1]},
            {"op": "remove", "path": "/a/x"},
            "error in remove for path: '/a/x': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            {"a": {}},
            {"op": "copy", "from": "/b/c", "path": "/d"},
            "copy operation does not apply: doc is missing from path: /b/c: missing value",
        ),
        (
            {"a": {}},
            {"op": "move", "from": "/b", "path": "/d"},
            "error in move for path: '/b': unable to get nonexistent key: b: missing value",
        ),
        (
            {"a": 1},
            {"op": "move", "from": "/a", "path": "/b/c"},
            "move operation does not apply: doc is missing destination path: /b/c: missing value",
        ),
        (
            {"a": 1},
            {"op": "test", "path": "/b/c", "value": 1},
            "test operation does not apply: is missing path: /b/c: missing value",
        ),
        ({"a": 1}, {"op": "jump", "path": "/a"}, "Unexpected kind: jump"),
        ({"a": 1}, {"op": "add", "path": "/a"}, "add operation has no value"),
        ({"a": 1}, {"op": "add", "path": "a", "value": 1}, "operation add has no valid path: 'a'"),
        (
            {"a": {"b": 1}},
            {"op": "move", "from": "/a", "path": "/a/b"},
            "move operation does not apply: a value cannot move into itself",
        ),
        ({"a": 1}, {"op": "replace", "path": "", "value": []}, "the patched document is not an object"),
    ],
)
def test_what_does_not_fit_is_422_and_says_why(document: Any, operation: Any, why: str) -> None:
    with pytest.raises(ApiError) as caught:
        json.apply(document, [operation])
    status = caught.value.status()
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    assert status["details"]["causes"] == [{"reason": "UnexpectedServerResponse", "message": why}]


@pytest.mark.parametrize("patch", [{}, "x", [1], None])
def test_what_is_no_patch_is_400(patch: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json.apply({}, patch)
    assert caught.value.code == 400


def test_the_number_of_operations_is_bounded() -> None:
    with pytest.raises(ApiError) as caught:
        json.apply({}, [{"op": "test", "path": "", "value": {}}] * (json.OPERATIONS_MAX + 1))
    assert caught.value.code == 413


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
POINTERS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "-1"]), max_size=3).map(
    lambda p: "".join(f"/{s}" for s in p)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS},
    optional={"from": POINTERS, "value": VALUES},
)


@given(st.dictionaries(st.sampled_from("ab"), VALUES), st.lists(OPERATIONS, max_size=4))
def test_any_patch_applies_or_is_refused_and_changes_nothing_it_was_given(document: Any, patch: list[Any]) -> None:
    before = deepcopy(document)
    try:
        json.apply(document, patch)
    except ApiError as error:
        assert error.code == 422
    assert document == before
