"""ServiceAccount: every pod has one, and it exists; its image pull secrets are the pod's unless the pod has its own."""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.resources import PODS, SERVICE_ACCOUNTS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.util.clock import Clock

DEFAULT_NAME = "default"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
DEFAULT_ATTEMPTS_MAX = 10
RETRY_INTERVAL_S = 0.1


class ServiceAccount:
    name = "ServiceAccount"

    def __init__(self, cache: WatchCache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PODS and not subresource and operation == CREATE

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        spec = pod["spec"]
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or ()):
            if spec.get("serviceAccountName"):
                raise _refusal(attributes, "a mirror pod may not reference service accounts")
            return
        name = spec.get("serviceAccountName") or DEFAULT_NAME
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._find(attributes, name)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": each.get("name", "")} for each in account["imagePullSecrets"]]

    async def _find(self, attributes: Attributes, name: str) -> Object:
        """The account; the default one of a new namespace is given a second to appear, as its controller makes it."""
        attempts = DEFAULT_ATTEMPTS_MAX if name == DEFAULT_NAME else 1
        for attempt in range(attempts):
            entry = self._cache.get(SERVICE_ACCOUNTS, attributes.namespace, name)
            if entry is not None:
                # Most accounts name no secrets: the bytes tell without being decoded.
                found: Object = orjson.loads(entry.wire) if b'"imagePullSecrets"' in entry.wire else {}
                return found
            if attempt + 1 < attempts:
                await self._clock.sleep(RETRY_INTERVAL_S)
        raise _refusal(
            attributes,
            f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found',
        )


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden("", "pods", attributes.name, why)
