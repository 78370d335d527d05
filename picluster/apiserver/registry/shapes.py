"""What creators own, by the bodies they sent: two bodies that differ only in the object's name own the same fields."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from picluster.api.apply.fieldsets import FieldSet
from picluster.api.resources import Resource

SHAPES_MAX = 256
BODY_MAX_BYTES = 16 << 10
_HOLE = b"\0"
"""Stands where the name was; no JSON text has it."""


class Shapes:
    """The latest bodies that were used; bounded by their number and size."""

    def __init__(self) -> None:
        self._fields: dict[tuple[Resource, bytes], FieldSet] = {}

    def fields(self, resource: Resource, body: bytes, name: str, find: Callable[[], FieldSet]) -> FieldSet:
        """The fields of an object called ``name`` that came as ``body``; ``find`` is asked for a new shape."""
        if len(body) > BODY_MAX_BYTES:
            return find()
        needle = name.encode()
        key = (resource, body.replace(needle, _HOLE) if needle else body)
        found = self._fields.pop(key, None)
        if found is None:
            found = find()
            if needle and needle in orjson.dumps(found):
                return found  # a path says the name, or what looks like it: this shape is not that of others
            if len(self._fields) >= SHAPES_MAX:
                del self._fields[next(iter(self._fields))]
        self._fields[key] = found
        return found
