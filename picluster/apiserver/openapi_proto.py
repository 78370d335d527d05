"""OpenAPI v2 as the protobuf message that ``kubectl`` before 1.30 insists on. PURE.

Those clients read ``/openapi/v2`` as gnostic's ``openapi.v2.Document`` only, never as JSON. This writes the part of
that message which the document has; field numbers are those of gnostic's ``openapiv2/OpenAPIv2.proto``, the wire
format is protobuf's (varints, and length-delimited strings and messages).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_AS = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""The second is what clients ask with; its ``@`` is not valid in an answer's media type (as kube-openapi has it)."""
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def document(swagger: Mapping[str, Any]) -> bytes:
    """The encoded ``Document`` of a Swagger document as ``openapi.v2`` gives it."""
    info = _text(1, swagger["info"]["title"]) + _text(2, swagger["info"]["version"])
    paths = b"".join(_message(2, _named(path, _path_item(item))) for path, item in swagger["paths"].items())
    definitions = b"".join(_message(1, _named(name, _schema(body))) for name, body in swagger["definitions"].items())
    return _text(1, swagger["swagger"]) + _message(2, info) + _message(8, paths) + _message(9, definitions)


def _path_item(item: Mapping[str, Any]) -> bytes:
    operations = b"".join(_message(number, _operation(item[m])) for m, number in _METHODS.items() if m in item)
    return operations + b"".join(_message(9, _parameter(parameter)) for parameter in item["parameters"])


def _operation(operation: Mapping[str, Any]) -> bytes:
    responses = b"".join(_message(1, _named(code, _response(body))) for code, body in operation["responses"].items())
    return b"".join(
        (
            _text(3, operation["description"]),
            _text(5, operation["operationId"]),
            *(_text(6, media) for media in operation["produces"]),
            *(_text(7, media) for media in operation["consumes"]),
            *(_message(8, _parameter(parameter)) for parameter in operation["parameters"]),
            _message(9, responses),
            *(_text(10, scheme) for scheme in operation["schemes"]),
            *_extensions(13, operation),
        )
    )


def _parameter(parameter: Mapping[str, Any]) -> bytes:
    """A ``ParametersItem``: the oneof of ``Parameter``, and within it the oneof of where the parameter is."""
    required = _flag(4 if parameter["in"] == "body" else 1, parameter.get("required", False))
    if parameter["in"] == "body":
        body = _text(2, parameter["name"]) + _text(3, "body") + required + _message(5, _schema(parameter["schema"]))
        return _message(1, _message(1, body))
    head = required + _text(2, parameter["in"]) + _text(3, parameter["description"]) + _text(4, parameter["name"])
    if parameter["in"] == "query":
        return _message(1, _message(2, _message(3, head + _text(6, parameter["type"]) + _flag(20, value=True))))
    return _message(1, _message(2, _message(4, head + _text(5, parameter["type"]) + _flag(19, value=True))))


def _response(response: Mapping[str, Any]) -> bytes:
    body = _text(1, response["description"])
    if "schema" in response:
        body += _message(2, _message(1, _schema(response["schema"])))
    return _message(1, body)


def _schema(schema: Mapping[str, Any]) -> bytes:
    parts = [_text(number, schema.get(key, "")) for number, key in ((1, "$ref"), (2, "format"), (4, "description"))]
    parts += [_text(19, name) for name in schema.get("required", ())]
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_message(21, _message(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_message(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    properties = schema.get("properties")
    if properties is not None:
        parts.append(_message(25, b"".join(_message(1, _named(k, _schema(v))) for k, v in properties.items())))
    return b"".join((*parts, *_extensions(31, schema)))


def _extensions(number: int, node: Mapping[str, Any]) -> Iterable[bytes]:
    """Vendor extensions: a name and the value as YAML text (JSON is YAML)."""
    for key, value in node.items():
        if key.startswith("x-"):
            yield _message(number, _named(key, _text(2, json.dumps(value))))


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _message(2, value)


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode()) if text else b""


def _message(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
