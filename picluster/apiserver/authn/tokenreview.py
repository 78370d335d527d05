"""TokenReview: somebody else asks whose a token is (``pkg/registry/authentication/tokenreview``)."""

from __future__ import annotations

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver.authn.authenticator import Authenticator
from picluster.apiserver.authn.result import InvalidToken
from picluster.apiserver.authn.user import user_info
from picluster.apiserver.registry.registry import Review, Write


def token_review(authenticator: Authenticator) -> Review:
    async def review(write: Write, body: Object) -> Object:
        spec = body.get("spec") or {}
        if (body.get("metadata") or {}).get("namespace"):
            raise errors.bad_request("namespace is not allowed on this type: ")
        token = spec.get("token", "")
        if not token:
            raise errors.bad_request("token is required for TokenReview in authentication")
        audiences = tuple(spec.get("audiences") or ()) or authenticator.audiences
        return {**body, "status": _status(authenticator, token, audiences)}

    return review


def _status(authenticator: Authenticator, token: str, audiences: tuple[str, ...]) -> Object:
    try:
        found = authenticator.token(token, audiences)
    except InvalidToken as error:
        return {"user": {}, "error": str(error)}
    return {"authenticated": True, "user": user_info(found.user), "audiences": list(found.audiences)}
