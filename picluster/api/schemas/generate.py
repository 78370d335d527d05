"""Writes the schema data from the JSON schemas of Kubernetes 1.36 that the package ``kubernetes-validate`` carries.

    python -m picluster.api.schemas.generate

Keeps what is reachable from the resource table and a few bodies, in OpenAPI v2 form: nullability is undone (every field
may be null in Kubernetes and then means absent; the reader knows that), prose goes to a file of its own, and the
group-version-kinds of shared definitions are cut to the groups that are served. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from importlib import resources as package_files
from pathlib import Path
from typing import Any

from picluster.api.resources import BODIES, RESOURCES
from picluster.api.types import Object

API_LEVEL = "v1.36.0-local"
HERE = Path(__file__).parent
DEFINITIONS_FILE = HERE / "definitions.json"
DESCRIPTIONS_FILE = HERE / "descriptions.json.gz"

INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTRA_ROOTS = (
    *(
        _META + kind
        for kind in ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Patch", "Status", "WatchEvent")
    ),
    "io.k8s.apimachinery.pkg.version.Info",
)
_SCALARS: dict[str, Object] = {
    INT_OR_STRING: {"type": "string", "format": "int-or-string"},
    QUANTITY: {"type": "string"},
}


def build() -> tuple[Object, Object]:
    """``(definitions, descriptions)``: by definition name; prose by field, the definition's own under ``""``."""
    source = _load_source()
    names = _reachable(source, _roots(source))
    definitions = {name: _trim(name, source[name]) for name in names}
    descriptions = {name: prose for name in names if (prose := _prose(source[name]))}
    return definitions, descriptions


def render(definitions: Object) -> str:
    """One definition per line, so that a change of API level reads as a diff."""
    lines = [f"{json.dumps(name)}:{_compact(body)}" for name, body in sorted(definitions.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    definitions, descriptions = build()
    DEFINITIONS_FILE.write_text(render(definitions))
    DESCRIPTIONS_FILE.write_bytes(gzip.compress(_compact(descriptions).encode(), 9, mtime=0))


def _load_source() -> Object:
    folder = package_files.files("kubernetes_validate") / "kubernetes-json-schema" / API_LEVEL
    source: Object = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return source


def _roots(source: Object) -> list[str]:
    kinds = [resource.schema for resource in (*RESOURCES, *BODIES)]
    lists = [name for kind in kinds if (name := kind + "List") in source]
    return [*kinds, *lists, *_EXTRA_ROOTS]


def _reachable(source: Object, roots: Iterable[str]) -> list[str]:
    found: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(references(source[name]))
    return sorted(found)


def references(node: Any) -> Iterable[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield _target(node["$ref"])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def _target(reference: str) -> str:
    return reference.rpartition("/")[2]


def _trim(name: str, body: Object) -> Object:
    if name in _SCALARS:
        return _SCALARS[name]
    trimmed = _field(body)
    kinds = body.get("x-kubernetes-group-version-kind")
    if kinds:
        served = {(resource.group, resource.version) for resource in (*RESOURCES, *BODIES)}
        trimmed["x-kubernetes-group-version-kind"] = [k for k in kinds if (k["group"], k["version"]) in served]
        for field in ("apiVersion", "kind"):
            trimmed.get("properties", {}).get(field, {}).pop("enum", None)
    return trimmed


def _field(body: Object) -> Object:
    """One definition or field: without prose, ``type`` without null, references as OpenAPI v2 has them."""
    trimmed: Object = {}
    for key, value in sorted(body.items()):
        if key == "description":
            continue
        if key == "type":
            trimmed[key] = next(kind for kind in value if kind != "null") if isinstance(value, list) else value
        elif key == "$ref":
            trimmed[key] = f"#/definitions/{_target(value)}"
        elif key == "properties":
            trimmed[key] = {field: _field(child) for field, child in sorted(value.items())}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            trimmed[key] = _field(value)
        else:
            trimmed[key] = value
    return trimmed


def _prose(body: Object) -> dict[str, str]:
    prose = {"": body["description"]} if "description" in body else {}
    for field, child in sorted(body.get("properties", {}).items()):
        if "description" in child:
            prose[field] = child["description"]
    return prose


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


if __name__ == "__main__":
    main()
