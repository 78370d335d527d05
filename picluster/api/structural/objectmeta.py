"""``apiVersion``, ``kind`` and ``metadata`` of an object and of the objects embedded in it (``schema/objectmeta``)."""

from __future__ import annotations

from typing import Any

from picluster.api import names
from picluster.api.errors import FieldError, bad_request, invalid_value, required
from picluster.api.schemas import compiled, data
from picluster.api.schemas.decode import DecodeError, Decoder
from picluster.api.structural.prune import EMBEDDED, additional
from picluster.api.types import Object
from picluster.api.validation import metadata

PLACEHOLDER_NAME = "fakename"
"""An embedded object need not have a name."""


class CoerceError(ValueError):
    """``field`` has a value that no metadata can hold."""

    def __init__(self, field: str, value: Any, why: str) -> None:
        super().__init__(why)
        self.failure = invalid_value(field, value, why)


def coerce(value: Any, schema: Object, *, root: bool = True) -> list[str]:
    """Bring all metadata into the form ``ObjectMeta`` has, in place; the paths of unknown fields in it.

    Raises ``CoerceError`` for a value of the wrong type.
    """
    unknown: list[str] = []
    _coerce(value, {**schema, EMBEDDED: True} if root else schema, "", unknown)
    return unknown


def refused(error: CoerceError) -> Exception:
    """The answer to a body that cannot be coerced: 400, as for any other that cannot be decoded."""
    return bad_request(str(error.failure))


def failures(value: Any, schema: Object, *, root: bool = False, path: str = "") -> list[FieldError]:
    """Everything wrong with the metadata of embedded objects, and of the object itself if it counts (``root``)."""
    found: list[FieldError] = []
    _check(value, {**schema, EMBEDDED: True} if root else {**schema, EMBEDDED: False}, path, found)
    return found


def _coerce(value: Any, schema: Object | None, path: str, unknown: list[str]) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            _coerce_meta(value, path, unknown)
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key in list(value):
            if not (schema.get(EMBEDDED) and key in ("apiVersion", "kind", "metadata")):
                _coerce(value[key], properties.get(key, mapped), _join(path, key), unknown)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            _coerce(element, schema.get("items"), f"{path}[{index}]", unknown)


def _coerce_meta(value: Object, path: str, unknown: list[str]) -> None:
    for field in ("apiVersion", "kind"):
        if field in value and not isinstance(value[field], str):
            raise CoerceError(_join(path, field), value[field], "must be a string")
    if "metadata" not in value:
        return
    where, given = _join(path, "metadata"), value["metadata"]
    if given is None:
        del value["metadata"]
        return
    if compiled.strict(data.OBJECT_META)(given):
        return
    decoder = Decoder()
    try:
        value["metadata"] = decoder.read(data.OBJECT_META, given)
    except DecodeError as error:
        raise CoerceError(where, given, str(error)) from None
    unknown.extend(f"{where}.{field}" for field in decoder.unknown)


def _check(value: Any, schema: Object | None, path: str, found: list[FieldError]) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            _check_meta(value, path, found)
        properties, mapped = schema.get("properties") or {}, additional(schema)
        for key, child in value.items():
            if key in properties:
                _check(child, properties[key], _join(path, key), found)
            elif mapped is not None:
                _check(child, mapped, f"{path}[{key}]", found)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            _check(element, schema.get("items"), f"{path}[{index}]", found)


def _check_meta(value: Object, path: str, found: list[FieldError]) -> None:
    for field in ("apiVersion", "kind"):
        where, given = _join(path, field), value.get(field)
        if field not in value:
            found.append(required(where, "must not be empty"))
        elif not isinstance(given, str):
            found.append(invalid_value(where, given, "must be a string"))
        elif not given:
            found.append(invalid_value(where, given, "must not be empty"))
        elif field == "apiVersion" and given.count("/") > 1:
            found.append(invalid_value(where, given, f"unexpected GroupVersion string: {given}"))
        elif field == "kind" and (messages := names.dns1035_label(given.lower())):
            why = f"may have mixed case, but should otherwise match: {','.join(messages)}"
            found.append(invalid_value(where, given, why))
    given = value.get("metadata")
    if isinstance(given, dict):
        inner: list[FieldError] = []
        named = {**given, "name": given.get("name") or PLACEHOLDER_NAME}
        metadata.validate(
            named, inner, namespaced=bool(given.get("namespace")), name=names.path_segment_name, own_finalizers=True
        )
        prefix = path + "." if path else ""
        found.extend(FieldError(failure.reason, prefix + failure.field, failure.message) for failure in inner)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
