"""POST serviceaccounts/<name>/token: a token for an account, bound to an object and to time (KEP-1205).

Source: ``pkg/registry/core/serviceaccount/storage/token.go`` of Kubernetes.
"""

from __future__ import annotations

import orjson

from picluster.api import errors, meta
from picluster.api.resources import NODES, PODS, SECRETS, TOKEN_REQUEST, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer
from picluster.apiserver.authn.claims import credential_id, new_claims
from picluster.apiserver.authn.tokenkeys import TokenKeys
from picluster.apiserver.registry.registry import Registry, Write, read_object
from picluster.apiserver.registry.store import decoded

WARN_AFTER_S = 3607
"""The lifetime that the admission plugin puts into pods; who asks for it gets a year, and is warned after it."""
ISSUED = "authentication.kubernetes.io/issued-credential-id"
"""Where the audit event of a new token says which one it is."""
EXTENDED_LIFETIME_S = 365 * 24 * 3600


async def request_token(registry: Registry, write: Write, request: Object, body: bytes | None) -> Answer:
    """The TokenRequest, answered with a token; raises ``ApiError``."""
    keys = registry.token_keys
    if keys is None:
        raise errors.method_not_supported("", "serviceaccounts/token", "create")
    read_object(write, registry.kind(TOKEN_REQUEST), request, body)
    account = decoded(registry.store.get(write.resource, write.namespace, write.name))
    _identify(registry, write, request)
    registry.kind(TOKEN_REQUEST).default(request)
    spec = request["spec"]
    request["status"] = {"token": "", "expirationTimestamp": None}
    await registry.admission.admit(write.attributes(CREATE, request, None))
    spec["audiences"] = spec.get("audiences") or list(keys.audiences)
    if failures := registry.kind(TOKEN_REQUEST).create_failures(request):
        raise errors.invalid(TOKEN_REQUEST.group, TOKEN_REQUEST.kind, "", failures)
    await registry.admission.validate(write.attributes(CREATE, request, None))
    bound = _bound(registry, write, spec.get("boundObjectRef"))
    if 0 < keys.config.lifetime_max_s < spec["expirationSeconds"]:
        longest_s = keys.config.lifetime_max_s
        write.warnings.append(
            f"requested expiration of {spec['expirationSeconds']} seconds shortened to {longest_s} seconds"
        )
        spec["expirationSeconds"] = longest_s
    now_s, token_id = int(registry.clock.now()), meta.new_uid()
    write.annotations[ISSUED] = credential_id(token_id)
    request["status"] = {
        "token": _sign(keys, account, bound, spec, now_s, token_id),
        "expirationTimestamp": meta.now_rfc3339(now_s + spec["expirationSeconds"]),
    }
    return Answer(201, orjson.dumps(request))


def _identify(registry: Registry, write: Write, request: Object) -> None:
    metadata = request.setdefault("metadata", {})
    if metadata.get("name", write.name) != write.name:
        raise errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({write.name})"
        )
    if metadata.get("namespace", write.namespace) != write.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["name"], metadata["namespace"] = write.name, write.namespace
    metadata["creationTimestamp"] = meta.now_rfc3339(registry.clock.now())


def _sign(keys: TokenKeys, account: Object, bound: dict[str, Object], spec: Object, now_s: int, token_id: str) -> str:
    lifetime_s, warn_after_s = spec["expirationSeconds"], 0
    ours = set(spec["audiences"]) <= set(keys.audiences)
    if keys.config.extend_lifetime and "pod" in bound and lifetime_s == WARN_AFTER_S and ours:
        lifetime_s, warn_after_s = EXTENDED_LIFETIME_S, lifetime_s
    claims = new_claims(
        account, bound, keys.issuers[0], tuple(spec["audiences"]), now_s, lifetime_s, warn_after_s, token_id
    )
    return keys.sign(claims)


def _bound(registry: Registry, write: Write, reference: Object | None) -> dict[str, Object]:
    """What the token is to be bound to, by claim; a pod's node comes along."""
    if reference is None:
        return {}
    kind, api_version = reference.get("kind", ""), reference.get("apiVersion", "")
    found = _BINDABLE.get(kind) if "/" not in api_version else None
    if found is None:
        group, _, version = api_version.rpartition("/")
        raise errors.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    claim, resource = found
    obj = decoded(
        registry.store.get(resource, write.namespace if resource.namespaced else "", reference.get("name", ""))
    )
    if resource is PODS and obj["spec"].get("serviceAccountName") != write.name:
        raise errors.bad_request(
            f'cannot bind token for serviceaccount "{write.name}" to pod running with different serviceaccount name.'
        )
    if reference.get("uid") and reference["uid"] != obj["metadata"]["uid"]:
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict("", kind, reference["name"], why)
    bound = {claim: obj}
    if resource is PODS and (node := registry.store.cache.get(NODES, "", obj["spec"].get("nodeName", ""))) is not None:
        bound["node"] = decoded(node)
    return bound


_BINDABLE: dict[str, tuple[str, Resource]] = {
    "Pod": ("pod", PODS),
    "Secret": ("secret", SECRETS),
    "Node": ("node", NODES),
}
