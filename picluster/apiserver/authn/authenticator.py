"""Who asks, of all that a request and its connection show.

In Kubernetes' order: whom a front proxy speaks for, the certificate, then the bearer token, then nobody. A token that
nobody takes for good is a 401, never an anonymous request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from aiohttp import web

from picluster.api import errors
from picluster.apiserver.authn.result import Authenticated, InvalidToken, TokenAuthenticator
from picluster.apiserver.authn.user import User
from picluster.apiserver.frontproxy import FRONT_PROXY, told_user

BEARER = "bearer "
PROTOCOL_PREFIX = "base64url.bearer.authorization.k8s.io."
INVALID = "invalid bearer token"


class Authenticator:
    """``audiences`` are those that the API server itself is."""

    def __init__(self, tokens: Sequence[TokenAuthenticator], audiences: tuple[str, ...]) -> None:
        self._tokens = tuple(tokens)
        self.audiences = audiences

    def authenticate(self, request: web.BaseRequest, peer: User) -> Authenticated:
        """Whoever asks; ``peer`` is who the connection is. Raises ``ApiError`` 401 for a token that is not good."""
        if not peer.anonymous:
            return Authenticated(peer, ())
        if peer is FRONT_PROXY and (told := told_user(request.headers)) is not None:
            return Authenticated(told, ())
        token = bearer_token(request)
        if not token:
            return Authenticated(peer, ())
        try:
            return self.token(token, self.audiences)
        except InvalidToken:
            raise errors.unauthorized() from None

    def token(self, token: str, audiences: tuple[str, ...]) -> Authenticated:
        """Whose a token is; raises ``InvalidToken``."""
        refusals = []
        for each in self._tokens:
            try:
                found = each.authenticate(token, audiences)
            except InvalidToken as error:
                refusals.append(str(error))
                continue
            if found is not None:
                return found
        if len(refusals) > 1:
            raise InvalidToken(f"[{', '.join(refusals)}]")
        raise InvalidToken(refusals[0] if refusals else INVALID)


def bearer_token(request: web.BaseRequest) -> str:
    """The token of a request: in its header, or for a WebSocket among its protocols, as browsers can only do."""
    header = request.headers.get("Authorization", "").strip()
    if header[: len(BEARER)].lower() == BEARER:
        return header[len(BEARER) :].strip()
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return _protocol_token(request.headers.get("Sec-WebSocket-Protocol", ""))
    return ""


def _protocol_token(protocols: str) -> str:
    offered = [protocol.strip() for protocol in protocols.split(",")]
    encoded = [each.removeprefix(PROTOCOL_PREFIX) for each in offered if each.startswith(PROTOCOL_PREFIX)]
    if len(encoded) != 1 or len(offered) < 2:
        return ""
    try:
        return base64.urlsafe_b64decode(encoded[0] + "=" * (-len(encoded[0]) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
