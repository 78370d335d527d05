"""The API's own description: OpenAPI v3 per group version (KEP-2896) and OpenAPI v2 as one document. PURE.

Both are written from the resource table and the generated schemas. What clients need of them: ``kubectl explain``
reads definitions and their prose, ``kubectl apply`` and ``diff`` read patch strategies, merge keys and whether
``PATCH`` takes ``fieldValidation`` and ``dryRun``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from picluster import KUBERNETES_VERSION
from picluster.api import schema
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver import openapi_proto
from picluster.apiserver.catalog import Definitions
from picluster.apiserver.crd import publish
from picluster.apiserver.discovery import subresource
from picluster.apiserver.tagged import digest

_V2_PREFIX = "#/definitions/"
_V3_PREFIX = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
CUSTOM_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
PATCH_TYPES = (*CUSTOM_PATCH_TYPES[:2], "application/strategic-merge-patch+json", CUSTOM_PATCH_TYPES[2])
BODY_SCHEMAS = {
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
}
_PRETTY = ("pretty", "string", "If 'true', then the output is pretty printed.")
_WRITE = (
    ("dryRun", "string", "When present, indicates that modifications should not be persisted. Valid value: All."),
    ("fieldManager", "string", "A name associated with the actor or entity that is making these changes."),
    ("fieldValidation", "string", "How the server treats unknown or duplicate fields: Ignore, Warn or Strict."),
)
_FORCE = (("force", "boolean", "Force re-acquires conflicting fields owned by other people; for apply patches only."),)
_SELECT = (
    ("labelSelector", "string", "A selector to restrict the list of returned objects by their labels."),
    ("fieldSelector", "string", "A selector to restrict the list of returned objects by their fields."),
)
_LIST = (
    ("allowWatchBookmarks", "boolean", "Requests watch events with type BOOKMARK."),
    ("continue", "string", "The continue option should be set when retrieving more results from the server."),
    *_SELECT,
    ("limit", "integer", "A maximum number of responses to return for a list call."),
    ("resourceVersion", "string", "A constraint on what resource versions a request may be served from."),
    ("resourceVersionMatch", "string", "How resourceVersion is applied to list calls."),
    ("sendInitialEvents", "boolean", "Begin the watch with synthetic events for the objects that exist."),
    ("timeoutSeconds", "integer", "Timeout for the list or watch call."),
    ("watch", "boolean", "Watch for changes to the described resources and return them as a stream."),
)
_DELETE = (
    ("gracePeriodSeconds", "integer", "The duration in seconds before the object should be deleted."),
    ("propagationPolicy", "string", "How dependents are treated: Orphan, Background or Foreground."),
    _WRITE[0],
)
Parameter = tuple[str, str, str]
Bodies = Mapping[str, Object]
NONE_CUSTOM: Bodies = {}
NONE_MADE: Definitions = {}


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb on one path; ``body`` and ``answer`` are definition names, ``action`` is ``x-kubernetes-action``."""

    path: str
    method: str
    action: str
    text: str
    identifier: str
    parameters: tuple[Parameter, ...]
    answer: str
    kind: tuple[str, str, str]
    body: str = ""
    patches: tuple[str, ...] = PATCH_TYPES


def group_path(resource: Resource) -> str:
    """``api/v1`` or ``apis/apps/v1``: how the v3 index names a group version."""
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def definition_name(resource: Resource) -> str:
    """``io.k8s.api.apps.v1.Deployment``; for a custom resource ``com.example.v1.CronTab`` (``ToRESTFriendlyName``)."""
    return resource.schema or ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_definition_name(resource: Resource) -> str:
    return definition_name(resource).removesuffix(resource.kind) + resource.list_kind


def v3(resources: Iterable[Resource], path: str, custom: Bodies = NONE_CUSTOM) -> Object | None:
    """The OpenAPI v3 document of one group version, or ``None`` when it is not served."""
    found = [resource for resource in resources if group_path(resource) == path]
    if not found:
        return None
    operations = [operation for resource in found for operation in operations_of(resource)]
    names = {name for op in operations for name in (op.answer, op.body) if name}
    schemas = {name: _v3_schema(_described(name, custom)) for name in _reachable(names, custom)}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"},
        "paths": _paths(operations, _v3_operation, _v3_parameter),
        "components": {"schemas": schemas, "securitySchemes": {"BearerToken": _BEARER}},
    }


def v2(resources: Iterable[Resource], custom: Bodies = NONE_CUSTOM) -> Object:
    """The one OpenAPI v2 (Swagger) document."""
    custom = {name: publish.as_v2(body) for name, body in custom.items()}
    operations = [operation for resource in resources for operation in operations_of(resource)]
    names = {name for op in operations for name in (op.answer, op.body) if name}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"},
        "paths": _paths(operations, _v2_operation, _v2_parameter),
        "definitions": {name: _described(name, custom) for name in _reachable(names, custom)},
        "securityDefinitions": {"BearerToken": _BEARER},
        "security": [{"BearerToken": []}],
    }


_BEARER = {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer Token authentication"}


class Documents:
    """The documents of a set of resources as bytes, each written when first asked for and kept.

    ``custom`` makes the definitions of custom resources; what ``before`` has written of group versions that are as they
    were is not written again.
    """

    def __init__(
        self, resources: Iterable[Resource], custom: Definitions = NONE_MADE, before: Documents | None = None
    ) -> None:
        self._resources = tuple(resources)
        self._custom = custom
        self._written: dict[str, tuple[object, bytes]] = {}
        if before is not None:
            paths = {group_path(resource) for resource in self._resources}
            self._written = {path: kept for path, kept in before._written.items() if path in paths}
        self.swagger = lru_cache(maxsize=1)(self._swagger)
        self.swagger_proto = lru_cache(maxsize=1)(self._swagger_proto)

    def index(self) -> Object:
        """``/openapi/v3``: where each document is, with a hash so that clients may keep it."""
        paths = {}
        for path in dict.fromkeys(group_path(resource) for resource in self._resources):
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest(self.group_version(path) or b'')}"}
        return {"paths": paths}

    def group_version(self, path: str) -> bytes | None:
        rows = [resource for resource in self._resources if group_path(resource) == path]
        made_of = (rows, [self._custom.get(definition_name(row)) for row in rows])
        if not rows:
            return None
        kept = self._written.get(path)
        if kept is None or kept[0] != made_of:
            names = {name for row in rows for name in (definition_name(row), list_definition_name(row))}
            kept = self._written[path] = (made_of, orjson.dumps(v3(rows, path, self._made(names))))
        return kept[1]

    def _made(self, names: Iterable[str]) -> Bodies:
        return {name: self._custom[name]() for name in names if name in self._custom}

    def _swagger(self) -> bytes:
        return orjson.dumps(v2(self._resources, self._made(self._custom)))

    def _swagger_proto(self) -> bytes:
        return openapi_proto.document(v2(self._resources, self._made(self._custom)))


def operations_of(resource: Resource) -> Iterator[Operation]:
    """Everything that can be asked of a resource and its subresources."""
    for operation in _operations(resource):
        yield operation if resource.schema else replace(operation, patches=CUSTOM_PATCH_TYPES)


def _operations(resource: Resource) -> Iterator[Operation]:
    collection = resource.path("{namespace}" if resource.namespaced else None)
    item = f"{collection}/{{name}}"
    kind = (resource.group, resource.version, resource.kind)
    stem = _stem(resource) + _camel(resource.version)
    scoped = stem + ("Namespaced" if resource.namespaced else "") + resource.kind
    full, listed = definition_name(resource), _list_schema(resource)
    what, status = resource.kind, _META + "Status"
    plan: list[tuple[str, str, str, str, str, str, tuple[Parameter, ...], str, str]] = [
        ("list", collection, "get", "list", "list or watch objects of kind", f"list{scoped}", _LIST, listed, ""),
        ("create", collection, "post", "post", "create a", f"create{scoped}", _WRITE, full, full),
        ("deletecollection", collection, "delete", "deletecollection", "delete collection of",
         f"deleteCollection{scoped}", (*_SELECT, *_DELETE), status, _META + "DeleteOptions"),
        ("get", item, "get", "get", "read the specified", f"read{scoped}", (), full, ""),
        ("update", item, "put", "put", "replace the specified", f"replace{scoped}", _WRITE, full, full),
        ("patch", item, "patch", "patch", "partially update the specified", f"patch{scoped}", (*_WRITE, *_FORCE), full,
         _META + "Patch"),
        ("delete", item, "delete", "delete", "delete a", f"delete{scoped}", _DELETE, status, _META + "DeleteOptions"),
    ]  # fmt: skip
    for verb, path, method, action, text, identifier, parameters, answer, body in plan:
        if verb in resource.verbs:
            yield Operation(path, method, action, f"{text} {what}", identifier, parameters, answer, kind, body)
    if resource.namespaced and "list" in resource.verbs:
        text, everywhere = f"list or watch objects of kind {what}", f"list{stem}{resource.kind}ForAllNamespaces"
        yield Operation(resource.path(), "get", "list", text, everywhere, _LIST, listed, kind)
    for name in resource.subresources:
        yield from _subresource_operations(resource, name, f"{item}/{name}", scoped)


def _subresource_operations(resource: Resource, name: str, path: str, scoped: str) -> Iterator[Operation]:
    sub = subresource(resource, name)
    answer = BODY_SCHEMAS.get(sub.kind, "" if sub.kind else definition_name(resource))
    kind = (resource.group, resource.version, resource.kind)
    if sub.kind:
        kind = (sub.group, sub.version or "v1", sub.kind)
    methods = {"get": "get", "update": "put", "patch": "patch", "create": "post", "delete": "delete"}
    words = {**{verb: verb for verb in methods}, "get": "read", "update": "replace", "patch": "partially update"}
    connect = name in ("exec", "attach", "portforward", "proxy")
    for verb in sub.verbs:
        body = "" if verb == "get" or connect else _META + "Patch" if verb == "patch" else answer
        parameters = () if verb == "get" or connect else (*_WRITE, *_FORCE) if verb == "patch" else _WRITE
        yield Operation(
            path,
            methods[verb],
            "connect" if connect else methods[verb],
            f"{words[verb]} {name} of the specified {resource.kind}",
            f"{words[verb].partition(' ')[0]}{scoped}{_camel(name)}{'' if verb != 'patch' else 'Patch'}",
            parameters,
            answer,
            kind,
            body,
        )


def _list_schema(resource: Resource) -> str:
    if not resource.schema:
        return list_definition_name(resource)
    name = resource.schema + "List"
    return name if name in schema.definitions() else resource.schema


def _stem(resource: Resource) -> str:
    """How operations on a group's resources begin; groups of custom resources may differ in any part of the name."""
    if resource.schema:
        return _camel(resource.group.partition(".")[0] or "core")
    return "".join(_camel(part) for part in resource.group.replace("-", ".").split("."))


def _camel(word: str) -> str:
    return word[:1].upper() + word[1:]


def _paths(operations: list[Operation], render: Any, parameter: Any) -> Object:
    paths: Object = {}
    for operation in operations:
        item = paths.setdefault(operation.path, {})
        item[operation.method] = render(operation)
        if "parameters" not in item:
            item["parameters"] = [
                parameter((name, "string", f"{name} of the object"), "path", required=True)
                for name in ("name", "namespace")
                if f"{{{name}}}" in operation.path
            ] + [parameter(_PRETTY, "query")]
    return paths


def _common(operation: Operation) -> Object:
    group, version, kind = operation.kind
    return {
        "description": operation.text,
        "operationId": operation.identifier,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }


def _v3_operation(operation: Operation) -> Object:
    answer: Object = {"description": "OK"}
    if operation.answer:
        answer["content"] = {"application/json": {"schema": {"$ref": _V3_PREFIX + operation.answer}}}
    else:
        answer["content"] = {"*/*": {"schema": {"type": "string"}}}
    body: Object = {}
    if operation.body:
        media = operation.patches if operation.method == "patch" else ("*/*",)
        reference = {"schema": {"$ref": _V3_PREFIX + operation.body}}
        body = {"requestBody": {"content": dict.fromkeys(media, reference), "required": operation.method != "delete"}}
    return {
        **_common(operation),
        "parameters": [_v3_parameter(parameter, "query") for parameter in operation.parameters],
        **body,
        "responses": {"200": answer, "401": {"description": "Unauthorized"}},
    }


def _v3_parameter(parameter: Parameter, where: str, *, required: bool = False) -> Object:
    name, kind, text = parameter
    needed = {"required": True} if required else {}
    return {"name": name, "in": where, "description": text, **needed, "schema": {"type": kind, "uniqueItems": True}}


def _v2_operation(operation: Operation) -> Object:
    parameters = [_v2_parameter(parameter, "query") for parameter in operation.parameters]
    consumes = list(operation.patches) if operation.method == "patch" else ["*/*"]
    if operation.body:
        needed = {} if operation.method == "delete" else {"required": True}
        parameters.insert(0, {"name": "body", "in": "body", **needed, "schema": {"$ref": _V2_PREFIX + operation.body}})
    shape = {"$ref": _V2_PREFIX + operation.answer} if operation.answer else {"type": "string"}
    return {
        **_common(operation),
        "consumes": consumes,
        "produces": ["application/json"],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "schema": shape}, "401": {"description": "Unauthorized"}},
    }


def _v2_parameter(parameter: Parameter, where: str, *, required: bool = False) -> Object:
    name, kind, text = parameter
    needed = {"required": True} if required else {}
    return {"name": name, "in": where, "description": text, **needed, "type": kind, "uniqueItems": True}


def _described(name: str, custom: Bodies) -> Object:
    return custom[name] if name in custom else schema.with_descriptions(name)


def _reachable(names: Iterable[str], custom: Bodies) -> list[str]:
    """``names`` and every definition that they refer to, sorted."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += _references(custom[name] if name in custom else schema.definition(name))
    return sorted(found)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_V2_PREFIX)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _v3_schema(node: Any) -> Any:
    """A definition in v3 form: references moved; one beside other keywords goes into an ``allOf``."""
    if isinstance(node, list):
        return [_v3_schema(child) for child in node]
    if not isinstance(node, dict):
        return node
    converted = {key: _v3_schema(child) for key, child in node.items() if key != "$ref"}
    if isinstance(node.get("$ref"), str):
        reference = {"$ref": _V3_PREFIX + node["$ref"].removeprefix(_V2_PREFIX)}
        return {**converted, "allOf": [reference]} if converted else reference
    return converted
