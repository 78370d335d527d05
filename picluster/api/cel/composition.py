"""What the expressions of one policy see: the request, a parameter, and the policy's own variables.

A variable is computed when an expression first reads it, at the expense of the budget that all share. Source:
``apiserver/pkg/admission/plugin/cel/composition.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from picluster.api.cel import DYN, Budget, CelBudgetError, CelCompileError, CelError, CelLimitError, Type
from picluster.api.cel.expression import Expression
from picluster.api.cel.types import Field, ObjectType
from picluster.api.types import Object

VARIABLES = "variables"


class Composition:
    """The ``variables`` of a policy, by name; each may use those before it. ``declared`` is what the rest may use."""

    def __init__(self, variables: Iterable[Object], declared: Mapping[str, Type], *, patches: bool = False) -> None:
        fields: dict[str, Field] = {}
        self.expressions: dict[str, Expression] = {}
        for variable in variables:
            name = variable["name"]
            visible = {**declared, VARIABLES: ObjectType("kubernetes.variables", fields, raw=True)}
            expression = self.expressions[name] = Expression(variable["expression"], visible, patches=patches)
            fields[name] = Field(name, _type_of(expression))
        self.declared = {**declared, VARIABLES: ObjectType("kubernetes.variables", fields, raw=True)}

    def activate(self, bindings: Object, budget: Budget) -> Object:
        """``bindings``, with the variables among them."""
        variables = dict(bindings)
        variables[VARIABLES] = _Lazy(self.expressions, variables, budget)
        return variables


class _Lazy:
    """The variables of one evaluation, by name; failures are kept like values."""

    def __init__(self, expressions: Mapping[str, Expression], bindings: Object, budget: Budget) -> None:
        self._expressions = expressions
        self._bindings = bindings
        self._budget = budget
        self._known: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._expressions

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._evaluate(name)
        value = self._known[name]
        if isinstance(value, CelError):
            raise value
        return value

    def _evaluate(self, name: str) -> Any:
        expression = self._expressions[name]
        try:
            program = expression.program
        except CelCompileError as failure:
            return CelError(f'composited variable "{name}" fails to compile: {failure}')
        try:
            return program.value(self._bindings, self._budget)
        except CelError as failure:
            if isinstance(failure, CelBudgetError) and not isinstance(failure, CelLimitError):
                raise
            return CelError(f'composited variable "{name}" fails to evaluate: {failure}')


def _type_of(expression: Expression) -> Type:
    try:
        return expression.program.type
    except CelCompileError:
        return DYN
