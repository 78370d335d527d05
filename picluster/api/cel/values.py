"""The values of CEL, and how JSON becomes them.

Where Python has the value it is the value: ``int`` (64 bits, checked where it is made), ``float``, ``str``, ``bytes``,
``bool``, ``None``, ``list``, ``dict``. What Python lacks is here. JSON is not copied: a typed object, list or map is a
view of it, whose elements are read as the schema says when they are asked for. Source: ``apiserver/pkg/cel/common``.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from picluster.api.cel import types
from picluster.api.cel.errors import CelError
from picluster.api.cel.times import Duration, Timestamp, parse_date, parse_duration, parse_timestamp
from picluster.api.cel.types import ListType, ObjectType, Type

INT_MAX = 2**63 - 1
INT_MIN = -(2**63)
UINT_MAX = 2**64 - 1
ELEMENTS_MAX = 1_000_000
"""How long a list may become by adding, and how long a text by replacing and joining: costs do not bound these."""
TEXT_MAX = 8 * 2**20
NO_OVERLOAD = "no such overload"


class Uint(int):
    """An unsigned integer; equal to the integer of the same value, but of another type."""

    __slots__ = ()


class Optional:
    """``optional_type``: a value, or none (``NONE``)."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any, present: bool = True) -> None:
        self.value = value
        self.present = present


NONE = Optional(None, present=False)


class ObjectView:
    """An object with the fields of its type, over its JSON; a field that is null is not there."""

    __slots__ = ("raw", "type")

    def __init__(self, raw: Any, type_: ObjectType) -> None:
        self.raw = raw
        self.type = type_

    def has(self, name: str) -> bool:
        field = self.type.fields.get(name)
        if field is None:
            return False
        return name in self.raw if self.type.raw else self.raw.get(field.json_name) is not None

    def get(self, name: str) -> Any:
        if not self.has(name):
            raise CelError(f"no such key: {name}")
        field = self.type.fields[name]
        return self.raw[name] if self.type.raw else wrap(self.raw[field.json_name], field.type)

    def items(self) -> Iterator[tuple[str, Any]]:
        for name in self.type.fields:
            if self.has(name):
                yield name, self.get(name)


class MapView:
    """A map from strings whose values need reading."""

    __slots__ = ("raw", "type")

    def __init__(self, raw: Mapping[str, Any], type_: Type) -> None:
        self.raw = raw
        self.type = type_

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, key: object) -> bool:
        return key in self.raw

    def __getitem__(self, key: str) -> Any:
        return wrap(self.raw[key], self.type.params[1])

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def items(self) -> Iterator[tuple[str, Any]]:
        for key, value in self.raw.items():
            yield key, wrap(value, self.type.params[1])


class ListView:
    """A list whose elements need reading, or that is a set or a map of objects."""

    __slots__ = ("raw", "type")

    def __init__(self, raw: list[Any], type_: Type) -> None:
        self.raw = raw
        self.type = type_

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: int) -> Any:
        return wrap(self.raw[index], self.type.params[0])

    def __iter__(self) -> Iterator[Any]:
        element = self.type.params[0]
        return (wrap(item, element) for item in self.raw)

    @property
    def list_type(self) -> str:
        return self.type.list_type if isinstance(self.type, ListType) else ""

    def key(self, element: Any) -> Any:
        """What identifies an element's JSON in a set or a map of objects."""
        if isinstance(self.type, ListType) and self.type.list_type == "map" and isinstance(element, dict):
            return tuple(hashable(element.get(name)) for name in self.type.map_keys)
        return hashable(element)


class Built:
    """What ``Object{…}`` and ``JSONPatch{…}`` make: a named object of values."""

    __slots__ = ("cel_type", "fields")

    def __init__(self, type_: Type, fields: dict[str, Any]) -> None:
        self.cel_type = type_
        self.fields = fields


LISTS = (list, ListView)
MAPS = (dict, MapView)


def hashable(value: Any) -> Any:
    """A key for ``value`` that tells true from 1; for JSON that is compared by itself."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("list", *map(hashable, value))
    if isinstance(value, dict):
        return ("map", *sorted((key, hashable(item)) for key, item in value.items()))
    return value


@lru_cache(maxsize=4096)
def is_plain(type_: Type) -> bool:
    """Whether JSON of this type is its own value, all the way down."""
    if isinstance(type_, ListType) and type_.list_type in ("set", "map"):
        return False
    if type_.name in ("list", "map"):
        return all(is_plain(param) for param in type_.params)
    return type_ in (types.DYN, types.STRING, types.INT, types.BOOL)


def wrap(raw: Any, type_: Type) -> Any:
    """The value of ``raw``, JSON of a variable or field that is declared as ``type_``; raises ``CelError``."""
    if raw is None or is_plain(type_):
        return raw
    if isinstance(type_, ObjectType):
        if isinstance(raw, ObjectView):
            return raw
        if not type_.raw and not isinstance(raw, dict):
            raise CelError("invalid data, expected a map for the provided schema with type=object")
        return ObjectView(raw, type_)
    if type_.name == "list":
        return ListView(raw, type_) if isinstance(raw, list) else raw
    if type_.name == "map":
        return MapView(raw, type_) if isinstance(raw, dict) else raw
    if type_ == types.DOUBLE:
        return float(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    return _parsed(raw, type_) if isinstance(raw, str) else raw


def _parsed(raw: str, type_: Type) -> Any:
    """The value of a string with a format."""
    try:
        if type_ == types.TIMESTAMP:
            return parse_date(raw) if len(raw) == 10 else parse_timestamp(raw)
        if type_ == types.DURATION:
            return parse_duration(raw)
        if type_ == types.BYTES:
            return base64.b64decode(raw, validate=True)
    except (ValueError, binascii.Error) as error:
        kind = {types.TIMESTAMP: "date-time formatted string", types.DURATION: "duration"}.get(type_)
        raise CelError(f"Invalid {kind or 'byte formatted string'} {raw}: {error}") from error
    return raw


def unwrap(value: Any) -> Any:
    """``value`` as JSON, where it has such a form; otherwise as it is."""
    if isinstance(value, ObjectView | MapView | ListView):
        return value.raw
    if isinstance(value, Built):
        return {name: unwrap(item) for name, item in value.fields.items()}
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    if isinstance(value, dict):
        return {key.value if isinstance(key, BoolKey) else key: unwrap(item) for key, item in value.items()}
    if isinstance(value, Timestamp | Duration):
        return str(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


class BoolKey:
    """A boolean as the key of a map: Python would take true for 1."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value


TRUE_KEY, FALSE_KEY = BoolKey(True), BoolKey(False)


def to_key(value: Any) -> Any:
    """``value`` as the key of a map; raises ``CelError`` for what cannot be one."""
    if isinstance(value, bool):
        return TRUE_KEY if value else FALSE_KEY
    if isinstance(value, str | int | float):
        return value
    raise CelError(f"unsupported key type: {type_of(value)}")


def from_key(key: Any) -> Any:
    return key.value if isinstance(key, BoolKey) else key


def type_of(value: Any) -> Type:
    """The runtime type, as ``type(value)`` gives it: parameters are not known any more."""
    found = _TYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, ObjectView):
        return value.type
    return getattr(value, "cel_type", types.DYN)


_TYPES: dict[type, Type] = {
    bool: types.BOOL,
    int: types.INT,
    Uint: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    type(None): types.NULL,
    list: types.LIST,
    ListView: types.LIST,
    dict: types.MAP,
    MapView: types.MAP,
    Timestamp: types.TIMESTAMP,
    Duration: types.DURATION,
    Optional: Type("optional_type"),
    Type: types.TYPE,
    ObjectType: types.TYPE,
}


def size_of(value: Any) -> int:
    """How large a value counts in costs: the length of what has one, otherwise one."""
    if isinstance(value, str | bytes | list | dict | ListView | MapView):
        return len(value)
    if isinstance(value, ObjectView):
        return len(value.raw) if not value.type.raw else 1
    return 1


def equal(left: Any, right: Any) -> bool:
    """Equality across all types: numbers by value, lists and maps by their elements, other kinds never."""
    if left is right:
        return not (isinstance(left, float) and math.isnan(left))
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(left, int | float):
        return isinstance(right, int | float) and left == right
    if isinstance(left, str | bytes):
        return type(left) is type(right) and bool(left == right)
    if isinstance(left, LISTS):
        return isinstance(right, LISTS) and _equal_lists(left, right)
    if isinstance(left, ObjectView) and isinstance(right, ObjectView):
        return _equal_objects(left, right)
    if isinstance(left, (*MAPS, ObjectView)):
        return isinstance(right, (*MAPS, ObjectView)) and _equal_maps(left, right)
    if isinstance(left, Optional):
        return isinstance(right, Optional) and left.present == right.present and equal(left.value, right.value)
    if isinstance(left, Built):
        return isinstance(right, Built) and left.cel_type == right.cel_type and _equal_maps(left.fields, right.fields)
    if isinstance(left, Type):
        return isinstance(right, Type) and left.name == right.name
    return type(left) is type(right) and bool(left == right)


def _equal_lists(left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, ListView) and left.list_type in ("set", "map"):
        by_key = {left.key(raw): raw for raw in left.raw}
        element = left.type.params[0]
        for raw in map(unwrap, right):
            key = left.key(raw)
            if key not in by_key or not equal(wrap(by_key[key], element), wrap(raw, element)):
                return False
        return True
    return all(equal(one, other) for one, other in zip(left, right, strict=True))


def _equal_objects(left: ObjectView, right: ObjectView) -> bool:
    if left.type.raw or right.type.raw or left.raw.keys() != right.raw.keys():
        return False
    known = {field.json_name for field in left.type.fields.values()}
    if any(hashable(left.raw[key]) != hashable(right.raw[key]) for key in left.raw.keys() - known):
        return False
    return all(right.has(name) and equal(value, right.get(name)) for name, value in left.items())


def _equal_maps(left: Any, right: Any) -> bool:
    ours, theirs = dict(left.items()), dict(right.items())
    return len(ours) == len(theirs) and all(key in theirs and equal(item, theirs[key]) for key, item in ours.items())


def add_lists(left: Any, right: Any) -> Any:
    """Both, one after the other; for sets the union, for maps of objects the merge (``unstructuredMapList.Add``)."""
    if len(left) + len(right) > ELEMENTS_MAX:
        raise CelError(f"list has more than {ELEMENTS_MAX} elements")
    if not isinstance(left, ListView) or left.list_type not in ("set", "map"):
        return [*left, *right]
    positions = {left.key(raw): index for index, raw in enumerate(left.raw)}
    joined = list(left.raw)
    for raw in map(unwrap, right):
        key = left.key(raw)
        if key not in positions:
            positions[key] = len(joined)
            joined.append(raw)
        elif left.list_type == "map":
            joined[positions[key]] = raw
    return ListView(joined, left.type)


def elements(value: Any) -> Iterable[Any]:
    """What a comprehension runs over: the elements of a list, the keys of a map."""
    if isinstance(value, LISTS):
        return value
    if isinstance(value, MAPS):
        return [from_key(key) for key in value]
    if isinstance(value, ObjectView) and not value.type.raw:
        return [name for name, _ in value.items()]
    raise CelError(f"got '{type_of(value)}', expected iterable type")


def pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """What a comprehension with two variables runs over: indexes or keys, and what is there."""
    if isinstance(value, LISTS):
        return enumerate(value)
    if isinstance(value, MAPS):
        return [(from_key(key), item) for key, item in value.items()]
    if isinstance(value, ObjectView) and not value.type.raw:
        return value.items()
    raise CelError(f"got '{type_of(value)}', expected iterable type")


def index(container: Any, key: Any) -> Any:
    """``container[key]``; raises ``CelError``."""
    if isinstance(container, LISTS):
        position = _position(key)
        if not 0 <= position < len(container):
            raise CelError(f"index out of bounds: {position}")
        return container[position]
    if isinstance(container, MAPS):
        wanted = to_key(key)
        if wanted not in container:
            raise CelError(f"no such key: {shown_key(key)}")
        return container[wanted]
    if isinstance(container, ObjectView) and isinstance(key, str):
        return container.get(key)
    if isinstance(container, Built) and key in container.fields:
        return container.fields[key]
    raise CelError(f"no such key: {shown_key(key)}")


def has_key(container: Any, key: Any) -> bool:
    """Whether ``index`` would find something."""
    if isinstance(container, LISTS):
        return 0 <= _position(key) < len(container)
    if isinstance(container, MAPS):
        return to_key(key) in container
    if isinstance(container, ObjectView) and isinstance(key, str):
        return container.has(key)
    return isinstance(container, Built) and key in container.fields


def _position(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, int | float):
        raise CelError(f"unsupported index type '{type_of(key)}' in list")
    if isinstance(key, float) and not key.is_integer():
        raise CelError(f"unsupported index value {key} in list")
    return int(key)


def shown_key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
