"""OpenAPI v3 made of v2, for extension servers that have no v3 of their own (``openapiconv``). PURE."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.aggregation.merge import below

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_TYPE = ("type", "format", "enum", "items", "default", "uniqueItems", "minimum", "maximum", "pattern")


def v3(document: Object, prefix: str) -> Object:
    """The OpenAPI v3 document of what is below ``prefix`` in the v2 ``document``."""
    paths, definitions = below(document, prefix)
    media = document.get("consumes") or ["*/*"], document.get("produces") or ["application/json"]
    return {
        "openapi": "3.0.0",
        "info": document.get("info") or {"title": "", "version": ""},
        "paths": {path: _path(item, *media) for path, item in paths.items()},
        "components": {"schemas": {name: _schema(body) for name, body in definitions.items()}},
    }


def _path(item: Object, consumes: list[str], produces: list[str]) -> Object:
    shown: Object = {}
    for key, value in item.items():
        if key in METHODS and isinstance(value, dict):
            shown[key] = _operation(value, value.get("consumes") or consumes, value.get("produces") or produces)
        elif key == "parameters":
            shown[key] = [_parameter(each) for each in value]
        else:
            shown[key] = value
    return shown


def _operation(operation: Object, consumes: list[str], produces: list[str]) -> Object:
    left_out = ("consumes", "produces", "schemes", "parameters", "responses")
    shown = {key: value for key, value in operation.items() if key not in left_out}
    parameters = operation.get("parameters") or ()
    shown["parameters"] = [_parameter(each) for each in parameters if each.get("in") != "body"]
    for body in [each for each in parameters if each.get("in") == "body"]:
        content = {media: {"schema": _schema(body.get("schema") or {})} for media in consumes}
        shown["requestBody"] = {"content": content, "required": bool(body.get("required"))}
    responses = (operation.get("responses") or {}).items()
    shown["responses"] = {code: _response(response, produces) for code, response in responses}
    return shown


def _response(response: Object, produces: list[str]) -> Object:
    shown: Object = {"description": response.get("description", "")}
    if "schema" in response:
        shown["content"] = {media: {"schema": _schema(response["schema"])} for media in produces}
    return shown


def _parameter(parameter: Object) -> Object:
    shown = {key: value for key, value in parameter.items() if key not in (*_TYPE, "collectionFormat")}
    return {**shown, "schema": {key: parameter[key] for key in _TYPE if key in parameter}}


def _schema(node: Any) -> Any:
    """``node`` with its references where v3 has definitions."""
    if isinstance(node, list):
        return [_schema(child) for child in node]
    if not isinstance(node, dict):
        return node
    shown = {key: _schema(child) for key, child in node.items()}
    if isinstance(node.get("$ref"), str):
        shown["$ref"] = node["$ref"].replace("#/definitions/", "#/components/schemas/", 1)
    return shown
