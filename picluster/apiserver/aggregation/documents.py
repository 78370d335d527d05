"""What extension API servers serve: their discovery and OpenAPI, fetched when they become available and kept fresh."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from picluster.api.types import Object
from picluster.apiserver.aggregation import merge, upgrade
from picluster.apiserver.aggregation.backends import Backends, Unanswered
from picluster.apiserver.aggregation.services import ApiService, ApiServices, GroupVersion
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.tagged import digest

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
LIST_MAX_BYTES = 4 << 20
OPENAPI_MAX_BYTES = 16 << 20


MALFORMED = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_EMPTY: Object = {"paths": {}, "definitions": {}}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What counts of a server's documents, ``None`` for what it does not have.

    ``discovery`` is an ``APIVersionDiscovery``, ``v2`` and ``v3`` are OpenAPI documents, each as JSON.
    """

    discovery: bytes | None = None
    v2: bytes | None = None
    v3: bytes | None = None


class ForeignDocuments:
    """Another server's documents are read once, when they come, so that a malformed one spoils nothing later."""

    def __init__(self, services: ApiServices, backends: Backends, catalog: Catalog) -> None:
        self._services = services
        self._backends = backends
        self._catalog = catalog
        self._fetched: dict[GroupVersion, Fetched] = {}

    async def refresh(self, service: ApiService) -> None:
        """Fetch anew what an available server serves."""
        key, path = (service.group, service.version), service.path
        resources = await self._get(service, path, LIST_MAX_BYTES)
        v2 = await self._get(service, "/openapi/v2", OPENAPI_MAX_BYTES)
        v3 = await self._v3(service) or _read(service, v2, lambda document: _described(upgrade.v3(document, path)))
        fetched = Fetched(
            _read(service, resources, lambda listed: merge.version_discovery(*key, listed)),
            _read(service, v2, lambda document: _described(merge.swagger(_EMPTY, [(path, document)]))),
            v3,
        )
        if fetched != self._fetched.get(key):
            self._fetched[key] = fetched
            self._catalog.changed()

    def forget_gone(self) -> None:
        """Drop what was fetched of group-versions that are not delegated any more."""
        for key in [key for key in self._fetched if key not in self._services.delegated]:
            del self._fetched[key]

    def discovered(self) -> dict[GroupVersion, Object]:
        """The ``APIVersionDiscovery`` of every delegated group-version."""
        return {key: self._discovery(key, service) for key, service in self._services.delegated.items()}

    def swaggers(self) -> list[tuple[str, Object]]:
        """Path prefix and OpenAPI v2 document of every server that has one."""
        found = [(service.path, self._of(key).v2) for key, service in self._services.delegated.items()]
        return [(path, orjson.loads(body)) for path, body in found if body is not None]

    def v3_index(self) -> dict[str, str]:
        """``apis/<group>/<version>`` to a hash of its document."""
        found = {service.path.strip("/"): self.v3(*key) for key, service in self._services.delegated.items()}
        return {path: digest(body) for path, body in found.items() if body}

    def v3(self, group: str, version: str) -> bytes | None:
        return self._of((group, version)).v3

    def _of(self, key: GroupVersion) -> Fetched:
        return self._fetched.get(key, Fetched())

    def _discovery(self, key: GroupVersion, service: ApiService) -> Object:
        body = self._of(key).discovery
        shown: Object = merge.version_discovery(*key, None) if body is None else orjson.loads(body)
        return shown if service.available else {**shown, "freshness": "Stale"}

    async def _v3(self, service: ApiService) -> bytes | None:
        index = await self._get(service, "/openapi/v3", LIST_MAX_BYTES)
        paths = (_object(index) or {}).get("paths") if index is not None else None
        listed = paths.get(service.path.strip("/")) if isinstance(paths, dict) else None
        where = listed.get("serverRelativeURL") if isinstance(listed, dict) else None
        if not isinstance(where, str) or not where.startswith("/"):
            return None
        return await self._get(service, where, OPENAPI_MAX_BYTES)

    async def _get(self, service: ApiService, path: str, limit_bytes: int) -> bytes | None:
        try:
            body = await self._backends.get(service, path, "application/json", TIMEOUT_S, limit_bytes)
        except Unanswered as error:
            log.info("APIService %s has no %s: %s", service.name, path, error)
            return None
        return body if _object(body) is not None else None


def _read(service: ApiService, body: bytes | None, read: Callable[[Object], Object | None]) -> bytes | None:
    """What ``read`` makes of a document, ``None`` when that is nothing or cannot be done."""
    content = None if body is None else _object(body)
    try:
        shown = None if content is None else read(content)
        return None if shown is None else orjson.dumps(shown)
    except MALFORMED as error:
        log.warning("APIService %s describes itself badly: %s", service.name, error)
        return None


def _described(document: Object) -> Object | None:
    return document if document["paths"] else None


def _object(body: bytes) -> Object | None:
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None
