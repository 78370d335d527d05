"""From text to tokens. The grammar is that of the CEL specification, the wording of errors cel-go's."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from picluster.api.cel.errors import CelSyntaxError, Issue, render
from picluster.api.cel.values import INT_MAX, UINT_MAX, Uint

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''))
  | (?P<rawstring>(?:[bB]?[rR]|[rR][bB])(?:\"[^\"\n\r]*\"|'[^'\n\r]*'))
  | (?P<plainstring>[bB]?(?:\"(?:[^\\\"\n\r]|\\.)*\"|'(?:[^\\'\n\r]|\\.)*'))
  | (?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
  | (?P<int>0x[0-9a-fA-F]+|[0-9]+)
  | (?P<ident>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.|\Z))",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Token(NamedTuple):
    """``kind`` is ``ident``, ``literal``, ``end`` or the sign itself; ``text`` is how it is written."""

    kind: str
    at: int
    text: str
    value: Any = None


def tokens(source: str) -> list[Token]:
    """All tokens, with one of kind ``end`` last; raises ``CelSyntaxError``."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise failure(source, at, f"Syntax error: token recognition error at: '{source[at:]}'")
        if match.lastgroup != "space":
            found.append(_token(source, match))
        at = match.end()
    found.append(Token("end", len(source), "<EOF>"))
    return found


def failure(source: str, at: int, message: str) -> CelSyntaxError:
    return CelSyntaxError(render([Issue(at, message)], source))


def _token(source: str, match: re.Match[str]) -> Token:
    kind, text, at = match.lastgroup, match[0], match.start()
    if kind == "ident":
        return Token("ident", at, text)
    if kind == "sign":
        return Token(text, at, text)
    if kind == "float":
        return Token("literal", at, text, float(text))
    if kind in ("int", "uint"):
        return Token("literal", at, text, _integer(source, at, text, unsigned=kind == "uint"))
    return Token("literal", at, text, _string(source, at, text))


def _integer(source: str, at: int, text: str, *, unsigned: bool) -> int:
    number = int(text.rstrip("uU"), 0 if "x" in text else 10)
    if unsigned:
        if number > UINT_MAX:
            raise failure(source, at, "invalid uint literal")
        return Uint(number)
    if number > INT_MAX + 1:
        raise failure(source, at, "invalid int literal")
    return number


def _string(source: str, at: int, text: str) -> str | bytes:
    prefix = ""
    while text[0] not in "\"'":
        prefix, text = prefix + text[0].lower(), text[1:]
    quotes = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    body = text[quotes:-quotes].replace("\r\n", "\n").replace("\r", "\n")
    if "r" in prefix:
        return body.encode() if "b" in prefix else body
    if "\\" not in body:
        return body.encode() if "b" in prefix else body
    return _unescape_bytes(source, at, body) if "b" in prefix else _unescape(source, at, body)


def _unescape(source: str, at: int, body: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        simple, hexadecimal, short, long, octal, other = match.groups()
        if simple is not None:
            return _SIMPLE.get(simple, simple)
        if other is not None:
            raise failure(source, at, "unable to unescape string")
        code = int(octal, 8) if octal is not None else int(hexadecimal or short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise failure(source, at, "unable to unescape string")
        return chr(code)

    return _ESCAPE.sub(replaced, body)


def _unescape_bytes(source: str, at: int, body: str) -> bytes:
    parts: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(body):
        simple, hexadecimal, short, long, octal, other = match.groups()
        if other is not None or short is not None or long is not None:
            raise failure(source, at, "unable to unescape string")
        parts.append(body[end : match.start()].encode())
        end = match.end()
        if simple is not None:
            parts.append(_SIMPLE.get(simple, simple).encode())
        else:
            parts.append(bytes([int(octal, 8) if octal is not None else int(hexadecimal, 16)]))
    parts.append(body[end:].encode())
    return b"".join(parts)
