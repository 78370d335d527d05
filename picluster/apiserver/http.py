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
from picluster.apiserver.audit import ids
from picluster.apiserver.audit.trail import Auditor, Trail
from picluster.apiserver.authn import User
from picluster.apiserver.authn.authenticator import Authenticator
from picluster.apiserver.authn.result import Authenticated
from picluster.apiserver.authz.chain import Decision
from picluster.apiserver.authz.gate import Gate
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.connection import BODY_MAX_BYTES, peer_of, request_of
from picluster.apiserver.deadline import within
from picluster.apiserver.flowcontrol.controller import Flow, FlowControl, Seat, is_long
from picluster.apiserver.metrics import Metrics
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.requestfigures import Key, key_of
from picluster.apiserver.requestinfo import RequestInfo, group_version_of, request_info
from picluster.apiserver.verbs import Call, serve
from picluster.storage.backend import StorageError

log = logging.getLogger(__name__)

PathHandler = Callable[[web.BaseRequest, RequestInfo], Awaitable[web.StreamResponse]]
ConnectHandler = Callable[[web.BaseRequest, RequestInfo, User], Awaitable[web.StreamResponse]]
WHOLE_VERBS = frozenset({"get", "create", "update", "patch", "delete"})


@dataclass(slots=True)
class Features:
    """What other modules add to the request path.

    ``paths`` are handlers of what is no resource, by path, or by prefix when the key ends with ``/*``. ``connects`` are
    handlers of subresources that reach a node (``log``, ``exec``), by ``(resource id, subresource)``. ``delegate``
    takes all requests for group-versions that other servers serve.
    """

    paths: dict[str, PathHandler] = field(default_factory=dict)
    connects: dict[tuple[str, str], ConnectHandler] = field(default_factory=dict)
    delegate: ConnectHandler | None = None


@dataclass(slots=True)
class Passage:
    """What follows a request on its way: its audit trail, if one does, and the flow it belongs to, once known."""

    trail: Trail | None = None
    flow: Flow | None = None


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
        flow_control: FlowControl,
        auditor: Auditor | None = None,
    ) -> None:
        self._catalog = catalog
        self._registry = registry
        self._cache = cache
        self._authenticator = authenticator
        self._gate = gate
        self._metrics = metrics
        self._features = features
        self._flow_control = flow_control
        self._auditor = auditor
        self._ids = ids.RequestIds()

    def whole(self, method: str, raw_path: str) -> RequestInfo | None:
        """What a request line asks for, if it is one object that is served here, and answered in one piece."""
        try:
            info = request_info(method, raw_path, self._catalog)
        except errors.ApiError:
            return None
        target = info.target
        if target.resource is None or info.verb not in WHOLE_VERBS:
            return None
        if (target.resource.id, target.subresource) in self._features.connects:
            return None
        delegated = self._catalog.delegated
        return None if delegated and group_version_of(info.path) in delegated else info

    async def __call__(self, request: web.BaseRequest, info: RequestInfo | None = None) -> web.StreamResponse:
        """Serve ``request``; ``info`` is what it asks for, where that is known already."""
        started_s = time.perf_counter()
        passage = Passage()
        request_of(request).called = self._ids.identify(request)
        try:
            if info is None:
                info = self._understood(request)
            timed = "timeout" in info.query and info.verb != "watch" and not is_long(info)
            serving = self._serve(request, info, passage)
            response = await (serving if not timed else within(info.query["timeout"], serving))
        except errors.ApiError as error:
            response = error_response(error, request)
        except web.HTTPRequestEntityTooLarge:
            response = error_response(errors.request_too_large(BODY_MAX_BYTES), request)
        except StorageError as error:
            response = error_response(errors.unavailable(str(error)), request)
        except ConnectionError:
            if passage.trail is not None:
                passage.trail.completed(None)
            raise  # the client has gone: there is nobody to answer
        except Exception as error:  # a bug must be answered, or its client waits for ever
            log.exception("%s %s failed", request.method, request.path)
            self._metrics.terminated(Key(request.method) if info is None else key_of(info), 500)
            response = error_response(errors.internal(str(error)), request)
        if passage.flow is not None and not response.prepared:
            response.headers.update(passage.flow.headers)
        if passage.trail is not None:
            passage.trail.completed(response)
        self._count(request, info, response.status, time.perf_counter() - started_s)
        return response

    def _acting(self, user: User, request: web.BaseRequest, info: RequestInfo, trail: Trail | None) -> User:
        """Who the request is served as; raises ``ApiError`` for who may not be."""
        if trail is None:
            return self._gate.acting(user, request, info).user
        try:
            acting = self._gate.acting(user, request, info)
        except errors.ApiError as error:
            trail.decided(Decision(False, "" if error.code == 403 else error.message))
            raise
        trail.acts_as(acting.user, acting.constraint)
        return acting.user

    async def _begin_audit(self, request: web.BaseRequest, info: RequestInfo, found: Authenticated) -> Trail | None:
        if self._auditor is None:
            return None
        return await self._auditor.begin(request, info, found.user, found.annotations)

    async def _serve(self, request: web.BaseRequest, info: RequestInfo, passage: Passage) -> web.StreamResponse:
        """Who asks, as whom, and when it is his turn; then what he asks for."""
        peer = peer_of(request)
        try:
            found = self._authenticator.authenticate(request, peer.user)
        except errors.ApiError:
            if self._auditor is not None:
                self._auditor.failed_authentication(request, info)
            raise
        passage.trail = await self._begin_audit(request, info, found)
        user = self._acting(found.user, request, info, passage.trail)
        if is_long(info):
            return await self._authorized(request, info, user, passage.trail, None)
        flow = passage.flow = self._flow_control.flow(user, info)
        seat = self._flow_control.take(flow, info) or await self._flow_control.wait(flow, info, peer.on_lost)
        try:
            return await self._authorized(request, info, user, passage.trail, seat)
        finally:
            seat.free()

    async def _authorized(
        self, request: web.BaseRequest, info: RequestInfo, user: User, trail: Trail | None, seat: Seat | None
    ) -> web.StreamResponse:
        """What is asked for, if ``user`` may; raises ``ApiError``."""
        if trail is not None:
            trail.decided(self._gate.explain(user, info))
        self._gate.authorize(user, info)
        resource = info.target.resource
        delegated, delegate = self._catalog.delegated, self._features.delegate
        if delegated and delegate is not None and group_version_of(info.path) in delegated:
            if seat is not None and info.verb == "watch":
                seat.free()
            return await delegate(request, info, user)
        if resource is None:
            return await self._path_handler(info)(request, info)
        connect = self._features.connects.get((resource.id, info.target.subresource))
        if trail is not None and (connect is not None or info.verb == "watch"):
            trail.started()
        if connect is not None:
            with self._metrics.long_running(info):
                return await connect(request, info, user)
        authorize = partial(self._gate.authorize, user)
        call = Call(request, info, resource, user, self._registry, self._cache, authorize, seat)
        if trail is not None:
            call.annotations = trail.annotations
        return await serve(call)

    def _understood(self, request: web.BaseRequest) -> RequestInfo:
        """What is asked for; that it is not served is told only to whom it may be told."""
        try:
            return request_info(request.method, request.raw_path, self._catalog)
        except errors.ApiError:
            user = self._authenticator.authenticate(request, peer_of(request).user).user
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
        key = Key(request.method) if info is None else key_of(info)
        self._metrics.requests.observe(key, code, seconds)


async def text(request: web.BaseRequest, body: str, code: int = 200) -> web.Response:
    """A plain text answer, as health checks give it."""
    return web.Response(text=body, status=code, headers={"X-Content-Type-Options": "nosniff"})


__all__ = ["Features", "Handler", "respond", "text"]
