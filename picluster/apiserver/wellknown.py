"""The paths that say what this server is and serves: version, discovery, OpenAPI.

Discovery and OpenAPI are written when first asked for, and kept as bytes until the catalog changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson
from aiohttp import web

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver import discovery, openapi_proto
from picluster.apiserver.aggregation import merge
from picluster.apiserver.aggregation.aggregator import Aggregator
from picluster.apiserver.answers import asked_type, only_got, respond
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.http import PathHandler
from picluster.apiserver.negotiate import JSON, prefers
from picluster.apiserver.openapi import Documents
from picluster.apiserver.requestinfo import RequestInfo, group_version_of
from picluster.apiserver.tagged import respond_hashed, respond_tagged
from picluster.apiserver.version import version

AGGREGATED = ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")
INDEX = frozenset(("/", "/index.html"))
OPENAPI_TYPES = (JSON, "*/*", "application/*")


class Written:
    """Documents made from the catalog, written when they are asked for and kept until the catalog changes."""

    def __init__(self, catalog: Catalog, aggregator: Aggregator, server_address: Callable[[], str]) -> None:
        self._catalog = catalog
        self._services = aggregator.services
        self._foreign = aggregator.documents
        self._server_address = server_address
        self._generation = -1
        self._kept: dict[str, bytes] = {}
        self._documents = Documents(())

    def legacy(self, path: str) -> bytes:
        return self._of(path, lambda: self._legacy(path))

    def aggregated(self, path: str) -> bytes:
        return self._of(f"{path}?", lambda: self._aggregated(core=path == "/api"))

    def openapi(self, path: str) -> bytes | None:
        """``/openapi/v3`` (``path`` empty), or the document of one group version, which may be another server's."""
        self._refresh()
        if not path:
            return self._of("openapi", self._index)
        asked = group_version_of(path)
        if asked is not None and asked in self._catalog.delegated:
            return self._foreign.v3(*asked)
        return self._documents.group_version(path)

    def swagger(self) -> bytes:
        self._refresh()
        if not self._catalog.delegated:
            return self._documents.swagger()
        return self._of(
            "swagger", lambda: merge.swagger(orjson.loads(self._documents.swagger()), self._foreign.swaggers())
        )

    def swagger_proto(self) -> bytes:
        self._refresh()
        if not self._catalog.delegated:
            return self._documents.swagger_proto()
        if "swagger.proto" not in self._kept:
            self._kept["swagger.proto"] = openapi_proto.document(orjson.loads(self.swagger()))
        return self._kept["swagger.proto"]

    def _priorities(self) -> merge.Priorities:
        return self._services.priorities((row.group, row.version) for row in self._catalog)

    def _aggregated(self, *, core: bool) -> Object:
        local = discovery.aggregated(self._catalog, core=core)
        return local if core else merge.aggregated(local, self._priorities(), self._foreign.discovered())

    def _index(self) -> Object:
        index = self._documents.index()
        for path, digest in self._foreign.v3_index().items():
            index["paths"][path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return index

    def _legacy(self, path: str) -> Object:
        found: Object | None = None
        match path.strip("/").split("/"):
            case ["api"]:
                found = discovery.versions(self._server_address())
            case ["api", core_version]:
                found = discovery.resource_list(self._catalog, "", core_version)
            case ["apis"]:
                found = merge.group_list(self._priorities())
            case ["apis", group]:
                found = merge.group(self._priorities(), group)
            case ["apis", group, group_version]:
                found = discovery.resource_list(self._catalog, group, group_version)
        if found is None:
            raise errors.path_not_found()
        return found

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


def index(catalog: Catalog, others: Mapping[str, PathHandler]) -> PathHandler:
    """The handler that lists all paths (``routes/index.go``)."""

    async def listed(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        found = {path for path in others if not path.endswith("/*")} - INDEX
        for row in catalog:
            version = f"/apis/{row.group}/{row.version}" if row.group else f"/api/{row.version}"
            found |= {version, version.rpartition("/")[0]}
        return await respond(request, 200, orjson.dumps({"paths": sorted(found)}))

    return listed


def paths(catalog: Catalog, aggregator: Aggregator, server_address: Callable[[], str]) -> dict[str, PathHandler]:
    """The handlers by path, as ``Features.paths`` wants them; ``server_address`` is ``host:port``."""
    written = Written(catalog, aggregator, server_address)

    async def discover(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.rstrip("/")
        if path in ("/api", "/apis") and prefers(request.headers.get("Accept", ""), *AGGREGATED):
            only_got(request)
            return await respond_tagged(request, written.aggregated(path), discovery.AGGREGATED_TYPE)
        body = written.legacy(path)
        only_got(request)
        return await respond(request, 200, body, asked_type(request))

    async def swagger(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        accept = request.headers.get("Accept", JSON)
        if any(asked in accept for asked in openapi_proto.ASKED_AS):
            return await respond_tagged(request, written.swagger_proto(), openapi_proto.MEDIA_TYPE)
        if not any(offered in accept for offered in OPENAPI_TYPES):
            raise errors.not_acceptable((JSON,))
        return await respond_tagged(request, written.swagger())

    async def openapi(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        path = info.path.removeprefix("/openapi/v3").strip("/")
        body = written.openapi(path)
        if body is None:
            raise errors.path_not_found()
        return await respond_hashed(request, info.path, body)

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
