"""Semantic versions. Source: ``cel/library/semverlib.go``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.functions.signatures import Overload, overload, traversal

Identifier: TypeAlias = tuple[int, int, str]

_FORM = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
_LOOSE = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Semver:
    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...]

    cel_type = types.SEMVER

    def key(self) -> tuple[tuple[int, int, int], bool, tuple[Identifier, ...]]:
        """What orders versions: a release comes after what was before it; numbers before words."""
        parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.prerelease)
        return self.numbers, not self.prerelease, parts


def _normal(text: str) -> str:
    match = _LOOSE.fullmatch(text)
    if match is None:
        return text
    numbers = ".".join(str(int(part or "0")) for part in match.groups()[:3])
    return numbers + match[4]


def _parse(text: str, normalize: bool = False) -> Semver:
    match = _FORM.fullmatch(_normal(text) if normalize else text)
    if match is None:
        raise CelError(f"semver parse error during conversion from string: Invalid Semantic Version {text!r}")
    major, minor, patch = int(match[1]), int(match[2]), int(match[3])
    return Semver((major, minor, patch), tuple(match[4].split(".")) if match[4] else ())


def _is_semver(text: str, normalize: bool = False) -> bool:
    return _FORM.fullmatch(_normal(text) if normalize else text) is not None


def _compare(left: Semver, right: Semver) -> int:
    return (left.key() > right.key()) - (left.key() < right.key())


FUNCTIONS: tuple[Overload, ...] = (
    overload("semver", "(string) -> Semver", _parse, traversal()),
    overload("semver", "(string, bool) -> Semver", _parse, traversal()),
    overload("isSemver", "(string) -> bool", _is_semver, traversal()),
    overload("isSemver", "(string, bool) -> bool", _is_semver, traversal()),
    overload("major", "Semver.() -> int", lambda version: version.numbers[0]),
    overload("minor", "Semver.() -> int", lambda version: version.numbers[1]),
    overload("patch", "Semver.() -> int", lambda version: version.numbers[2]),
    overload("compareTo", "Semver.(Semver) -> int", _compare),
    overload("isGreaterThan", "Semver.(Semver) -> bool", lambda left, right: _compare(left, right) > 0),
    overload("isLessThan", "Semver.(Semver) -> bool", lambda left, right: _compare(left, right) < 0),
)
