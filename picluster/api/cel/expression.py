"""An expression of a policy or a webhook: compiled when it is first asked, and its failures in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from picluster.api.cel import (
    Budget,
    CelBudgetError,
    CelCompileError,
    CelError,
    CelLimitError,
    Program,
    Type,
    compile_expression,
)


class Expression:
    """``want`` and ``patches`` are those of ``compile_expression``."""

    __slots__ = ("_declared", "_patches", "_program", "_want", "source")

    def __init__(
        self, source: str, declared: Mapping[str, Type], want: Type | Sequence[Type] = (), *, patches: bool = False
    ) -> None:
        self.source = source
        self._declared = declared
        self._want = want
        self._patches = patches
        self._program: Program | CelCompileError | None = None

    @property
    def program(self) -> Program:
        """Raises ``CelCompileError``."""
        if self._program is None:
            try:
                self._program = compile_expression(self.source, self._declared, self._want, patches=self._patches)
            except CelCompileError as failure:
                self._program = failure
        if isinstance(self._program, CelCompileError):
            raise self._program
        return self._program

    def value(self, variables: Mapping[str, Any], budget: Budget) -> Any:
        """The CEL value; raises ``CelError``, of which ``CelBudgetError`` ends everything that shares the budget."""
        try:
            program = self.program
        except CelCompileError as failure:
            raise CelError(f"compilation error: {failure}") from failure
        try:
            return program.value(variables, budget)
        except CelError as failure:
            if isinstance(failure, CelBudgetError) and not isinstance(failure, CelLimitError):
                raise
            raise CelError(f"expression '{self.source}' resulted in error: {failure}") from failure
