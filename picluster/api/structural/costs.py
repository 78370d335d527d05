"""Rules that may cost too much are refused with the definition that has them.

Source: ``getExpressionCost`` and ``CELSchemaContext`` in ``apis/apiextensions/validation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from picluster.api.cel import Type
from picluster.api.cel.sizes import MOST, most_instances
from picluster.api.errors import FieldError, forbidden_field
from picluster.api.types import Object

RULE_COST_MAX = 10_000_000
"""What a rule may cost (``StaticEstimatedCostLimit``)."""
SCHEMA_COST_MAX = 100_000_000
"""What all rules of a schema may cost (``StaticEstimatedCRDCostLimit``)."""
MOST_EXPENSIVE_MAX = 4
_ADVICE = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are"
    " declared"
)


def times(count: int | None, schema: Object, limit: str) -> int | None:
    """How many values there are below ``count`` lists or maps of ``schema``; ``None`` when that has no bound."""
    return None if count is None or limit not in schema else min(count * max(0, int(schema[limit])), MOST)


class Costs:
    """The rules of one schema."""

    def __init__(self) -> None:
        self._total = 0
        self._paths: list[tuple[int, str]] = []

    def check(
        self, source: str, declared: Mapping[str, Type], schema: Object, count: int | None, path: str, what: str
    ) -> Iterator[FieldError]:
        """Count one expression, which runs on ``count`` values of ``schema``; ``what`` is ``rule`` or so."""
        from picluster.api.cel.estimate import most_cost

        schemas = {"self": schema, "oldSelf": schema}
        cost = min(most_cost(source, declared, schemas) * (most_instances(schema) if count is None else count), MOST)
        self._total = min(self._total + cost, MOST)
        self._paths = sorted([*self._paths, (cost, path)], reverse=True)[:MOST_EXPENSIVE_MAX]
        if cost > RULE_COST_MAX:
            yield forbidden_field(path, _exceeds(f"estimated {what} cost", cost, RULE_COST_MAX))

    def failures(self, path: str) -> Iterator[FieldError]:
        """What all rules together are refused for."""
        if self._total <= SCHEMA_COST_MAX:
            return
        for _, rule in self._paths:
            why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            yield forbidden_field(rule, why)
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield forbidden_field(path, _exceeds(what, self._total, SCHEMA_COST_MAX))


def _exceeds(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} ({_ADVICE})"
