"""From an HTTP request to an answer: who, may they, what, and how it is shown.

There is no router: the path is split once, and what it names is looked up in the resource table. What is not a resource
(version, health, metrics, discovery) is looked up in ``Features.paths``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web

from picluster.api import errors
from picluster.apiserver.answers import error_response, respond
from picluster.apiserver.authn import User
from picluster.apiserver.authn.authenticator import Authenticator
from picluster.apiserver.authz.gate import Gate
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.connection import BODY_MAX_BYTES, connection_of
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.requestinfo import RequestInfo, request_info
from picluster.apiserver.verbs import Call, serve
from picluster.storage.backend import StorageError

log = logging.getLogger(__name__)

PathHandler = Callable[[web.BaseRequest, RequestInfo], Awaitable[web.StreamResponse]]
ConnectHandler = Callable[[web.BaseRequest, RequestInfo, User], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Features:
    """What other modules add to the request path.

    ``paths`` are handlers of what is no resource, by path, or by prefix when the key ends with ``/*``. ``connects`` are
    handlers of subresources that reach a node (``log``, ``exec``), by ``(resource id, subresource)``.
    """

    paths: dict[str, PathHandler] = field(default_factory=dict)
    connects: dict[tuple[str, str], ConnectHandler] = field(default_factory=dict)


class Handler:
    """The callable that the HTTP server calls for every request."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        cache: WatchCache,
        authenticator: Authenticator,
        gate: Gate,
        metrics: Metrics,
        features: Features,
    ) -> None:
        self._catalog = catalog
        self._registry = registry
        self._cache = cache
        self._authenticator = authenticator
        self._gate = gate
        self._metrics = metrics
        self._features = features

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        started_s = time.perf_counter()
        info: RequestInfo | None = None
        try:
            info = self._understood(request)
            response = await self._serve(request, info)
        except errors.ApiError as error:
            response = error_response(error)
        except web.HTTPRequestEntityTooLarge:
            response = error_response(errors.request_too_large(BODY_MAX_BYTES))
        except StorageError as error:
            response = error_response(errors.unavailable(str(error)))
        except ConnectionError:
            raise  # the client has gone: there is nobody to answer
        except Exception as error:  # a bug must be answered, or its client waits for ever
            log.exception("%s %s failed", request.method, request.path)
            response = error_response(errors.internal(str(error)))
        self._count(request, info, response.status, time.perf_counter() - started_s)
        return response

    async def _serve(self, request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        user = self._authenticator.authenticate(request, connection_of(request).user).user
        user = self._gate.admit(user, request, info)
        resource = info.target.resource
        if resource is None:
            return await self._path_handler(info)(request, info)
        connect = self._features.connects.get((resource.id, info.target.subresource))
        if connect is not None:
            return await connect(request, info, user)
        authorize = partial(self._gate.authorize, user)
        return await serve(Call(request, info, resource, user, self._registry, self._cache, authorize))

    def _understood(self, request: web.BaseRequest) -> RequestInfo:
        """What is asked for; that it is not served is told only to whom it may be told."""
        try:
            return request_info(request.method, request.raw_path, self._catalog)
        except errors.ApiError:
            user = self._authenticator.authenticate(request, connection_of(request).user).user
            self._gate.refuse_unknown(user, request)
            raise

    def _path_handler(self, info: RequestInfo) -> PathHandler:
        paths = self._features.paths
        handler = paths.get(info.path) or paths.get(info.path.rstrip("/"))
        if handler is not None:
            return handler
        parent = info.path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if (handler := paths.get(parent + "/*")) is not None:
                return handler
        raise errors.path_not_found()

    def _count(self, request: web.BaseRequest, info: RequestInfo | None, code: int, seconds: float) -> None:
        if info is None or info.target.resource is None:
            self._metrics.observe(request.method, "", "", "", code, seconds)
            return
        target = info.target
        assert target.resource is not None
        resource = target.resource
        self._metrics.observe(info.verb, resource.group, resource.plural, target.subresource, code, seconds)


async def text(request: web.BaseRequest, body: str, code: int = 200) -> web.Response:
    """A plain text answer, as health checks give it."""
    return web.Response(text=body, status=code, headers={"X-Content-Type-Options": "nosniff"})


__all__ = ["Features", "Handler", "respond", "text"]
