"""Field selectors: the few paths a resource's row in the table allows, compared as strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.api.types import Object

METADATA_ONLY = ("metadata.name", "metadata.namespace")


class FieldRequirement(NamedTuple):
    path: str
    equal: bool
    value: str


class FieldSelector:
    """Compares the strings that ``field_values`` gives; all requirements must hold."""

    __slots__ = ("_paths", "requirements", "resource")

    def __init__(self, resource: Resource, requirements: tuple[FieldRequirement, ...]) -> None:
        self.resource = resource
        self.requirements = requirements
        self._paths = tuple(dict.fromkeys(requirement.path for requirement in requirements))

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether values by path (as ``field_values`` gives; a missing path is empty) satisfy the selector."""
        return all((values.get(path, "") == value) is equal for path, equal, value in self.requirements)

    def matches_object(self, obj: Object) -> bool:
        return self.matches({path: _reader(self.resource, path)(obj) for path in self._paths})

    def exact(self, path: str) -> str | None:
        """The one value that ``path`` must have, if the selector says so: what an index can be asked for."""
        for requirement in self.requirements:
            if requirement.path == path and requirement.equal:
                return requirement.value
        return None

    def __str__(self) -> str:
        return ",".join(f"{r.path}{'=' if r.equal else '!='}{_escape(r.value)}" for r in self.requirements)


@lru_cache(maxsize=512)
def parse_fields(resource: Resource, text: str) -> FieldSelector:
    """The selector of a ``fieldSelector`` parameter: ``spec.nodeName=pi-1,status.phase!=Failed``."""
    requirements = field_requirements(text)
    for requirement in requirements:
        if requirement.path not in resource.fields:
            raise errors.bad_request(_unsupported(resource, requirement.path))
    return FieldSelector(resource, requirements)


def field_requirements(text: str) -> tuple[FieldRequirement, ...]:
    """The requirements of a field selector on any kind; raises ``ApiError`` 400 when it cannot be read."""
    return tuple(_requirement(text, term) for term in _terms(text) if term)


def field_values(resource: Resource, obj: Object) -> dict[str, str]:
    """The value of every selectable field of ``obj``, as selectors compare them."""
    return {path: read(obj) for path, read in _readers(resource)}


def _unsupported(resource: Resource, path: str) -> str:
    if resource.fields == METADATA_ONLY:
        return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    return f"field label not supported: {path}"


def _terms(text: str) -> list[str]:
    """Split at commas that no backslash escapes."""
    terms, start, escaped = [], 0, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            terms.append(text[start:index])
            start = index + 1
    terms.append(text[start:])
    return terms


def _requirement(text: str, term: str) -> FieldRequirement:
    for index, character in enumerate(term):
        for operator in ("!=", "==", "="):
            if character in "!=" and term.startswith(operator, index):
                value = _unescape(text, term[index + len(operator) :])
                return FieldRequirement(term[:index], operator != "!=", value)
    raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(text: str, value: str) -> str:
    if not any(character in value for character in "\\,="):
        return value
    out, characters = [], iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise errors.bad_request(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif character in ",=":
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{value}'")
        else:
            out.append(character)
    return "".join(out)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


Read = Callable[[Object], str]


@lru_cache(maxsize=256)
def _readers(resource: Resource) -> tuple[tuple[str, Read], ...]:
    return tuple((path, _reader(resource, path)) for path in resource.fields)


_WHEN_ABSENT = {
    "spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0", "status.succeeded": "0",
}  # fmt: skip
_SOURCES = {"status.successful": "status.succeeded"}
"""Fields of jobs' selectors that are called otherwise in the objects."""


@lru_cache(maxsize=1024)
def _reader(resource: Resource, path: str) -> Read:
    if resource.kind == "Event" and path == "source":
        return _event_source
    path = _SOURCES.get(path, path)
    steps, absent = tuple(path.split(".")), _WHEN_ABSENT.get(path, "")

    def read(obj: Object) -> str:
        value: Any = obj
        for step in steps:
            value = value.get(step)
            if value is None:
                return absent
        if value is True or value is False:
            return "true" if value else "false"
        return str(value)

    return read


def _event_source(event: Object) -> str:
    return str((event.get("source") or {}).get("component") or event.get("reportingComponent") or "")
