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
    if error.code == 404 and error.message.startswith("namespaces "):
        namespace = manifest.obj["metadata"].get("namespace")
        return f'{subject}: there is no namespace "{namespace}"; create it, or put it into the manifest'
    said = error.message.partition(" is invalid: ")[2] or error.message
    return f"{subject}: {said}"


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
