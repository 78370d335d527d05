"""The way of a request through authorization: nobody's place, somebody else's shoes, then the chain."""

from __future__ import annotations

from aiohttp import web

from picluster.api import errors
from picluster.apiserver.authn import User
from picluster.apiserver.authz.attributes import of_request, of_unknown
from picluster.apiserver.authz.chain import DISCOVERY_FOR_JOINING, MASTERS, Chain, Decision, is_public
from picluster.apiserver.authz.impersonation import Acting, acting_as
from picluster.apiserver.requestinfo import RequestInfo


class Gate:
    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def acting(self, user: User, request: web.BaseRequest, info: RequestInfo) -> Acting:
        """Who the request is served as: ``user``, or whom it impersonates; not yet whether he may (``authorize``).

        Raises ``ApiError`` 401 for nobody (who may see health, version and cluster-info, as ``anonymous.conditions`` of
        an AuthenticationConfiguration limit it), 403 for who may not be somebody else.
        """
        if user.anonymous and not (is_public(info.path) or info.path == DISCOVERY_FOR_JOINING):
            raise errors.unauthorized()
        return acting_as(self._chain, user, request, lambda who: of_request(who, info))

    def authorize(self, user: User, info: RequestInfo) -> None:
        """Raise ``ApiError`` 403 unless ``user`` may do what ``info`` says."""
        if MASTERS not in user.groups:
            self._chain.authorize(of_request(user, info))

    def explain(self, user: User, info: RequestInfo) -> Decision:
        """What the chain says of a request, and why."""
        return self._chain.decide(of_request(user, info))

    def refuse_unknown(self, user: User, request: web.BaseRequest) -> None:
        """Raise ``ApiError`` 401 or 403 for a path that is not served, unless its absence may be told."""
        if user.anonymous:
            raise errors.unauthorized()
        method, path = request.method, request.raw_path
        acting = acting_as(self._chain, user, request, lambda who: of_unknown(who, method, path)).user
        if MASTERS not in acting.groups:
            self._chain.authorize(of_unknown(acting, method, path))
