"""A webhook that answers by path, as conformance's webhook server does, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from https_server import HttpsServer

Request = dict[str, Any]
Response = dict[str, Any]
Decide = Callable[[Request], Response]


def allow(**more: Any) -> Response:
    return {"allowed": True, **more}


def deny(message: str = "", **status: Any) -> Response:
    return {"allowed": False, "status": {"message": message, **status}}


def patch(*operations: dict[str, Any]) -> Response:
    return allow(patchType="JSONPatch", patch=base64.b64encode(json.dumps(operations).encode()).decode())


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


class AdmissionServer(HttpsServer):
    """``server.on("/path", decide)``; ``asked`` are the requests of all reviews, in order, with their paths."""

    def __init__(self) -> None:
        super().__init__(self._serve)
        self.asked: list[tuple[str, Request]] = []
        self._decide: dict[str, Decide] = {}

    def on(self, path: str, decide: Decide) -> None:
        self._decide[path] = decide

    def of(self, path: str) -> list[Request]:
        return [request for asked, request in self.asked if asked == path]

    def client_config(self, path: str) -> dict[str, Any]:
        return {"url": self.url + path, "caBundle": self.ca_bundle}

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        review = await request.json()
        if request.path == "/always-silent":
            await asyncio.sleep(10)
        asked = review["request"]
        self.asked.append((request.path, asked))
        response = {"uid": asked["uid"], **self._decide[request.path](asked)}
        return web.json_response({"kind": review["kind"], "apiVersion": review["apiVersion"], "response": response})


def webhook(server: HttpsServer, path: str, name: str, resources: list[str], **more: Any) -> dict[str, Any]:
    rule = {
        "operations": more.pop("operations", ["CREATE", "UPDATE", "DELETE", "CONNECT"]),
        "apiGroups": more.pop("groups", ["*"]),
        "apiVersions": more.pop("versions", ["*"]),
        "resources": resources,
    }
    return {
        "name": name,
        "clientConfig": {"url": server.url + path, "caBundle": server.ca_bundle},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
        "timeoutSeconds": 5,
        **more,
    }


def configuration(kind: str, name: str, *webhooks: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }
