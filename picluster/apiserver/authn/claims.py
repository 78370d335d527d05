"""What service account tokens say. Pure.

Sources: ``pkg/serviceaccount/claims.go`` and ``legacy.go`` of Kubernetes; KEP-1205 (bound tokens), KEP-4193 (node and
credential id).
"""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.authn.user import AUTHENTICATED, CREDENTIAL_ID, User

LEGACY_ISSUER = "kubernetes/serviceaccount"
LEGACY_PREFIX = "kubernetes.io/serviceaccount/"
PRIVATE = "kubernetes.io"
USERNAME_PREFIX = "system:serviceaccount:"
GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"

Claims = dict[str, Any]


def username(namespace: str, name: str) -> str:
    return f"{USERNAME_PREFIX}{namespace}:{name}"


def new_claims(
    account: Object,
    bound: dict[str, Object],
    issuer: str,
    audiences: tuple[str, ...],
    now_s: int,
    lifetime_s: int,
    warn_after_s: int,
    token_id: str,
) -> Claims:
    """The claims of a new token; ``bound`` are the objects by claim name: ``pod``, ``node``, ``secret``."""
    metadata = account["metadata"]
    private: Object = {
        "namespace": metadata["namespace"],
        **{kind: reference(obj) for kind, obj in bound.items()},
        "serviceaccount": reference(account),
    }
    if warn_after_s:
        private["warnafter"] = now_s + warn_after_s
    return {
        "aud": list(audiences),
        "exp": now_s + lifetime_s,
        "iat": now_s,
        "iss": issuer,
        "jti": token_id,
        PRIVATE: private,
        "nbf": now_s,
        "sub": username(metadata["namespace"], metadata["name"]),
    }


def reference(obj: Object) -> dict[str, str]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def user_of_claims(claims: Claims) -> User:
    """The user of a bound token: who, and through which credential, pod and node (``ServiceAccountInfo.UserInfo``)."""
    private = claims[PRIVATE]
    extra: dict[str, tuple[str, ...]] = {}
    if claims.get("jti"):
        extra[CREDENTIAL_ID] = (credential_id(claims["jti"]),)
    for kind in ("pod", "node"):
        if (bound := private.get(kind)) is not None:
            extra[f"{EXTRA}{kind}-name"] = (bound.get("name", ""),)
            extra[f"{EXTRA}{kind}-uid"] = (bound.get("uid", ""),)
    account = private["serviceaccount"]
    return account_user(private["namespace"], account["name"], account["uid"], tuple(sorted(extra.items())))


def account_user(namespace: str, name: str, uid: str, extra: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> User:
    groups = frozenset({GROUP, f"{GROUP}:{namespace}", AUTHENTICATED})
    return User(username(namespace, name), groups, uid, extra)


def credential_id(token_id: str) -> str:
    return f"JTI={token_id}"


def well_formed(claims: Claims) -> bool:
    """Whether a verified token has what a bound token must have, each of the right type."""
    private = claims.get(PRIVATE)
    if not isinstance(private, dict) or not isinstance(private.get("namespace"), str):
        return False
    if not isinstance(claims.get("jti", ""), str) or not isinstance(private.get("warnafter", 0), int | float):
        return False
    references = [
        private.get("serviceaccount"),
        *(private[kind] for kind in ("pod", "node", "secret") if kind in private),
    ]
    named = all(
        isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("uid"), str)
        for each in references
    )
    times = all(isinstance(claims.get(name, 0), int | float) for name in ("exp", "nbf", "iat"))
    return named and times and isinstance(claims.get("exp"), int | float)


def audiences_of(claims: Claims) -> tuple[str, ...]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return (audience,)
    return tuple(each for each in audience if isinstance(each, str)) if isinstance(audience, list) else ()
