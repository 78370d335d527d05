"""Requests for group-versions of other servers, passed on to them with their user in headers.

Whether the user may is decided before, by the ordinary authorizers. Source: ``handler_proxy.go`` of kube-aggregator.
"""

from __future__ import annotations

from aiohttp import web
from yarl import URL

from picluster.apiserver.aggregation.backends import Backends
from picluster.apiserver.aggregation.services import ApiService, ApiServices
from picluster.apiserver.audit import ids
from picluster.apiserver.authn import User
from picluster.apiserver.connection import request_of
from picluster.apiserver.frontproxy import PREFIX, telling_headers
from picluster.apiserver.relay import Onward, Relay, Unreachable
from picluster.apiserver.requestinfo import RequestInfo, flag, group_version_of
from picluster.apiserver.webhooks.resolve import Unresolved, server_name
from picluster.apiserver.webhooks.trust import Untrusted

DROPPED = (PREFIX, "impersonate-")
LONG_SUBRESOURCES = frozenset({"proxy", "log", "exec", "attach", "portforward"})


class Delegate:
    def __init__(self, services: ApiServices, backends: Backends, relay: Relay) -> None:
        self._services = services
        self._backends = backends
        self._relay = relay

    async def __call__(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        asked = group_version_of(info.path)
        service = self._services.delegated.get(asked) if asked is not None else None
        if service is None or not service.available:
            return _error("service unavailable", 503)
        try:
            onward = self._onward(service, request, info, user)
        except Unresolved:
            return _error("service unavailable", 503)
        except Untrusted as error:
            return _error(str(error), 500)
        try:
            return await self._relay.pass_on(request, onward)
        except Unreachable as error:
            return _error(f"error trying to reach service: {error}", 503)

    def _onward(self, service: ApiService, request: web.BaseRequest, info: RequestInfo, user: User) -> Onward:
        address = self._backends.address(service)
        url: URL = self._backends.url(address, request.raw_path)
        target, called = info.target, request_of(request).called
        known = () if request.headers.get(ids.HEADER) == called else ((ids.HEADER, called),)
        return Onward(
            url,
            self._backends.trust.context(service.ca_bundle, skip_verify=service.skip_verify),
            request.host,
            server_name(service.namespace, service.service),
            (*telling_headers(user), *known),
            DROPPED,
            long=flag(info.query, "watch") or target.subresource in LONG_SUBRESOURCES,
        )


def _error(text: str, code: int) -> web.Response:
    """``http.Error``."""
    return web.Response(text=f"{text}\n", status=code, headers={"X-Content-Type-Options": "nosniff"})
