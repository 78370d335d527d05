"""Reading objects by their schema: wrong types, unknown fields, nulls; and looking definitions up.

``conform`` is the way of a write: one compiled validation when nothing is wrong, and only otherwise a walk that says
what. Nothing is loaded or compiled before the first call, so importing this costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from picluster.api import errors
from picluster.api.resources import BY_KIND, Resource
from picluster.api.schemas import compiled
from picluster.api.schemas.data import definitions, descriptions, follow, resolve, target, with_descriptions
from picluster.api.schemas.decode import DecodeError, Decoder
from picluster.api.schemas.duplicates import doubled_field, duplicate_fields, in_document_order, unknown_field
from picluster.api.types import Object

JSON_PATCH_FIELDS = frozenset(("op", "path", "from", "value"))

SCHEME = "pkg/api/legacyscheme/scheme.go:30"
"""Where Kubernetes keeps what it knows, as its messages say."""
YAML_ERRORS = "yaml: unmarshal errors:\n"
"""How what a strict reader says of YAML begins."""

__all__ = [
    "YAML_ERRORS",
    "check",
    "complaints",
    "conform",
    "definition",
    "definitions",
    "descriptions",
    "duplicate_fields",
    "follow",
    "identify",
    "json_patch_complaints",
    "prune",
    "resolve",
    "strict_error",
    "target",
    "told",
    "unknown_fields",
    "with_descriptions",
]


def conform(resource: Resource, obj: Any) -> list[str]:
    """Bring ``obj`` into the form it is kept in, in place, and return the paths of unknown fields, which are dropped.

    Null fields are absent afterwards, times are in UTC. Raises 400 for a wrong type, like Kubernetes' decoder. The way
    for every object that comes in: ``unknown = conform(PODS, obj)``, then ``strict_error`` or a warning for each.
    """
    if compiled.strict(resource.schema)(obj):
        return []
    clean, unknown = _decode(resource, obj)
    obj.clear()
    obj.update(clean)
    return unknown


def check(resource: Resource, obj: Any) -> None:
    """Raise 400 with the decoder's words if a value has the wrong type; unknown fields and nulls are fine."""
    if not compiled.strict(resource.schema)(obj):
        _decode(resource, obj)


def unknown_fields(resource: Resource, obj: Any) -> list[str]:
    """The paths of the fields that the schema does not know, such as ``spec.containers[0].foo``."""
    return [] if compiled.strict(resource.schema)(obj) else _decode(resource, obj)[1]


def prune(resource: Resource, obj: Object) -> None:
    """Drop unknown and null fields, in place."""
    conform(resource, obj)


def identify(resource: Resource, obj: Any) -> None:
    """Fill ``apiVersion`` and ``kind`` where they are missing; 400 if they are those of something else."""
    if not isinstance(obj, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: the body is not a JSON object")
    kind, api_version = obj.get("kind"), obj.get("apiVersion")
    if kind == resource.kind and api_version == resource.api_version:
        return
    sent = (str(api_version or resource.api_version), str(kind or resource.kind))
    known = sent in BY_KIND or sent == (resource.api_version, resource.kind) or not resource.schema
    if not known:  # of custom resources every kind is
        why = f'no kind "{sent[1]}" is registered for version "{sent[0]}" in scheme "{SCHEME}"'
        raise errors.bad_request(
            f"{sent[1]} in version {_version(sent[0])} cannot be handled as a {resource.kind}: {why}"
        )
    if kind and kind != resource.kind:
        raise errors.bad_request(
            f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})"
            if not api_version or api_version == resource.api_version
            else f"{kind} in version {_version(api_version)} cannot be handled as a {resource.kind}"
        )
    if api_version and api_version != resource.api_version:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version"
            f" ({resource.api_version})"
        )
    obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version


def definition(name: str) -> Object:
    """The definition of that name (``Resource.schema``, or the target of a ``$ref``), without prose."""
    return definitions()[name]


def complaints(resource: Resource, unknown: Sequence[str], doubled: Sequence[str], raw: bytes | None) -> list[str]:
    """What a strict reader says: in the order of ``raw``, the JSON; of a custom resource, what is doubled first."""
    if resource.schema and raw is not None and unknown and doubled:
        return in_document_order(raw, unknown, doubled)
    return [*map(doubled_field, doubled), *map(unknown_field, unknown)]


def json_patch_complaints(patch: Any, doubled: Sequence[str], raw: bytes) -> list[str]:
    """What a strict reader says of a JSON patch itself, whose operations have four fields."""
    operations = enumerate(patch) if isinstance(patch, list) else ()
    unknown = [
        f"[{index}].{name}"
        for index, operation in operations
        if isinstance(operation, dict)
        for name in operation
        if name not in JSON_PATCH_FIELDS
    ]
    if not unknown and not doubled:
        return []
    return [f"json patch {complaint}" for complaint in in_document_order(raw, unknown, doubled)]


def told(found: Sequence[str]) -> list[str]:
    """What a strict reader says as warnings: of YAML each line is one (``parseYAMLWarnings``)."""
    lines: list[str] = []
    for complaint in found:
        plain = complaint.removeprefix(YAML_ERRORS)
        lines += [complaint] if plain == complaint else [line.strip() for line in plain.splitlines()]
    return lines


def strict_error(resource: Resource, found: Sequence[str]) -> errors.ApiError:
    """The refusal of ``fieldValidation=Strict``."""
    return errors.bad_request(_cannot_be_handled(resource, f"strict decoding error: {', '.join(found)}"))


def _decode(resource: Resource, obj: Any) -> tuple[Object, list[str]]:
    decoder = Decoder()
    try:
        return decoder.read(resource.schema, obj), decoder.unknown
    except RecursionError:
        raise errors.bad_request(_cannot_be_handled(resource, "exceeded max depth")) from None
    except DecodeError as error:
        raise errors.bad_request(_cannot_be_handled(resource, str(error))) from None


def _cannot_be_handled(resource: Resource, why: str) -> str:
    return f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}'


def _version(api_version: Any) -> str:
    return f'"{str(api_version).rpartition("/")[2]}"'
