"""Selectors of devices: CEL expressions over ``device`` (KEP-4381; ``k8s.io/dynamic-resource-allocation/cel``)."""

from __future__ import annotations

from picluster.api.cel import BOOL, DYN, STRING, CelCompileError, CelResultTypeError, compile_expression
from picluster.api.cel.types import QUANTITY, ObjectType, fields_of, map_of

DEVICE = ObjectType(
    "kubernetes.DRADevice",
    fields_of(
        driver=STRING,
        attributes=map_of(STRING, map_of(STRING, DYN)),
        capacity=map_of(STRING, map_of(STRING, QUANTITY)),
        allowMultipleAllocations=BOOL,
    ),
)
"""Attributes and capacities are grouped by the domain of their name."""


def objection(expression: str) -> str:
    """Why ``expression`` selects nothing; empty if it is sound."""
    try:
        compile_expression(expression, {"device": DEVICE}, want=(BOOL, DYN))
    except CelResultTypeError as error:
        return f"must evaluate to bool or the unknown type, not {error.got}"
    except CelCompileError as error:
        return str(error)
    return ""
