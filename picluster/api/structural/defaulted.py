"""Whether the defaults of a schema are objects that it accepts (``schema/defaulting/validation.go``)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from picluster.api.errors import FieldError, invalid_value
from picluster.api.structural import objectmeta, validate
from picluster.api.structural.prune import EMBEDDED, META_FIELDS, prune
from picluster.api.structural.shape import key
from picluster.api.types import Object


def failures(schema: Object, path: str) -> list[FieldError]:
    """Everything wrong with the defaults in the schema of a version."""
    return list(_below({**schema, EMBEDDED: True}, path, in_meta=False))


def _below(schema: Object, path: str, *, in_meta: bool) -> Iterator[FieldError]:
    if schema.get(EMBEDDED):
        in_meta = False
    if "default" in schema:
        yield from _default(schema["default"], schema, f"{path}.default", in_meta)
    if isinstance(schema.get("items"), dict):
        yield from _below(schema["items"], f"{path}.items", in_meta=in_meta)
    for name, child in (schema.get("properties") or {}).items():
        meta = in_meta or (bool(schema.get(EMBEDDED)) and name in META_FIELDS)
        yield from _below(child, key(f"{path}.properties", name), in_meta=meta)


def _default(value: Any, schema: Object, path: str, in_meta: bool) -> Iterator[FieldError]:
    if not in_meta:
        kept = copy.deepcopy(value)
        if prune(kept, schema, root=bool(schema.get(EMBEDDED))):
            yield invalid_value(path, value, "must not have unknown fields")
    try:
        objectmeta.coerce(copy.deepcopy(value), schema, root=bool(schema.get(EMBEDDED)))
    except objectmeta.CoerceError as error:
        yield FieldError(error.failure.reason, f"{path}.{error.failure.field}", error.failure.message)
        return
    found = objectmeta.failures(value, schema, root=bool(schema.get(EMBEDDED)), path=path)
    yield from found or validate.failures(value, schema, prefix=path)
