"""What rules may cost at worst, and definitions that are refused for it."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.cel.estimate import most_cost
from picluster.api.cel.sizes import MOST, most_instances
from picluster.api.cel.structural import schema_type
from picluster.api.structural import openapi
from picluster.api.types import Object

STRING: Object = {"type": "string"}
NUMBERS: Object = {"type": "array", "items": {"type": "number"}}
STRINGS: Object = {"type": "array", "items": STRING}


def bounded(schema: Object, limit: str, most: int) -> Object:
    return {**schema, limit: most}


@pytest.mark.parametrize(
    ("schema", "rule", "expected"),
    [
        (NUMBERS, "self.all(x, true)", 4718591),
        (bounded(NUMBERS, "maxItems", 10), "self.all(x, true)", 32),
        (STRINGS, "self.all(x, true)", 3145727),
        (bounded(STRINGS, "maxItems", 20), "self.all(x, true)", 62),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "self.all(x, true)", 1348169),
        (STRING, "self.matches('test')", 314574),
        (bounded(STRING, "maxLength", 3), "self.contains('test')", 3),
        ({"type": "string", "format": "date-time"}, "self.getFullYear() > 2000", 3),
        (STRING, "self.size() > 1", 3),
        (STRING, "nothing", 0),
    ],
)
def test_estimates(schema: Object, rule: str, expected: int) -> None:
    """Among them some that ``compilation_test.go`` of ``apiextensions-apiserver`` states."""
    declared = schema_type(schema)
    assert declared is not None
    assert most_cost(rule, {"self": declared}, {"self": schema}) == expected


def test_nested_loops_without_bounds_cost_more_than_anything_may() -> None:
    declared = schema_type(STRINGS)
    assert declared is not None
    rule = "self.all(x, self.all(y, self.all(z, x + y == z)))"
    assert most_cost(rule, {"self": declared}, {"self": STRINGS}) == MOST


def test_how_many_values_fit_into_a_request() -> None:
    assert most_instances({"type": "object", "required": ["a"], "properties": {"a": STRING}}) == 3 * 2**20 // 10


def failures(schema: Object) -> list[str]:
    return [str(each) for each in openapi.failures({"type": "object", "properties": {"f": schema}}, "schema")]


def ruled(schema: Object, *rules: str, **more: Any) -> Object:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more} for rule in rules]}


ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are"
    " declared)"
)
SQUARE = "self.all(x, self.all(y, x == y))"


def test_a_rule_that_may_cost_too_much_is_refused() -> None:
    found = failures(ruled(STRINGS, SQUARE))
    path = "schema.properties[f].x-kubernetes-validations[0].rule"
    assert f"{path}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {ADVICE}" in found
    assert failures(ruled({**STRINGS, "maxItems": 10, "items": {**STRING, "maxLength": 20}}, SQUARE)) == []


def test_a_rule_counts_for_each_value_that_it_runs_on() -> None:
    element = ruled({"type": "string", "maxLength": 100_000}, "self.contains('x')")
    assert failures(element) == []
    rule = "schema.properties[f].items.x-kubernetes-validations[0].rule"
    assert [each.partition(": ")[0] for each in failures({"type": "array", "items": element})] == [
        rule, rule, "schema",
    ]  # fmt: skip
    assert failures({"type": "array", "items": element, "maxItems": 3}) == []


def test_all_rules_together_may_cost_too_much() -> None:
    found = failures(ruled(NUMBERS, *["self.all(x, true)"] * 30))
    assert len(found) == 5
    assert all("contributed to estimated rule cost total" in each for each in found[:4])
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    assert found[4] == f"schema: Forbidden: {what} exceeds budget by factor of 1.415577x {ADVICE}"


def test_message_expressions_count_too() -> None:
    element = bounded(ruled(STRINGS, "true", messageExpression=f"{SQUARE} ? 'a' : 'b'"), "maxItems", 1000)
    found = failures(element)
    assert "messageExpression: Forbidden: estimated messageExpression cost exceeds budget" in found[0]
