"""CEL, the Common Expression Language, in Kubernetes' dialect: parsed, type-checked, and run within a budget.

Way in: ``compile_expression`` makes a ``Program`` of a source and the types of its variables; a program is kept, shared
and evaluated as often as wanted.

    rule = compile_expression("self.replicas <= self.max", {"self": structural.object_type(schema)}, want=BOOL)
    rule.evaluate({"self": obj}, budget)            # obj is plain JSON; budget a ``Budget``

Variables are bound to plain JSON, which is read as their declared type says (``types``): ``DYN`` takes it as it is,
``structural`` makes types of CRD schemas, ``builtin`` of our own kinds. What Kubernetes adds to the language is in
``functions/``. No I/O happens here; who may do what is asked of the ``Authorizer`` that is bound.
Sources: the CEL specification, ``cel-go``, ``k8s.io/apiserver/pkg/cel``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from picluster.api.cel.errors import (
    CelBudgetError,
    CelCompileError,
    CelError,
    CelLimitError,
    CelResultTypeError,
    CelSyntaxError,
    CelTypeError,
)
from picluster.api.cel.types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, UINT, Type

PER_CALL_COST_MAX = 1_000_000
"""What one evaluation may cost (``apis/cel.PerCallLimit``)."""
EVALUATION_COST_MAX = 10_000_000
"""What all evaluations for one policy, or one object's validation rules, may cost (``RuntimeCELCostBudget``)."""
MATCH_CONDITIONS_COST_MAX = 2_500_000
"""What all match conditions of one webhook or policy may cost (``RuntimeCELCostBudgetMatchConditions``)."""
PROGRAMS_MAX = 512


class Budget:
    """What is left to spend on evaluations that belong together; ``CelBudgetError`` when it is used up."""

    __slots__ = ("remaining",)

    def __init__(self, cost_max: int = EVALUATION_COST_MAX) -> None:
        self.remaining = cost_max

    def spend(self, cost: int) -> None:
        if cost > self.remaining:
            self.remaining = 0
            raise CelBudgetError(
                "validation failed due to running out of cost budget, no further validation rules will be run"
            )
        self.remaining -= cost


class Program(Protocol):
    """A compiled expression; ``type`` is that of its value."""

    source: str
    type: Type

    def evaluate(self, bindings: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """The value for these variables, as plain JSON where it has such a form; raises ``CelError``.

        A variable that is not bound, and one bound to ``None``, is null. At most ``PER_CALL_COST_MAX`` is spent
        (``CelLimitError``), which is taken from ``budget`` (``CelBudgetError``).
        """
        ...

    def value(self, bindings: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """``evaluate``, giving the CEL value as it is, for other expressions to use."""
        ...


def compile_expression(
    source: str, variables: Mapping[str, Type], want: Type | Sequence[Type] = (), *, patches: bool = False
) -> Program:
    """The program of ``source``; raises ``CelSyntaxError``, ``CelTypeError`` or ``CelResultTypeError``.

    ``want`` is the type its value must have, or a choice of types; nothing takes any. ``patches`` adds what mutating
    policies may say: ``Object{…}``, ``JSONPatch{…}`` and ``jsonpatch.escapeKey``.
    """
    wanted = (want,) if isinstance(want, Type) else tuple(want)
    return _compile(source, tuple(sorted(variables.items())), wanted, patches)


@lru_cache(maxsize=PROGRAMS_MAX)
def _compile(source: str, variables: tuple[tuple[str, Type], ...], want: tuple[Type, ...], patches: bool) -> Program:
    from picluster.api.cel.program import compile_program

    return compile_program(source, dict(variables), want, patches)


__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "EVALUATION_COST_MAX",
    "INT",
    "MATCH_CONDITIONS_COST_MAX",
    "NULL",
    "PER_CALL_COST_MAX",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "Budget",
    "CelBudgetError",
    "CelCompileError",
    "CelError",
    "CelLimitError",
    "CelResultTypeError",
    "CelSyntaxError",
    "CelTypeError",
    "Program",
    "Type",
    "compile_expression",
]
