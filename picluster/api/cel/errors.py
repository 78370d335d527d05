"""What is wrong with an expression, when it is compiled and when it runs; the wording is cel-go's."""

from __future__ import annotations


class CelError(Exception):
    """An evaluation that has no value: a missing key, a division by zero. The text is the reason alone."""


class CelBudgetError(CelError):
    """What belongs together cost more than it was allowed; nothing more of it should be evaluated."""


class CelLimitError(CelBudgetError):
    """One evaluation alone cost more than any may."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class CelCompileError(ValueError):
    """The expression is not valid where it stands. The text is what Kubernetes puts behind ``Invalid value``."""


class CelSyntaxError(CelCompileError):
    """``compilation failed: ERROR: <input>:1:4: Syntax error: …``"""


class CelTypeError(CelCompileError):
    """``compilation failed: ERROR: <input>:1:3: undeclared reference to 'x' (in container '')``"""


class CelResultTypeError(CelTypeError):
    """A sound expression that gives ``got`` where another type is wanted: ``must evaluate to bool but got int``."""

    def __init__(self, message: str, got: str) -> None:
        super().__init__(message)
        self.got = got


class Issue:
    """One thing wrong at an offset (in code points) of the source."""

    __slots__ = ("message", "offset")

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        self.message = message

    def render(self, source: str) -> str:
        """As cel-go shows it: place, message, the line, and an arrow."""
        before = source[: self.offset]
        line = before.count("\n")
        column = self.offset - (before.rfind("\n") + 1)
        shown = f"ERROR: <input>:{line + 1}:{column + 1}: {self.message}"
        text = source.split("\n")[line].replace("\t", " ") if source else ""
        return f"{shown}\n | {text}\n | {'.' * column}^"


def render(issues: list[Issue], source: str) -> str:
    """The text of a failed compilation, in the order of the source."""
    ordered = sorted(issues, key=lambda issue: issue.offset)
    return "compilation failed: " + "\n".join(issue.render(source) for issue in ordered)
