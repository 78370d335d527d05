"""From tokens to a tree, macros expanded. Precedence climbs; what nests too deeply or is too long is refused."""

from __future__ import annotations

from picluster.api.cel.errors import CelSyntaxError
from picluster.api.cel.lexer import Token, failure, tokens
from picluster.api.cel.macros import expand
from picluster.api.cel.tree import (
    Call,
    Entry,
    FieldInit,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    Select,
    StructLiteral,
)
from picluster.api.cel.types import RESERVED
from picluster.api.cel.values import INT_MAX, Uint

DEPTH_MAX = 250
"""How deeply an expression may nest (cel-go's recursion limit)."""
TOO_DEEP = f"expression recursion limit exceeded: {DEPTH_MAX}"
SOURCE_MAX = 100_000
"""How many code points an expression may have."""

_LEVELS = {
    "||": 0, "&&": 1, "<": 2, "<=": 2, ">=": 2, ">": 2, "==": 2, "!=": 2, "in": 2, "+": 3, "-": 3, "*": 4, "/": 4,
    "%": 4,
}  # fmt: skip
_KEYWORDS = frozenset(("in", "true", "false", "null"))
_CONSTANTS = {"true": True, "false": False, "null": None}
_OPERANDS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


def parse(source: str) -> Node:
    """The tree of ``source``; raises ``CelSyntaxError``."""
    if len(source) > SOURCE_MAX:
        message = f"expression code point size exceeds limit: size: {len(source)}, limit {SOURCE_MAX}"
        raise CelSyntaxError(f"compilation failed: ERROR: <input>:-1:0: {message}")
    parser = _Parser(source)
    try:
        node = parser.expression()
    except RecursionError:
        raise parser.fail(0, TOO_DEEP) from None
    parser.expect("end", "<EOF>")
    return node


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._next = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def fail(self, at: int, message: str) -> CelSyntaxError:
        return failure(self._source, at, message)

    def expect(self, kind: str, shown: str = "") -> Token:
        token = self._token
        if token.kind != kind:
            wanted = shown or f"'{kind}'"
            raise self.fail(token.at, f"Syntax error: mismatched input '{token.text}' expecting {wanted}")
        self._next += 1
        return token

    def _take(self, *kinds: str) -> Token | None:
        token = self._token
        if (token.text if token.kind == "ident" else token.kind) not in kinds or token.kind == "literal":
            return None
        self._next += 1
        return token

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self.fail(self._token.at, TOO_DEEP)
        condition = self._binary(0)
        question = self._take("?")
        if question is not None:
            then = self._binary(0)
            self.expect(":")
            condition = Call(question.at, "_?_:_", None, [condition, then, self.expression()])
        self._depth -= 1
        return condition

    def _binary(self, lowest: int) -> Node:
        left = self._unary()
        while True:
            sign = self._token
            level = _LEVELS.get(sign.text, -1) if sign.kind in ("ident", sign.text) else -1
            if level < lowest:
                return left
            self._next += 1
            right = self._binary(level + 1)
            left = Call(sign.at, "@in" if sign.text == "in" else f"_{sign.text}_", None, [left, right])

    def _unary(self) -> Node:
        sign = self._take("!", "-")
        if sign is None:
            return self._member()
        signs = [sign]
        while (more := self._take(sign.kind)) is not None:
            signs.append(more)
        if sign.kind == "-" and self._is_number():
            last = signs.pop()
            operand = self._after(Literal(last.at, self._negative(self._tokens[self._next])))
        else:
            operand = self._member()
        if len(signs) % 2 == 0:
            return operand
        return Call(signs[0].at, "!_" if sign.kind == "!" else "-_", None, [operand])

    def _is_number(self) -> bool:
        token = self._token
        return token.kind == "literal" and isinstance(token.value, int | float) and not isinstance(token.value, Uint)

    def _negative(self, token: Token) -> int | float:
        self._next += 1
        negative: int | float = -token.value
        return negative

    def _member(self) -> Node:
        return self._after(self._primary())

    def _after(self, node: Node) -> Node:
        """The selections, calls and indexes behind ``node``."""
        while True:
            if (dot := self._take(".")) is not None:
                node = self._selected(node, dot)
            elif (bracket := self._take("[")) is not None:
                function = "_[?_]" if self._take("?") else "_[_]"
                index = self.expression()
                self.expect("]")
                node = Call(bracket.at, function, None, [node, index])
            else:
                return node

    def _selected(self, node: Node, dot: Token) -> Node:
        optional = self._take("?") is not None
        name = self.expect("ident", "IDENTIFIER")
        if name.text in _KEYWORDS:
            raise self.fail(name.at, f"Syntax error: no viable alternative at input '.{name.text}'")
        opening = None if optional else self._take("(")
        if opening is None:
            return Select(dot.at, node, name.text, optional=optional)
        return self._call(Call(opening.at, name.text, node, self._arguments(")")))

    def _call(self, call: Call) -> Node:
        return expand(call, self.fail)

    def _arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        if self._take(closing):
            return found
        while True:
            found.append(self.expression())
            if not self._take(","):
                self.expect(closing)
                return found

    def _primary(self) -> Node:
        token = self._token
        self._next += 1
        if token.kind == "literal":
            return self._literal(token)
        if token.kind == "ident" and token.text in _CONSTANTS:
            return Literal(token.at, _CONSTANTS[token.text])
        if token.kind == "ident" and token.text != "in":
            return self._named(token, absolute=False)
        if token.kind == "." and self._token.kind == "ident" and self._token.text not in _KEYWORDS:
            self._next += 1
            return self._named(self._tokens[self._next - 1], absolute=True)
        if token.kind == "(":
            node = self.expression()
            self.expect(")")
            return node
        if token.kind == "[":
            return self._list(token)
        if token.kind == "{":
            return MapLiteral(token.at, self._entries())
        raise self.fail(token.at, f"Syntax error: mismatched input '{token.text}' expecting {_OPERANDS}")

    def _literal(self, token: Token) -> Literal:
        if type(token.value) is int and token.value > INT_MAX:
            raise self.fail(token.at, "invalid int literal")
        return Literal(token.at, token.value)

    def _named(self, name: Token, *, absolute: bool) -> Node:
        struct = self._struct_name(name)
        if struct is not None:
            opening = self.expect("{")
            return StructLiteral(opening.at, struct, self._fields())
        opening = self._token
        if self._take("("):
            return self._call(Call(opening.at, name.text, None, self._arguments(")")))
        if name.text in RESERVED:
            raise self.fail(name.at, f"reserved identifier: {name.text}")
        return Ident(name.at, name.text, absolute)

    def _struct_name(self, name: Token) -> str | None:
        """The dotted name that begins with ``name``, if a ``{`` follows it; then only the ``{`` is left to read."""
        parts, ahead = [name.text], self._next
        while self._tokens[ahead].kind == "." and self._tokens[ahead + 1].kind == "ident":
            parts.append(self._tokens[ahead + 1].text)
            ahead += 2
        if self._tokens[ahead].kind != "{":
            return None
        self._next = ahead
        return ".".join(parts)

    def _list(self, bracket: Token) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        while not self._take("]"):
            if self._take("?"):
                optional.add(len(elements))
            elements.append(self.expression())
            if not self._take(","):
                self.expect("]")
                break
        return ListLiteral(bracket.at, elements, frozenset(optional))

    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        while not self._take("}"):
            optional = self._take("?") is not None
            key = self.expression()
            colon = self.expect(":")
            entries.append(Entry(colon.at, key, self.expression(), optional))
            if not self._take(","):
                self.expect("}")
                break
        return entries

    def _fields(self) -> list[FieldInit]:
        fields: list[FieldInit] = []
        while not self._take("}"):
            optional = self._take("?") is not None
            name = self.expect("ident", "IDENTIFIER")
            colon = self.expect(":")
            fields.append(FieldInit(colon.at, name.text, self.expression(), optional))
            if not self._take(","):
                self.expect("}")
                break
        return fields
