"""OpenAPI v2 of an extension server, told in v3."""

from __future__ import annotations

from typing import Any

from picluster.apiserver.aggregation import upgrade

PREFIX = "/apis/a.example.com/v1"


def test_what_v2_says_is_said_in_v3() -> None:
    reference = {"$ref": "#/definitions/Thing"}
    operation = {
        "operationId": "createThing",
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "schemes": ["https"],
        "parameters": [
            {"in": "body", "name": "body", "required": True, "schema": reference},
            {"in": "query", "name": "dryRun", "type": "string", "uniqueItems": True, "description": "x"},
        ],
        "responses": {"200": {"description": "OK", "schema": reference}, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": "post",
    }
    path: dict[str, Any] = {"post": operation, "parameters": [{"in": "path", "name": "name", "type": "string"}]}
    document = {
        "swagger": "2.0",
        "info": {"title": "a", "version": "1"},
        "paths": {f"{PREFIX}/things": path, "/other": {}},
        "definitions": {"Thing": {"properties": {"below": {"$ref": "#/definitions/Below"}}}, "Below": {}, "Unused": {}},
    }
    moved = {"$ref": "#/components/schemas/Thing"}
    assert upgrade.v3(document, PREFIX) == {
        "openapi": "3.0.0",
        "info": {"title": "a", "version": "1"},
        "paths": {
            f"{PREFIX}/things": {
                "post": {
                    "operationId": "createThing",
                    "x-kubernetes-action": "post",
                    "parameters": [
                        {
                            "in": "query",
                            "name": "dryRun",
                            "description": "x",
                            "schema": {"type": "string", "uniqueItems": True},
                        }
                    ],
                    "requestBody": {"content": {"application/json": {"schema": moved}}, "required": True},
                    "responses": {
                        "200": {"description": "OK", "content": {"application/json": {"schema": moved}}},
                        "401": {"description": "Unauthorized"},
                    },
                },
                "parameters": [{"in": "path", "name": "name", "schema": {"type": "string"}}],
            }
        },
        "components": {
            "schemas": {"Thing": {"properties": {"below": {"$ref": "#/components/schemas/Below"}}}, "Below": {}}
        },
    }
