"""JSON Merge Patch: the table of RFC 7386 for objects, and its laws."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import patch
from picluster.api.errors import ApiError
from picluster.api.patch import merge
from picluster.api.resources import PODS

VALUES = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@pytest.mark.parametrize(
    ("document", "change", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "x"}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
    ],
)
def test_applies(document: Any, change: Any, result: Any) -> None:
    before = deepcopy(document)
    assert merge.apply(document, change) == result
    assert document == before


@pytest.mark.parametrize("change", [[], "x", None, 1])
def test_what_is_no_patch_is_400(change: Any) -> None:
    with pytest.raises(ApiError) as caught:
        merge.apply({}, change)
    assert caught.value.code == 400


@given(OBJECTS, OBJECTS)
def test_twice_is_once(document: Any, change: Any) -> None:
    once = merge.apply(document, change)
    assert merge.apply(once, change) == once


@given(OBJECTS)
def test_an_empty_patch_changes_nothing(document: Any) -> None:
    assert merge.apply(document, {}) == document


def test_the_content_type_chooses_the_patch() -> None:
    document = {"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a"}]}}
    change = {"spec": {"containers": [{"name": "b"}]}}
    assert patch.apply(patch.MERGE, PODS, document, change)["spec"]["containers"] == [{"name": "b"}]
    strategic = patch.apply(patch.STRATEGIC, PODS, document, change)
    assert [container["name"] for container in strategic["spec"]["containers"]] == ["b", "a"]
    replaced = patch.apply(patch.JSON, PODS, document, [{"op": "replace", "path": "/spec", "value": {}}])
    assert replaced == {"spec": {}}
    with pytest.raises(ApiError) as caught:
        patch.apply("application/apply-patch+yaml", PODS, document, change)
    assert caught.value.code == 415
