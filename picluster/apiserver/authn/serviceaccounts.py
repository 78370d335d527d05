"""Service account tokens: bound ones, and those kept in Secrets (legacy).

A token is verified once (some 200 µs) and remembered by its digest until it expires; what it is bound to is looked at
in the watch cache each time, so a token ends with its pod, its Secret, its node or its account at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from picluster.api.meta import now_rfc3339, parse_time
from picluster.api.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from picluster.apiserver.authn import claims as bound
from picluster.apiserver.authn.claims import LEGACY_ISSUER, LEGACY_PREFIX, PRIVATE, Claims
from picluster.apiserver.authn.result import Authenticated, InvalidToken, common
from picluster.apiserver.authn.tokenkeys import TokenKeys
from picluster.apiserver.authn.user import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.util.clock import Clock

REMEMBERED_MAX = 4096
TOKEN_MAX_BYTES = 16 << 10
DELETION_LEEWAY_S = 60.0
"""How long what a token is bound to may be on its way out before the token counts no more (go-jose's leeway)."""
INVALIDATED = "service account token has been invalidated"
LAST_USED_LABEL = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE_LABEL = "kubernetes.io/legacy-token-invalid-since"
STALE_ANNOTATION = "authentication.k8s.io/stale-token"
LEGACY_ANNOTATION = "authentication.k8s.io/legacy-token"

MarkUsed = Callable[[str, str], None]
"""Called with namespace and name of a Secret whose token was used and whose label does not say so yet."""


class _Metadata(msgspec.Struct, gc=False):
    uid: str = ""
    deletionTimestamp: str = ""  # noqa: N815
    labels: dict[str, str] = {}


class _Live(msgspec.Struct, gc=False):
    metadata: _Metadata


_decode = msgspec.json.Decoder(_Live).decode


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature and shape are good."""

    claims: Claims
    user: User
    audiences: tuple[str, ...]


class ServiceAccountTokens:
    """Authenticates tokens of ``keys.issuers``, and legacy ones."""

    def __init__(self, keys: TokenKeys, cache: WatchCache, clock: Clock, mark_used: MarkUsed) -> None:
        self._keys = keys
        self._cache = cache
        self._clock = clock
        self._mark_used = mark_used
        self._remembered: OrderedDict[bytes, _Verified] = OrderedDict()

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._remembered.get(digest)
        if verified is None:
            issuer = issuer_of(token)
            if issuer == LEGACY_ISSUER:
                return self._legacy(token, self._keys.claims(token), audiences)
            if issuer not in self._keys.issuers:
                return None
            verified = self._remember(digest, self._keys.claims(token))
        self._check_times(digest, verified.claims)
        granted = common(audiences, verified.audiences or self._keys.audiences)
        if audiences and not granted:
            offered, wanted = _listed(verified.audiences), _listed(audiences)
            raise InvalidToken(f"token audiences {offered} is invalid for the target audiences {wanted}")
        self._check_bound(verified.claims[PRIVATE])
        return Authenticated(verified.user, granted, self._annotations(verified.claims))

    def _remember(self, digest: bytes, claims: Claims) -> _Verified:
        if not bound.well_formed(claims):
            raise InvalidToken("service account token claims could not be validated due to unexpected private claim")
        verified = _Verified(claims, bound.user_of_claims(claims), bound.audiences_of(claims))
        self._remembered[digest] = verified
        while len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return verified

    def _check_times(self, digest: bytes, claims: Claims) -> None:
        now_s = self._clock.now()
        if claims["exp"] < now_s:
            del self._remembered[digest]
            raise InvalidToken("service account token has expired")
        if int(claims.get("nbf", 0)) > now_s:
            raise InvalidToken("service account token is not valid yet")
        if int(claims.get("iat", 0)) > now_s:
            raise InvalidToken("service account token is issued in the future")

    def _check_bound(self, private: dict[str, Any]) -> None:
        """What the token is bound to lives, and is still the same (``validator.Validate``)."""
        namespace = private["namespace"]
        self._check_account(namespace, private["serviceaccount"]["name"], private["serviceaccount"]["uid"])
        if (secret := private.get("secret")) is not None:
            uid = self._alive(SECRETS, namespace, secret["name"])
            if uid != secret["uid"]:
                raise InvalidToken(
                    f"secret UID ({uid}) does not match service account secret ref claim ({secret['uid']})"
                )
        if (pod := private.get("pod")) is not None:
            uid = self._alive(PODS, namespace, pod["name"])
            if uid != pod["uid"]:
                raise InvalidToken(f"pod UID ({uid}) does not match service account pod ref claim ({pod['uid']})")
        elif (node := private.get("node")) is not None:
            uid = self._alive(NODES, "", node["name"])
            if uid != node["uid"]:
                raise InvalidToken(f"node UID ({uid}) does not match service account node ref claim ({node['uid']})")

    def _check_account(self, namespace: str, name: str, wanted_uid: str) -> None:
        entry = self._cache.get(SERVICE_ACCOUNTS, namespace, name)
        if entry is None:
            raise InvalidToken(f'serviceaccounts "{name}" not found')
        account = _decode(entry.wire).metadata
        if self._gone(account):
            raise InvalidToken(f"service account {namespace}/{name} has been deleted")
        if account.uid != wanted_uid:
            raise InvalidToken(f"service account UID ({account.uid}) does not match claim ({wanted_uid})")

    def _alive(self, resource: Resource, namespace: str, name: str) -> str:
        """The uid of a bound object; raises ``InvalidToken`` when it is gone."""
        entry = self._cache.get(resource, namespace, name)
        live = _decode(entry.wire).metadata if entry is not None else None
        if live is None or self._gone(live):
            raise InvalidToken(INVALIDATED)
        return live.uid

    def _gone(self, live: _Metadata) -> bool:
        deletion = live.deletionTimestamp
        return bool(deletion) and parse_time(deletion) < self._clock.now() - DELETION_LEEWAY_S

    def _annotations(self, claims: Claims) -> tuple[tuple[str, str], ...]:
        warn_after_s = claims[PRIVATE].get("warnafter", 0)
        late_s = int(self._clock.now() - warn_after_s)
        if not warn_after_s or late_s <= 0:
            return ()
        self._keys.stale.inc()
        return ((STALE_ANNOTATION, f"subject: {claims['sub']}, seconds after warning threshold: {late_s}"),)

    def _legacy(self, token: str, claims: Claims, audiences: tuple[str, ...]) -> Authenticated:
        """A token that lives in a Secret, for as long as that has it (``legacyValidator.Validate``)."""
        said = {key.removeprefix(LEGACY_PREFIX): claims.get(key) for key in claims if key.startswith(LEGACY_PREFIX)}
        values = [said.get(key) for key in ("namespace", "secret.name", "service-account.name", "service-account.uid")]
        labels = ("namespace", "secretName", "serviceAccountName", "serviceAccountUID")
        for label, value in zip(("sub", *labels), (claims.get("sub"), *values), strict=True):
            if not isinstance(value, str) or not value:
                raise InvalidToken(f"{label} claim is missing")
        namespace, secret_name, name, uid = map(str, values)
        if claims["sub"] != bound.username(namespace, name):
            raise InvalidToken("sub claim is invalid")
        self._check_secret(namespace, secret_name, token)
        self._check_account(namespace, name, uid)
        granted = common(audiences, self._keys.audiences)
        if audiences and not granted:
            raise InvalidToken(f"token audiences [] is invalid for the target audiences {_listed(audiences)}")
        note = (LEGACY_ANNOTATION, bound.username(namespace, name))
        return Authenticated(bound.account_user(namespace, name, uid), granted, (note,))

    def _check_secret(self, namespace: str, name: str, token: str) -> None:
        entry = self._cache.get(SECRETS, namespace, name)
        if entry is None:
            raise InvalidToken("Token has been invalidated")
        secret = orjson.loads(entry.wire)
        if secret["metadata"].get("deletionTimestamp"):
            raise InvalidToken("Token has been invalidated")
        kept = _base64((secret.get("data") or {}).get("token", ""))
        if not hmac.compare_digest(kept, token.encode()):
            raise InvalidToken("Token does not match server's copy")
        labels = secret["metadata"].get("labels") or {}
        if INVALID_SINCE_LABEL in labels:
            raise InvalidToken(f"the token in secret {namespace}/{name} has been marked invalid")
        if labels.get(LAST_USED_LABEL, "") < today(self._clock):
            self._mark_used(namespace, name)


def today(clock: Clock) -> str:
    """The day, as the label of a legacy token's last use has it."""
    return now_rfc3339(clock.now())[:10]


def issuer_of(token: str) -> str:
    """The issuer that a token claims, before anything is believed; empty for what is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_MAX_BYTES:
        return ""
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else ""
    return issuer if isinstance(issuer, str) else ""


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, binascii.Error):
        return b""


def _listed(audiences: tuple[str, ...]) -> str:
    """As Go prints a slice of strings with ``%q``."""
    return "[" + " ".join(f'"{audience}"' for audience in audiences) + "]"
