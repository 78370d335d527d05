"""The paths that say what this server is and serves: version, discovery, OpenAPI.

Discovery and OpenAPI are written once, when first asked for, and kept as bytes; they change with the release only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import orjson
from aiohttp import web

from picluster.api import errors
from picluster.api.resources import RESOURCES
from picluster.api.types import Object
from picluster.apiserver import discovery, openapi_proto
from picluster.apiserver.answers import respond
from picluster.apiserver.http import PathHandler
from picluster.apiserver.negotiate import JSON, prefers
from picluster.apiserver.openapi import Documents
from picluster.apiserver.requestinfo import RequestInfo
from picluster.apiserver.version import version

AGGREGATED = ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")
OPENAPI_TYPES = (JSON, "*/*", "application/*")


def paths(server_address: Callable[[], str]) -> dict[str, PathHandler]:
    """The handlers by path, as ``Features.paths`` wants them; ``server_address`` is ``host:port``."""
    documents = Documents(RESOURCES)

    @cache
    def legacy(path: str) -> bytes:
        return orjson.dumps(_legacy(path, server_address()))

    @cache
    def aggregated(path: str) -> bytes:
        return orjson.dumps(discovery.aggregated(RESOURCES, core=path == "/api"))

    async def discover(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.rstrip("/")
        if path in ("/api", "/apis") and prefers(request.headers.get("Accept", ""), *AGGREGATED):
            return await respond(request, 200, aggregated(path), discovery.AGGREGATED_TYPE)
        return await respond(request, 200, legacy(path))

    async def swagger(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        accept = request.headers.get("Accept", JSON)
        if any(asked in accept for asked in openapi_proto.ASKED_AS):
            return await respond(request, 200, documents.swagger_proto(), openapi_proto.MEDIA_TYPE)
        if not any(offered in accept for offered in OPENAPI_TYPES):
            raise errors.not_acceptable((JSON,))
        return await respond(request, 200, documents.swagger())

    async def openapi(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.removeprefix("/openapi/v3").strip("/")
        body = documents.group_version(path) if path else orjson.dumps(documents.index())
        if body is None:
            raise errors.path_not_found()
        return await respond(request, 200, body)

    return {
        "/version": version,
        "/api": discover,
        "/api/*": discover,
        "/apis": discover,
        "/apis/*": discover,
        "/openapi/v2": swagger,
        "/openapi/v3": openapi,
        "/openapi/v3/*": openapi,
    }


def _legacy(path: str, server_address: str) -> Object:
    found: Object | None = None
    match path.strip("/").split("/"):
        case ["api"]:
            found = discovery.versions(server_address)
        case ["api", core_version]:
            found = discovery.resource_list(RESOURCES, "", core_version)
        case ["apis"]:
            found = discovery.group_list(RESOURCES)
        case ["apis", group]:
            found = discovery.group(RESOURCES, group)
        case ["apis", group, group_version]:
            found = discovery.resource_list(RESOURCES, group, group_version)
    if found is None:
        raise errors.path_not_found()
    return found
