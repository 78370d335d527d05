"""What creators own, by what they sent: two objects with an equal ``spec`` own the same fields below it.

Most objects are made of few templates, and a walk over a pod's specification for the names of its fields costs more
than all the rest of its ownership. So the fields below each part of an object, its metadata aside, are looked up by
that part's JSON.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from picluster.api.apply.fieldsets import FieldSet
from picluster.api.resources import Resource
from picluster.api.types import Object

SHAPES_MAX = 256
PART_MAX_BYTES = 16 << 10
IDENTITY = frozenset({"apiVersion", "kind", "metadata"})


class Shapes:
    """The latest parts of objects that were used; bounded by their number and size."""

    def __init__(self) -> None:
        self._fields: dict[tuple[Resource, str, bytes], FieldSet] = {}

    def fields(self, resource: Resource, obj: Object, find: Callable[[Object], FieldSet]) -> FieldSet:
        """The fields of ``obj``; ``find`` tells those of an object, and is asked for what is new."""
        parts = [find({field: obj[field] for field in IDENTITY & obj.keys()})]
        parts += [self._part(resource, field, value, find) for field, value in obj.items() if field not in IDENTITY]
        return dict(sorted((name, below) for part in parts for name, below in part.items()))

    def _part(self, resource: Resource, field: str, value: object, find: Callable[[Object], FieldSet]) -> FieldSet:
        text = orjson.dumps(value)
        if len(text) > PART_MAX_BYTES:
            return find({field: value})
        key = (resource, field, text)
        found = self._fields.pop(key, None)
        if found is None:
            found = find({field: value})
            if len(self._fields) >= SHAPES_MAX:
                del self._fields[next(iter(self._fields))]
        self._fields[key] = found
        return found
