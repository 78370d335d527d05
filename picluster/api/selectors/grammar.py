"""The label selector grammar of ``k8s.io/apimachinery/pkg/labels``, with its messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from picluster.api import errors, names

OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt", "exists", "!")
_SYMBOLS = {
    ")": "closed", ",": "comma", "!": "not", "==": "operator", "=": "operator", ">": "operator", "<": "operator",
    "!=": "operator", "(": "open",
}  # fmt: skip
_TOKEN = re.compile(r"[ \t\r\n]*(?:([=!(),><]+)|([^=!(),>< \t\r\n]+))")

Context = Literal["value", "operator"]


class SelectorSyntaxError(ValueError):
    """The text is no selector; the message is what Kubernetes says."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One requirement as written; ``exists`` and ``!`` have no values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_END = _Token("end", "")


def parse(text: str) -> list[Clause]:
    """The requirements in the order they stand; ``SelectorSyntaxError`` when they cannot be read."""
    return _Parser(_tokens(text)).clauses()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(text):
        symbols, word = match.groups()
        if word is not None:
            tokens.append(_Token("word", word))
        else:
            tokens.extend(_split_symbols(symbols))
    return tokens


def _split_symbols(symbols: str) -> list[_Token]:
    tokens = []
    while symbols:
        width = 2 if symbols[:2] in _SYMBOLS else 1
        tokens.append(_Token(_SYMBOLS[symbols[:width]], symbols[:width]))
        symbols = symbols[width:]
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def _peek(self, context: Context = "value") -> _Token:
        if self._position >= len(self._tokens):
            return _END
        token = self._tokens[self._position]
        if context == "operator" and token.kind == "word" and token.text in ("in", "notin"):
            return _Token("operator", token.text)
        return token

    def _take(self, context: Context = "value") -> _Token:
        token = self._peek(context)
        self._position += 1
        return token

    def clauses(self) -> list[Clause]:
        found: list[Clause] = []
        while True:
            token = self._peek()
            if token.kind == "end":
                return found
            if token.kind not in ("word", "not"):
                raise SelectorSyntaxError(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._clause())
            except SelectorSyntaxError as error:
                raise SelectorSyntaxError(f"unable to parse requirement: {error}") from None
            after = self._take()
            if after.kind == "end":
                return found
            if after.kind != "comma":
                raise SelectorSyntaxError(f"found '{after.text}', expected: ',' or 'end of string'")
            following = self._peek()
            if following.kind not in ("word", "not"):
                raise SelectorSyntaxError(f"found '{following.text}', expected: identifier after ','")

    def _clause(self) -> Clause:
        token = self._take()
        negated = token.kind == "not"
        if negated:
            token = self._take()
        if token.kind != "word":
            raise SelectorSyntaxError(f"found '{token.text}', expected: identifier")
        messages = names.qualified_name(token.text)
        if messages:
            raise SelectorSyntaxError(str(errors.invalid_value("key", token.text, "; ".join(messages))))
        if negated:
            return Clause(token.text, "!")
        if self._peek().kind in ("end", "comma"):
            return Clause(token.text, "exists")
        operator = self._operator()
        if operator in ("in", "notin"):
            return Clause(token.text, operator, self._values())
        return Clause(token.text, operator, (self._exact_value(),))

    def _operator(self) -> str:
        token = self._take("operator")
        if token.kind != "operator":
            raise SelectorSyntaxError(f"found '{token.text}', expected: {', '.join(OPERATORS)}")
        return {">": "gt", "<": "lt"}.get(token.text, token.text)

    def _values(self) -> tuple[str, ...]:
        token = self._take()
        if token.kind != "open":
            raise SelectorSyntaxError(f"found '{token.text}' expected: '('")
        token = self._peek()
        if token.kind == "closed":
            self._take()
            return ()
        if token.kind not in ("word", "comma"):
            raise SelectorSyntaxError(f"found '{token.text}', expected: ',', ')' or identifier")
        values = self._identifiers()
        token = self._take()
        if token.kind != "closed":
            raise SelectorSyntaxError(f"found '{token.text}', expected: ')'")
        return values

    def _identifiers(self) -> tuple[str, ...]:
        """``a,b`` up to the closing parenthesis, which stays; an empty place, as in ``(,a)``, is an empty value."""
        values: set[str] = set()
        while True:
            token = self._take()
            if token.kind == "word":
                values.add(token.text)
                after = self._peek()
                if after.kind == "closed":
                    return tuple(sorted(values))
                if after.kind != "comma":
                    raise SelectorSyntaxError(f"found '{after.text}', expected: ',' or ')'")
            elif token.kind == "comma":
                if not values:
                    values.add("")
                after = self._peek()
                if after.kind == "closed":
                    values.add("")
                    return tuple(sorted(values))
                if after.kind == "comma":
                    self._take()
                    values.add("")
            else:
                raise SelectorSyntaxError(f"found '{token.text}', expected: ',', or identifier")

    def _exact_value(self) -> str:
        if self._peek().kind in ("end", "comma"):
            return ""
        token = self._take()
        if token.kind != "word":
            raise SelectorSyntaxError(f"found '{token.text}', expected: identifier")
        return token.text
