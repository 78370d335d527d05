"""What the engine must know of a value's schema: a scalar, a map or a list, atomic or not, and what is below.

``builtin`` makes the types of the generated definitions as ``kube-openapi/pkg/schemaconv`` does; custom resources bring
theirs by ``structural``. Types are made when they are first asked for, since schemas may contain themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

from picluster.api.schemas import data, numbers
from picluster.api.types import Object

Kind = Literal["scalar", "map", "list", "any"]
Fields = Mapping[str, "Type"]


class Type:
    """``scalar`` is ``string``, ``numeric``, ``boolean`` or ``untyped``; ``element`` is what a map or list holds.

    ``keys`` tell the elements of a list apart; an associative list without keys is a set. ``present`` are the fields
    that an object of this type always has, if only empty: structs by value and what Go does not omit.
    """

    __slots__ = ("_fields", "_load", "atomic", "element", "key_defaults", "keys", "kind", "present", "scalar")

    def __init__(
        self,
        kind: Kind,
        *,
        scalar: str = "",
        atomic: bool = False,
        element: Type | None = None,
        load: Callable[[], Fields] | None = None,
        keys: tuple[str, ...] = (),
        key_defaults: Object | None = None,
        present: frozenset[str] = frozenset(),
    ) -> None:
        self.kind = kind
        self.scalar = scalar
        self.atomic = atomic
        self.element = element
        self.keys = keys
        self.key_defaults = key_defaults or {}
        self.present = present
        self._load = load
        self._fields: Fields | None = None if load is not None else {}

    @property
    def fields(self) -> Fields:
        """The declared fields of a map."""
        if self._fields is None:
            assert self._load is not None
            self._fields = self._load()
        return self._fields

    def child(self, name: str) -> Type | None:
        """The type of a field or of a map's value; ``None`` where the schema has no place for it."""
        return self.fields.get(name) or self.element

    def as_atomic(self, atomic: bool) -> Type:
        """The same type with its elements owned as one, or each by itself."""
        if atomic == self.atomic:
            return self
        return Type(
            self.kind, scalar=self.scalar, atomic=atomic, element=self.element, load=lambda: self.fields,
            keys=self.keys, key_defaults=self.key_defaults, present=self.present,
        )  # fmt: skip


UNTYPED = Type("scalar", scalar="untyped")
STRING = Type("scalar", scalar="string")
NUMERIC = Type("scalar", scalar="numeric")
BOOLEAN = Type("scalar", scalar="boolean")
ANY = Type("any")
"""A value without a schema: maps merge, lists are atomic (the deduced type)."""
ANY_MAP = Type("map", element=ANY)
ANY_LIST = Type("list", atomic=True, element=ANY)

_SCALARS = {"string": STRING, "integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN}
_UNTYPED = frozenset({data.INT_OR_STRING, data.QUANTITY})
_KEY_DEFAULTS: dict[str, Object] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
}
"""Defaults of fields that are keys of lists; Kubernetes' published schemas carry them, the generated data does not."""


def resolved(value_type: Type, value: Any) -> Type:
    """The type of ``value``, where the schema leaves it open."""
    if value_type.kind != "any":
        return value_type
    if isinstance(value, dict):
        return ANY_MAP
    return ANY_LIST if isinstance(value, list) else UNTYPED


@cache
def builtin(name: str) -> Type:
    """The type of the generated definition ``name``."""
    if name in _UNTYPED:
        return UNTYPED
    node = data.definitions()[name]
    if "properties" not in node:
        return _SCALARS.get(str(node.get("type")), ANY)
    return Type(
        "map",
        atomic=node.get("x-kubernetes-map-type") == "atomic",
        load=lambda: {field: of_node(child) for field, child in node["properties"].items()},
        present=_present(name, node),
    )


def of_node(node: Object) -> Type:
    """The type of a field or element, whose own map type outranks that of the definition it refers to."""
    name = data.target(node)
    if name is not None:
        found = builtin(name)
        relation = node.get("x-kubernetes-map-type")
        return found if relation is None or found.kind != "map" else found.as_atomic(relation == "atomic")
    kind = node.get("type")
    if kind == "array":
        return _list(node)
    if kind != "object":
        return UNTYPED if node.get("format") == "int-or-string" else _SCALARS.get(str(kind), ANY)
    values = node.get("additionalProperties")
    if not isinstance(values, dict):
        return ANY
    return Type("map", atomic=node.get("x-kubernetes-map-type") == "atomic", element=of_node(values))


def relation_of(node: Object) -> tuple[bool, tuple[str, ...]]:
    """``(atomic, keys)`` of a list, by its list type or else by its patch strategy."""
    list_type = node.get("x-kubernetes-list-type")
    if list_type is not None:
        return list_type == "atomic", tuple(node.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else ()
    if "merge" in str(node.get("x-kubernetes-patch-strategy", "")).split(","):
        key = node.get("x-kubernetes-patch-merge-key")
        return False, (key,) if key else ()
    return True, ()


def _list(node: Object) -> Type:
    atomic, keys = relation_of(node)
    defaults = _KEY_DEFAULTS.get(data.target(node["items"]) or "")
    return Type("list", atomic=atomic, element=of_node(node["items"]), keys=keys, key_defaults=defaults)


def _present(name: str, node: Object) -> frozenset[str]:
    """Fields of Go structs that are never absent: structs that are no pointers, and lists and maps not omitted."""
    message = numbers.messages().get(name)
    required = set(node.get("required", ()))
    found = set()
    for field, child in node["properties"].items():
        target = data.target(child)
        if target is not None and "properties" in data.definitions()[target]:
            if message is not None and field not in message["pointers"]:
                found.add(field)
        elif child.get("type") in ("array", "object") and field in required:
            found.add(field)
    return frozenset(found)
