"""What extension API servers serve: their discovery and OpenAPI, fetched when they become available and kept fresh."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from picluster.api.types import Object
from picluster.apiserver.aggregation.backends import Backends, Unanswered
from picluster.apiserver.aggregation.merge import version_discovery
from picluster.apiserver.aggregation.services import ApiService, ApiServices, GroupVersion
from picluster.apiserver.catalog import Catalog

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
LIST_MAX_BYTES = 4 << 20
OPENAPI_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bodies as they came; ``None`` for what the server does not have."""

    resources: bytes | None = None
    v2: bytes | None = None
    v3: bytes | None = None


class ForeignDocuments:
    def __init__(self, services: ApiServices, backends: Backends, catalog: Catalog) -> None:
        self._services = services
        self._backends = backends
        self._catalog = catalog
        self._fetched: dict[GroupVersion, Fetched] = {}

    async def refresh(self, service: ApiService) -> None:
        """Fetch anew what an available server serves."""
        key = (service.group, service.version)
        fetched = Fetched(
            await self._get(service, service.path, LIST_MAX_BYTES),
            await self._get(service, "/openapi/v2", OPENAPI_MAX_BYTES),
            await self._v3(service),
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
        found = [(service.path, self._document(key, "v2")) for key, service in self._services.delegated.items()]
        return [(path, document) for path, document in found if document]

    def v3_index(self) -> dict[str, str]:
        """``apis/<group>/<version>`` to a hash of its document."""
        found = {service.path.strip("/"): self.v3(*key) for key, service in self._services.delegated.items()}
        return {path: hashlib.sha512(body).hexdigest().upper() for path, body in found.items() if body}

    def v3(self, group: str, version: str) -> bytes | None:
        return self._fetched.get((group, version), Fetched()).v3

    def _discovery(self, key: GroupVersion, service: ApiService) -> Object:
        shown = version_discovery(*key, self._document(key, "resources"))
        return shown if service.available else {**shown, "freshness": "Stale"}

    def _document(self, key: GroupVersion, name: str) -> Object | None:
        body = getattr(self._fetched.get(key, Fetched()), name)
        return None if body is None else _object(body)

    async def _v3(self, service: ApiService) -> bytes | None:
        index = await self._get(service, "/openapi/v3", LIST_MAX_BYTES)
        listed = ((_object(index) or {}).get("paths") or {}).get(service.path.strip("/")) if index else None
        if not isinstance(listed, dict):
            return None
        where = listed.get("serverRelativeURL")
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


def _object(body: bytes) -> Object | None:
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None
