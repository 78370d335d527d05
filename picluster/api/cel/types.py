"""The types of CEL, as declarations and checking see them.

A scalar is its name; ``list_of``, ``map_of``, ``optional_of`` and ``type_of`` make types of types. An ``ObjectType``
has fields under their CEL names (``escape``), and knows their names in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SHOWN = {"google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration", "null_type": "null"}


class Type:
    """Equal by name and parameters; ``format`` is how type errors show it."""

    __slots__ = ("_hash", "name", "params")

    def __init__(self, name: str, *params: Type) -> None:
        self.name = name
        self.params = params
        self._hash = hash((name, params))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Type) and self.name == other.name and self.params == other.params

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        """As ``cel.Type.String`` has it: ``google.protobuf.Timestamp``, ``list(string)``."""
        return f"{self.name}({', '.join(map(str, self.params))})" if self.params else self.name

    __repr__ = __str__

    def format(self) -> str:
        """As checking has it: ``timestamp``, ``list(string)``."""
        if self.params:
            return f"{self.name}({', '.join(param.format() for param in self.params)})"
        return _SHOWN.get(self.name, self.name)


class ParamType(Type):
    """A type variable in the signature of a function."""

    __slots__ = ()


class Field:
    """A field of an object: its type, and its name in JSON."""

    __slots__ = ("json_name", "type")

    def __init__(self, json_name: str, type_: Type) -> None:
        self.json_name = json_name
        self.type = type_


class ObjectType(Type):
    """An object with named fields; compared by identity, since two objects may share a name.

    ``raw`` objects come from elsewhere than JSON: their values are CEL values already.
    """

    __slots__ = ("fields", "raw")

    def __init__(self, name: str, fields: Mapping[str, Field], *, raw: bool = False) -> None:
        super().__init__(name)
        self.fields = dict(fields)
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class ListType(Type):
    """A list that is compared and added as ``x-kubernetes-list-type`` says; a plain one is like any other list."""

    __slots__ = ("list_type", "map_keys")

    def __init__(self, element: Type, list_type: str = "", map_keys: tuple[str, ...] = ()) -> None:
        super().__init__("list", element)
        self.list_type = "" if list_type == "atomic" else list_type
        self.map_keys = map_keys

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Type) or other.name != "list" or self.params != other.params:
            return False
        if isinstance(other, ListType):
            return (self.list_type, self.map_keys) == (other.list_type, other.map_keys)
        return not self.list_type

    def __hash__(self) -> int:
        return self._hash


BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null_type")
DYN = Type("dyn")
ERROR = Type("!error!")
TIMESTAMP = Type("google.protobuf.Timestamp")
DURATION = Type("google.protobuf.Duration")
LIST = Type("list")
MAP = Type("map")
TYPE = Type("type")

QUANTITY = Type("kubernetes.Quantity")
URL = Type("kubernetes.URL")
IP = Type("net.IP")
CIDR = Type("net.CIDR")
SEMVER = Type("kubernetes.Semver")
FORMAT = Type("kubernetes.NamedFormat")
AUTHORIZER = Type("kubernetes.authorization.Authorizer")
PATH_CHECK = Type("kubernetes.authorization.PathCheck")
GROUP_CHECK = Type("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = Type("kubernetes.authorization.ResourceCheck")
DECISION = Type("kubernetes.authorization.Decision")


def list_of(element: Type) -> Type:
    return Type("list", element)


def map_of(key: Type, value: Type) -> Type:
    return Type("map", key, value)


def optional_of(value: Type) -> Type:
    return Type("optional_type", value)


def type_of(value: Type) -> Type:
    return Type("type", value)


def fields_of(**fields: Type) -> dict[str, Field]:
    """Fields whose name in JSON is their own."""
    return {name: Field(name, type_) for name, type_ in fields.items()}


RESERVED = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip
_SPECIAL = re.compile(r"__|[-./]")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPABLE = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*")


def escape(name: str) -> str | None:
    """The CEL name of a JSON field (``apiserver/pkg/cel.Escape``), or ``None`` when it has none."""
    if name in RESERVED:
        return f"__{name}__"
    if not _ESCAPABLE.fullmatch(name):
        return None
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], name)
