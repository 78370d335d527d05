"""What the API server refuses of a manifest, said to the person who wrote it. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from picluster.api.errors import ApiError
from picluster.cli._manifests import Manifest

WRONG_TYPE = re.compile(
    r"json: cannot unmarshal (?P<found>\w+) into Go struct field \w+\.(?P<path>\S+) of type (?P<wanted>.+)$"
)
UNKNOWN = re.compile(r"strict decoding error: (?P<fields>.*)$")
APPLIED = re.compile(r"failed to create typed patch object \([^)]*\): (?:errors:\n)?(?P<mistakes>.*)$", re.DOTALL)
UNDECLARED = re.compile(r"\s*\.(?P<path>\S+): field not declared in schema")
UNEXPECTED = re.compile(r"\s*\.(?P<path>[^:]+): expected (?P<wanted>\w+)")
EXPECTED = {
    "numeric": "a number", "string": "text", "boolean": "true or false", "list": "a list", "map": "a map",
}  # fmt: skip
TYPES = {"int32": "a whole number", "int64": "a whole number", "string": "text", "bool": "true or false"}
FOUND = {"string": "text", "number": "a number", "bool": "true or false", "object": "a map", "array": "a list"}
JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float), "bool": bool, "object": dict, "array": list,
}  # fmt: skip


def explain(manifest: Manifest, error: ApiError) -> str:
    """Where, what, which field and value is wrong, and what it should be."""
    subject = f'{manifest.where}: {manifest.obj["kind"]} "{manifest.name}"'
    if found := WRONG_TYPE.search(error.message):
        values = [value for value in values_at(manifest.obj, found["path"].split(".")) if _is(value, found["found"])]
        shown = repr(values[0]) if values else FOUND.get(found["found"], found["found"])
        return f"{subject}: {found['path']} is {shown}, but must be {TYPES.get(found['wanted'], found['wanted'])}"
    if found := UNKNOWN.search(error.message):
        return f"{subject}: {found['fields']}; kubectl explain shows the fields there are"
    if found := APPLIED.search(error.message):
        return f"{subject}: {_applied(manifest, found['mistakes'])}"
    if conflicts := _conflicts(error):
        return f"{subject}: {conflicts}; take them with --force-conflicts, or leave them out of the manifest"
    if error.code == 404 and error.message.startswith("namespaces "):
        namespace = manifest.obj["metadata"].get("namespace")
        return f'{subject}: there is no namespace "{namespace}"; create it, or put it into the manifest'
    said = error.message.partition(" is invalid: ")[2] or error.message
    return f"{subject}: {said}"


def _applied(manifest: Manifest, mistakes: str) -> str:
    """What the server says of an applied manifest that does not fit the schema."""
    unknown = UNDECLARED.findall(mistakes)
    if unknown:
        fields = ", ".join(f'unknown field "{path}"' for path in unknown)
        return f"{fields}; kubectl explain shows the fields there are"
    if found := UNEXPECTED.search(mistakes):
        path = re.sub(r"\[[^]]*\]", "", found["path"])
        values = [value for value in values_at(manifest.obj, path.split(".")) if not _fits(value, found["wanted"])]
        shown = repr(values[0]) if values else "of another type"
        return f"{path} is {shown}, but must be {EXPECTED.get(found['wanted'], found['wanted'])}"
    return mistakes.strip().removeprefix(".")


def _conflicts(error: ApiError) -> str:
    """Which fields others manage, by the causes of a refused apply."""
    by_manager: dict[str, list[str]] = {}
    for cause in (error.details or {}).get("causes") or ():
        if cause.get("reason") == "FieldManagerConflict":
            manager = str(cause.get("message", "")).removeprefix("conflict with ")
            by_manager.setdefault(manager, []).append(str(cause.get("field", "")).removeprefix("."))
    return "; ".join(f"{', '.join(fields)} managed by {manager}" for manager, fields in by_manager.items())


def _fits(value: Any, wanted: str) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "numeric": (int, float), "string": str, "boolean": bool, "list": list, "map": dict,
    }  # fmt: skip
    return isinstance(value, kinds.get(wanted, object)) and (wanted == "boolean") == isinstance(value, bool)


def values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Every value at a path that leaves out the indices of lists."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
        if path:
            return
    if not path:
        yield value
        yield from value.values() if isinstance(value, dict) else ()
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, JSON_TYPES.get(kind, object)) and (kind == "bool") == isinstance(value, bool)
