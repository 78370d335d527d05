"""A small extension API server, as the sample API server is: one resource in memory, watched, described, upgraded.

It believes whoever shows the front proxy's certificate, and nobody else.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from https_server import HttpsServer

GROUP, VERSION = "wardle.example.com", "v1alpha1"
BASE = f"/apis/{GROUP}/{VERSION}"
KIND = "Flunder"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_NAME = "com.example.wardle.v1alpha1.Flunder"


class ExtensionServer(HttpsServer):
    """``users`` are the identities it was told, in order; ``healthy`` false makes its discovery fail."""

    def __init__(self, front_proxy_ca: Path) -> None:
        super().__init__(self._serve, client_ca=front_proxy_ca)
        self.objects: dict[str, dict[str, Any]] = {}
        self.seen: list[web.BaseRequest] = []
        self.healthy = True
        self._watchers: list[asyncio.Queue[bytes]] = []
        self._revision = 0

    @property
    def users(self) -> list[str]:
        return [request.headers["X-Remote-User"] for request in self.seen]

    def api_service(self, service: str = "extension", **spec: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 2000,
                "versionPriority": 200,
                "service": {"namespace": "default", "name": service},
                "caBundle": self.ca_bundle,
                **spec,
            },
        }

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/openapi"):
            return self._describe(path)
        if request.headers.get("X-Remote-User") != "system:kube-aggregator":
            self.seen.append(request)
        if path.rstrip("/") == BASE:
            return web.json_response(RESOURCES) if self.healthy else web.Response(status=500)
        if path.endswith("/echo"):
            return await self._echo(request)
        if request.query.get("watch"):
            return await self._watch(request)
        return await self._resource(request, path.removeprefix(BASE).strip("/").split("/"))

    async def _resource(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        name = parts[3] if len(parts) > 3 else ""
        match request.method:
            case "POST":
                obj = await request.json()
                return self._stored("ADDED", obj, 201)
            case "PUT" | "PATCH":
                return self._stored("MODIFIED", {**self.objects[name], **await request.json()}, 200)
            case "DELETE" if name:
                self._tell("DELETED", self.objects[name])
                return web.json_response(self.objects.pop(name))
            case "DELETE":
                self.objects.clear()
        if name and name not in self.objects:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            return web.json_response({**status, "message": f'flunders.{GROUP} "{name}" not found'}, status=404)
        if name:
            return web.json_response(self.objects[name])
        return web.json_response(
            {
                "kind": "FlunderList",
                "apiVersion": f"{GROUP}/{VERSION}",
                "metadata": {},
                "items": [*self.objects.values()],
            }
        )

    def _stored(self, event: str, obj: dict[str, Any], code: int) -> web.Response:
        self._revision += 1
        obj["metadata"]["resourceVersion"] = str(self._revision)
        self.objects[obj["metadata"]["name"]] = obj
        self._tell(event, obj)
        return web.json_response(obj, status=code)

    def _tell(self, event: str, obj: dict[str, Any]) -> None:
        line = json.dumps({"type": event, "object": obj}).encode() + b"\n"
        for watcher in self._watchers:
            watcher.put_nowait(line)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchers.append(queue)
        while True:
            await response.write(await queue.get())

    async def _echo(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"{request.headers['X-Remote-User']}: {message.data}")
        return socket

    def _describe(self, path: str) -> web.Response:
        operation = {"operationId": "listFlunders", "responses": {"200": {"description": "OK"}}}
        reference = {"$ref": f"#/definitions/{_NAME}"}
        listed = {**operation, "responses": {"200": {"description": "OK", "schema": reference}}}
        if path == "/openapi/v2":
            properties = {"metadata": {"$ref": f"#/definitions/{_META}"}, "spec": {"type": "object"}}
            definitions = {
                _NAME: {"type": "object", "properties": properties},
                _META: {"type": "object", "description": "not as in Kubernetes"},
                "unused": {"type": "object"},
            }
            paths = {f"{BASE}/flunders": {"get": listed}, "/apis/": {"get": operation}}
            return web.json_response({"swagger": "2.0", "paths": paths, "definitions": definitions})
        if path == "/openapi/v3":
            where = f"/openapi/v3{BASE}?hash=ABC"
            return web.json_response({"paths": {BASE.strip("/"): {"serverRelativeURL": where}}})
        return web.json_response({"openapi": "3.0.0", "info": {"title": "wardle"}, "paths": {f"{BASE}/flunders": {}}})


RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {
            "name": "flunders",
            "singularName": "flunder",
            "namespaced": True,
            "kind": KIND,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": ["fl"],
        },
        {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": KIND, "verbs": ["get"]},
    ],
}
