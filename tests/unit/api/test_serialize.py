"""The stored form of objects."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import serialize
from picluster.api.types import Object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
OBJECTS = st.builds(lambda metadata, rest: {**rest, "metadata": metadata}, FIELDS, FIELDS)


@given(OBJECTS, st.integers(1, 2**53))
def test_an_object_comes_back_at_its_revision(obj: Object, revision: int) -> None:
    stored = serialize.encode(obj)
    expected = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
    assert serialize.decode(stored, revision) == expected
    assert orjson.loads(serialize.splice(stored, revision)) == expected


@given(OBJECTS, st.integers(1, 2**53), st.integers(1, 2**53))
def test_the_stored_form_does_not_know_the_revision(obj: Object, first: int, second: int) -> None:
    stored = serialize.encode(obj)
    assert serialize.encode(serialize.decode(stored, first)) == serialize.encode(serialize.decode(stored, second))


def test_metadata_comes_first_and_the_revision_first_in_it() -> None:
    obj: dict[str, Any] = {"kind": "Pod", "metadata": {"name": "web", "resourceVersion": "3"}, "spec": {"a": 1}}
    stored = serialize.encode(obj)
    assert stored == b'","name":"web"},"kind":"Pod","spec":{"a":1}}'
    wire = b'{"metadata":{"resourceVersion":"4711","name":"web"},"kind":"Pod","spec":{"a":1}}'
    assert serialize.splice(stored, 4711) == wire
    assert obj["metadata"]["resourceVersion"] == "3"


def test_objects_with_nothing_in_them() -> None:
    assert serialize.decode(serialize.encode({}), 1) == {"metadata": {"resourceVersion": "1"}}
    assert serialize.decode(serialize.encode({"metadata": {"resourceVersion": "9"}}), 1) == {
        "metadata": {"resourceVersion": "1"}
    }
