"""The paths that say what this server is and serves: version, discovery, OpenAPI.

Discovery and OpenAPI are written when first asked for, and kept as bytes until the catalog changes.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
from aiohttp import web

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver import discovery, openapi_proto
from picluster.apiserver.answers import respond
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.http import PathHandler
from picluster.apiserver.negotiate import JSON, prefers
from picluster.apiserver.openapi import Documents
from picluster.apiserver.requestinfo import RequestInfo
from picluster.apiserver.version import version

AGGREGATED = ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")
OPENAPI_TYPES = (JSON, "*/*", "application/*")


class Written:
    """Documents made from the catalog, written when they are asked for and kept until the catalog changes."""

    def __init__(self, catalog: Catalog, server_address: Callable[[], str]) -> None:
        self._catalog = catalog
        self._server_address = server_address
        self._generation = -1
        self._kept: dict[str, bytes] = {}
        self._documents = Documents(())

    def legacy(self, path: str) -> bytes:
        return self._of(path, lambda: _legacy(self._catalog, path, self._server_address()))

    def aggregated(self, path: str) -> bytes:
        return self._of(f"{path}?", lambda: discovery.aggregated(self._catalog, core=path == "/api"))

    @property
    def documents(self) -> Documents:
        self._refresh()
        return self._documents

    def _of(self, key: str, make: Callable[[], Object]) -> bytes:
        self._refresh()
        if key not in self._kept:
            self._kept[key] = orjson.dumps(make())
        return self._kept[key]

    def _refresh(self) -> None:
        if self._generation != self._catalog.generation:
            self._generation = self._catalog.generation
            self._kept = {}
            self._documents = Documents(tuple(self._catalog), self._catalog.definitions(), self._documents)


def paths(catalog: Catalog, server_address: Callable[[], str]) -> dict[str, PathHandler]:
    """The handlers by path, as ``Features.paths`` wants them; ``server_address`` is ``host:port``."""
    written = Written(catalog, server_address)

    async def discover(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.rstrip("/")
        if path in ("/api", "/apis") and prefers(request.headers.get("Accept", ""), *AGGREGATED):
            return await respond(request, 200, written.aggregated(path), discovery.AGGREGATED_TYPE)
        return await respond(request, 200, written.legacy(path))

    async def swagger(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        accept = request.headers.get("Accept", JSON)
        if any(asked in accept for asked in openapi_proto.ASKED_AS):
            return await respond(request, 200, written.documents.swagger_proto(), openapi_proto.MEDIA_TYPE)
        if not any(offered in accept for offered in OPENAPI_TYPES):
            raise errors.not_acceptable((JSON,))
        return await respond(request, 200, written.documents.swagger())

    async def openapi(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.removeprefix("/openapi/v3").strip("/")
        body = written.documents.group_version(path) if path else orjson.dumps(written.documents.index())
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


def _legacy(catalog: Catalog, path: str, server_address: str) -> Object:
    found: Object | None = None
    match path.strip("/").split("/"):
        case ["api"]:
            found = discovery.versions(server_address)
        case ["api", core_version]:
            found = discovery.resource_list(catalog, "", core_version)
        case ["apis"]:
            found = discovery.group_list(catalog)
        case ["apis", group]:
            found = discovery.group(catalog, group)
        case ["apis", group, group_version]:
            found = discovery.resource_list(catalog, group, group_version)
    if found is None:
        raise errors.path_not_found()
    return found
