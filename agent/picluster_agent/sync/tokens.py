"""Service account tokens of a pod: asked for in its name, renewed in time, kept while the API server is away."""

from __future__ import annotations

import logging
import random

from picluster.api.errors import ApiError
from picluster.api.meta import parse_time
from picluster.api.resources import SERVICE_ACCOUNTS, TOKEN_REQUEST
from picluster.api.types import Object
from picluster.client import TransportError
from picluster_agent.podman.env import ConfigError
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.tokenlife import HeldToken

log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 5.0
JITTER_S = 10.0
_RANDOM = random.SystemRandom()

Wanted = tuple[str, int]


async def held(runtime: Runtime, context: PodContext, wanted: set[Wanted]) -> dict[Wanted, str]:
    """A good token for each audience and lifetime; raises ``ConfigError`` where there is none to be had."""
    for key in sorted(wanted):
        now_s, jitter_s = runtime.clock.now(), _RANDOM.uniform(0, JITTER_S)
        token = context.tokens.get(key)
        if token is None or token.is_due(now_s, jitter_s):
            await _renew(runtime, context, key)
    return {key: context.tokens[key].token for key in wanted}


async def _renew(runtime: Runtime, context: PodContext, key: Wanted) -> None:
    old, now_s = context.tokens.get(key), runtime.clock.now()
    account = context.pod["spec"].get("serviceAccountName") or "default"
    try:
        answer = await runtime.client.create(
            SERVICE_ACCOUNTS,
            request(context, key),
            namespace=context.namespace,
            name=account,
            subresource="token",
            timeout_s=FETCH_TIMEOUT_S,
        )
        status = answer["status"]
        context.tokens[key] = HeldToken(status["token"], now_s, parse_time(status["expirationTimestamp"]))
    except (ApiError, TransportError) as error:
        if old is None or old.is_over(now_s):
            raise ConfigError(f"failed to fetch token: {error}") from error
        log.warning("the token of pod %s/%s is renewed later: %s", context.namespace, context.name, error)


def request(context: PodContext, key: Wanted) -> Object:
    """The TokenRequest: bound to this pod, so that the token ends with it."""
    audience, lifetime_s = key
    reference = {"apiVersion": "v1", "kind": "Pod", "name": context.name, "uid": context.uid}
    spec: Object = {"expirationSeconds": lifetime_s, "boundObjectRef": reference}
    spec["audiences"] = [audience] if audience else []
    return {"apiVersion": TOKEN_REQUEST.api_version, "kind": TOKEN_REQUEST.kind, "metadata": {}, "spec": spec}
