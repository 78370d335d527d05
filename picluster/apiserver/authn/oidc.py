"""OpenID Connect discovery of the service account issuer: who outside the cluster verifies its tokens begins here.

Source: KEP-1393; ``pkg/serviceaccount/openidmetadata.go`` of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
from aiohttp import web

from picluster.apiserver.authn.tokenkeys import TokenKeys
from picluster.apiserver.http import PathHandler
from picluster.apiserver.requestinfo import RequestInfo

CONFIGURATION_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/openid/v1/jwks"
JWKS_TYPE = "application/jwk-set+json"
CACHE_CONTROL = "public, max-age=3600"


def configuration_handler(keys: TokenKeys, address: Callable[[], str]) -> PathHandler:
    """``address`` is host and port at which clients reach this server."""

    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        body = {
            "issuer": keys.issuers[0],
            "jwks_uri": keys.config.jwks_uri or f"https://{address()}{JWKS_PATH}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys.verifier.keys}),
        }
        return _answer(orjson.dumps(body), "application/json")

    return handle


def jwks_handler(keys: TokenKeys) -> PathHandler:
    async def handle(request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        return _answer(orjson.dumps(keys.verifier.jwks()), JWKS_TYPE)

    return handle


def _answer(body: bytes, media_type: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": media_type, "Cache-Control": CACHE_CONTROL})
