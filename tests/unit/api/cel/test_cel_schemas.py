"""Values with a schema: their types, their names, and how their JSON is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.cel import CelTypeError, compile_expression
from picluster.api.cel.structural import built_in_type, schema_type
from picluster.api.cel.types import escape
from picluster.api.types import Object

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
PAIRS: Object = {"type": "object", "properties": {"k": STRING, "v": INTEGER}}
SCHEMA: Object = {
    "type": "object",
    "properties": {
        "text": STRING,
        "whole": INTEGER,
        "real": {"type": "number"},
        "either": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "how-long": {"type": "string", "format": "duration"},
        "raw": {"type": "string", "format": "byte"},
        "namespace": STRING,
        "a.b/c__d": STRING,
        "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": STRING},
        "times": {"type": "object", "additionalProperties": {"type": "string", "format": "duration"}},
        "nested": {"type": "object", "properties": {"deep": {"type": "object", "properties": {"n": INTEGER}}}},
        "plain": {"type": "array", "items": INTEGER},
        "set": {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        "map": {
            "type": "array", "items": PAIRS, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
        },
    },
}  # fmt: skip

DEEP, A = {"deep": {"n": 1}}, {"k": "a", "v": 1}


def run(source: str, **values: Any) -> Any:
    declared = schema_type(SCHEMA, root=True)
    assert declared is not None
    return compile_expression(source, {"self": declared, "oldSelf": declared}).evaluate(
        {"self": values, "oldSelf": values.get("old", {})}
    )


@pytest.mark.parametrize(
    ("source", "values", "expected"),
    [
        ("self.text + 'b'", {"text": "a"}, "ab"),
        ("self.real + 0.5", {"real": 1}, 1.5),
        ("type(self.either) == int ? self.either : 0", {"either": 3}, 3),
        ("type(self.either) == string && self.either.endsWith('%')", {"either": "5%"}, True),
        ("self.when.getFullYear() + self.day.getMonth()", {"when": "2020-02-03T04:05:06Z", "day": "2021-12-01"}, 2031),
        ("self.how__dash__long < duration('2h')", {"how-long": "90m"}, True),
        ("self.raw == b'hi' && self.raw.size() == 2", {"raw": "aGk="}, True),
        ("self.__namespace__", {"namespace": "x"}, "x"),
        ("self.a__dot__b__slash__c__underscores__d", {"a.b/c__d": "x"}, "x"),
        ("has(self.text) || has(self.nested.deep)", {"nested": {}, "text": None}, False),
        ("has(self.metadata.name) && self.metadata.name == 'n'", {"metadata": {"name": "n"}}, True),
        ("self.apiVersion + self.kind", {"apiVersion": "v1", "kind": "K"}, "v1K"),
        ("self.labels.all(k, self.labels[k] == 'x') && 'a' in self.labels", {"labels": {"a": "x"}}, True),
        ("self.times.all(k, self.times[k] > duration('1s'))", {"times": {"a": "2s"}}, True),
        ("self.times.exists(k, v, v == duration('1m'))", {"times": {"a": "60s"}}, True),
        ("self.nested.deep.n == oldSelf.nested.deep.n", {"nested": DEEP, "old": {"nested": DEEP}}, True),
        ("self.nested == oldSelf.nested", {"nested": {"deep": {"n": 1}}, "old": {"nested": {"deep": {"n": 2}}}}, False),
        ("self.nested.?deep.?n.orValue(7)", {"nested": {}}, 7),
        ("self.set == oldSelf.set", {"set": ["a", "b"], "old": {"set": ["b", "a"]}}, True),
        ("self.plain == oldSelf.plain", {"plain": [1, 2], "old": {"plain": [2, 1]}}, False),
        ("self.map == oldSelf.map", {"map": [A, {"k": "b"}], "old": {"map": [{"k": "b"}, A]}}, True),
        ("self.set + oldSelf.set", {"set": ["a", "b"], "old": {"set": ["b", "c"]}}, ["a", "b", "c"]),
        (
            "self.map + oldSelf.map",
            {"map": [{"k": "a", "v": 1}, {"k": "b"}], "old": {"map": [{"k": "c"}, {"k": "a", "v": 9}]}},
            [{"k": "a", "v": 9}, {"k": "b"}, {"k": "c"}],
        ),
        ("self.map.exists(e, e.k == 'a' && e.v == 1)", {"map": [{"k": "a", "v": 1}]}, True),
        ("self.map.filter(e, e.v > 1).map(e, e.k)", {"map": [{"k": "a", "v": 1}, {"k": "b", "v": 2}]}, ["b"]),
        ("self.set.all(e, e.size() == 1) && sets.contains(self.set, ['a'])", {"set": ["a", "b"]}, True),
        ("dyn(self).text == 'x' && dyn(self.nested).deep.n == 1", {"text": "x", "nested": {"deep": {"n": 1}}}, True),
    ],
)  # fmt: skip
def test_values_are_read_as_their_schema_says(source: str, values: Object, expected: Any) -> None:
    assert run(source, **values) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("self.nope", "undefined field 'nope'"),
        ("self.nested.nope", "undefined field 'nope'"),
        ("self.kept.anything", "undefined field 'anything'"),
        ("self.namespace", "undefined field 'namespace'"),
        ("self.text + 1", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("self.when + 1", "found no matching overload for '_+_' applied to '(timestamp, int)'"),
        ("self.nested + 1", "found no matching overload for '_+_' applied to '(selfType.nested, int)'"),
        ("self.map[0] == self.nested", "applied to '(selfType.map.@idx, selfType.nested)'"),
        ("has(self.nope)", "undefined field 'nope'"),
    ],
)
def test_expressions_are_checked_against_the_schema(source: str, message: str) -> None:
    with pytest.raises(CelTypeError) as raised:
        run(source)
    assert message in str(raised.value)


def test_lists_of_one_element_type_are_told_apart() -> None:
    """Programs are kept by their source and types: a set must not be taken for a list, nor the other way round."""
    for list_type, same in (("atomic", False), ("set", True), ("atomic", False)):
        declared = schema_type({"type": "array", "items": STRING, "x-kubernetes-list-type": list_type})
        assert declared is not None
        program = compile_expression("self == oldSelf", {"self": declared, "oldSelf": declared})
        assert program.evaluate({"self": ["a", "b"], "oldSelf": ["b", "a"]}) is same


def test_our_own_kinds_have_types() -> None:
    deployment = built_in_type("io.k8s.api.apps.v1.Deployment")
    good = "object.spec.replicas > 1 && object.spec.template.spec.containers.all(c, c.image != '')"
    assert compile_expression(good, {"object": deployment}).type.name == "bool"
    with pytest.raises(CelTypeError, match="undefined field 'replcas'"):
        compile_expression("object.spec.replcas > 1", {"object": deployment})


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("text", "text"), ("a-b", "a__dash__b"), ("a.b", "a__dot__b"), ("a/b", "a__slash__b"),
        ("a__b", "a__underscores__b"), ("namespace", "__namespace__"), ("in", "__in__"), ("int", "int"), ("1a", None),
        ("a$", None), ("", None), ("_a", "_a"),
    ],
)  # fmt: skip
def test_names_are_escaped(name: str, escaped: str | None) -> None:
    assert escape(name) == escaped


@given(st.text(alphabet="ab_-./", max_size=8), st.text(alphabet="ab_-./", max_size=8))
def test_escaping_keeps_names_apart(one: str, other: str) -> None:
    if one != other and escape(one) is not None:
        assert escape(one) != escape(other) or "_" in one + other
