"""Validation rules of schemas: when they run, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.structural import Schema

INTEGER, STRING = {"type": "integer"}, {"type": "string"}
META = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}


def ruled(schema: dict[str, Any], *rules: Any) -> dict[str, Any]:
    listed = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {**schema, "x-kubernetes-validations": listed}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def said(schema: Any, new: Any, old: Any = None) -> list[str]:
    found = Schema(schema)
    if old is None:
        return [str(failure) for failure in found.create_failures({**META, **new}, [])]
    return [str(failure) for failure in found.update_failures({**META, **new}, {**META, **old}, [])]


@pytest.mark.parametrize(
    ("rule", "failure"),
    [
        ("self.a < 1", 'o: Invalid value: "object": failed rule: self.a < 1'),
        ({"rule": "self.a < 1", "message": " small only "}, 'o: Invalid value: "object": small only'),
        ({"rule": "self.a < 1", "messageExpression": "'a is ' + string(self.a)"}, 'o: Invalid value: "object": a is 2'),
        ({"rule": "self.a < 1", "messageExpression": "''", "message": "m"}, 'o: Invalid value: "object": m'),
        ({"rule": "self.a < 1", "reason": "FieldValueForbidden", "fieldPath": ".a", "message": "m"},
         "o.a: Forbidden: m"),
        ({"rule": "self.a < 1", "reason": "FieldValueRequired", "message": "m"}, "o: Required value: m"),
        ({"rule": "self.a < 1", "reason": "FieldValueDuplicate"}, 'o: Duplicate value: "object"'),
        ("self.b == 'x'", 'o: Invalid value: "object": no such key: b evaluating rule: self.b == \'x\''),
    ],
)  # fmt: skip
def test_a_broken_rule_says_what_it_wants(rule: Any, failure: str) -> None:
    assert said(obj(o=ruled(obj(a=INTEGER, b=STRING), rule)), {"o": {"a": 2}}) == [failure]


def test_rules_stand_everywhere() -> None:
    schema = ruled(
        obj(
            l={"type": "array", "items": ruled(INTEGER, "self > 0")},
            m={"type": "object", "additionalProperties": ruled(STRING, "self != 'x'")},
        ),
        "self.metadata.name.startsWith('w')",
    )
    found = [one.partition(": ")[0] for one in said(schema, {"l": [1, 0], "m": {"k": "x"}})]
    assert found == ["<nil>", "l[1]", "m[k]"]


def test_transition_rules_need_something_to_compare_with() -> None:
    schema = obj(a=ruled(INTEGER, {"rule": "self >= oldSelf", "message": "only up"}))
    assert said(schema, {"a": 1}) == []
    assert said(schema, {"a": 1}, {}) == []
    assert said(schema, {"a": 1}, {"a": 2}) == ['a: Invalid value: "integer": only up']
    optional = obj(a=ruled(INTEGER, {"rule": "oldSelf.hasValue() || self == 1", "optionalOldSelf": True}))
    assert said(optional, {"a": 2}) == ['a: Invalid value: "integer": failed rule: oldSelf.hasValue() || self == 1']
    assert said(optional, {"a": 2}, {"a": 1}) == []


def test_elements_of_maps_are_compared_by_their_keys() -> None:
    items = ruled(obj(k=STRING, v=INTEGER), {"rule": "self.v >= oldSelf.v", "message": "only up"})
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": items}
    old = {"l": [{"k": "a", "v": 1}, {"k": "b", "v": 5}]}
    new = {"l": [{"k": "b", "v": 4}, {"k": "c", "v": 0}, {"k": "a", "v": 1}]}
    assert said(obj(l=keyed), new, old) == ['l[0]: Invalid value: "object": only up']


def test_what_has_not_changed_is_let_be() -> None:
    schema = obj(o=ruled(obj(a=INTEGER), "self.a > 1"), b=STRING)
    assert said(schema, {"o": {"a": 0}, "b": "y"}, {"o": {"a": 0}, "b": "x"}) == []
    assert len(said(schema, {"o": {"a": 1}}, {"o": {"a": 0}})) == 1


def test_rules_do_not_run_on_what_is_no_such_object() -> None:
    schema = obj(o=ruled(obj(a=INTEGER), "self.a > 1"))
    found = said(schema, {"o": {"a": "x"}})
    assert found[1] == (
        '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; correct'
        " the existing errors to complete validation"
    )


def test_rules_cost_no_more_than_they_may() -> None:
    listed = {"type": "array", "items": INTEGER}
    schema = obj(l=ruled(listed, "self.all(x, self.all(y, self.all(z, x + y + z >= 0)))"))
    [failure] = said(schema, {"l": list(range(200))})
    assert "no further validation rules will be run due to call cost exceeds limit for rule" in failure
