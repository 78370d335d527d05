"""Bootstrap tokens: ``<id>.<secret>``, kept in a Secret of kube-system, for a board that has no certificate yet.

Source: ``plugin/pkg/auth/authenticator/token/bootstrap`` and ``k8s.io/cluster-bootstrap`` of Kubernetes. A token that
is not good in any way is as unknown as one that was made up.
"""

from __future__ import annotations

import hmac

import orjson

from picluster.api import bootstraptoken
from picluster.api.resources import SECRETS
from picluster.apiserver.authn.result import Authenticated, common
from picluster.apiserver.authn.user import AUTHENTICATED, User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.util.clock import Clock


class BootstrapTokens:
    def __init__(self, cache: WatchCache, clock: Clock, audiences: tuple[str, ...]) -> None:
        self._cache = cache
        self._clock = clock
        self._audiences = audiences

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        parts = bootstraptoken.parse(token)
        granted = common(audiences, self._audiences)
        if parts is None or (audiences and not granted):
            return None
        identity, wanted = parts
        entry = self._cache.get(SECRETS, bootstraptoken.NAMESPACE, bootstraptoken.secret_name(identity))
        if entry is None:
            return None
        data = bootstraptoken.read(orjson.loads(entry.wire))
        if data is None or data.get("token-id") != identity:
            return None
        if not hmac.compare_digest(data.get("token-secret", "").encode(), wanted.encode()):
            return None
        groups = bootstraptoken.groups(data)
        if bootstraptoken.expired(data, self._clock.now()) or groups is None:
            return None
        if data.get("usage-bootstrap-authentication") != "true":
            return None
        user = User(f"{bootstraptoken.USER_PREFIX}{identity}", frozenset({*groups, AUTHENTICATED}))
        return Authenticated(user, granted)
