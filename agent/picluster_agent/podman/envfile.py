"""Environment files that a container writes for a later one: ``NAME='value'`` (KEP-3721). Pure.

A value stands in single quotes and is taken as it is, over several lines if need be; ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from picluster_agent.podman.env import ConfigError

KEY_MAX = 128
VALUE_BYTES_MAX = 32 * 1024
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*([^=\n]*?)([ \t]*)=")
_EMPTY = re.compile(r"[ \t]+[^\n]*(?:\n|\Z)|[ \t]*(?:\n|\Z)")
_VALUE = re.compile(r"'([^']*)'[ \t]*(?:#[^\n]*)?(\n|\Z|.)")


def value_of(text: str, key: str) -> str:
    """The first value of ``key``; empty when it has none. Raises ``ConfigError`` for what is not of the format."""
    if len(key) > KEY_MAX:
        raise ConfigError(f'environment variable key "{key}" exceeds maximum length of {KEY_MAX} characters')
    value = next((value for name, value in _entries(text) if name == key), "")
    if len(value.encode()) > VALUE_BYTES_MAX:
        raise ConfigError(f'environment variable value for key "{key}" exceeds maximum size of 32KB')
    return value


def _entries(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        name = _NAME.match(text, at)
        if name is None:
            raise _wrong(text, at, "missing '='")
        if not name[1]:
            raise _wrong(text, at, "empty variable name")
        if name[2]:
            raise _wrong(text, at, "whitespace before '=' is not allowed")
        begin = name.end()
        if text[begin : begin + 1] in (" ", "\t") and (empty := _EMPTY.match(text, begin)):
            yield name[1], ""
            at = empty.end()
            continue
        if text[begin : begin + 1] != "'":
            raise _wrong(text, begin, "value must be enclosed in single quotes")
        value = _VALUE.match(text, begin)
        if value is None:
            raise _wrong(text, begin, "unclosed single quote", starting="starting ")
        if value[2] not in ("", "\n"):
            raise _wrong(text, value.end() - 1, "unexpected content after closing quote")
        yield name[1], value[1]
        at = value.end()


def _wrong(text: str, at: int, why: str, *, starting: str = "") -> ConfigError:
    line = text.count("\n", 0, at) + 1
    return ConfigError(f"invalid environment variable format {starting}at line {line}: {why}")
